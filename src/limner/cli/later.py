"""The door at `/mcp`, opened when somebody knocks: its library takes 30 MB and 0.4 s, and most servers never
need it."""

import anyio
import anyio.abc
from fastapi import FastAPI
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from limner.app import Limner
from limner.cli.protocol import mcp_missing

PATH = "/mcp"


class Later:
    """Sessions live in `tasks`, which the server sets before it answers and cancels when it ends."""

    tasks: anyio.abc.TaskGroup

    def __init__(self, limner: Limner) -> None:
        self._limner = limner
        self._door: ASGIApp | None = None
        self._opening = anyio.Lock()

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        app.router.routes.append(Route(PATH, self))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        missing = mcp_missing()
        if missing is not None:
            await _refusal(missing)(scope, receive, send)
            return
        async with self._opening:
            if self._door is None:
                self._door = await self.tasks.start(self._open)
        await self._door(scope, receive, send)

    async def _open(self, *, task_status: anyio.abc.TaskStatus[ASGIApp]) -> None:
        await anyio.to_thread.run_sync(_load)
        from limner.mcp.http import McpDoor

        settings = self._limner.settings
        door = McpDoor(self._limner, ceiling=settings.mcp_session_usd, public_url=settings.public_url)
        async with door.running():
            task_status.started(door)
            await anyio.sleep_forever()


def _refusal(why: str) -> JSONResponse:
    """501 in the protocol's shape."""
    error = {"code": -32603, "message": why}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 501)


def _load() -> None:
    """In a thread: what is being answered meanwhile goes on."""
    import limner.mcp.http  # noqa: F401 - to have it loaded is all that is wanted
