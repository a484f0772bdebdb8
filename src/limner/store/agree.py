"""What a person agrees to, inside a transaction."""

from sqlalchemy.engine import Connection

from limner.core.errors import Conflict
from limner.core.events import JobEvent
from limner.core.job import Decided, Job
from limner.store import consent, steps
from limner.store import statements as sql


def accept_price(
    connection: Connection, job_id: str, ceiling_micros: int | None, event: JobEvent, by: str
) -> Job:
    """The job queued again, within the new ceiling. The same yes, said twice, is one: the second finds it
    written. Raises `NotFound` and `Conflict`."""
    connection.execute(sql.LOCK_JOB, {"job": job_id})  # nobody decides between look and act
    work = steps.work(connection, job_id)
    asked, decided = work.job.confirmation, Decided(decision="accept", by=by, at=event.at)
    if consent.said_before(work.job, decided):
        return work.job
    if work.job.state != "needs_confirmation" or asked is None or "accept" not in asked.choices:
        said = "" if asked is None or asked.decided is None else f"; it was told: {asked.decided.decision}"
        raise Conflict(f"job {job_id} asks for no price: it is {work.job.state}{said}")
    kept = asked.model_copy(update={"decided": decided}).model_dump_json()
    connection.execute(sql.ACCEPT_PRICE, {"job": job_id, "new_ceiling": ceiling_micros, "asked": kept})
    steps.record(connection, [event.model_copy(update={"seq": work.seq + 1})])
    return steps.work(connection, job_id).job
