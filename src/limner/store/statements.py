"""Every statement of the journal: built once, compiled once."""

from sqlalchemy import BindParameter, bindparam, func, insert, or_, select, update

from limner.store import rows
from limner.store.prepared import Prepared
from limner.store.schema import (
    IS_OPEN,
    answers,
    artifacts,
    attempts,
    clock,
    events,
    inputs,
    jobs,
    ledger,
)

OPERATOR = "limner"
"""Whose loss it is when a vendor charges more than was agreed with the caller."""
OPEN_ATTEMPT = ("submitting", "accepted", "answered")

JOB: BindParameter[str] = bindparam("job")
KEY: BindParameter[str] = bindparam("key")
EXPIRES_AT = clock() + bindparam("lasts_s")
ADD_JOB = Prepared(insert(jobs).values(expires_at=EXPIRES_AT), rows.JOB_COLUMNS)
ADD_LEASED_JOB = Prepared(
    insert(jobs).values(
        expires_at=EXPIRES_AT,
        lease_owner=bindparam("owner"),
        lease_until=clock() + bindparam("lease_s"),
        lease_epoch=1,
    ),
    rows.JOB_COLUMNS,
)
BY_KEY = select(jobs.c.id, jobs.c.fingerprint).where(
    jobs.c.tenant == bindparam("tenant"), jobs.c.client_key == bindparam("key")
)
LEASE = (
    update(jobs)
    .where(jobs.c.id == JOB)
    .values(
        lease_owner=bindparam("owner"),
        lease_until=clock() + bindparam("lease_s"),
        lease_epoch=jobs.c.lease_epoch + 1,
        started_at=func.coalesce(jobs.c.started_at, clock()),
    )
)
RENEW = (
    update(jobs)
    .where(
        jobs.c.id.in_(bindparam("held", expanding=True)), jobs.c.lease_owner == bindparam("owner"), IS_OPEN
    )
    .values(lease_until=clock() + bindparam("lease_s"))
    .returning(jobs.c.id, jobs.c.lease_epoch)
)
RELEASE = (
    update(jobs)
    .where(jobs.c.lease_owner == bindparam("owner"), IS_OPEN)
    .values(lease_owner=None, lease_until=0.0, lease_epoch=jobs.c.lease_epoch + 1)
)
STANDING = select(jobs.c.id, jobs.c.lease_epoch, jobs.c.cancel_requested).where(
    jobs.c.id.in_(bindparam("held", expanding=True))
)
TAKE_OVER = (
    update(jobs)
    .where(IS_OPEN, jobs.c.lease_owner.is_not(None))
    .values(lease_owner=None, lease_until=0.0, lease_epoch=jobs.c.lease_epoch + 1)
)
FENCE = update(jobs).where(jobs.c.id == JOB, jobs.c.lease_epoch == bindparam("epoch"))
FENCE_STATE = Prepared(FENCE.values(state=bindparam("new_state")))
FENCE_ONLY = Prepared(FENCE.values(lease_epoch=jobs.c.lease_epoch))
ASK = Prepared(
    FENCE.values(
        state="needs_confirmation",
        confirmation=bindparam("asked"),
        notes=bindparam("new_notes"),
        lease_owner=None,
        lease_until=0.0,
    )
)
END_JOB = Prepared(
    FENCE.values(
        state=bindparam("new_state"),
        finished_at=bindparam("at"),
        notes=bindparam("new_notes"),
        error=bindparam("new_error"),
        lease_owner=None,
        lease_until=0.0,
    )
)
AGAIN = (
    update(jobs)
    .where(jobs.c.id == JOB)
    .values(
        state="queued",
        tries=bindparam("new_tries"),
        not_before=clock() + bindparam("after_s"),
        account=bindparam("for_account"),
        lease_owner=None,
        lease_until=0.0,
    )
)
FIRST_ORDER = Prepared(update(jobs).where(jobs.c.id == JOB).values(expires_at=clock() + jobs.c.deadline_s))
SHIFT = (
    update(jobs)
    .where(IS_OPEN)
    .values(
        not_before=jobs.c.not_before + bindparam("by_s"),
        lease_until=jobs.c.lease_until + bindparam("by_s"),
        expires_at=jobs.c.expires_at + bindparam("by_s"),
    )
)
CANCEL_NOW = (
    update(jobs)
    .where(jobs.c.id == JOB)
    .values(
        state="canceled",
        cancel_requested=True,
        finished_at=bindparam("at"),
        lease_epoch=jobs.c.lease_epoch + 1,
        lease_owner=None,
        lease_until=0.0,
    )
)
LOCK_JOB = select(jobs.c.id).where(jobs.c.id == JOB).with_for_update()
CANCEL_LATER = update(jobs).where(jobs.c.id == JOB).values(cancel_requested=True)
ADD_ATTEMPT = Prepared(insert(attempts), rows.ATTEMPT_COLUMNS)
HOLD = Prepared(
    update(attempts).where(attempts.c.id == KEY).values(state="accepted", ticket=bindparam("new_ticket"))
)
ANSWERED = Prepared(update(attempts).where(attempts.c.id == KEY).values(state="answered"))
END_ATTEMPT = Prepared(
    update(attempts)
    .where(attempts.c.id == KEY)
    .values(
        state=bindparam("new_state"),
        how=bindparam("new_how"),
        error=bindparam("new_error"),
        price_actual=bindparam("actual"),
    )
)
GIVE_UP = Prepared(
    update(attempts)
    .where(attempts.c.id == KEY, or_(*(attempts.c.state == state for state in OPEN_ATTEMPT)))
    .values(
        state=bindparam("new_state"),
        how=bindparam("new_how"),
        error=bindparam("new_error"),
        price_actual=bindparam("actual"),
    )
)
ADD_ANSWER = Prepared(insert(answers), ("attempt_id", "data"))
GET_ANSWER = select(answers.c.data).where(answers.c.attempt_id == KEY)
SETTLED_ANSWERS = (
    select(answers.c.attempt_id)
    .join(attempts, attempts.c.id == answers.c.attempt_id)
    .join(jobs, jobs.c.id == attempts.c.job_id)
    .where(
        # What was bought and could not be read stays: somebody may want to look at it.
        attempts.c.state == "settled",
        jobs.c.finished_at < clock() - bindparam("age_s"),
    )
    .limit(bindparam("limit"))
)
ADD_ARTIFACT = Prepared(insert(artifacts), rows.ARTIFACT_COLUMNS)
ADD_INPUT = Prepared(insert(inputs).values(created_at=clock()), ("digest", "size_bytes"))
ADD_EVENT = Prepared(insert(events), rows.EVENT_COLUMNS)
ADD_LEDGER = Prepared(
    insert(ledger).values(
        at=clock(),
        tenant=select(jobs.c.tenant).where(jobs.c.id == bindparam("of_job")).scalar_subquery(),
    ),
    ("job_id", "attempt_id", "kind", "micros", "project", "provider", "account", "ordered_at"),
)
ADD_LOSS = Prepared(
    # No caller's and of no project: it counts for no budget but the account's.
    insert(ledger).values(at=clock(), tenant=OPERATOR, project=""),
    ("job_id", "attempt_id", "kind", "micros", "provider", "account", "ordered_at"),
)
ACCEPT_PRICE = (
    update(jobs)
    .where(jobs.c.id == JOB)
    .values(
        state="queued",
        ceiling=bindparam("new_ceiling"),
        confirmation=bindparam("asked"),
        not_before=0.0,
        account=None,
        expires_at=clock() + jobs.c.deadline_s,
        tries=0,
    )
)
GET_JOB = select(jobs, (jobs.c.expires_at - clock()).label("left_s")).where(jobs.c.id == JOB)
ATTEMPTS = select(attempts).where(attempts.c.job_id == JOB).order_by(attempts.c.n)
IMAGES = select(artifacts).where(artifacts.c.job_id == JOB).order_by(artifacts.c.idx)
LAST_SEQ = select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.job_id == JOB)
EVENTS = (
    select(events).where(events.c.job_id == JOB, events.c.seq > bindparam("after")).order_by(events.c.seq)
)
ENDED = select(jobs).where(
    jobs.c.id.in_(bindparam("jobs", expanding=True)),
    or_(jobs.c.finished_at.is_not(None), jobs.c.state == "needs_confirmation"),
)
COUNT_OPEN = select(func.count()).select_from(jobs).where(IS_OPEN)
