"""Where requests become jobs: planned, written down, and started at once when a slot is free."""

import asyncio
import time

from limner.core.errors import LimnerError
from limner.core.events import JobEvent
from limner.core.job import Job, Receipt
from limner.core.quote import Route
from limner.core.request import GenerateRequest
from limner.jobs.means import Means
from limner.jobs.seed import drawn_seed
from limner.jobs.worker import Worker
from limner.store.rows import NewJob, OpenAttempt, Work


class Desk:
    """`deadline_s` counts from the first order, unless the request sets one; `lease_s` is the worker's."""

    def __init__(
        self, means: Means, worker: Worker, tasks: asyncio.TaskGroup, *, deadline_s: float, lease_s: float
    ) -> None:
        self._means = means
        self._worker = worker
        self._tasks = tasks
        self._deadline_s = deadline_s
        self._lease_s = lease_s

    async def accept(self, request: GenerateRequest, key: str | None, by: str, job_id: str) -> Job:
        """The job, on disk. With an idempotency `key` that `by` used before, the job of that time.

        Accepting runs in a task of its own: a caller who leaves meanwhile must not leave a job that nobody
        runs. Raises `InvalidRequest`, `NoRoute`, `OverBudget`, `Conflict` or `StorageError`.
        """
        answer: asyncio.Future[Job] = asyncio.get_running_loop().create_future()

        async def accept() -> None:
            try:
                job = await self._accept(request, key, by, job_id)
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(job)

        self._tasks.create_task(accept())
        return await answer

    async def _accept(self, request: GenerateRequest, key: str | None, by: str, job_id: str) -> Job:
        seed = drawn_seed(job_id)
        try:
            route = self._means.plan(request, seed)
        except LimnerError:
            earlier = None if key is None else await self._means.store.earlier(by, key, request.fingerprint())
            if earlier is None:
                raise
            return earlier
        new = NewJob(
            job=_new_job(job_id, _seeded(request, seed), route),
            tenant=by,
            client_key=key,
            fingerprint=request.fingerprint(),
            deadline_s=request.policy.deadline_s or self._deadline_s,
        )
        if self._worker.reserve():
            return await self._start(new, route)
        return await self._queue(new)

    async def _queue(self, new: NewJob) -> Job:
        """Write the job alone: a worker claims it when a slot is free."""
        queued = _queued(new.job)
        earlier = await self._means.store.enqueue(new, [queued])
        if earlier is None:
            self._means.hub.publish(new.job.id, queued)
        self._worker.wake()
        return earlier or new.job

    async def _start(self, new: NewJob, route: Route) -> Job:
        """In the reserved slot: job, lease and first attempt in one commit, then its order is sent."""
        taken = False
        try:
            attempt = _first_attempt(new, route)
            new = _started(new, attempt)
            events = [_queued(new.job), _running(new.job, attempt)]
            earlier = await self._means.store.enqueue(new, events, attempt, self._lease_s)
            if earlier is not None:
                return earlier
            for event in events:
                self._means.hub.publish(new.job.id, event)
            self._worker.take(
                Work(
                    new.job,
                    epoch=1,
                    seq=len(events),
                    deadline_s=new.deadline_s,
                    attempt=attempt,
                    route=route,
                )
            )
            taken = True
        finally:
            if not taken:
                self._worker.give_back()
        return new.job


def _seeded(request: GenerateRequest, seed: int) -> GenerateRequest:
    return request if request.seed is not None else request.model_copy(update={"seed": seed})


def _new_job(job_id: str, request: GenerateRequest, route: Route) -> Job:
    return Job(
        id=job_id,
        state="queued",
        request=request,
        created_at=time.time(),
        receipt=Receipt(notes=route.targets[0].notes, passed_over=route.passed_over),
    )


def _first_attempt(new: NewJob, route: Route) -> OpenAttempt:
    at = new.job.created_at
    return OpenAttempt(
        job_id=new.job.id,
        n=1,
        target=route.targets[0],
        why="first choice",
        submitted_at=at,
        deadline_at=at + new.deadline_s,
    )


def _started(new: NewJob, attempt: OpenAttempt) -> NewJob:
    job = new.job
    receipt = job.receipt.model_copy(update={"attempts": (attempt.shown(),)})
    started = job.model_copy(update={"state": "running", "started_at": job.created_at, "receipt": receipt})
    return NewJob(started, new.tenant, new.client_key, new.fingerprint, new.deadline_s)


def _queued(job: Job) -> JobEvent:
    return JobEvent(job_id=job.id, seq=1, type="queued", state="queued", at=job.created_at)


def _running(job: Job, attempt: OpenAttempt) -> JobEvent:
    return JobEvent(
        job_id=job.id,
        seq=2,
        type="running",
        state="running",
        at=job.created_at,
        message=attempt.target.name,
    )
