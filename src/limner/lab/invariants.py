"""What must hold after every run, whatever was killed, cut or lost. Pure: facts in, sentences out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from limner.core.money import to_micros
from limner.lab.facts import AttemptFact, Facts, JobFact, PictureFact
from limner.lab.vendors import Charge
from limner.providers.base import Recovery
from limner.simulator.faults import Kind

AT_REST = frozenset({"succeeded", "failed", "canceled", "needs_confirmation"})
_MOST = 20
_UNFINDABLE = "list does not reach back"
"""The vendor's list has ended before the order: it is reported as unknown instead."""
T = TypeVar("T")

SPOILT: frozenset[Kind] = frozenset(
    {
        "unknown_word",
        "empty_success",
        "expired_url",
        "never_ends",
        "job_fails",
        "lost",
        "foreign_url",
        "fewer_images",
        "not_an_image",
        "huge",
    }
)
"""Faults after which the vendor itself has no picture to give: nobody can bring it into storage."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the runner knows of its orders."""

    accepted: Mapping[str, str]
    """The id that was answered for an order, by its name."""
    faults: Mapping[str, Kind]
    recoveries: Mapping[str, Recovery]
    consented: frozenset[str] = frozenset()
    """Orders that were allowed to be bought again."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One job with all that belongs to it."""

    job: JobFact
    attempts: tuple[AttemptFact, ...]
    pictures: tuple[PictureFact, ...]
    charges: tuple[Charge, ...]

    @property
    def paid(self) -> list[Charge]:
        """What cost money: what is free may be drawn as often as it takes."""
        return [one for one in self.charges if one.usd]


def violations(facts: Facts, expected: Expected) -> list[str]:
    """Every sentence is one promise broken; empty when all hold."""
    cases = _cases(facts)
    found: list[str] = []
    checks: Sequence[Callable[[], Iterable[str]]] = (
        lambda: _lost_or_stuck(facts, expected),
        lambda: _billed_twice(cases, expected),
        lambda: _not_in_storage(cases, expected),
        lambda: _unreported(cases, facts),
        lambda: _ledger([one for one in cases if expected.faults.get(one.job.name) != "lost"]),
        lambda: _strangers(facts),
        lambda: (f"audit: {one}" for one in facts.mismatches),
        lambda: (f"job {one}: its events are not numbered without gaps" for one in facts.gaps),
    )
    for check in checks:
        told = list(check())
        found += told[:_MOST]
        if len(told) > _MOST:
            found.append(f"... and {len(told) - _MOST} more like the last")
    return found


def _cases(facts: Facts) -> list[_Case]:
    by_attempt = _grouped(facts.attempts, lambda one: one.job_id)
    by_picture = _grouped(facts.pictures, lambda one: one.job_id)
    by_charge = _grouped(facts.bill, lambda one: one.name)
    return [
        _Case(
            job,
            tuple(by_attempt.get(job.id, ())),
            tuple(by_picture.get(job.id, ())),
            tuple(by_charge.get(job.name, ())),
        )
        for job in facts.jobs
    ]


def _grouped(values: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return groups


def _lost_or_stuck(facts: Facts, expected: Expected) -> Iterator[str]:
    """Every order that was accepted is one job, and every job has come to rest."""
    ids = {job.name: job.id for job in facts.jobs}
    if len(ids) != len(facts.jobs):
        yield f"{len(facts.jobs) - len(ids)} jobs share a key with another: a key must give one job"
    for name, job_id in expected.accepted.items():
        if ids.get(name) != job_id:
            yield f"order {name} was accepted as job {job_id}, and the journal has {ids.get(name)}"
    for job in facts.jobs:
        if job.state not in AT_REST:
            yield f"job {job.id} ({job.name}) is stuck in {job.state}"
        elif job.leased:
            yield f"job {job.id} ({job.name}) is {job.state}, and somebody still holds it"
    open_ = [one for one in facts.attempts if one.state in ("submitting", "accepted", "answered")]
    for one in open_:
        yield f"order {one.id} at {one.provider} is left open in {one.state}"


def _billed_twice(cases: Iterable[_Case], expected: Expected) -> Iterator[str]:
    """An order is billed at most once; and nothing is bought in the place of what may have been bought."""
    for case in cases:
        if expected.faults.get(case.job.name) == "lost":
            continue  # billed, and gone from the vendor's own list: it cannot be known
        for vendor, lines in _grouped(case.paid, lambda one: one.vendor).items():
            orders = [one for one in case.attempts if one.provider == vendor and one.state != "refused"]
            if len(lines) > len(orders):
                yield (
                    f"job {case.job.id} ({case.job.name}): {vendor} billed {len(lines)} orders "
                    f"({', '.join(one.id for one in lines)}), and the journal has {_told(case.attempts)}"
                )
        paid = case.paid
        barren = [one for one in case.attempts if one.booked[2] and not _brought(case, one)]
        if len(paid) > 1 + len(barren) and case.job.name not in expected.consented:
            yield (
                f"job {case.job.id} ({case.job.name}) was bought {len(paid)} times without consent: "
                f"{', '.join(f'{one.vendor} {one.id}' for one in paid)}; {_told(case.attempts)}"
            )


def _brought(case: _Case, attempt: AttemptFact) -> bool:
    return any(one.attempt_id == attempt.id for one in case.pictures)


def _not_in_storage(cases: Iterable[_Case], expected: Expected) -> Iterator[str]:
    """What a vendor billed that can be asked again is in storage; and what is shown is there, whole."""
    for case in cases:
        for picture in case.pictures:
            if not picture.whole:
                yield f"job {case.job.id}: the file of {picture.file} is missing or is not what it was"
        if case.job.state == "succeeded" and not case.pictures:
            yield f"job {case.job.id} ({case.job.name}) succeeded without a picture"
        if case.job.canceled or expected.faults.get(case.job.name) in SPOILT:
            continue
        for vendor, lines in _grouped(case.paid, lambda one: one.vendor).items():
            if expected.recoveries[vendor] is Recovery.BLIND:
                continue
            billed = sum(one.images for one in lines)
            stored = sum(one.provider == vendor for one in case.pictures)
            if stored + sum(one.provider == vendor and _unfindable(one) for one in case.attempts) < billed:
                yield (
                    f"job {case.job.id} ({case.job.name}): {vendor} billed {billed} pictures and "
                    f"{stored} are in storage; {_told(case.attempts)}"
                )


def _unfindable(attempt: AttemptFact) -> bool:
    return attempt.state in ("unknown", "written_off") and _UNFINDABLE in attempt.error


def _unreported(cases: Iterable[_Case], facts: Facts) -> Iterator[str]:
    """An order that may have been charged is told to people, with its reservation held; and a charge that
    brought nothing is such an order, or one that the vendor charges for."""
    for case in cases:
        for one in case.attempts:
            if one.state != "unknown":
                continue
            reserved, released, settled = one.booked
            if (released, settled) != (0, 0) or reserved != (one.reserved or 0):
                yield f"order {one.id} is unknown, and its reservation is not held: {one.booked}"
            if (one.job_id, one.provider) not in facts.reported:
                yield f"order {one.id} at {one.provider} is unknown, and nobody is told"


def _ledger(cases: Iterable[_Case]) -> Iterator[str]:
    """What was settled is what was billed; what is billed beyond that is held in reserve."""
    for case in cases:
        for vendor in {one.vendor for one in case.charges} | {one.provider for one in case.attempts}:
            lines = [one for one in case.charges if one.vendor == vendor]
            orders = [one for one in case.attempts if one.provider == vendor]
            billed = sum(to_micros(one.usd) for one in lines)
            settled = sum(one.booked[2] for one in orders if not one.decided)
            given_up = sum(one.booked[2] for one in orders if one.decided)
            held = given_up + sum(one.booked[0] - one.booked[1] for one in orders)
            grain = len(lines)  # every line is rounded up to a whole micro-dollar
            if settled > billed + grain:
                yield f"job {case.job.id}: {settled} micro-dollars settled with {vendor}, {billed} billed"
            if billed > settled + held + grain:
                yield (
                    f"job {case.job.id} ({case.job.name}): {vendor} billed {billed} micro-dollars, "
                    f"{settled} are settled and {held} held; {_told(case.attempts)}"
                )


def _strangers(facts: Facts) -> Iterator[str]:
    """Nothing was bought that no job ordered."""
    names = {job.name for job in facts.jobs}
    for line in facts.bill:
        if line.name not in names:
            yield f"{line.vendor} billed {line.id} ({line.name or 'nameless'}), and no job ordered it"


def _told(attempts: Iterable[AttemptFact]) -> str:
    return (
        ", ".join(f"{one.provider} {one.state} ({one.how}) {one.error[:160]}" for one in attempts) or "none"
    )
