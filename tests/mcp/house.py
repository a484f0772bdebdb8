"""A Limner whose vendor is scripted in this process, with free, cheap, dear and unpriced models."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal

import anyio
import uvicorn
from mcp import Client

from limner.api.app import create_app
from limner.app import Limner
from limner.catalog.model import Model, Price, Sizes
from limner.cli.listening import listen
from limner.config import Settings
from limner.core.errors import Lost, Refused
from limner.mcp.http import McpDoor
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket
from tests.api.fakes import png


def _model(name: str, usd: str | None) -> Model:
    price = (
        None
        if usd is None
        else Price(
            usd=Decimal(usd), unit="image", source="https://easel.example/prices", read_on="2026-11-20"
        )
    )
    return Model(
        id=name,
        name=name.title(),
        description="Draws one shade of grey",
        provider="easel",
        ref=f"{name}-1",
        tier="fast",
        operations=frozenset({"generate", "edit", "image-to-image"}),
        sizes=Sizes(default=(64, 64), max_side=512),
        max_count=4,
        price=price,
    )


MODELS = [_model("sketch", "0"), _model("oil", "0.04"), _model("marble", "0.6"), _model("fog", None)]


class Easel(Provider):
    """A look at the easel, then the picture. The prompt says more: `refused`, or `endless`."""

    name = "easel"
    base_url = "http://127.0.0.1:9/"
    recovery = Recovery.TICKETED
    needs_key = False
    orders: list[Call]
    stopped: bool

    async def submit(self, call: Call) -> Outcome:
        Easel.orders.append(call)
        if "refused" in call.request.prompt:
            raise Refused("easel: draws no such thing")
        return Pending({"n": len(Easel.orders) - 1, "looks": 0}, after_s=0.01, fraction=0.0)

    async def poll(self, ticket: Ticket) -> Outcome:
        if Easel.stopped:
            raise Lost("easel: the order was stopped")
        n, looks = int(str(ticket["n"])), int(str(ticket["looks"]))
        request = Easel.orders[n].request
        if looks and "endless" not in request.prompt:
            width, height = request.size or (64, 64)
            seeds = tuple((request.seed or 0) + i for i in range(request.count))
            return Done(tuple(png(width, height, seed % 256) for seed in seeds), seeds)
        return Pending({"n": n, "looks": looks + 1}, after_s=0.01, fraction=0.5)

    async def cancel(self, ticket: Ticket) -> None:
        Easel.stopped = True


def make(home, **settings: object) -> Limner:
    """A Limner not yet entered."""
    Easel.orders, Easel.stopped = [], False
    return Limner(Settings(home=home, **settings), providers={"easel": Easel}, models=MODELS)


@asynccontextmanager
async def entered(home, **settings: object) -> AsyncIterator[Limner]:
    async with make(home, **settings) as limner:
        yield limner


@asynccontextmanager
async def hosted(client: Client) -> AsyncIterator[Client]:
    """The client inside a task of its own: a fixture may end in another task than it began in."""
    ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def host() -> None:
        async with client:
            ready.set_result(client)
            await done.wait()

    task = asyncio.create_task(host())
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    yield await ready
    done.set()
    await task


@contextmanager
def serving(limner: Limner, ceiling: Decimal | None = Decimal(1)) -> Iterator[str]:
    """The address of a real server over `limner`, in a thread of its own."""
    door = McpDoor(limner, ceiling=ceiling)
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            create_app(limner, doors=[door]),
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)

        async def serve() -> None:
            async with limner, door.running():
                await server.serve(sockets=[listener])

        thread = threading.Thread(target=anyio.run, args=(serve,))
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
