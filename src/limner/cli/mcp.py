"""`limner mcp`: the tools for a language model's program, over this process's stdin and stdout."""

import contextlib
from collections.abc import Iterator
from decimal import Decimal

import anyio
import uvicorn
from mcp.server.stdio import stdio_server

from limner.api.app import create_app
from limner.app import Limner
from limner.cli import session
from limner.cli.serve import authority, listen
from limner.core.usage import LOCAL_USER
from limner.mcp.server import one_session

_HERE = "127.0.0.1"


def mcp(*, debug: bool) -> None:
    """Serve one session until stdin ends. stdout carries the protocol alone."""
    chosen = session.settings(debug=debug).settings

    async def work() -> None:
        async with session.entered(chosen) as limner, anyio.create_task_group() as tasks:
            if isinstance(limner, Limner):
                tasks.start_soon(_let_others_in, limner)
            await _talk(limner, chosen.mcp_session_usd)
            tasks.cancel_scope.cancel()

    session.run(work)


async def _talk(limner: session.Door, ceiling: Decimal | None) -> None:
    server = one_session(limner, LOCAL_USER, ceiling)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


async def _let_others_in(limner: Limner) -> None:
    """Answer at a free port of this machine: a program keeps this process for hours, and other commands on
    the same home, and other programs' models, must not wait for it."""
    settings = limner.settings
    with listen(_HERE, 0) as listener:
        app = create_app(
            limner, max_body_bytes=settings.max_body_bytes, max_upload_bytes=settings.max_upload_bytes
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
        limner.serving(f"http://{authority(_HERE, listener.getsockname()[1])}")
        await _Server(config).serve(sockets=[listener])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are the command's."""
        yield
