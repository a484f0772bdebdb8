"""Budgets and limits in the transaction that reserves, on both databases."""

import asyncio
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from limner.core.errors import OverBudget, OverLimit
from limner.core.ids import uuid7
from limner.core.job import Failure, Job
from limner.guard.budgets import Budget
from limner.guard.limits import Limit
from limner.guard.periods import DAY_S, day
from limner.guard.rules import Rules
from limner.guard.scope import Scope
from limner.store.postgres import Postgres
from limner.store.rows import NewJob, OpenAttempt
from limner.store.store import Store
from tests import postgres
from tests.fakes import request, target

NOON = day(time.time())[0] + DAY_S / 2
FREE, UNKNOWN = target("local", "0"), target("easel", None)
DIME = Rules((Budget("dime", Scope(), day_micros=100_000),))
"""A tenth of a dollar a day for everybody: two orders at 4 cents."""


def bought(wanted=None, *, by="ann", at=NOON, key=None, project="default", count=1):
    """A job with its first order, as the desk writes them together."""
    wanted = wanted or target("easel")
    asked = request(project=project, count=count)
    job = Job(id=uuid7(), state="running", request=asked, created_at=at, started_at=at)
    sent = wanted.model_copy(update={"request": asked})
    order = OpenAttempt(job.id, 1, sent, "first choice", at, at + 60.0)
    return NewJob(job, by, key, asked.fingerprint(), 60.0), order


async def buy(store, wanted=None, **how):
    new, order = bought(wanted, **how)
    return await store.enqueue(new, [], order, 15.0), order


async def reserved(store) -> Decimal:
    return sum((one.open_usd for one in (await store.audit()).accounts), Decimal(0))


@pytest.fixture
def ruled(database):
    """A store with these rules, over the database of the test."""
    return lambda rules: Store(database, "me", rules)


async def test_a_budget_is_spent_to_its_last_cent_and_not_beyond(ruled):
    store = ruled(DIME)
    await buy(store)
    await buy(store)
    with pytest.raises(
        OverBudget, match=r"budget 'dime' .*\$0\.08 is spent or reserved, and easel/m costs \$0\.04"
    ):
        await buy(store)
    await buy(store, target("easel", "0.02"))
    with pytest.raises(OverBudget):
        await buy(store, target("easel", "0.000001"))
    assert await reserved(store) == Decimal("0.10")


async def test_what_was_refused_left_nothing_behind(ruled):
    store = ruled(DIME)
    with pytest.raises(OverBudget):
        await buy(store, target("easel", "0.11"))
    assert await store.jobs(None, None, 9, None) == []
    assert (await store.audit()).orders == 0


async def test_what_is_free_is_never_blocked_by_money(ruled):
    store = ruled(Rules((Budget("none", Scope(), day_micros=0, month_micros=0),)))
    assert (await buy(store, FREE))[0] is None
    with pytest.raises(OverBudget):
        await buy(store)


async def test_an_unknown_price_is_refused_by_a_budget_and_by_nothing_else(ruled):
    with pytest.raises(OverBudget, match="the price of easel/m is unknown"):
        await buy(ruled(DIME), UNKNOWN)
    assert (await buy(ruled(Rules()), UNKNOWN))[0] is None


async def test_a_job_that_is_written_alone_is_refused_by_what_it_would_ask_first(ruled):
    store = ruled(DIME)
    new, order = bought(target("easel", "0.11"))
    with pytest.raises(OverBudget):
        await store.enqueue(new, [], first=order.target)
    assert await store.enqueue(new, [], first=FREE) is None
    assert await store.enqueue(bought()[0], []) is None


async def test_an_order_released_counts_no_more_and_one_that_may_be_charged_does(ruled):
    store = ruled(DIME)
    _, refused = await buy(store, target("easel", "0.06"))
    await store.give_up(refused, 1, Failure(code="rejected", message="x"), "no")
    _, lost = await buy(store, target("easel", "0.06"))
    await store.give_up(lost, 1, Failure(code="unknown", message="x"), "maybe")
    with pytest.raises(OverBudget, match=r"\$0\.06 is spent"):
        await buy(store, target("easel", "0.06"))
    assert await store.used(DIME.all_windows([], NOON)) == [(0, 60_000)]


async def test_what_was_charged_counts_instead_of_what_was_reserved(ruled):
    store = ruled(DIME)
    _, order = await buy(store, target("easel", "0.06"))
    job = (await store.job(order.job_id)).model_copy(update={"state": "succeeded", "finished_at": NOON})
    await store.finish(job, 1, order, 90_000, [])
    assert await store.used(DIME.all_windows([], NOON)) == [(90_000, 0)]
    with pytest.raises(OverBudget, match=r"\$0\.09 is spent"):
        await buy(store, target("easel", "0.02"))


async def test_an_order_counts_on_the_day_it_was_placed_whenever_it_is_settled(ruled):
    """Else a reservation released after midnight would leave the next day with more than its budget."""
    store = ruled(DIME)
    _, order = await buy(store, target("easel", "0.10"), at=NOON - DAY_S)
    await store.give_up(order, 1, Failure(code="rejected", message="x"), "no")
    assert await store.used(DIME.all_windows([], NOON)) == [(0, 0)]
    await buy(store, target("easel", "0.10"))
    with pytest.raises(OverBudget):
        await buy(store, target("easel", "0.01"))
    await buy(store, target("easel", "0.10"), at=NOON - DAY_S)


async def test_a_month_is_bounded_beside_its_days(ruled):
    midnight = 1_795_132_800.0  # 2026-11-20
    store = ruled(Rules((Budget("both", Scope(), day_micros=100_000, month_micros=150_000),)))
    await buy(store, target("easel", "0.10"), at=midnight)
    with pytest.raises(OverBudget, match=r"a month\): \$0\.10 is spent"):
        await buy(store, target("easel", "0.06"), at=midnight + DAY_S)
    await buy(store, target("easel", "0.05"), at=midnight + DAY_S)
    await buy(store, target("easel", "0.10"), at=midnight + 11 * DAY_S)


async def test_budgets_count_only_whom_they_are_about(ruled):
    store = ruled(
        Rules(
            (
                Budget("zoo", Scope(project="zoo"), day_micros=40_000),
                Budget("mural", Scope(account="mural"), day_micros=40_000),
            ),
            usual_day_micros=80_000,
            exempt=frozenset({"local"}),
        )
    )
    await buy(store, project="zoo")
    with pytest.raises(OverBudget, match="'zoo'"):
        await buy(store, by="bob", project="zoo")
    await buy(store, target("mural"))
    with pytest.raises(OverBudget, match="'mural'"):
        await buy(store, target("mural"), by="bob")
    with pytest.raises(OverBudget, match=r"'usual' .user ann"):
        await buy(store)
    await buy(store, by="bob")
    for _ in range(5):
        await buy(store, by="local")


async def test_a_later_order_of_a_job_is_bounded_like_the_first(ruled):
    store = ruled(DIME)
    new, _ = bought()
    await store.enqueue(new, [])
    (work,) = await store.claim(1, 15.0)
    second = OpenAttempt(new.job.id, 2, target("easel", "0.11"), "fallback", NOON, NOON + 60)
    with pytest.raises(OverBudget):
        await store.begin(second, work.epoch, [])
    assert (await store.job(new.job.id)).receipt.attempts == ()
    await store.begin(OpenAttempt(new.job.id, 2, FREE, "fallback", NOON, NOON + 60), work.epoch, [])


async def test_an_order_that_is_written_again_does_not_count_against_itself(ruled):
    store = ruled(Rules((Budget("one", Scope(), day_micros=40_000),), (Limit("one", Scope(), hour=1),)))
    new, order = bought(at=time.time())
    assert await store.enqueue(new, [], order, 15.0) is None
    assert await store.enqueue(new, [], order, 15.0) is None
    assert await reserved(store) == Decimal("0.04")


async def test_a_replay_is_neither_charged_nor_limited(ruled):
    store = ruled(Rules((Budget("one", Scope(), day_micros=40_000),), (Limit("one", Scope(), hour=1),)))
    _, order = await buy(store, key="k")
    replayed, _ = await buy(store, key="k")
    assert replayed.id == order.job_id
    assert await reserved(store) == Decimal("0.04")


async def test_limits_count_the_pictures_of_accepted_jobs_free_ones_too(ruled):
    store = ruled(Rules(usual_hour=10, usual_day=12))
    await buy(store, FREE, count=4)
    await buy(store, FREE, count=6, at=NOON + 1)
    with pytest.raises(OverLimit, match=r"limit 'usual' .user ann: 10 pictures in any hour") as refusal:
        await buy(store, FREE, at=NOON + 600)
    assert refusal.value.after_s == 3000.0
    await buy(store, FREE, by="bob", at=NOON + 600)
    await buy(store, FREE, count=2, at=NOON + 3600)
    with pytest.raises(OverLimit, match="12 pictures in any day") as refusal:
        await buy(store, FREE, at=NOON + 3601)
    assert refusal.value.after_s == DAY_S - 3601


async def test_the_longest_wait_is_told_when_several_limits_are_reached(ruled):
    store = ruled(Rules(usual_hour=1, usual_day=1))
    await buy(store, FREE)
    with pytest.raises(OverLimit) as refusal:
        await buy(store, FREE)
    assert refusal.value.after_s == DAY_S


async def test_limits_may_be_about_a_project_or_about_everybody(ruled):
    store = ruled(Rules((), (Limit("zoo", Scope(project="zoo"), hour=1), Limit("all", Scope(), hour=2))))
    await buy(store, FREE, project="zoo")
    with pytest.raises(OverLimit, match="'zoo'"):
        await buy(store, FREE, project="zoo", by="bob")
    await buy(store, FREE)
    with pytest.raises(OverLimit, match="'all'"):
        await buy(store, FREE, by="bob")
    assert await store.ordered(ruled_slides(), NOON) == [1, 2]


def ruled_slides():
    return Rules((), (Limit("zoo", Scope(project="zoo"), hour=1), Limit("all", Scope(), hour=2))).all_slides(
        []
    )


async def test_a_refused_order_does_not_count_for_a_limit(ruled):
    store = ruled(Rules((Budget("none", Scope(), day_micros=0),), (Limit("one", Scope(), hour=1),)))
    with pytest.raises(OverBudget):
        await buy(store)
    await buy(store, FREE)


BUYERS = 64


def shop(store: Store, wanted, at: float) -> int:
    """One buyer in a loop of its own: 1 when it got its order."""

    async def once() -> int:
        try:
            await buy(store, wanted, by="ann", at=at)
        except (OverBudget, OverLimit):
            return 0
        return 1

    return asyncio.run(once())


@pytest.mark.parametrize("price", ["0.04", "0.03", "0.07"])
async def test_64_buyers_at_once_do_not_exceed_a_budget_by_a_cent(ruled, price):
    store = ruled(
        Rules(
            (
                Budget("all", Scope(), day_micros=1_000_000),
                Budget("easel", Scope(account="easel"), month_micros=900_000),
            ),
            usual_day_micros=800_000,
        )
    )
    with ThreadPoolExecutor(BUYERS) as buyers:
        got = list(buyers.map(lambda _: shop(store, target("easel", price), NOON), range(BUYERS)))
    assert sum(got) == int(Decimal("0.80") / Decimal(price))
    assert await reserved(store) == sum(got) * Decimal(price)
    assert (await store.audit()).mismatches == ()


async def test_64_orders_at_once_do_not_exceed_a_limit(ruled):
    store = ruled(Rules(usual_hour=10, usual_day=50))
    with ThreadPoolExecutor(BUYERS) as buyers:
        got = list(buyers.map(lambda _: shop(store, FREE, NOON), range(BUYERS)))
    assert sum(got) == 10


async def test_64_later_orders_at_once_do_not_exceed_a_budget(ruled):
    store = ruled(DIME)
    for _ in range(BUYERS):
        await store.enqueue(bought()[0], [])
    works = await store.claim(BUYERS, 60.0)

    async def begin(work):
        order = OpenAttempt(work.job.id, 1, target("easel"), "first choice", NOON, NOON + 60)
        await store.begin(order, work.epoch, [])

    said = await asyncio.gather(*map(begin, works), return_exceptions=True)
    assert [sum(one is None for one in said), sum(isinstance(one, OverBudget) for one in said)] == [2, 62]
    assert await reserved(store) == Decimal("0.08")


def shopper(url: str, at: float, got) -> None:
    """A process of its own: 16 buyers over its own connections."""
    database = Postgres(url)
    store = Store(database, "other", DIME)
    with ThreadPoolExecutor(16) as buyers:
        got.put(sum(buyers.map(lambda _: shop(store, target("easel", "0.01"), at), range(16))))
    database.close()


async def test_buyers_in_several_processes_do_not_exceed_a_budget(shared):
    url = postgres.server().url(shared)
    context = multiprocessing.get_context("spawn")
    got = context.Queue()
    processes = [context.Process(target=shopper, args=(url, NOON, got)) for _ in range(4)]
    for one in processes:
        one.start()
    assert sum(got.get(timeout=60) for _ in processes) == 10
    for one in processes:
        one.join()
    database = Postgres(url)
    try:
        assert await reserved(Store(database, "me")) == Decimal("0.10")
    finally:
        database.close()
