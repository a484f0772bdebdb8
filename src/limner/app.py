"""Limner: builds everything once and offers the verbs that every door calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Self, Unpack

import anyio
from pydantic import BaseModel, ConfigDict

from limner import __version__
from limner.accounts import Accounts, Engine, Opened, open_accounts, set_up
from limner.blobs.fetch import Fetcher
from limner.blobs.store import Blobs
from limner.catalog.load import Catalog, Listing, beside, shipped_tables, words
from limner.catalog.model import Model
from limner.catalog.price import settled_usd
from limner.config import Settings, load
from limner.core.errors import LimnerError, ProviderError, SetupError
from limner.core.events import Ended, JobEvent, Message
from limner.core.ids import uuid7
from limner.core.job import Artifact, Job, JobState
from limner.core.quote import Alternative, Quote, Route, Target
from limner.core.reading import as_request
from limner.core.request import GenerateRequest, RequestFields
from limner.imaging.thumbnail import thumbnail
from limner.inputs import Input, Inputs
from limner.jobs.desk import Desk
from limner.jobs.hub import Hub
from limner.jobs.janitor import Janitor
from limner.jobs.means import Means
from limner.jobs.worker import Worker
from limner.providers.base import Provider, Usage
from limner.providers.find import installed
from limner.router.plan import plan
from limner.router.pulse import Pulse
from limner.store.database import Database
from limner.store.lock import HomeLock
from limner.store.migrate import migrate
from limner.store.store import Store
from limner.supervisor import Supervisor
from limner.wire import session

LOCAL_USER = "local"


class ProviderStatus(BaseModel):
    """One provider as it stands now."""

    model_config = ConfigDict(frozen=True)

    name: str
    available: bool
    reason: str
    models: int
    address: str
    account: str
    """One of perhaps several at this provider."""
    title: str = ""
    description: str = ""


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
        self._catalog = _catalog(self._kinds, self.settings) if models is None else Catalog.of(models)
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
        route = self._plan(await self._now.inputs.settle(request))
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
            alternatives=tuple(_alternative(one) for one in route.alternatives),
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
        wanted = await self._now.inputs.settle(as_request(request, fields))
        return await self._now.desk.accept(wanted, key, by, uuid7())

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
        wanted = await self._now.inputs.settle(as_request(request, fields))
        with self._now.hub.subscribe(identity) as messages:
            job = await self._now.desk.accept(wanted, key, by, identity)
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
                if job.resting:
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

    async def keep(self, data: bytes) -> Input:
        """Store a picture for requests to work on; name it by its digest in their `inputs` or `mask`.

        Raises `InvalidRequest` for what is no picture and for very large ones, and `StorageError`.
        """
        return await self._now.inputs.keep(data)

    async def open(self, artifact: Artifact) -> bytes:
        """The file's bytes. Raises `NotFound` when the file is gone from storage."""
        return await self._now.blobs.get(artifact.digest)

    async def thumbnail(self, artifact: Artifact, side: int = 256) -> bytes:
        """A small WebP whose longer side is at most `side` pixels."""
        data = await self.open(artifact)
        return await asyncio.to_thread(thumbnail, data, side)

    def models(self) -> tuple[Model, ...]:
        """Every model of every provider that is switched on."""
        return tuple(model for model in self._catalog.models() if model.provider in self._kinds)

    def set_up(self) -> frozenset[str]:
        """Providers that can be asked as far as the settings tell; needs no running Limner."""
        return set_up(self._kinds, self.settings)

    def listings(self) -> tuple[Listing, ...]:
        """The catalog by provider, of those that are switched on."""
        return tuple(one for one in self._catalog.listings() if one.provider in self._kinds)

    async def providers(self) -> list[ProviderStatus]:
        """Every account of every provider that is switched on, and why it cannot be used when it cannot.
        Asks, never buys."""
        async with asyncio.TaskGroup() as asking:
            asked = [asking.create_task(self._status(one)) for one in self._now.accounts]
        return [one.result() for one in asked]

    async def ready(self) -> list[str]:
        """Why this process cannot serve now; empty when it can."""
        obstacles = [account.obstacle for account in self._now.accounts.now() if account.configured]
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
        http = await stack.enter_async_context(session())
        fetcher = await stack.enter_async_context(Fetcher())
        pulse = Pulse(settings.breaker_failures, settings.breaker_window_s)
        engine = self._engine(stack) if "local" in self._kinds else None
        accounts = Accounts(open_accounts(self._kinds, settings, self._catalog, http, engine), pulse)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        if self._supervisor is not None and not self._idle:
            self._supervisor.start(tasks)
            stack.push_async_callback(self._supervisor.stop)
        hub = Hub()
        means = Means(
            store=store,
            blobs=blobs,
            hub=hub,
            pulse=pulse,
            plan=self._plan,
            provider=accounts.provider,
            fetch=fetcher.fetch,
            settled=self._settled,
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
            lock=lock,
            store=store,
            blobs=blobs,
            hub=hub,
            worker=worker,
            accounts=accounts,
            inputs=Inputs(store, blobs),
            desk=desk,
        )

    def _engine(self, stack: AsyncExitStack) -> Engine:
        """The engine whose address is set, or a child of ours."""
        settings = self.settings
        if settings.engine_url:
            token = settings.engine_token
            return Engine(settings.engine_url, token.get_secret_value() if token else "")
        child = self._supervisor = Supervisor(threads=settings.engine_threads)
        stack.push_async_callback(child.stop)  # also when what follows cannot be built
        return Engine(child.url, child.token, lambda: child.obstacle)

    def _plan(self, request: GenerateRequest, seed: int | None = None) -> Route:
        today = datetime.now(UTC).date()
        accounts = self._now.accounts.now()
        return plan(request, self._catalog.models(), accounts, _vocabulary, seed=seed, today=today)

    def _settled(self, target: Target, usage: Usage) -> Decimal | None:
        """What the order cost by the vendor's count; None when its price does not go by that."""
        models = self._catalog.models()
        found = [one for one in models if (one.provider, one.id) == (target.provider, target.model)]
        return settled_usd(target.request, found[0], usage.tokens, usage.seconds) if found else None

    async def _status(self, one: Opened) -> ProviderStatus:
        provider = one.provider
        reason = self._now.accounts.shown(one, time.monotonic()).obstacle
        if reason is None:
            try:
                health = await provider.probe()
                reason = None if health.ok else health.reason
            except ProviderError as error:
                reason = str(error)
        entry = self._catalog.entry(provider.name)
        return ProviderStatus(
            name=provider.name,
            available=reason is None,
            reason=reason or "Available",
            models=sum(m.provider == provider.name and m.retired is None for m in self._catalog.models()),
            address=provider.wire.address,
            account=one.name,
            title=entry.title if entry else provider.name,
            description=entry.description if entry else "",
        )


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists only between entering and leaving."""

    lock: HomeLock
    store: Store
    blobs: Blobs
    hub: Hub
    worker: Worker
    accounts: Accounts
    inputs: Inputs
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


def _catalog(kinds: Mapping[str, type[Provider]], settings: Settings) -> Catalog:
    """The shipped files, and beside each plugin its own."""
    shipped = shipped_tables()
    tables = {}
    for name, kind in kinds.items():
        table = shipped.get(name) or beside(kind.__module__, name)
        if table is not None:
            tables[name] = table
    return Catalog(tables, settings.catalog)


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
