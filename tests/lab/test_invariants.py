"""The laboratory must see what is broken: each promise is broken here once."""

from dataclasses import replace
from decimal import Decimal

from limner.lab.facts import AttemptFact, Facts, JobFact, PictureFact
from limner.lab.invariants import Expected, violations
from limner.lab.vendors import Charge
from limner.providers.base import Recovery

JOB = JobFact("j1", "1-0", "succeeded", "", False, 10.0, 12.0, leased=False)
ATTEMPT = AttemptFact("j1-1", "j1", "settled", "runware", "direct", 600, "", False, (600, 600, 600))
PICTURE = PictureFact("j1", "j1-1", "runware", "a.png", whole=True)
CHARGE = Charge(vendor="runware", id="r1", usd=Decimal("0.0006"), images=1, name="1-0")
WELL = Facts(bill=(CHARGE,), jobs=(JOB,), attempts=(ATTEMPT,), pictures=(PICTURE,))
LOST = replace(ATTEMPT, state="unknown", booked=(600, 0, 0))
ASKING = replace(WELL, jobs=(replace(JOB, state="needs_confirmation"),), attempts=(LOST,), pictures=())
EXPECTED = Expected(
    accepted={"1-0": "j1"},
    faults={},
    recoveries={"runware": Recovery.NAMED, "openai": Recovery.BLIND},
)


def broken(facts: Facts, **changed) -> list[str]:
    return violations(facts, replace(EXPECTED, **changed))


def test_a_job_that_was_drawn_and_paid_once_breaks_nothing():
    assert broken(WELL) == []


def test_an_order_that_was_accepted_and_is_in_no_journal_is_lost():
    assert broken(WELL, accepted={"1-0": "j1", "1-1": "j2"}) == [
        "order 1-1 was accepted as job j2, and the journal has None"
    ]


def test_a_job_that_has_not_come_to_rest_is_stuck():
    assert broken(replace(WELL, jobs=(replace(JOB, state="waiting"),))) == [
        "job j1 (1-0) is stuck in waiting"
    ]


def test_a_job_at_rest_that_somebody_holds_is_told():
    assert broken(replace(WELL, jobs=(replace(JOB, leased=True),))) == [
        "job j1 (1-0) is succeeded, and somebody still holds it"
    ]


def test_an_order_left_open_is_told():
    facts = replace(WELL, attempts=(ATTEMPT, replace(LOST, id="j1-2", state="accepted", booked=(0, 0, 0))))
    assert broken(facts) == ["order j1-2 at runware is left open in accepted"]


def test_a_second_charge_for_one_order_is_told_in_all_its_ways():
    facts = replace(WELL, bill=(CHARGE, CHARGE.model_copy(update={"id": "r2"})))
    assert [one.split(":")[0] for one in broken(facts)] == [
        "job j1 (1-0)",
        "job j1 (1-0) was bought 2 times without consent",
        "job j1 (1-0)",
        "job j1 (1-0)",
    ]


def test_what_was_bought_again_with_consent_is_no_fault():
    again = replace(ATTEMPT, id="j1-2")
    facts = replace(
        WELL,
        bill=(CHARGE.model_copy(update={"vendor": "openai"}), CHARGE),
        attempts=(replace(LOST, provider="openai"), again),
        pictures=(replace(PICTURE, attempt_id="j1-2"),),
        reported=frozenset({("j1", "openai")}),
    )
    assert broken(facts, consented=frozenset({"1-0"})) == []
    assert len(broken(facts)) == 1


def test_a_billed_picture_of_a_vendor_that_can_be_asked_must_be_in_storage():
    found = broken(replace(ASKING, reported=frozenset({("j1", "runware")})))
    assert [one.split(";")[0] for one in found] == [
        "job j1 (1-0): runware billed 1 pictures and 0 are in storage"
    ]
    assert broken(replace(ASKING, reported=frozenset({("j1", "runware")})), faults={"1-0": "lost"}) == []


def test_an_order_that_no_list_reaches_back_to_excuses_its_own_picture_and_no_other():
    beyond = replace(LOST, error="the vendor's list does not reach back to this order")
    facts = replace(ASKING, attempts=(beyond,), reported=frozenset({("j1", "runware")}))
    assert broken(facts) == []
    twice = replace(facts, bill=(CHARGE, CHARGE.model_copy(update={"id": "r2"})))
    assert "job j1 (1-0): runware billed 2 pictures and 0 are in storage" in [
        one.split(";")[0] for one in broken(twice)
    ]
    known = replace(facts, attempts=(replace(beyond, state="refused", booked=(600, 600, 0)),))
    assert "job j1 (1-0): runware billed 1 pictures and 0 are in storage" in [
        one.split(";")[0] for one in broken(known)
    ]


def test_a_file_that_is_not_what_it_was_is_told():
    facts = replace(WELL, pictures=(replace(PICTURE, whole=False),))
    assert broken(facts) == ["job j1: the file of a.png is missing or is not what it was"]


def test_an_unknown_order_is_reported_with_its_reservation_held():
    blind = replace(LOST, provider="openai")
    facts = replace(ASKING, attempts=(blind,), bill=())
    assert broken(facts) == ["order j1-1 at openai is unknown, and nobody is told"]
    released = replace(blind, booked=(600, 600, 0))
    assert broken(replace(facts, attempts=(released,), reported=frozenset({("j1", "openai")}))) == [
        "order j1-1 is unknown, and its reservation is not held: (600, 600, 0)"
    ]


def test_the_ledger_is_the_bill():
    cheap = replace(WELL, bill=(CHARGE.model_copy(update={"usd": Decimal("0.0001")}),))
    assert broken(cheap) == ["job j1: 600 micro-dollars settled with runware, 100 billed"]
    dear = replace(WELL, bill=(CHARGE.model_copy(update={"usd": Decimal("0.0009")}),))
    assert broken(dear)[0].startswith("job j1 (1-0): runware billed 900 micro-dollars, 600 are settled and 0")


def test_what_was_billed_and_ordered_by_nobody_is_told():
    facts = replace(WELL, bill=(CHARGE, CHARGE.model_copy(update={"name": "9-9", "id": "r9"})))
    assert broken(facts) == ["runware billed r9 (9-9), and no job ordered it"]


def test_the_audit_and_the_events_are_heard():
    assert broken(replace(WELL, mismatches=("order j1-1 ...",), gaps=("j1",))) == [
        "audit: order j1-1 ...",
        "job j1: its events are not numbered without gaps",
    ]


def test_many_alike_are_cut_short():
    jobs = tuple(replace(JOB, id=f"j{n}", name=f"1-{n}", state="running") for n in range(30))
    found = broken(Facts((), jobs, (), ()), accepted={})
    assert len(found) == 21
    assert found[-1] == "... and 10 more like the last"
