"""What a run came to, for people and for programs."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from limner.core.money import Usd, from_micros
from limner.lab.facts import Facts


class Figures(BaseModel):
    """One run. Times are seconds."""

    model_config = ConfigDict(frozen=True)

    name: str
    seed: int
    database: str = "sqlite"
    jobs: dict[str, int] = {}
    """By the state they rest in."""
    failures: dict[str, int] = {}
    """Jobs that failed, by the error's code."""
    declined: dict[str, int] = {}
    """Orders that never became jobs, by the error's code."""
    attempts: dict[str, int] = {}
    """By state."""
    learnt: dict[str, int] = {}
    """How the outcome of orders was learnt."""
    kills: dict[str, int] = {}
    """By where: `random`, or a line of the journal."""
    kills_under_load: int = 0
    frozen: int = 0
    cut: int = 0
    jumps: int = 0
    full: int = 0
    """How often the disk was full."""
    faults: dict[str, int] = {}
    """By kind, met by an order."""
    found_late: int = 0
    """Lost orders that were found by asking the vendors at the end."""
    unknown: int = 0
    unknown_usd: Usd = Decimal(0)
    """Held in reserve for them."""
    billed_usd: Usd = Decimal(0)
    settled_usd: Usd = Decimal(0)
    billed_unknown_usd: Usd = Decimal(0)
    """The part of the bill that orders with an unknown outcome, or written off, account for."""
    pictures: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """All promises held."""
        return not self.violations


def counted(facts: Facts) -> dict[str, object]:
    """The fields of `Figures` that can be read off the facts."""
    held = [one for one in facts.attempts if one.state == "unknown"]
    took = sorted(
        one.finished_at - one.created_at
        for one in facts.jobs
        if one.state == "succeeded" and one.finished_at is not None
    )
    settled = sum(one.booked[2] for one in facts.attempts if not one.decided)
    billed = sum((line.usd for line in facts.bill), Decimal(0))
    settled_usd = from_micros(settled)
    return {
        "jobs": _tally([one.state for one in facts.jobs]),
        "attempts": _tally([one.state for one in facts.attempts]),
        "learnt": _tally([one.how for one in facts.attempts if one.state == "settled"]),
        "unknown": len(held),
        "unknown_usd": from_micros(sum(one.booked[0] - one.booked[1] for one in held)),
        "billed_usd": billed,
        "settled_usd": settled_usd,
        "billed_unknown_usd": max(Decimal(0), billed - settled_usd),
        "pictures": len(facts.pictures),
        "p50_s": percentile(took, 0.5),
        "p95_s": percentile(took, 0.95),
    }


def percentile(values: Sequence[float], share: float) -> float | None:
    """Of sorted values, the one below which that share lies; None of none."""
    return round(values[min(len(values) - 1, int(share * len(values)))], 2) if values else None


def _tally(words: Sequence[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def lines(figures: Figures) -> list[tuple[str, str]]:
    """As a table of names and values."""
    shown = [
        ("jobs", _words(figures.jobs)),
        ("failed with", _words(figures.failures)),
        ("not accepted", _words(figures.declined)),
        ("orders", _words(figures.attempts)),
        ("outcome learnt", _words(figures.learnt)),
        ("kills", _kills(figures)),
        ("frozen, cut off", f"{figures.frozen}, {figures.cut}" if figures.frozen or figures.cut else ""),
        (
            "clock jumps, full disks",
            f"{figures.jumps}, {figures.full}" if figures.jumps or figures.full else "",
        ),
        ("faults", _words(figures.faults)),
        ("found late", str(figures.found_late or "")),
        ("unknown", f"{figures.unknown}, ${figures.unknown_usd} held" if figures.unknown else ""),
        ("bill", _bill(figures)),
        ("pictures", str(figures.pictures)),
        ("p50, p95", "" if figures.p50_s is None else f"{figures.p50_s} s, {figures.p95_s} s"),
        ("wall time", f"{figures.seconds:.0f} s"),
    ]
    return [(name, value) for name, value in shown if value] + [("note", one) for one in figures.notes]


def _bill(figures: Figures) -> str:
    return (
        f"${figures.billed_usd} billed = ${figures.settled_usd} settled + "
        f"${figures.billed_unknown_usd} unknown or written off"
    )


def _kills(figures: Figures) -> str:
    if not figures.kills:
        return ""
    total, random = sum(figures.kills.values()), figures.kills.get("random", 0)
    return f"{total} ({random} at random, {total - random} at a line; {figures.kills_under_load} under load)"


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items())
