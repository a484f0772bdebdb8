"""Limner: builds everything once and offers the verbs that every door calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, Unpack

import anyio
from pydantic import BaseModel, ConfigDict

from limner import __version__
from limner.blobs.store import Blobs
from limner.catalog.load import shipped, words
from limner.catalog.model import Model
from limner.config import Settings, load
from limner.core.errors import LimnerError, NoRoute, ProviderError, SetupError
from limner.core.events import Ended, JobEvent, Message
from limner.core.ids import uuid7
from limner.core.job import Artifact, Job, JobState
from limner.core.quote import Alternative, Quote, Route, Target
from limner.core.reading import as_request
from limner.core.request import GenerateRequest, RequestFields
from limner.imaging.thumbnail import thumbnail
from limner.jobs.desk import Desk
from limner.jobs.hub import Hub
from limner.jobs.janitor import Janitor
from limner.jobs.means import Means
from limner.jobs.worker import Worker
from limner.providers.base import Provider
from limner.providers.find import installed
from limner.router.account import Account
from limner.router.plan import plan
from limner.router.pulse import Pulse
from limner.store.database import Database
from limner.store.lock import HomeLock
from limner.store.migrate import migrate
from limner.store.store import Store
from limner.supervisor import Supervisor
from limner.wire import Wire, session

_ALTERNATIVES = 3
_RANDOM_SEEDS = 2**31
"""A drawn seed fits the int32 that some clients read it into."""
LOCAL_USER = "local"


class ProviderStatus(BaseModel):
    """One provider as it stands now."""

    model_config = ConfigDict(frozen=True)

    name: str
    available: bool
    reason: str
    models: int
    address: str


class Limner:
    """The application. Use it as an async context manager; everything it starts ends with the block.

    `settings` default to what `limner.toml`, `.env` and the environment say. `providers` and `models`
    replace the installed ones, for tests and for programs that bring their own. An `idle` one reads,
    quotes and cancels, but runs no job and starts no engine. Entering raises `SetupError` (a wrong file,
    a folder that cannot be written, `HomeInUse`) and leaves nothing behind.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        providers: Mapping[str, type[Provider]] | None = None,
        models: Sequence[Model] | None = None,
        idle: bool = False,
    ) -> None:
        self._idle = idle
        self.settings = load().settings if settings is None else settings
        self.version = __version__
        kinds = installed() if providers is None else dict(providers)
        self._kinds = {
            name: kind for name, kind in kinds.items() if name not in self.settings.disabled_providers
        }
        self._models = shipped() if models is None else tuple(models)
        self._supervisor: Supervisor | None = None
        self._running: _Running | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._running = await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = None
        # Shielded: a caller that is being cancelled must not leave an engine or a lease behind. What the
        # block raised is the caller's and stays as it is.
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    # -- the verbs ---------------------------------------------------------------------------------------

    async def estimate(self, request: GenerateRequest) -> Quote:
        """What the request would cost and how it would be bent. Buys nothing. Raises as `generate` does."""
        route = self._plan(request)
        best = route.targets[0]
        width, height = best.request.size or (0, 0)
        return Quote(
            model=best.model,
            provider=best.provider,
            tier=best.tier,
            width=width,
            height=height,
            steps=best.request.steps,
            count=request.count,
            price_usd=best.price_usd,
            seconds=best.seconds,
            notes=best.notes,
            alternatives=tuple(_alternative(one) for one in route.targets[1 : 1 + _ALTERNATIVES]),
            passed_over=route.passed_over,
        )

    async def generate(
        self,
        request: GenerateRequest | str,
        *,
        key: str | None = None,
        by: str = LOCAL_USER,
        **fields: Unpack[RequestFields],
    ) -> Job:
        """Accept the request as a job and return at once; it is on disk when this returns.

        `key` is an idempotency key of the caller `by`: the same key and request give the first job again.
        Raises `InvalidRequest`, `NoRoute`, `OverBudget`, `Conflict` or `StorageError`: nothing was bought.
        """
        return await self._now.desk.accept(as_request(request, fields), key, by, uuid7())

    async def draw(
        self,
        request: GenerateRequest | str,
        *,
        key: str | None = None,
        by: str = LOCAL_USER,
        **fields: Unpack[RequestFields],
    ) -> Job:
        """Like `generate`, and wait for the end: the job in its final state, whichever that is.

        Cancelling the wait cancels nothing else: the job goes on and can be read by its id.
        """
        identity = uuid7()
        with self._now.hub.subscribe(identity) as messages:
            job = await self._now.desk.accept(as_request(request, fields), key, by, identity)
            if job.id == identity:
                while not isinstance(message := await messages.next(), Ended):
                    pass
                return message.job
        return await self.wait(job.id)

    @asynccontextmanager
    async def watch(self, job_id: str, after: int = 0) -> AsyncIterator[AsyncIterator[Message]]:
        """What happens to a job: stored events above `after`, then live ones and progress, last `Ended`.

        Raises `NotFound`. Leaving the block stops watching and nothing else.
        """
        with self._now.hub.subscribe(job_id) as messages:
            job = await self.read(job_id)
            past = await self._now.store.events(job_id, after)

            async def tell() -> AsyncIterator[Message]:
                last = after
                for event in past:
                    last = event.seq
                    yield event
                if job.final:
                    yield Ended(job)
                    return
                while True:
                    message = await messages.next()
                    if isinstance(message, JobEvent):
                        if message.seq <= last:
                            continue
                        last = message.seq
                    yield message
                    if isinstance(message, Ended):
                        return

            yield tell()

    async def wait(self, job_id: str) -> Job:
        """The job once it has ended. Raises `NotFound`."""
        async with self.watch(job_id) as messages:
            async for message in messages:
                if isinstance(message, Ended):
                    return message.job
        raise AssertionError("a watch ends with Ended")

    async def cancel(self, job_id: str) -> Job:
        """Stop the order: a queued job ends at once, a running one as soon as its provider lets go of it.

        What was bought by then is kept and charged. Raises `NotFound`; a job that has ended stays as it is.
        """
        job = await self._now.store.request_cancel(job_id, time.time())
        self._now.worker.stop_order(job_id)
        if job.state == "canceled":
            for event in await self._now.store.events(job_id, 0):
                self._now.hub.publish(job_id, event)  # watchers drop those they have seen
            self._now.hub.publish(job_id, Ended(job))
        self._now.worker.wake()
        return job

    async def read(self, job_id: str) -> Job:
        """A job with its pictures and receipt. Raises `NotFound`."""
        return await self._now.store.job(job_id)

    # -- what there is -----------------------------------------------------------------------------------

    async def jobs(
        self,
        *,
        state: JobState | None = None,
        project: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Job]:
        """Jobs, newest first; `before` is the id to go on from."""
        return await self._now.store.jobs(state, project, limit, before)

    async def image(self, image_id: str) -> Artifact:
        """A picture's record. Raises `NotFound`."""
        return await self._now.store.image(image_id)

    async def image_at(self, project: str, provider: str, file: str) -> Artifact:
        """A picture's record by its place in storage. Raises `NotFound`."""
        return await self._now.store.image_at(project, provider, file)

    async def open(self, artifact: Artifact) -> bytes:
        """The file's bytes. Raises `NotFound` when the file is gone from storage."""
        return await self._now.blobs.get(artifact.digest)

    async def thumbnail(self, artifact: Artifact, side: int = 256) -> bytes:
        """A small WebP whose longer side is at most `side` pixels."""
        data = await self.open(artifact)
        return await asyncio.to_thread(thumbnail, data, side)

    def models(self) -> tuple[Model, ...]:
        """Every model of every provider that is switched on."""
        return tuple(model for model in self._models if model.provider in self._kinds)

    async def providers(self) -> list[ProviderStatus]:
        """Every provider that is switched on, and why it cannot be used when it cannot. Asks, never buys."""
        return [await self._status(account) for account in self._accounts()]

    async def ready(self) -> list[str]:
        """Why this process cannot serve now; empty when it can."""
        obstacles = [account.obstacle for account in self._accounts()]
        reasons = [one for one in obstacles if one] if all(obstacles) else []
        if not obstacles:
            reasons.append("no provider is switched on; see the setting disabled_providers")
        try:
            await self._now.store.open_jobs()
            await self._now.blobs.probe()
        except LimnerError as error:
            reasons.append(str(error))
        return reasons

    def serving(self, url: str) -> None:
        """Say where this process answers, so that commands on the same home find it."""
        self._now.lock.tell(url)

    # -- inside ------------------------------------------------------------------------------------------

    @property
    def _now(self) -> "_Running":
        if self._running is None:
            raise SetupError("Limner is not running; use it as `async with Limner() as limner:`")
        return self._running

    async def _start(self, stack: AsyncExitStack) -> "_Running":
        settings = self.settings
        lock = stack.enter_context(HomeLock(settings.home))
        store = await stack.enter_async_context(_store(settings))
        blobs = Blobs(settings.blob_url or str(settings.home / "storage"))
        await blobs.probe()
        wires = await self._wires(stack)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        if self._supervisor is not None and not self._idle:
            self._supervisor.start(tasks)
            stack.push_async_callback(self._supervisor.stop)
        hub = Hub()
        means = Means(
            store=store,
            blobs=blobs,
            hub=hub,
            pulse=Pulse(settings.breaker_failures, settings.breaker_window_s),
            plan=self._plan,
            provider=lambda target: _provider(wires, target),
            version=self.version,
        )
        worker = Worker(means, concurrency=settings.concurrency, lease_s=settings.lease_s)
        if not self._idle:
            worker.start(tasks)
            stack.push_async_callback(worker.stop)
            tidying = tasks.create_task(Janitor(store, blobs).work(), name="janitor")
            stack.callback(tidying.cancel)
        desk = Desk(means, worker, tasks, deadline_s=settings.deadline_s, lease_s=settings.lease_s)
        return _Running(
            lock=lock, store=store, blobs=blobs, hub=hub, worker=worker, means=means, wires=wires, desk=desk
        )

    async def _wires(self, stack: AsyncExitStack) -> dict[str, Provider]:
        http = await stack.enter_async_context(session())
        made = {}
        for name, kind in self._kinds.items():
            url, key = kind.base_url, ""
            if name == "local":
                url, key = self._engine(stack)
            made[name] = kind(Wire(http, url, kind.auth(key), classify=kind.classify))
        return made

    def _engine(self, stack: AsyncExitStack) -> tuple[str, str]:
        """Address and key of the engine: the one that is set, or a child of ours."""
        settings = self.settings
        if settings.engine_url:
            return (
                settings.engine_url,
                settings.engine_token.get_secret_value() if settings.engine_token else "",
            )
        self._supervisor = Supervisor(threads=settings.engine_threads)
        stack.push_async_callback(self._supervisor.stop)  # also when what follows cannot be built
        return self._supervisor.url, self._supervisor.token

    def _accounts(self) -> list[Account]:
        return [
            Account(
                provider=name,
                name=name,
                obstacle=self._obstacle(name),
                passing=name != "local" or self._supervisor is None,
                local=name == "local",
            )
            for name in self._kinds
        ]

    def _obstacle(self, name: str) -> str | None:
        if name == "local" and self._supervisor is not None:
            # The supervisor watches the engine itself; failures of orders say nothing more.
            return self._supervisor.obstacle
        return self._now.means.pulse.obstacle(name, time.monotonic()) if self._running else None

    def _plan(self, request: GenerateRequest) -> Route:
        return plan(request, self._models, self._accounts(), _vocabulary)

    async def _status(self, account: Account) -> ProviderStatus:
        provider = self._now.wires[account.provider]
        reason = account.obstacle
        if reason is None:
            try:
                health = await provider.probe()
                reason = None if health.ok else health.reason
            except ProviderError as error:
                reason = str(error)
        return ProviderStatus(
            name=account.provider,
            available=reason is None,
            reason=reason or "Available",
            models=sum(model.provider == account.provider for model in self._models),
            address=provider.wire.address,
        )


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists only between entering and leaving."""

    lock: HomeLock
    store: Store
    blobs: Blobs
    hub: Hub
    worker: Worker
    means: Means
    wires: dict[str, Provider]
    desk: Desk


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[Store]:
    database = Database(settings.database_url or f"sqlite:///{settings.home / 'limner.db'}")
    try:
        migrate(database)
        database.start()
        store = Store(database, owner=f"{uuid7()}")
        await store.take_over()
        yield store
    finally:
        database.close()


def _provider(wires: Mapping[str, Provider], target: Target) -> Provider:
    if target.provider not in wires:
        raise NoRoute(f"{target.name}: the provider is not switched on here any more", passing=True)
    return wires[target.provider]


def _alternative(target: Target) -> Alternative:
    return Alternative(
        model=target.model,
        provider=target.provider,
        tier=target.tier,
        price_usd=target.price_usd,
        seconds=target.seconds,
    )


def _vocabulary(model: Model) -> frozenset[str] | None:
    return words(model.words_file) if model.words_file else None
