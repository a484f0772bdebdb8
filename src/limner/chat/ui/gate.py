"""Who may reach the chat window: its own pages. Chainlit itself would let any web page in, which could then
spend money."""

import re
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    b"connect-src 'self' ws: data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    b"frame-ancestors 'none'"
)
"""The page loads nothing from elsewhere: Chainlit's own asks a content network for a style."""
_OURS = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?")


class Gate:
    """Refuses a foreign Host, which a web page may have pointed here, and a foreign Origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] in ("http", "websocket") and not _ours(scope):
            await _refuse(scope, receive, send)
            return

        async def bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"content-security-policy", _POLICY)]
            await send(message)

        await self._app(scope, receive, bound)


def _ours(scope: Scope) -> bool:
    host = _header(scope, b"host")
    if not _OURS.fullmatch(host):
        return False
    origin = _header(scope, b"origin")
    return not origin or urlsplit(origin).netloc == host


def _header(scope: Scope, name: bytes) -> str:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1").lower() if found else ""


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = PlainTextResponse("The chat answers pages of its own address only.", 403)
    await answer(scope, receive, send)
