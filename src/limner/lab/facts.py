"""What a run left behind, read from outside: rows of the journal, files on the disk."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Select, create_engine, func, select
from sqlalchemy.engine import make_url

from limner.core.job import AttemptState, JobState
from limner.lab.vendors import Charge
from limner.store.schema import artifacts, attempts, events, jobs, ledger


@dataclass(frozen=True, slots=True)
class JobFact:
    """One job. `name` is its order's."""

    id: str
    name: str
    state: JobState
    error: str
    canceled: bool
    created_at: float
    finished_at: float | None
    leased: bool


@dataclass(frozen=True, slots=True)
class AttemptFact:
    """One order at a vendor; money in micro-dollars."""

    id: str
    job_id: str
    state: AttemptState
    provider: str
    how: str
    reserved: int | None
    error: str
    decided: bool
    booked: tuple[int, int, int]
    """Reserved, released and settled, in the ledger."""


@dataclass(frozen=True, slots=True)
class PictureFact:
    """One picture that a job shows; `whole` when its file is there with the bytes of its digest."""

    job_id: str
    attempt_id: str
    provider: str
    file: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that can be seen of a run."""

    bill: tuple[Charge, ...]
    jobs: tuple[JobFact, ...]
    attempts: tuple[AttemptFact, ...]
    pictures: tuple[PictureFact, ...]
    gaps: tuple[str, ...] = ()
    """Jobs whose events are not numbered 1, 2, 3, ..."""
    reported: frozenset[tuple[str, str]] = frozenset()
    """Job and provider of each order that Limner lists as lost."""
    mismatches: tuple[str, ...] = ()
    """What Limner's own audit found."""


def read(
    database: str,
    storage: Path,
    bill: Sequence[Charge],
    reported: Iterable[tuple[str, str]] = (),
    mismatches: Iterable[str] = (),
) -> Facts:
    """Look at a journal that nobody writes any more; `database` is a URL."""
    url = make_url(database)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    try:
        with engine.connect() as connection:

            def rows(query: Select[Any]) -> list[Any]:
                return list(connection.execute(query).mappings())

            found_jobs = rows(select(jobs))
            found_attempts = rows(select(attempts))
            money = rows(
                select(
                    ledger.c.attempt_id, ledger.c.kind, func.sum(ledger.c.micros).label("micros")
                ).group_by(ledger.c.attempt_id, ledger.c.kind)
            )
            shown = rows(select(artifacts))
            numbered = rows(
                select(
                    events.c.job_id, func.count().label("told"), func.max(events.c.seq).label("last")
                ).group_by(events.c.job_id)
            )
    finally:
        engine.dispose()
    booked = {(one["attempt_id"], one["kind"]): int(one["micros"]) for one in money}
    return Facts(
        bill=tuple(bill),
        jobs=tuple(_job(one) for one in found_jobs),
        attempts=tuple(_attempt(one, booked) for one in found_attempts),
        pictures=tuple(_picture(one, storage) for one in shown),
        gaps=tuple(one["job_id"] for one in numbered if one["told"] != one["last"]),
        reported=frozenset(reported),
        mismatches=tuple(mismatches),
    )


def _job(row: Any) -> JobFact:  # noqa: ANN401 - a row
    return JobFact(
        id=row["id"],
        name=(row["client_key"] or "").removeprefix("lab-"),
        state=row["state"],
        error=row["error"] or "",
        canceled=bool(row["cancel_requested"]),
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        leased=row["lease_owner"] is not None,
    )


def _attempt(row: Any, booked: dict[tuple[str, str], int]) -> AttemptFact:  # noqa: ANN401 - a row
    reserve, release, settle = (booked.get((row["id"], kind), 0) for kind in ("reserve", "release", "settle"))
    return AttemptFact(
        id=row["id"],
        job_id=row["job_id"],
        state=row["state"],
        provider=row["provider"],
        how=row["how"],
        reserved=row["price_reserved"],
        error=row["error"] or "",
        decided=row["decided"] is not None,
        booked=(reserve, release, settle),
    )


def _picture(row: Any, storage: Path) -> PictureFact:  # noqa: ANN401 - a row
    digest = row["digest"]
    try:
        data = (storage / "blobs" / digest[:2] / digest).read_bytes()
    except FileNotFoundError:
        data = b""
    whole = (len(data), hashlib.sha256(data).hexdigest()) == (row["size_bytes"], digest)
    return PictureFact(row["job_id"], row["attempt_id"], row["provider"], row["file"], whole)
