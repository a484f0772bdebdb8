"""What stands before every route, as plain ASGI: a wrapper around the response object would cost more than
the route itself."""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limner.api.caller import OPEN, key_of
from limner.api.errors import Fault, HeadTooLarge, WrongHost, cut, fault_of
from limner.api.head import MAX_HEAD
from limner.api.shapes import respond
from limner.core.errors import NoEntry
from limner.core.ids import uuid7
from limner.core.text import LOOPBACK_NAME

_log = structlog.get_logger()
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Edge:
    """A request id on every answer, the Host check on loopback, the caller's key, and the last net under a
    fault of ours.

    `own_host` is the name in the public address, accepted besides loopback's own names; `who` says whose a
    key is, and raises `NoEntry`.
    """

    def __init__(self, app: ASGIApp, who: Callable[[str | None], str], own_host: str | None = None) -> None:
        self._app = app
        self._who = who
        self._own_host = own_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = False

        async def marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            _check_head(scope)
            self._check_host(scope)
            if not OPEN(scope["path"]):
                scope.setdefault("state", {})["by"] = self._who(key_of(scope["headers"]))
            await self._app(scope, receive, marked)
        except ClientDisconnect:
            _log.debug("the client left before its request was read", path=cut(scope["path"]))
        except (HeadTooLarge, WrongHost, NoEntry) as error:
            await respond(fault_of(error), scope["path"])(scope, receive, marked)
        except Exception:
            _log.exception(
                "request failed", method=scope["method"], path=cut(scope["path"]), request=request_id.decode()
            )
            if started:
                raise  # the server cuts the connection: a broken answer must not look whole
            fault = Fault(
                "error", f"Limner failed here; its log tells more under request {request_id.decode()}"
            )
            await respond(fault, scope["path"])(scope, receive, marked)

    def _check_host(self, scope: Scope) -> None:
        """On loopback only loopback's names are ours; a web page elsewhere may have pointed its own here."""
        server = scope.get("server")
        if server is None or not _is_loopback(server[0]):
            return
        host = _header(scope, b"host").decode("latin-1").lower()
        name = _host_name(host)
        if not name or name == self._own_host or LOOPBACK_NAME.fullmatch(name):
            return  # a browser always names the host; what names none is a plain old client
        raise WrongHost(
            f"this server listens on loopback only and does not go by {cut(name, 64)!r}; "
            "use http://127.0.0.1 or set public_url to the address your proxy serves"
        )


def _check_head(scope: Scope) -> None:
    length = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    for name, value in scope["headers"]:
        length += len(name) + len(value) + 4  # a colon, a blank and the line's end
    if length > MAX_HEAD:
        raise HeadTooLarge(f"the address and the headers are longer than {MAX_HEAD:,} bytes; send less")


def _request_id(scope: Scope) -> bytes:
    given = _header(scope, b"x-request-id")
    return given if _REQUEST_ID.fullmatch(given) else uuid7().encode()


def _header(scope: Scope, name: bytes) -> bytes:
    value: bytes
    for key, value in scope["headers"]:
        if key == name:
            return value
    return b""


@lru_cache(maxsize=64)
def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # a Unix socket's path, or a test's name
        return False


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
