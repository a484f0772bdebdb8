"""Builds what a running Limner consists of, in order, each thing with its end on the stack."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from limner import __version__, quoting
from limner.accounts import Accounts, Engine, caps, open_accounts
from limner.allowance import rules
from limner.blobs.fetch import Fetcher
from limner.blobs.store import Blobs
from limner.catalog.load import Catalog, beside, shipped_tables
from limner.config import Settings, accounts_of
from limner.core.ids import uuid7
from limner.inputs import Inputs
from limner.jobs.desk import Desk
from limner.jobs.hooks import Hooks
from limner.jobs.hub import Hub
from limner.jobs.janitor import Janitor
from limner.jobs.means import Means
from limner.jobs.others import Others
from limner.jobs.position import Pace
from limner.jobs.slots import Slots
from limner.jobs.worker import Worker
from limner.planning import Planner
from limner.prompts.language import Language, address_of
from limner.prompts.rewriter import Rewriter
from limner.prompts.settle import Settling
from limner.providers.base import Provider
from limner.router.pulse import Pulse
from limner.shelf import Shelf
from limner.store.database import Database
from limner.store.lock import HomeLock, make_home
from limner.store.migrate import migrate
from limner.store.postgres import Postgres
from limner.store.projects import Projects
from limner.store.store import Store
from limner.store.switches import Switches
from limner.supervisor import Supervisor
from limner.wire import session


@dataclass(frozen=True, slots=True)
class Running:
    """What exists only between entering and leaving."""

    lock: HomeLock | None
    store: Store
    projects: Projects
    switches: Switches
    blobs: Blobs
    hub: Hub
    means: Means
    tasks: asyncio.TaskGroup
    worker: Worker
    accounts: Accounts
    planner: Planner
    inputs: Inputs
    desk: Desk
    pace: Pace
    quoting: quoting.Quoting
    language: Language
    rewriter: Rewriter
    settling: Settling
    shelf: Shelf
    child: Supervisor | None
    """The engine's process, where it is ours."""


async def build(
    settings: Settings,
    kinds: Mapping[str, type[Provider]],
    catalog: Catalog,
    stack: AsyncExitStack,
    *,
    idle: bool,
) -> Running:
    """Everything, begun. Raises `SetupError`; what was begun by then ends with the stack."""
    make_home(settings.home)
    # A journal that is shared keeps its jobs apart by leases; a file has one owner.
    lock = None if settings.shared else stack.enter_context(HomeLock(settings.home))
    limits = caps(kinds, settings)
    store = await stack.enter_async_context(_store(settings, limits))
    blobs = Blobs(settings.blob_url or str(settings.home / "storage"))
    await blobs.probe()
    http = await stack.enter_async_context(session())
    fetcher = await stack.enter_async_context(Fetcher())
    pulse = Pulse(settings.breaker_failures, settings.breaker_window_s)
    child = _child(settings, stack) if "local" in kinds and not settings.engine_url else None
    engine = _engine(settings, child)
    switches = Switches(store.connections)
    await switches.look()
    opened = open_accounts(kinds, settings, catalog, http, engine)
    accounts = Accounts(opened, pulse, limits, switches.off)
    language = language_of(settings, http)
    rewriter = Rewriter(language, store.prompts.count, on=settings.prompt_rewriting == "on")
    quotes = quoting.open_quoting(settings.home, settings.quote_secret, settings.quote_valid_s)
    planner = Planner(catalog, accounts.now)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    if child is not None and not idle:
        child.start(tasks)
        stack.push_async_callback(child.stop)
    hub = Hub()
    means = Means(
        store=store,
        blobs=blobs,
        hub=hub,
        hooks=Hooks(settings.public_url, _signing(settings)),
        pulse=pulse,
        plan=planner.plan,
        agreed=lambda request: quotes.accepted(request, time.time()),
        provider=accounts.provider,
        fetch=fetcher.fetch,
        settled=planner.settled,
        version=__version__,
    )
    slots = Slots(settings.concurrency, settings.waiting)
    worker = Worker(means, slots, lease_s=settings.lease_s)
    pace = Pace(slots, limits, pulse)
    if not idle:
        worker.start(tasks)
        stack.push_async_callback(worker.stop)
        tidying = tasks.create_task(Janitor(store, blobs).work(), name="janitor")
        stack.callback(tidying.cancel)
    if settings.shared:
        looking = tasks.create_task(Others(store, worker, hub).work(), name="others")
        stack.callback(looking.cancel)
    switching = tasks.create_task(switches.work(), name="switches")
    stack.callback(switching.cancel)
    desk = Desk(means, worker, pace, tasks, deadline_s=settings.deadline_s, lease_s=settings.lease_s)
    return Running(
        lock=lock,
        store=store,
        projects=Projects(store.connections),
        switches=switches,
        blobs=blobs,
        hub=hub,
        means=means,
        tasks=tasks,
        worker=worker,
        accounts=accounts,
        planner=planner,
        inputs=Inputs(store, blobs),
        desk=desk,
        pace=pace,
        quoting=quotes,
        language=language,
        rewriter=rewriter,
        settling=Settling(rewriter, store.prompts),
        shelf=Shelf(store.prompts),
        child=child,
    )


def catalog_of(kinds: Mapping[str, type[Provider]], settings: Settings) -> Catalog:
    """The shipped files, and beside each plugin its own."""
    shipped = shipped_tables()
    tables = {}
    for name, kind in kinds.items():
        table = shipped.get(name) or beside(kind.__module__, name)
        if table is not None:
            tables[name] = table
    return Catalog(tables, settings.catalog)


def language_of(settings: Settings, http: aiohttp.ClientSession) -> Language:
    """The model that rewrites and chats; where no address is set, at the server Ollama's variables name."""
    ollama = accounts_of(
        "ollama",
        settings,
        key_env=("OLLAMA_API_KEY",),
        url_env=("OLLAMA_BASE_URL", "OLLAMA_HOST"),
        usual="http://127.0.0.1:11434",
    )[0]
    own = settings.language_key.get_secret_value() if settings.language_key else ""
    return Language(
        http,
        address=address_of(settings.language_api, settings.language_url, ollama.url),
        model=settings.language_model,
        api=settings.language_api,
        key=own or (ollama.key if settings.language_api == "ollama" and not settings.language_url else ""),
    )


def _child(settings: Settings, stack: AsyncExitStack) -> Supervisor:
    child = Supervisor(threads=settings.engine_threads)
    stack.push_async_callback(child.stop)  # also when what follows cannot be built
    return child


def _engine(settings: Settings, child: Supervisor | None) -> Engine | None:
    """The engine whose address is set, or a child of ours."""
    if child is not None:
        return Engine(child.url, child.token, lambda: child.obstacle)
    if settings.engine_url:
        token = settings.engine_token
        return Engine(settings.engine_url, token.get_secret_value() if token else "")
    return None


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


def _signing(settings: Settings) -> dict[str, str]:
    """What vendors sign their calls with, by account."""
    known = {name: table.webhook_secret for name, table in settings.accounts.items()}
    return {name: secret.get_secret_value() for name, secret in known.items() if secret is not None}
