"""Where requests become jobs: planned, written down, and started at once when a slot is free."""

import asyncio
import time
from dataclasses import replace

from limner.core.errors import LimnerError, OverBudget
from limner.core.events import Ended, JobEvent
from limner.core.job import Confirmation, Job, Receipt
from limner.core.quote import Route, Target
from limner.core.request import GenerateRequest
from limner.jobs.afford import without_first
from limner.jobs.ask import Ask
from limner.jobs.ceiling import Ceiling, planned
from limner.jobs.means import Means
from limner.jobs.position import Pace, last
from limner.jobs.seed import drawn_seed
from limner.jobs.worker import Worker
from limner.store.line import Full
from limner.store.rows import NewJob, OpenAttempt, Work


class Desk:
    """`deadline_s` counts from the first order, unless the request sets one; `lease_s` is the worker's."""

    def __init__(
        self,
        means: Means,
        worker: Worker,
        pace: Pace,
        tasks: asyncio.TaskGroup,
        *,
        deadline_s: float,
        lease_s: float,
    ) -> None:
        self._means = means
        self._worker = worker
        self._pace = pace
        self._tasks = tasks
        self._deadline_s = deadline_s
        self._lease_s = lease_s

    async def accept(
        self,
        request: GenerateRequest,
        key: str | None,
        by: str,
        job_id: str,
        asked: GenerateRequest | None = None,
    ) -> Job:
        """The job, on disk. With an idempotency `key` that `by` used before, the job of that time. `asked` is
        what the caller sent, where its prompt was rewritten since: by that keys and quotes go.

        Accepting runs in a task of its own: a caller who leaves meanwhile must not leave a job that nobody
        runs. Raises `InvalidRequest`, `NoRoute`, `OverBudget`, `Conflict` or `StorageError`.
        """
        answer: asyncio.Future[Job] = asyncio.get_running_loop().create_future()

        async def accept() -> None:
            try:
                job = await self._accept(request, asked or request, key, by, job_id)
            except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(job)

        self._tasks.create_task(accept())
        return await answer

    async def _accept(
        self, request: GenerateRequest, asked: GenerateRequest, key: str | None, by: str, job_id: str
    ) -> Job:
        seed = drawn_seed(job_id)
        route: Route | None = None
        outcome: Route | Confirmation
        ceiling = Ceiling()
        try:
            promised = self._means.agreed(asked)
            ceiling = Ceiling(None if promised is None else promised.price_usd)
            outcome = route = planned(self._means, request, seed, ceiling)
            ceiling.check(route.targets[0], request)
        except Ask as question:
            outcome = question.confirmation
        except LimnerError:
            earlier = None if key is None else await self._means.store.earlier(by, key, asked.fingerprint())
            if earlier is None:
                raise
            return earlier
        new = NewJob(
            job=_new_job(job_id, _seeded(request, seed), route, ceiling),
            tenant=by,
            client_key=key,
            fingerprint="" if key is None else asked.fingerprint(),
            deadline_s=request.policy.deadline_s or self._deadline_s,
            priority=request.priority,
        )
        if isinstance(outcome, Confirmation):
            return await self._ask(new, outcome)
        return await self._order(new, outcome, ceiling)

    async def _order(self, new: NewJob, route: Route, ceiling: Ceiling) -> Job:
        """With the first target that the budgets have room for. Raises what the best one met."""
        self._pace.expect(route.targets[0])
        met: OverBudget | None = None
        while True:
            try:
                if self._worker.reserve():
                    return await self._start(new, route)
                return await self._queue(new, route.targets[0])
            except Full:
                return await self._queue(new, route.targets[0])
            except OverBudget as error:
                met = met or error
                shorter = without_first(new, route, str(error))
                if shorter is None:
                    raise met from None
            new, route = shorter
            try:
                ceiling.check(route.targets[0], new.job.request)
            except Ask as asked:
                return await self._ask(new, asked.confirmation)

    async def _ask(self, new: NewJob, question: Confirmation) -> Job:
        """Write the job as one that waits for a person: nobody claims it, and nothing is bought."""
        job = new.job.model_copy(update={"state": "needs_confirmation", "confirmation": question})
        events = [_queued(job), _asked(job, question)]
        earlier = await self._means.store.enqueue(replace(new, job=job), events)
        if earlier is not None:
            return earlier
        for event in events:
            self._means.hub.publish(job.id, event)
        self._means.hub.publish(job.id, Ended(job))
        return job

    async def _queue(self, new: NewJob, first: Target) -> Job:
        """Write the job alone: a worker claims it when a slot is free."""
        new = replace(new, account=first.account)
        standing = await last(self._means.store, new, self._pace)
        queued = _queued(new.job, str(standing))
        earlier = await self._means.store.enqueue(new, [queued], first=first)
        if earlier is None:
            self._means.hub.publish(new.job.id, queued)
        self._worker.wake()
        return earlier or new.job.model_copy(update={"waiting": standing})

    async def _start(self, new: NewJob, route: Route) -> Job:
        """In the reserved slot: job, lease and first attempt in one commit, then its order is sent."""
        taken = False
        try:
            since = time.monotonic()
            token = self._means.hooks.token(self._means.provider(route.targets[0]))
            attempt = replace(_first_attempt(new, route), hook=token)
            new = _started(replace(new, account=attempt.target.account), attempt)
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
                ),
                since,
            )
            taken = True
        finally:
            if not taken:
                self._worker.give_back()
        return new.job


def _seeded(request: GenerateRequest, seed: int) -> GenerateRequest:
    return request if request.seed is not None else request.model_copy(update={"seed": seed})


def _new_job(job_id: str, request: GenerateRequest, route: Route | None, ceiling: Ceiling) -> Job:
    notes = () if route is None else route.targets[0].notes
    return Job(
        id=job_id,
        state="queued",
        request=request,
        created_at=time.time(),
        receipt=Receipt(notes=notes, passed_over=() if route is None else route.passed_over),
        ceiling_usd=ceiling.usd,
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
    return replace(new, job=started)


def _queued(job: Job, message: str | None = None) -> JobEvent:
    return JobEvent(job_id=job.id, seq=1, type="queued", state="queued", at=job.created_at, message=message)


def _asked(job: Job, question: Confirmation) -> JobEvent:
    return JobEvent(
        job_id=job.id,
        seq=2,
        type="asked",
        state="needs_confirmation",
        at=job.created_at,
        message=question.message,
    )


def _running(job: Job, attempt: OpenAttempt) -> JobEvent:
    return JobEvent(
        job_id=job.id,
        seq=2,
        type="running",
        state="running",
        at=job.created_at,
        message=attempt.target.name,
    )
