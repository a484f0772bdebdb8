"""HTTP to one account: parsed models out, `ProviderError`s up. One POST is one POST, never repeated."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, TypeVar
from urllib.parse import urlsplit

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
from limner.core.room import GUESS, LARGE, make_room

M = TypeVar("M", bound=BaseModel)
Method = Literal["GET", "POST", "PUT", "DELETE"]
Classify = Callable[[int, Mapping[str, str], bytes], ProviderError | None]

_JSON = {"Content-Type": "application/json"}
_READ_BUFFER = 128 * 1024
_SHOWN = 200
_LONGEST_ANSWER = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a multipart form; with a file name it is a file."""

    name: str
    value: str | bytes
    filename: str | None = None
    mime: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, for vendors that answer with a picture or speak in headers."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def mime(self) -> str:
        """The media type without its parameters, lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def read(self, into: type[M]) -> M:
        """The body as a model. Raises `Malformed`."""
        return _parse(self.body, into)


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    name: str
    data: bytes

    def read(self, into: type[M]) -> M:
        """The data as a model. Raises `Malformed`."""
        return _parse(self.data, into)


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
        case 408 | 500 | 502 | 504 | 520 | 522 | 524:
            # Something between or behind broke: an order may have been taken before it did.
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
    """One account's address and headers. `timeout_s` bounds one call, from connect to the last byte.

    Paths are relative to `base_url`; the empty one is the address itself. A whole address is taken too, as
    vendors give them in tickets, when its host is the account's own or lies in one of the domains `hosts`:
    nobody else ever sees the key.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        headers: Mapping[str, str],
        *,
        classify: Classify = by_status,
        timeout_s: float = 60.0,
        hosts: Sequence[str] = (),
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/") + "/"
        self._headers = dict(headers)
        self._classify = classify
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(timeout_s, 10.0))
        self._hosts = tuple(hosts)

    @property
    def address(self) -> str:
        """Where the account is, for people: without a password that it may carry."""
        parts = urlsplit(self._base_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def host(self) -> str:
        """The account's own host."""
        return urlsplit(self._base_url).hostname or ""

    async def get(self, path: str, *, into: type[M], headers: Mapping[str, str] | None = None) -> M:
        """GET and parse. A broken connection is `Unavailable`: asking costs nothing and may be repeated."""
        return (await self.send("GET", path, headers=headers)).read(into)

    async def post(
        self,
        path: str,
        *,
        into: type[M],
        json: JsonValue = None,
        form: Sequence[Part] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """POST an order and parse the answer. A connection broken after it was made is `TimedOut`: the order
        may have arrived."""
        return (await self.send("POST", path, json=json, form=form, headers=headers, order=True)).read(into)

    async def ask(self, path: str, *, into: type[M], json: JsonValue = None) -> M:
        """POST a question, which costs nothing and may be repeated; faults as for `get`."""
        return (await self.send("POST", path, json=json)).read(into)

    async def delete(self, path: str) -> None:
        """DELETE; the answer's body is not read."""
        await self.send("DELETE", path)

    async def fetch(self, path: str) -> bytes:
        """GET the bytes of a picture that the account itself keeps."""
        return (await self.send("GET", path)).body

    async def upload(self, url: str, form: Sequence[Part]) -> None:
        """POST files to a store that the vendor names, without our key. Costs nothing, so that a fault is
        `Unavailable`. Raises `Malformed` for an address without TLS that is not on the account's own host."""
        mine, other = urlsplit(self._base_url), urlsplit(url)
        if other.scheme != "https" and (other.scheme, other.hostname) != (mine.scheme, mine.hostname):
            raise Malformed(f"the vendor sends our files to {url[:100]!r}, which is not safe")
        async with (
            self._faults(order=False),
            self._http.post(
                url, data=_multipart(form), timeout=self._timeout, allow_redirects=False
            ) as answer,
        ):
            if answer.status >= 300:
                said = (await _body(answer))[:_SHOWN].decode("utf-8", "replace")
                raise Unavailable(f"{other.hostname} does not take our file: {answer.status}: {said}")

    async def send(
        self,
        method: Method,
        path: str,
        *,
        json: JsonValue = None,
        form: Sequence[Part] | None = None,
        headers: Mapping[str, str] | None = None,
        order: bool = False,
    ) -> Answer:
        """One call. With `order` it may cost money, and a lost answer is `TimedOut`, else `Unavailable`."""
        async with self._open(method, path, json, form, headers, order=order) as answer:
            body = await _body(answer)
            error = self._classify(answer.status, answer.headers, body)
            if error is not None:
                raise (_of_an_order(error) or error) if order else error
            return Answer(answer.status, answer.headers, body)

    @asynccontextmanager
    async def lines(
        self,
        path: str,
        *,
        json: JsonValue = None,
        form: Sequence[Part] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """POST an order whose answer comes in lines as it is made; each without its line end."""
        async with self._open("POST", path, json, form, headers, order=True) as answer:
            if answer.status >= 400:
                error = self._classify(answer.status, answer.headers, await _body(answer))
                raise _of_an_order(error) or Malformed(f"{answer.status} without a reason")
            yield _lines(answer.content)

    @asynccontextmanager
    async def events(
        self,
        path: str,
        *,
        json: JsonValue = None,
        form: Sequence[Part] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """POST an order whose answer is a stream of server-sent events."""
        async with self.lines(path, json=json, form=form, headers=headers) as lines:
            yield _events(lines)

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, to listen for progress. A broken one is `Unavailable`."""
        async with (
            self._faults(order=False),
            self._http.ws_connect(
                self._address(path), headers=self._headers, max_msg_size=_LONGEST_ANSWER
            ) as socket,
        ):
            yield socket

    @asynccontextmanager
    async def _open(
        self,
        method: Method,
        path: str,
        json: JsonValue,
        form: Sequence[Part] | None,
        headers: Mapping[str, str] | None,
        *,
        order: bool,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        address = self._address(path)
        async with (
            self._faults(order=order),
            self._http.request(
                method,
                address,
                data=_json(json) if form is None else _multipart(form),
                headers=self._headers | ({} if json is None else _JSON) | dict(headers or {}),
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer,
        ):
            yield answer

    @asynccontextmanager
    async def _faults(self, *, order: bool) -> AsyncIterator[None]:
        """What the network does to a call, as errors that say what next."""
        lost: type[ProviderError] = TimedOut if order else Unavailable
        try:
            yield
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as fault:
            raise Unavailable(f"{self.address} cannot be reached: {_reason(fault)}") from fault
        except TimeoutError as fault:
            raise lost(f"{self.address} did not answer in {self._timeout.total:g} s") from fault
        except (aiohttp.ClientError, ConnectionError) as fault:
            raise lost(f"{self.address} broke the connection: {type(fault).__name__}") from fault

    def _address(self, path: str) -> str:
        """The whole address. Raises `Malformed` for a host that must not see the key."""
        if not path:
            return self._base_url.rstrip("/")
        if not path.startswith(("http://", "https://")):
            return self._base_url + path.lstrip("/")
        mine, other = urlsplit(self._base_url), urlsplit(path)
        host = other.hostname or ""
        if host == mine.hostname and other.scheme == mine.scheme:
            return path
        if other.scheme == "https" and any(host == one or host.endswith(f".{one}") for one in self._hosts):
            return path
        raise Malformed(f"the vendor sends us to {host[:100]!r}, which is not its own; the key stays here")


def _of_an_order(error: ProviderError | None) -> ProviderError | None:
    """An order has no ticket yet that could be lost: its 404 says that it is not taken."""
    return Rejected(str(error)) if isinstance(error, Lost) else error


def _json(value: JsonValue) -> bytes | BytesIO | None:
    """The body; a long one, with pictures in it, as a file, which is sent in pieces."""
    if value is None:
        return None
    body = orjson.dumps(value)
    return body if len(body) <= _READ_BUFFER else BytesIO(body)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, if it is not larger than any picture. Raises `Malformed`."""
    if (answer.content_length or 0) > _LONGEST_ANSWER:
        raise Malformed(f"the answer is {answer.content_length:,} bytes long")
    if answer.content_length:
        await make_room(answer.content_length)
    parts, size = [], 0
    async for chunk in answer.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if answer.content_length is None and size > LARGE:
            await make_room(GUESS)  # at once from the second time on
        if size > _LONGEST_ANSWER:
            raise Malformed(f"the answer is longer than {_LONGEST_ANSWER:,} bytes")
    return b"".join(parts)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length, as `readline` would cut them off at its buffer's size."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" in chunk:
            *whole, last = rest.split(b"\n")
            rest = last
            for line in whole:
                yield bytes(line.removesuffix(b"\r"))
        if len(rest) > _LONGEST_ANSWER:
            raise Malformed(f"a line of the answer is longer than {_LONGEST_ANSWER:,} bytes")
    if rest:
        yield bytes(rest)


async def _events(lines: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    name, data = "message", []
    async for line in lines:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
        elif not line and data:
            yield Event(name, b"\n".join(data))
            name, data = "message", []


def _multipart(parts: Sequence[Part]) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for part in parts:
        form.add_field(part.name, part.value, filename=part.filename, content_type=part.mime)
    return form


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault) or type(fault).__name__


def _parse(body: bytes, into: type[M]) -> M:
    try:
        return into.model_validate_json(body)
    except ValidationError as fault:
        where = ".".join(str(part) for part in fault.errors()[0]["loc"]) or "the answer"
        raise Malformed(f"cannot read {where}: {body[:_SHOWN].decode('utf-8', 'replace')}") from fault
