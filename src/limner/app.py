"""Limner: builds everything once and offers the verbs that every door calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Self, Unpack

import anyio
from pydantic import BaseModel, ConfigDict

from limner import __version__, quoting
from limner.accounts import Accounts, Engine, Opened, caps, open_accounts, set_up
from limner.allowance import rules, standings
from limner.blobs.fetch import Fetcher
from limner.blobs.store import Blobs
from limner.catalog.load import Catalog, Listing, beside, shipped_tables, words
from limner.catalog.model import Model
from limner.catalog.price import settled_usd
from limner.config import Settings, load
from limner.core.errors import LimnerError, SetupError
from limner.core.events import Ended, JobEvent, Message
from limner.core.ids import uuid7
from limner.core.job import Artifact, Decision, Job, JobState
from limner.core.lost import LostOrder, Reconciled
from limner.core.quote import Quote, Route, Target
from limner.core.reading import as_request
from limner.core.request import GenerateRequest, RequestFields
from limner.core.usage import LOCAL_USER, Audit, Standings, UsageBy, UsageReport
from limner.imaging.thumbnail import thumbnail
from limner.inputs import Input, Inputs
from limner.jobs import inquiry
from limner.jobs.decide import decide
from limner.jobs.desk import Desk
from limner.jobs.hearing import heard, look_up
from limner.jobs.hooks import Hooks
from limner.jobs.hub import Hub
from limner.jobs.janitor import Janitor
from limner.jobs.means import Means
from limner.jobs.others import Others
from limner.jobs.position import Pace, placed
from limner.jobs.slots import Slots
from limner.jobs.worker import Worker
from limner.providers.base import Provider, Usage
from limner.providers.find import installed
from limner.router.breaker import Circuit
from limner.router.plan import plan
from limner.router.pulse import Pulse
from limner.store.database import Database
from limner.store.lock import HomeLock, make_home
from limner.store.migrate import migrate
from limner.store.postgres import Postgres
from limner.store.store import Store
from limner.supervisor import Supervisor
from limner.wire import session


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
    circuit: Circuit | None = None
    """The account's breaker."""


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
        """What the request would cost and how it would be bent. Buys nothing. Raises as `generate` does.

        The quote's `token` is the `quote` of a request that accepts it; one in `request` is not looked at.
        """
        wanted = await self._now.inputs.settle(request.model_copy(update={"quote": None}))
        route = self._plan(wanted)
        return self._now.quoting.quote(wanted, route, self._entry(route.targets[0]), time.time())

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
        A job that its quote or its policy does not allow to buy yet is in `needs_confirmation`. Raises
        `InvalidRequest`, `NoRoute`, `OverBudget`, `Conflict` or `StorageError`: nothing was bought.
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
        """A job with its pictures and receipt, and where it stands while it is queued. Raises `NotFound`."""
        return (await placed(self._now.store, [await self._now.store.job(job_id)], self._now.pace))[0]

    async def decide(
        self, job_id: str, decision: Decision, *, by: str = LOCAL_USER, picture: bytes | None = None
    ) -> Job:
        """Say what is to follow where a job asks, or where an order of it is lost: once.

        `picture` is the file of a `delivered` one. Raises `NotFound`, `InvalidRequest`, `Conflict` (decided
        before; nothing is asked) and `StorageError`.
        """
        job = await decide(self._now.means, job_id, decision, by, picture)
        self._now.worker.wake()
        return job

    async def lost(self) -> tuple[LostOrder, ...]:
        """Orders whose outcome is unknown: each counts as charged until somebody learns or decides better."""
        return await inquiry.lost_orders(self._now.means)

    async def reconcile(self) -> Reconciled:
        """Ask the vendors about all lost orders, and take what is found. Buys nothing by itself, but a job
        whose order certainly never arrived is taken up again."""
        findings = await inquiry.ask_all(self._now.means)
        self._now.worker.wake()
        return Reconciled(findings=findings, left=await self.lost())

    async def called(self, provider: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
        """A vendor calls about the order that `token` names: it is asked now. Raises `NotFound` for a call
        that belongs to none, or that is not signed as its vendor signs."""
        lost = await heard(self._now.means, provider, token, headers, body)
        if lost is not None:
            self._now.tasks.create_task(look_up(self._now.means, lost))
        self._now.worker.wake()

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
        found = await self._now.store.jobs(state, project, limit, before)
        return await placed(self._now.store, found, self._now.pace)

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

    async def kept(self, digest: str) -> bytes:
        """The bytes of a picture that `keep` stored. Raises `NotFound`."""
        return await self._now.blobs.get(digest)

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

    async def usage(self, first_day: date, last_day: date, by: UsageBy = "day") -> UsageReport:
        """What was ordered on these days, both included, in UTC: pictures, estimates, costs."""
        return await self._now.store.usage(first_day, last_day, by)

    async def standings(self) -> Standings:
        """How far budgets and limits are used now."""
        return await standings(self._now.store, rules(self.settings), time.time())

    async def audit(self) -> Audit:
        """Compare every order with the ledger."""
        return await self._now.store.audit()

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
        if self._now.lock is not None:
            self._now.lock.tell(url)

    # -- inside ------------------------------------------------------------------------------------------

    @property
    def _now(self) -> "_Running":
        if self._running is None:
            raise SetupError("Limner is not running; use it as `async with Limner() as limner:`")
        return self._running

    async def _start(self, stack: AsyncExitStack) -> "_Running":
        settings = self.settings
        make_home(settings.home)
        # A journal that is shared keeps its jobs apart by leases; a file has one owner.
        lock = None if settings.shared else stack.enter_context(HomeLock(settings.home))
        limits = caps(self._kinds, settings)
        store = await stack.enter_async_context(_store(settings, limits))
        blobs = Blobs(settings.blob_url or str(settings.home / "storage"))
        await blobs.probe()
        http = await stack.enter_async_context(session())
        fetcher = await stack.enter_async_context(Fetcher())
        pulse = Pulse(settings.breaker_failures, settings.breaker_window_s)
        engine = self._engine(stack) if "local" in self._kinds else None
        opened = open_accounts(self._kinds, settings, self._catalog, http, engine)
        accounts = Accounts(opened, pulse, limits)
        quotes = quoting.open_quoting(settings.home, settings.quote_secret, settings.quote_valid_s)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        if self._supervisor is not None and not self._idle:
            self._supervisor.start(tasks)
            stack.push_async_callback(self._supervisor.stop)
        hub = Hub()
        means = Means(
            store=store,
            blobs=blobs,
            hub=hub,
            hooks=Hooks(settings.public_url, _signing(settings)),
            pulse=pulse,
            plan=self._plan,
            agreed=lambda request: quotes.accepted(request, time.time()),
            provider=accounts.provider,
            fetch=fetcher.fetch,
            settled=self._settled,
            version=self.version,
        )
        slots = Slots(settings.concurrency, settings.waiting)
        worker = Worker(means, slots, lease_s=settings.lease_s)
        pace = Pace(slots, limits, pulse)
        if not self._idle:
            worker.start(tasks)
            stack.push_async_callback(worker.stop)
            tidying = tasks.create_task(Janitor(store, blobs).work(), name="janitor")
            stack.callback(tidying.cancel)
        if settings.shared:
            looking = tasks.create_task(Others(store, worker, hub).work(), name="others")
            stack.callback(looking.cancel)
        desk = Desk(means, worker, pace, tasks, deadline_s=settings.deadline_s, lease_s=settings.lease_s)
        return _Running(
            lock=lock,
            store=store,
            blobs=blobs,
            hub=hub,
            means=means,
            tasks=tasks,
            worker=worker,
            accounts=accounts,
            inputs=Inputs(store, blobs),
            desk=desk,
            pace=pace,
            quoting=quotes,
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

    def _plan(
        self, request: GenerateRequest, seed: int | None = None, ceiling_usd: Decimal | None = None
    ) -> Route:
        """Within the ceiling, what an accepted quote promises first."""
        promised = quoting.agreed(request)
        route = plan(
            request.model_copy(update={"quote": None}),
            self._catalog.models(),
            self._now.accounts.now(),
            _vocabulary,
            seed=seed,
            today=datetime.now(UTC).date(),
            agreed=promised,
            ceiling_usd=ceiling_usd,
        )
        return route if promised is None else quoting.told(route, promised)

    def _entry(self, target: Target) -> Model | None:
        """The catalog's entry of a target; of one that takes any name, the entry for all of them."""
        here = [one for one in self._catalog.models() if one.provider == target.provider]
        named = [one for one in here if one.id == target.model]
        return next(iter((*named, *(one for one in here if one.open))), None)

    def _settled(self, target: Target, usage: Usage) -> Decimal | None:
        """What the order cost by the vendor's count; None when its price does not go by that."""
        models = self._catalog.models()
        found = [one for one in models if (one.provider, one.id) == (target.provider, target.model)]
        return settled_usd(target.request, found[0], usage.tokens, usage.seconds) if found else None

    async def _status(self, one: Opened) -> ProviderStatus:
        provider = one.provider
        reason = await self._now.accounts.health(one)
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
            circuit=self._now.accounts.circuit(one),
        )


@dataclass(frozen=True, slots=True)
class _Running:
    """What exists only between entering and leaving."""

    lock: HomeLock | None
    store: Store
    blobs: Blobs
    hub: Hub
    means: Means
    tasks: asyncio.TaskGroup
    worker: Worker
    accounts: Accounts
    inputs: Inputs
    desk: Desk
    pace: Pace
    quoting: quoting.Quoting


@asynccontextmanager
async def _store(settings: Settings, caps: Mapping[str, int]) -> AsyncIterator[Store]:
    url = settings.database_url or f"sqlite:///{settings.database_path}"
    database = Postgres(url) if settings.shared else Database(url)
    try:
        migrate(database)
        database.start()
        store = Store(database, owner=f"{uuid7()}", rules=rules(settings), caps=caps)
        if not database.shared:
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


def _signing(settings: Settings) -> dict[str, str]:
    """What vendors sign their calls with, by account."""
    known = {name: table.webhook_secret for name, table in settings.accounts.items()}
    return {name: secret.get_secret_value() for name, secret in known.items() if secret is not None}


def _vocabulary(model: Model) -> frozenset[str] | None:
    return words(model.words_file) if model.words_file else None
