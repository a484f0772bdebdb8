"""Limner: builds everything once and offers the verbs that every door calls."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Self, Unpack

import anyio
from pydantic import BaseModel, ConfigDict

from limner import __version__
from limner.accounts import Opened, set_up
from limner.allowance import rules, standings
from limner.building import Running, build, catalog_of
from limner.catalog.load import Catalog, Listing
from limner.catalog.model import Model
from limner.config import Settings, load
from limner.core.errors import Conflict, InvalidRequest, LimnerError, NotFound, ProviderError, SetupError
from limner.core.events import Ended, JobEvent, Message
from limner.core.ids import uuid7
from limner.core.job import Artifact, Decision, Job, JobState, provider_of
from limner.core.lost import LostOrder, Reconciled
from limner.core.quote import Quote
from limner.core.reading import as_request
from limner.core.request import GenerateRequest, RequestFields
from limner.core.shelf import Preferences, RewriteCount, Verdict
from limner.core.usage import LOCAL_USER, Audit, Standings, UsageBy, UsageReport
from limner.guard.keys import Keys
from limner.imaging.thumbnail import thumbnail
from limner.inputs import Input
from limner.jobs import inquiry
from limner.jobs.decide import decide
from limner.jobs.hearing import heard, heard_at, look_up
from limner.jobs.position import placed
from limner.moderating import Judged, Moderation, moderate
from limner.prompts.analyse import Analysis, analyse
from limner.prompts.check import PromptCheck
from limner.prompts.language import Language
from limner.providers.base import Provider
from limner.providers.find import installed
from limner.router.breaker import Circuit
from limner.shelf import Shelf
from limner.store.projects import Projects


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
    enabled: bool = True
    """False where somebody switched the provider off."""
    circuit: Circuit | None = None
    """The account's breaker."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What may keep a provider from being asked, as it stands now."""

    has_key: bool
    enabled: bool
    circuit: Circuit | None
    """Of the account that can be asked, where there are several; None where there is none."""


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
        self._installed = kinds
        self._kinds = {
            name: kind for name, kind in kinds.items() if name not in self.settings.disabled_providers
        }
        self._catalog = catalog_of(self._kinds, self.settings) if models is None else Catalog.of(models)
        self._keys = Keys(self.settings.callers)
        self._running: Running | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._running = await build(self.settings, self._kinds, self._catalog, stack, idle=self._idle)
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

    def who(self, key: str | None) -> str:
        """The caller that a key belongs to; without configured keys everybody is the local user. Raises
        `NoEntry`."""
        return self._keys.who(key)

    @property
    def language(self) -> Language:
        """The language model that rewrites prompts and chats, whether or not its server is there."""
        return self._now.language

    @property
    def projects(self) -> Projects:
        """Projects, and what was ordered and drawn in them."""
        return self._now.projects

    async def check_prompt(self, text: str, force: bool = False) -> PromptCheck:
        """Is the prompt short enough, and if not, or with `force`, what does the language model make of it?
        Orders nothing. That the model is away is in the answer, not raised. Raises `StorageError`."""
        return await self._now.rewriter.check(text, force=force)

    def prompt_stats(self, text: str) -> Analysis:
        """What a prompt says about itself; needs no running Limner."""
        return analyse(text)

    @property
    def shelf(self) -> Shelf:
        """Templates, tests of them, and what each user keeps."""
        return self._now.shelf

    async def judge(self, image_id: str, verdict: Verdict, *, by: str = LOCAL_USER) -> Preferences:
        """Note that a user keeps or deletes a picture; the file stays. Raises `NotFound`."""
        return await self._now.shelf.judge(await self._now.store.image(image_id), verdict, by)

    async def prompt_metrics(self) -> list[RewriteCount]:
        """How rewriting went so far, by step, model and outcome."""
        return await self._now.store.prompts.counts()

    # -- the verbs ---------------------------------------------------------------------------------------

    async def estimate(self, request: GenerateRequest) -> Quote:
        """What the request would cost and how it would be bent. Buys nothing. Raises as `generate` does.

        The quote's `token` is the `quote` of a request that accepts it; one in `request` is not looked at.
        """
        asked = await self._now.inputs.settle(request.model_copy(update={"quote": None}))
        route = self._now.planner.plan(await self._now.settling.expect(asked))
        return self._now.quoting.quote(asked, route, self._now.planner.entry(route.targets[0]), time.time())

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
        return await self._accept(as_request(request, fields), key, by, uuid7())

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
            job = await self._accept(as_request(request, fields), key, by, identity)
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

    async def told(self, provider: str, headers: Mapping[str, str], body: bytes) -> None:
        """A vendor calls the one address it has of us about one of its orders: that is asked about now.
        Raises `NotFound` for a call without the secret of one of the provider's accounts."""
        here = [one for one in self._now.accounts if one.provider.name == provider]
        calling = [one for one in here if one.provider.standing_calls]
        heard_by = [await heard_at(self._now.means, one.name, one.provider, headers, body) for one in calling]
        if all(lost is None for lost in heard_by):
            raise NotFound("no order waits for this call")
        for order in (order for lost in heard_by for order in lost or ()):
            self._now.tasks.create_task(look_up(self._now.means, order))
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
        return await self._now.store.image_at(project, provider_of(provider), file)

    async def keep(self, data: bytes) -> Input:
        """Store a picture for requests to work on; name it by its digest in their `inputs` or `mask`.

        Raises `InvalidRequest` for what is no picture and for very large ones, and `StorageError`.
        """
        return await self._now.inputs.keep(data)

    async def keep_from(self, url: str) -> Input:
        """Like `keep`, for the picture at a public http(s) address or in a `data:` one. Raises
        `InvalidRequest` for what cannot be fetched, too; hosts of private networks are not asked."""
        try:
            data = await self._now.means.fetch(url, None)
        except ProviderError as error:
            raise InvalidRequest(str(error), "inputs") from error
        return await self._now.inputs.keep(data)

    async def kept(self, digest: str) -> bytes:
        """The bytes of a picture that `keep` stored. Raises `NotFound`."""
        return await self._now.blobs.get(digest)

    async def open(self, artifact: Artifact) -> bytes:
        """The file's bytes. Raises `NotFound` when the file is gone from storage."""
        return await self._now.blobs.get(artifact.digest)

    async def part(self, artifact: Artifact, start: int, size: int) -> bytes:
        """`size` bytes of the file from `start` on, fewer at its end. Raises `NotFound`."""
        return await self._now.blobs.part(artifact.digest, start, size)

    async def thumbnail(self, artifact: Artifact, side: int = 256) -> bytes:
        """A small WebP whose longer side is at most `side` pixels."""
        data = await self.open(artifact)
        return await asyncio.to_thread(thumbnail, data, side)

    def models(self) -> tuple[Model, ...]:
        """Every model of every provider that is switched on."""
        return tuple(model for model in self._catalog.models() if model.provider in self._kinds)

    def meant(self, request: GenerateRequest) -> tuple[Model, ...]:
        """The models that the request's names may mean, whether or not they can do it, or are free now.

        Raises `InvalidRequest` for names nobody knows, and `NoRoute`.
        """
        return self._now.planner.meant(request)

    async def moderate(self, what: Judged) -> Moderation:
        """What OpenAI's moderation says, through an account there. Costs nothing. Raises `NoRoute` when there
        is none: nothing else here judges; and `ProviderError`."""
        return await moderate(self._now.accounts, what)

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

    async def switch(self, provider: str, *, enabled: bool) -> list[ProviderStatus]:
        """Switch a provider on or off, here and in every process on the journal: its accounts. Raises
        `NotFound`, and `Conflict` for one that the settings disable."""
        if provider in self.settings.disabled_providers:
            raise Conflict(f"{provider} is disabled in the settings (disabled_providers), and stays so")
        if provider not in self._kinds:
            raise NotFound(f"no provider is called {provider[:60]!r}")
        entry = self._catalog.entry(provider)
        await self._now.switches.turn(provider, entry.title if entry else provider, enabled=enabled)
        return [one for one in await self.providers() if one.name == provider]

    def layers(self, provider: str) -> Layers:
        """A provider's key, switch and circuit. Asks nobody."""
        here = [one for one in self._now.accounts if one.provider.name == provider]
        circuits = [self._now.accounts.circuit(one) for one in here]
        return Layers(
            has_key=provider in set_up(self._installed, self.settings),
            enabled=provider in self._kinds and not self._now.switches.off(provider),
            circuit=max(circuits, key=lambda one: one.available, default=None),
        )

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

    async def _accept(self, request: GenerateRequest, key: str | None, by: str, identity: str) -> Job:
        """The job, its prompt rewritten where that is asked for: but first of all the job that has the key,
        so that a repeated order asks no language model again."""
        now = self._now
        asked = await now.inputs.settle(request)
        if asked.prompting is None:
            return await now.desk.accept(asked, key, by, identity)
        async with now.settling.alone(by, key):
            earlier = None if key is None else await now.store.earlier(by, key, asked.fingerprint())
            if earlier is not None:
                return earlier
            wanted = await now.settling.settle(asked, identity)
            job = await now.desk.accept(wanted, key, by, identity, asked)
        if job.id == identity:
            await now.shelf.tried(job)
        return job

    @property
    def _now(self) -> Running:
        if self._running is None:
            raise SetupError("Limner is not running; use it as `async with Limner() as limner:`")
        return self._running

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
            enabled=not self._now.switches.off(provider.name),
            circuit=self._now.accounts.circuit(one),
        )
