"""Fetch a finished picture from where a vendor put it: without our keys, from public hosts only."""

import asyncio
import ipaddress
import socket
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin

import aiohttp
import pybase64
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from limner.core.errors import Lost, Malformed, Unavailable
from limner.core.room import GUESS, make_room

MAX_BYTES = 64 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=60.0, connect=10.0)
_REDIRECTS = 3
_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""What IPv6-only networks reach IPv4 hosts by: the last 32 bits are the address (RFC 6052)."""
_LONGEST_NAME = 253
"""Characters of a host's name (RFC 1035)."""
_own: ContextVar[bool] = ContextVar("own", default=False)
"""The host that is being asked is the account's own, and may be private."""


class Fetcher:
    """Use it as an async context manager. May fetch many pictures at once.

    An address must be http(s) on a public host, or on `own_host`, the host of the account that named it: a
    vendor cannot make us ask machines of our own network. What a name resolves to is checked when the
    connection is made, so that it cannot change in between. Redirects are followed a few times, each checked
    alike.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Fetcher":
        # Neither connections nor names are kept: each is checked for the account it is asked for.
        connector = aiohttp.TCPConnector(
            limit=32, resolver=_PublicOnly(), force_close=True, use_dns_cache=False
        )
        self._http = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._http is not None:
            await self._http.close()

    async def fetch(self, url: str, own_host: str | None = None) -> bytes:
        """The bytes, at most `max_bytes`.

        Raises `Malformed` for an address or a content that is not a picture's, `Lost` when the picture is not
        there (any more), `Unavailable` when asking again may help.
        """
        if url.startswith("data:"):
            return _inline(url, self._max_bytes)
        for _ in range(_REDIRECTS + 1):
            found = await self._get(url, own_host)
            if isinstance(found, bytes):
                return found
            url = _joined(url, found)
        raise Malformed(f"the picture's address leads on more than {_REDIRECTS} times")

    async def _get(self, url: str, own_host: str | None) -> bytes | str:
        """The bytes, or where a redirect leads."""
        address, host = _checked(url, own_host)
        try:
            async with self._session(host, own_host).get(
                address, allow_redirects=False, timeout=_TIMEOUT, headers={"Accept": "image/*"}
            ) as answer:
                return await self._read(answer, host)
        except ValueError as error:  # also aiohttp's own for addresses, which no later try makes better
            raise Malformed(f"the picture's address cannot be read: {error}") from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            if isinstance(error.__cause__, _Private):
                raise Malformed(str(error.__cause__)) from error
            raise Unavailable(
                f"the picture at {host} cannot be fetched now: {type(error).__name__}"
            ) from error

    def _session(self, host: str, own_host: str | None) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("use the Fetcher as a context manager")
        _own.set(host == own_host)
        return self._http

    async def _read(self, answer: aiohttp.ClientResponse, host: str) -> bytes | str:
        match answer.status:
            case 301 | 302 | 303 | 307 | 308:
                return answer.headers.get("Location", "")
            case 200:
                pass
            case 408 | 425 | 429:
                raise Unavailable(f"{host} answered {answer.status} for the picture")
            case status if status >= 500:
                raise Unavailable(f"{host} answered {status} for the picture")
            case status:
                raise Lost(f"{host} answered {status} for the picture: it is not there any more")
        mime = answer.content_type
        if not mime.startswith(_TYPES):
            raise Malformed(f"{host} sent {mime[:60]!r} where the picture should be")
        if (answer.content_length or 0) > self._max_bytes:
            raise Malformed(f"the picture at {host} is {answer.content_length:,} bytes long")
        await make_room(answer.content_length or GUESS)
        data = bytearray()
        async for chunk in answer.content.iter_any():
            data += chunk
            if len(data) > self._max_bytes:
                raise Malformed(f"the picture at {host} is longer than {self._max_bytes:,} bytes")
        return bytes(data)


class _Private(OSError):
    """The name leads into a network that is not public."""


class _PublicOnly(AbstractResolver):
    """Resolves names, and refuses those that lead to a private address unless the host may be private."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
        )
        return [self._result(host, *one) for one in found]

    def _result(
        self, host: str, family: int, _kind: int, proto: int, _name: str, place: tuple[Any, ...]
    ) -> ResolveResult:
        address = str(place[0])
        if not _own.get() and not _public(ipaddress.ip_address(address.partition("%")[0])):
            raise _Private(f"the picture's host {host} leads to the private address {address}; not asked")
        return ResolveResult(
            hostname=host, host=address, port=int(place[1]), family=family, proto=proto, flags=0
        )

    async def close(self) -> None:
        """Nothing is held."""


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise Malformed(f"the picture's address leads on to {location[:80]!r}, which is none") from error


def _checked(url: str, own_host: str | None) -> tuple[URL, str]:
    """The address as it will be asked, and its host. Raises `Malformed`.

    It is read as the HTTP client reads it: full-width digits, for one, are digits there, and a host that
    two readers see differently is how a private address slips through.
    """
    try:
        address = URL(url)
    except ValueError as error:
        raise Malformed(f"the picture's address cannot be read: {error}") from error
    host = address.raw_host
    if address.scheme not in ("http", "https") or not host:
        raise Malformed(f"the picture's address {url[:80]!r} is neither http nor https")
    if len(host) > _LONGEST_NAME:
        raise Malformed(f"the picture's host has a name of {len(host):,} characters; no host has")
    if address.raw_user or address.raw_password:
        raise Malformed(f"the picture's address at {host} holds a password; not asked")
    try:
        place = ipaddress.ip_address(host)
    except ValueError:
        return address, host
    if host != own_host and not _public(place):
        raise Malformed(f"the picture's address {host} is private; not asked")
    return address, host


def _public(place: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """True for a host of the Internet; an IPv4 address inside an IPv6 one is judged as what it is."""
    if isinstance(place, ipaddress.IPv4Address):
        return place.is_global and not place.is_multicast
    inside = place.ipv4_mapped or place.sixtofour
    if place in _TRANSLATED:
        inside = ipaddress.IPv4Address(int(place) & 0xFFFFFFFF)
    if inside is not None:
        return _public(inside)
    return place.is_global and not (place.is_multicast or place.is_site_local or place.is_reserved)


def _inline(url: str, limit: int) -> bytes:
    head, _, data = url.partition(",")
    if not head.startswith("data:image/"):
        raise Malformed(f"{head[:60]!r} is not a picture's address")
    try:
        found = (
            pybase64.b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)
        )
    except ValueError as error:
        raise Malformed(f"the picture inside the address cannot be read: {error}") from error
    if len(found) > limit:
        raise Malformed(f"the picture inside the address is {len(found):,} bytes long")
    return found
