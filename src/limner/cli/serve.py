"""The commands that stay: the server, a worker, the engine."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import anyio
import uvicorn

from limner.api.app import create_app
from limner.api.head import BoundedHead
from limner.app import Limner
from limner.cli import session, tune, view, words
from limner.cli.later import Later
from limner.cli.listening import authority, listen, no_port
from limner.cli.logs import configure
from limner.config import Loaded, load
from limner.core.errors import InvalidRequest, SetupError
from limner.core.text import LOOPBACK_NAME

if TYPE_CHECKING:
    from limner.cli.rpc import Place
    from limner.rpc.server import RpcServer

_GRACE_S = 3


def serve(
    *,
    host: str | None,
    port: int | None,
    grpc_port: int | None = None,
    simulated: tuple[str, int | None] | None = None,
) -> None:
    """HTTP and gRPC, until SIGTERM or Ctrl-C; what is being answered then gets some seconds to end.

    `simulated` are the schedule of faults and the seed for stand-ins of all vendors.
    """
    loaded = load(overrides={"host": host, "port": port, "grpc_port": grpc_port})
    settings = loaded.settings
    configure(settings.log_level, settings.log_format)
    with listen(settings.host, settings.port) as listener:
        where = _rpc_place(loaded)
        if simulated is None:
            run_server(Limner(settings), listener, where)
        else:
            from limner.cli.simulate import beside

            _run(beside(settings, *simulated), listener, where)


def _rpc_place(loaded: Loaded) -> "Place | None":
    """Where gRPC is to answer, if at all: its library is loaded only then."""
    if loaded.settings.grpc_port == 0:
        return None
    from limner.cli.rpc import place

    return place(loaded)


def run_server(limner: Limner, listener: socket.socket, rpc: "Place | None" = None) -> None:
    """Answer at `listener` with a Limner not yet entered, until SIGTERM or Ctrl-C."""
    _run(contextlib.nullcontext(limner), listener, rpc)


def _run(making: AbstractAsyncContextManager[Limner], listener: socket.socket, rpc: "Place | None") -> None:
    # An event loop of its own making: uvicorn's runner would end the process before Limner has ended.
    anyio.run(_made, making, listener, rpc, backend_options={"use_uvloop": sys.platform != "win32"})


async def _made(
    making: AbstractAsyncContextManager[Limner], listener: socket.socket, rpc: "Place | None"
) -> None:
    async with making as limner:
        await _serve(limner, listener, rpc)


async def _serve(limner: Limner, listener: socket.socket, rpc: "Place | None") -> None:
    settings = limner.settings
    base = f"http://{authority(settings.host, listener.getsockname()[1])}"
    models = Later(limner)
    server = _Server(
        uvicorn.Config(
            create_app(
                limner,
                max_body_bytes=settings.max_body_bytes,
                max_upload_bytes=settings.max_upload_bytes,
                public_url=settings.public_url,
                doors=[models],
            ),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            http=BoundedHead,
            timeout_graceful_shutdown=_GRACE_S,
        ),
        started=lambda: _answers(
            limner, base, settings.public_url or base, None if server.beside is None else rpc
        ),
    )
    # Before Limner begins to run: who stops a server that is just starting wants it to end in order, too.
    loop = asyncio.get_running_loop()
    for number in session.STOP:
        loop.add_signal_handler(number, server.handle_exit, number, None)
    async with limner, anyio.create_task_group() as models.tasks, _answering(limner, rpc) as service:
        server.beside = service
        await server.serve(sockets=[listener])
        models.tasks.cancel_scope.cancel()


def _answering(limner: Limner, rpc: "Place | None") -> AbstractAsyncContextManager["RpcServer | None"]:
    if rpc is None:
        return contextlib.nullcontext()
    from limner.cli.rpc import answering

    return answering(limner, rpc)


def _answers(limner: Limner, base: str, public: str, rpc: "Place | None") -> None:
    limner.serving(base)
    if not limner.settings.callers and not LOOPBACK_NAME.fullmatch(limner.settings.host.strip("[]")):
        words.warn(
            "anybody who reaches this address may order pictures; LIMNER_API_KEYS makes it ask for a key"
        )
    view.out().print(f"Limner answers at {public} (reference: {public}/docs). Ctrl-C stops it.", markup=False)
    if rpc is not None:
        from limner.cli.rpc import say

        say(limner, rpc)


class _Server(uvicorn.Server):
    """Leaves the signals to us and says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started
        self.beside: RpcServer | None = None
        """Stops when this one does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn would repeat the signal when it is done, while Limner is still ending."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        tune.settle()
        self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of both doors at once."""
        async with asyncio.TaskGroup() as ending:
            ending.create_task(super().shutdown(sockets))
            if self.beside is not None:
                ending.create_task(self.beside.stop())


def worker() -> None:
    """Run jobs without a door, until SIGTERM or Ctrl-C."""

    async def work() -> None:
        async with Limner(settings):
            view.err().print(f"limner: a worker runs the jobs of {settings.home}", markup=False)
            await anyio.sleep_forever()

    settings = load().settings
    configure(settings.log_level, settings.log_format)
    try:
        session.run(work)
    except KeyboardInterrupt:
        return  # to be stopped is how a worker ends


def engine(host: str, port: int, threads: int | None) -> int:
    """The engine alone, in the foreground. Raises InvalidRequest and SetupError for a port it cannot have."""
    from limner.engine.process import main

    if not 0 <= port <= 65535:
        raise InvalidRequest(f"--port must be from 0 (any that is free) to 65535, not {port}", "port")
    given = [] if threads is None else ["--threads", str(threads)]
    try:
        return main(["--host", host, "--port", str(port), *given])
    except OSError as error:
        raise SetupError(no_port(error, host, port)) from None
