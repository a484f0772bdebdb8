"""`limner mcp`: the tools for a language model's program, over this process's stdin and stdout."""

from decimal import Decimal

import anyio
from mcp.server.stdio import stdio_server

from limner.app import Limner
from limner.cli import session
from limner.cli.letting_in import let_others_in
from limner.core.usage import LOCAL_USER
from limner.mcp.server import one_session


def mcp(*, debug: bool) -> None:
    """Serve one session until stdin ends. stdout carries the protocol alone."""
    chosen = session.settings(debug=debug).settings

    async def work() -> None:
        async with session.entered(chosen) as limner, anyio.create_task_group() as tasks:
            if isinstance(limner, Limner):
                tasks.start_soon(let_others_in, limner)
            await _talk(limner, chosen.mcp_session_usd)
            tasks.cancel_scope.cancel()

    session.run(work)


async def _talk(limner: session.Door, ceiling: Decimal | None) -> None:
    server = one_session(limner, LOCAL_USER, ceiling)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
