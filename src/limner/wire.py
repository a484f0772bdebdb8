"""HTTP to one account: parsed models out, `ProviderError`s up. One POST is one POST, never repeated."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import aiohttp
import orjson
from pydantic import BaseModel, JsonValue, ValidationError

from limner.core.errors import (
    Lost,
    Malformed,
    ProviderError,
    RateLimited,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)

M = TypeVar("M", bound=BaseModel)
Classify = Callable[[int, Mapping[str, str], bytes], ProviderError | None]

_READ_BUFFER = 128 * 1024
_SHOWN = 200


def by_status(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
    """The error an HTTP status means, for vendors that use statuses as HTTP defines them."""
    said = body[:_SHOWN].decode("utf-8", "replace")
    match status:
        case _ if status < 400:
            return None
        case 401 | 402 | 403:
            return Unauthorized(f"{status}: {said}")
        case 404 | 410:
            return Lost(f"{status}: {said}")
        case 408 | 504:
            return TimedOut(f"{status}: {said}")
        case 429:
            return RateLimited(f"{status}: {said}", after_s=retry_after_s(headers))
        case _ if status < 500:
            return Rejected(f"{status}: {said}")
        case _:
            return Unavailable(f"{status}: {said}")


def retry_after_s(headers: Mapping[str, str], default: float = 1.0) -> float:
    """Seconds the `Retry-After` header asks for; dates and nonsense give the default."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else default


def session() -> aiohttp.ClientSession:
    """The one session of a process: no cookies, no limit of its own, no retry.

    Must be called inside a running event loop and closed by the caller.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_READ_BUFFER,
        json_serialize=lambda value: orjson.dumps(value).decode(),
    )


class Wire:
    """One account's address and headers. `timeout_s` bounds one call, from connect to the last byte."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        headers: Mapping[str, str],
        *,
        classify: Classify = by_status,
        timeout_s: float = 60.0,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/") + "/"
        self._headers = dict(headers)
        self._classify = classify
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s, 10.0))

    @property
    def address(self) -> str:
        """Where the account is, for people."""
        return self._base_url

    async def get(self, path: str, *, into: type[M]) -> M:
        """GET and parse. A broken connection is `Unavailable`: asking costs nothing and may be repeated."""
        return _parse(await self._send("GET", path), into)

    async def post(self, path: str, *, into: type[M], json: JsonValue) -> M:
        """POST and parse. A connection broken after it was made is `TimedOut`: the order may have arrived."""
        return _parse(await self._send("POST", path, json), into)

    async def delete(self, path: str) -> None:
        """DELETE; the answer's body is not read."""
        await self._send("DELETE", path)

    async def fetch(self, path: str) -> bytes:
        """GET the bytes of a picture."""
        return await self._send("GET", path)

    async def _send(self, method: str, path: str, json: JsonValue = None) -> bytes:
        lost: type[ProviderError] = TimedOut if method == "POST" else Unavailable
        try:
            async with self._http.request(
                method,
                self._base_url + path,
                json=json,
                headers=self._headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                error = self._classify(answer.status, answer.headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as fault:
            raise Unavailable(f"{self._base_url} cannot be reached: {_reason(fault)}") from fault
        except TimeoutError as fault:
            raise lost(f"{self._base_url} did not answer in {self._timeout.total:g} s") from fault
        except aiohttp.ClientError as fault:
            raise lost(f"{self._base_url} broke the connection: {type(fault).__name__}") from fault
        if isinstance(error, Lost) and method == "POST":
            raise Rejected(str(error))  # an order has no ticket yet that could be lost
        if error is not None:
            raise error
        return body


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault) or type(fault).__name__


def _parse(body: bytes, into: type[M]) -> M:
    try:
        return into.model_validate_json(body)
    except ValidationError as fault:
        where = ".".join(str(part) for part in fault.errors()[0]["loc"]) or "the answer"
        raise Malformed(f"cannot read {where}: {body[:_SHOWN].decode('utf-8', 'replace')}") from fault
