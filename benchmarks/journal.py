"""The journal alone: jobs written whole, commits per second and CPU per commit, by how many write at once.

    python -m benchmarks.journal [--seconds 3] [--concurrency 1,8,32] [postgresql://... or sqlite:///...]

A job is five commits here: accepted with its first order, ticket, answer, end, answer forgotten. CPU is this
process's own; what PostgreSQL's server spends is not in it. Without an address it is a new SQLite file.
The database keeps the jobs: give it one that is thrown away afterwards.
"""

import argparse
import asyncio
import tempfile
import time
from decimal import Decimal

from limner.core.events import JobEvent
from limner.core.ids import uuid7
from limner.core.job import Job
from limner.core.quote import Target
from limner.core.request import GenerateRequest
from limner.store.database import Database
from limner.store.migrate import migrate
from limner.store.postgres import Postgres
from limner.store.rows import NewJob, OpenAttempt
from limner.store.store import Store

COMMITS = 5
REQUEST = GenerateRequest(prompt="a red fox in the snow", seed=7)
TARGET = Target(
    model="m",
    provider="p",
    account="p",
    ref="m",
    tier="fast",
    request=REQUEST,
    price_usd=Decimal("0.04"),
    seconds=None,
)


def happened(job: Job, seq: int, kind: str, state: str) -> list[JobEvent]:
    return [JobEvent(job_id=job.id, seq=seq, type=kind, state=state, at=time.time())]


async def whole(store: Store) -> None:
    """One job from its acceptance to its end."""
    at = time.time()
    job = Job(id=uuid7(), state="running", request=REQUEST, created_at=at)
    attempt = OpenAttempt(job.id, 1, TARGET, "first choice", at, at + 60)
    new = NewJob(job, "me", None, REQUEST.fingerprint(), 60.0)
    await store.enqueue(new, happened(job, 1, "queued", "queued"), attempt, 15.0)
    await store.hold(attempt, 1, {"id": "7"}, happened(job, 2, "accepted", "waiting"))
    await store.answered(attempt, 1, b"x" * 2048, happened(job, 3, "storing", "storing"))
    ended = job.model_copy(update={"state": "succeeded", "finished_at": time.time()})
    await store.finish(ended, 1, attempt, 40_000, happened(job, 4, "succeeded", "succeeded"))
    await store.forget_answers([attempt.id])


async def measured(store: Store, concurrency: int, seconds: float) -> tuple[int, float, float]:
    """Jobs, seconds, and seconds of CPU."""
    jobs, began, cpu = 0, time.perf_counter(), time.process_time()

    async def writer() -> None:
        nonlocal jobs
        while time.perf_counter() < began + seconds:
            await whole(store)
            jobs += 1

    await asyncio.gather(*(writer() for _ in range(concurrency)))
    return jobs, time.perf_counter() - began, time.process_time() - cpu


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--concurrency", default="1,8,32")
    parser.add_argument("url", nargs="?")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = wanted.url or f"sqlite:///{folder}/limner.db"
        database = Postgres(url) if url.startswith("postgresql:") else Database(url)
        migrate(database)
        database.start()
        store = Store(database, owner="benchmark")
        await whole(store)
        print(f"{database.place}\n{'at once':>8} {'jobs/s':>8} {'commits/s':>10} {'CPU ms/commit':>14}")
        for concurrency in map(int, wanted.concurrency.split(",")):
            jobs, seconds, cpu = await measured(store, concurrency, wanted.seconds)
            commits = jobs * COMMITS
            print(
                f"{concurrency:>8} {jobs / seconds:>8.0f} {commits / seconds:>10.0f} "
                f"{1000 * cpu / commits:>14.3f}"
            )
        database.close()


if __name__ == "__main__":
    asyncio.run(main())
