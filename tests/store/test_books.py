"""Usage and audit, on both databases."""

import time
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text

from limner.core.ids import uuid7
from limner.core.job import Artifact, Failure, Job, Recipe
from limner.core.usage import AccountTotal, UsageGroup
from limner.store.rows import NewJob, OpenAttempt
from tests.fakes import request, target


def at(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()


async def ordered(store, when, usd="0.04", *, by="ann", project="default", account="easel"):
    """One order under way, placed at that time in UTC."""
    placed = at(when) if isinstance(when, str) else when
    asked = request(project=project)
    job = Job(id=uuid7(), state="running", request=asked, created_at=placed, started_at=placed)
    wanted = target(account, usd).model_copy(update={"request": asked})
    order = OpenAttempt(job.id, 1, wanted, "first choice", placed, placed + 60.0)
    await store.enqueue(NewJob(job, by, None, asked.fingerprint(), 60.0), [], order, 15.0)
    return job, order


def picture(job, order, index=0) -> Artifact:
    identity = uuid7()
    wanted = order.target
    return Artifact(
        id=identity,
        job_id=job.id,
        index=index,
        digest="0" * 64,
        size_bytes=1,
        width=1,
        height=1,
        format="png",
        seed=1,
        project=job.request.project,
        provider=wanted.provider,
        model=wanted.model,
        file=f"{identity}.png",
        created_at=order.submitted_at,
        recipe=Recipe(
            limner="0", prompt="x", request=wanted.request, provider=wanted.provider, model=wanted.model
        ),
    )


async def settled(store, when, usd="0.04", actual=40_000, *, pictures=1, ceiling=None, **how):
    """An order that brought pictures."""
    job, order = await ordered(store, when, usd, **how)
    images = tuple(picture(job, order, index) for index in range(pictures))
    done = job.model_copy(update={"state": "succeeded", "finished_at": time.time(), "images": images})
    if ceiling is not None:
        done = done.model_copy(update={"ceiling_usd": Decimal(ceiling)})
    await store.finish(done, 1, order, actual, [])
    return order


async def given_up(store, when, billed, usd="0.04", **how):
    _, order = await ordered(store, when, usd, **how)
    await store.give_up(order, 1, Failure(code="x", message="x"), billed)
    return order


def group(name, orders=1, pictures=1, *, estimated="0.04", actual="0.04", **more):
    sums = {"estimated_usd": estimated, "actual_usd": actual, "reserved_usd": "0", "unknown_usd": "0"}
    fields = sums | {"unpriced": 0} | more
    return UsageGroup(group=name, orders=orders, pictures=pictures, **fields)


async def used(store, by, first="2026-11-01", last="2026-12-31"):
    return await store.usage(date.fromisoformat(first), date.fromisoformat(last), by)


async def test_orders_count_on_the_day_they_were_placed_in_utc(store):
    await settled(store, "2026-11-30T23:59:59.999", actual=50_000)
    await settled(store, "2026-12-01T00:00:00")
    await settled(store, "2026-12-01T23:59:59", pictures=2)
    report = await used(store, "day")
    assert report.data == (
        group("2026-11-30", actual="0.05"),
        group("2026-12-01", orders=2, pictures=3, estimated="0.08", actual="0.08"),
    )
    assert report.total == group("total", 3, 4, estimated="0.12", actual="0.13")
    months = await used(store, "month")
    assert [one.group for one in months.data] == ["2026-11", "2026-12"]
    assert months.total == report.total


async def test_the_first_and_last_day_are_included_and_no_other(store):
    for day in ("2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"):
        await settled(store, f"{day}T00:00:00")
    report = await used(store, "day", "2026-11-19", "2026-11-20")
    assert [one.group for one in report.data] == ["2026-11-19", "2026-11-20"]
    assert (report.first_day, report.last_day, report.by) == (date(2026, 11, 19), date(2026, 11, 20), "day")


async def test_every_state_of_an_order_counts_where_it_belongs(store):
    await ordered(store, "2026-11-20T01:00:00", "0.01")
    await given_up(store, "2026-11-20T02:00:00", "no", "0.02")
    await given_up(store, "2026-11-20T03:00:00", "maybe", "0.03")
    await given_up(store, "2026-11-20T04:00:00", "yes", "0.05")
    await settled(store, "2026-11-20T05:00:00", "0.06", 70_000)
    assert (await used(store, "day")).data == (
        group("2026-11-20", 4, estimated="0.11", actual="0.12", reserved_usd="0.01", unknown_usd="0.03"),
    )


async def test_an_unknown_price_is_counted_as_unknown_and_never_as_0(store):
    await settled(store, "2026-11-20T01:00:00", None, None)
    await settled(store, "2026-11-20T01:00:00", None, 90_000)
    await settled(store, "2026-11-20T01:00:00", "0", 0)
    assert (await used(store, "day")).data == (
        group("2026-11-20", 3, 3, estimated="0", actual="0.09", unpriced=1),
    )


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("user", ["ann", "bob"]),
        ("project", ["zoo", "default"]),
        ("provider", ["mural", "easel"]),
        ("account", ["mural", "easel"]),
        ("model", ["m"]),
    ],
)
async def test_groups_come_dearest_first(store, by, names):
    await settled(store, "2026-11-20T01:00:00")
    await settled(store, "2026-11-20T01:00:00", "0.50", 500_000, project="zoo", account="mural")
    await settled(store, "2026-11-20T01:00:00", by="bob")
    assert [one.group for one in (await used(store, by)).data] == names


async def test_what_the_operator_bears_is_shown_as_the_operators(store):
    await settled(store, "2026-11-20T01:00:00", "0.04", 60_000, ceiling="0.04")
    assert (await used(store, "user")).data == (
        group("ann"),
        group("limner", orders=0, pictures=0, estimated="0", actual="0.02"),
    )


async def test_nothing_ordered_is_an_empty_report(store):
    report = await used(store, "model")
    assert (report.data, report.total) == ((), group("total", 0, 0, estimated="0", actual="0"))


async def test_books_that_agree_have_totals_per_account(store):
    await ordered(store, "2026-11-20T01:00:00", "0.01")
    await given_up(store, "2026-11-20T02:00:00", "no", "0.02")
    await given_up(store, "2026-11-20T03:00:00", "maybe", "0.03")
    await settled(store, "2026-11-20T05:00:00", "0.06", 70_000)
    await settled(store, "2026-11-20T05:00:00", "0.06", 70_000, ceiling="0.06")
    await settled(store, "2026-11-20T05:00:00", None, 70_000, account="mural")
    await settled(store, "2026-11-20T05:00:00", "0", 0, account="local")
    audit = await store.audit()
    assert (audit.orders, audit.mismatches) == (7, ())
    assert audit.accounts == (
        AccountTotal(
            account="easel",
            reserved_usd=Decimal("0.18"),
            released_usd=Decimal("0.14"),
            settled_usd=Decimal("0.14"),
            open_usd=Decimal("0.04"),
        ),
        AccountTotal(
            account="mural",
            reserved_usd=Decimal(0),
            released_usd=Decimal(0),
            settled_usd=Decimal("0.07"),
            open_usd=Decimal(0),
        ),
    )


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("DELETE FROM ledger WHERE kind = 'release'", "has (40000, 0, 40000)"),
        ("DELETE FROM ledger", "has (0, 0, 0)"),
        ("UPDATE ledger SET micros = 50000 WHERE kind = 'settle'", "has (40000, 40000, 50000)"),
        ("UPDATE attempts SET state = 'unknown'", "reserved, released and settled (40000, 0, 0)"),
        ("UPDATE attempts SET state = 'refused'", "reserved, released and settled (40000, 40000, 0)"),
        ("UPDATE ledger SET tenant = 'bob' WHERE kind = 'reserve'", "1 of its entries name another payer"),
        ("UPDATE ledger SET project = 'zoo'", "3 of its entries name another payer"),
        ("UPDATE ledger SET account = 'mural'", "3 of its entries name another payer"),
        ("UPDATE ledger SET ordered_at = 0", "3 of its entries name another payer, account or time"),
    ],
)  # fmt: skip
async def test_books_that_were_tampered_with_are_found_out(store, tampering, said):
    order = await settled(store, "2026-11-20T05:00:00")
    await store._database.write(lambda connection: connection.execute(text(tampering)))
    (sentence,) = (await store.audit()).mismatches
    assert sentence.startswith(f"order {order.id}")
    assert said in sentence


async def test_an_audit_names_a_hundred_mismatches_and_no_more(store):
    for _ in range(60):
        await settled(store, "2026-11-20T05:00:00")
    tampering = text("UPDATE ledger SET tenant = 'bob', micros = micros + 1")
    await store._database.write(lambda connection: connection.execute(tampering))
    audit = await store.audit()
    assert (audit.orders, len(audit.mismatches)) == (60, 100)


async def test_who_ordered_lately_is_known(store):
    for by in ("bob", "ann", "ann"):
        await ordered(store, "2026-11-20T05:00:00", by=by)
    await ordered(store, "2026-11-19T05:00:00", by="cid")
    assert await store.users(at("2026-11-20")) == ["ann", "bob"]
