"""The protocol over HTTP at `/mcp`: what stands in front of the library's own transport."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from ipaddress import ip_address
from typing import NoReturn, Protocol
from urllib.parse import urlsplit

import anyio
import orjson
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types import INVALID_REQUEST, PARSE_ERROR
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from limner.core.text import LOOPBACK_NAME
from limner.core.usage import LOCAL_USER
from limner.mcp.purse import Purse, Purses
from limner.mcp.server import Context, server
from limner.mcp.verbs import Verbs

PATH = "/mcp"
MAX_BODY_BYTES = 12 << 20
"""A picture of 8 MiB may be handed over as text."""
BODY_S = 30.0
"""Seconds a client has to send it."""
MAX_ID = 256
"""Characters of a message's id: every answer repeats it."""
MAX_SESSIONS = 1_000
IDLE_S = 1_800.0
_METHODS = ("GET", "POST", "DELETE")
_SESSION = "mcp-session-id"


class _App(Protocol):
    """What holds the routes."""

    @property
    def routes(self) -> list[BaseRoute]:
        """In the order they are tried."""
        ...


class McpDoor:
    """`/mcp`: sessions of callers that the app in front has let in. `ceiling` is what each may spend."""

    def __init__(self, limner: Verbs, *, ceiling: Decimal | None, public_url: str = "") -> None:
        self._limner = limner
        self._purses = Purses(ceiling)
        self._own_origin = _origin(public_url)
        self._sessions: StreamableHTTPSessionManager | None = None

    def mount(self, app: _App) -> None:
        """Add the route."""
        app.routes.append(Route(PATH, self))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve sessions inside the block; all end with it. May be entered again."""
        self._sessions = StreamableHTTPSessionManager(
            server(self._limner, self._who),
            session_idle_timeout=IDLE_S,
            max_sessions=MAX_SESSIONS,
            max_request_body_size=MAX_BODY_BYTES,
        )
        try:
            async with self._sessions.run():
                yield
        finally:
            self._sessions = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        refused = self._refused(scope)
        if refused is None and scope["method"] == "POST":
            body = await _whole(receive)
            refused = body if isinstance(body, Response) else _not_one_message(body)
            receive = receive if isinstance(body, Response) else _again(body, receive)
        if refused is None and self._sessions is not None:
            # The key was checked in front; the library lets a session be used by nobody but who opened it.
            scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=_caller(scope), scopes=[]))
            await self._sessions.handle_request(scope, receive, send)
            return
        await (refused or _error(503, "Not serving now; try again"))(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        if scope["method"] not in _METHODS:
            allowed = ", ".join(_METHODS)
            return _error(405, f"Not that way; allowed: {allowed}", {"allow": allowed})
        headers = Headers(scope=scope)
        if headers.get("origin") is not None and not self._knows(headers["origin"], headers.get("host", "")):
            return _error(
                403, "Web pages of other sites may not call this; set public_url to the address you serve"
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind != "application/json":
            return _error(415, "Send the message as application/json")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            return _error(415, "Send the message as it is, not packed")
        return None

    def _knows(self, origin: str, host: str) -> bool:
        """A page of this machine, of the public address, or of the very address that was asked: by number,
        since a name may have been pointed here by anybody."""
        given = _origin(origin)
        if given is None:
            return False
        name = urlsplit(given).hostname or ""
        if LOOPBACK_NAME.fullmatch(name) or given == self._own_origin:
            return True
        return _is_number(name) and urlsplit(given).netloc == host.lower()

    def _who(self, ctx: Context) -> tuple[str, Purse]:
        request = ctx.request
        if request is None:
            raise AssertionError("over HTTP every message comes with its request")
        by = _caller(request.scope)
        session = request.headers.get(_SESSION)
        # Later protocols know no sessions: an id in their header is anything a client may think of.
        if session is None or ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
            return by, self._purses.of_caller(by)
        return by, self._purses.of_session(session)


def _caller(scope: Scope) -> str:
    found: str = scope.get("state", {}).get("by", LOCAL_USER)
    return found


async def _whole(receive: Receive) -> bytes | Response:
    """The request's body, or why it is not read."""
    held = bytearray()
    with anyio.move_on_after(BODY_S):
        while True:
            message = await receive()
            held += message.get("body", b"")
            if len(held) > MAX_BODY_BYTES:
                said = f"The body is larger than {MAX_BODY_BYTES:,} bytes; send less"
                return _error(413, said, {"connection": "close"})
            if not message.get("more_body", False):
                return bytes(held)
    return _error(408, f"The body did not arrive within {BODY_S:.0f} seconds", {"connection": "close"})


def _again(body: bytes, receive: Receive) -> Receive:
    """The body to be read once more, then whatever follows it."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _not_one_message(body: bytes) -> Response | None:
    """What the library would take, or echo, at any length."""
    try:
        message = json.loads(body.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        said = "The body is not JSON that says each thing once; send one JSON-RPC message"
        return _error(400, said, code=PARSE_ERROR)
    if not isinstance(message, dict):
        return _error(400, "Send one JSON-RPC message, as an object; batches are not taken")
    if message.get("jsonrpc") != "2.0" or not _is_asked_or_answered(message):
        return _error(400, 'That is no JSON-RPC message; it needs "jsonrpc": "2.0" and a "method"')
    given = message.get("id", 0)
    if isinstance(given, bool) or not isinstance(given, int | str) or len(str(given)) > MAX_ID:
        return _error(400, f"The id must be a whole number, or text of at most {MAX_ID} characters")
    return None


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    once = dict(pairs)
    if len(once) != len(pairs):
        raise ValueError("a name is given twice")
    return once


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _is_asked_or_answered(message: dict[str, object]) -> bool:
    """A request or a notification, or the answer to a question of ours."""
    asked = message.get("method")
    if asked is not None:
        return isinstance(asked, str) and isinstance(message.get("params", {}), dict | None)
    return isinstance(message.get("result", message.get("error")), dict)


def _error(
    status: int, message: str, headers: dict[str, str] | None = None, *, code: int = INVALID_REQUEST
) -> Response:
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return Response(orjson.dumps(body), status, headers, "application/json")


def _origin(url: str) -> str | None:
    """`scheme://host:port` in lower case, None for what is none."""
    try:
        parts = urlsplit(url.lower())
        _ = parts.port
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else None


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
