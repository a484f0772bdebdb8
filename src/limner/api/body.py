"""Reading what was sent, with limits: a body is bounded, on time, JSON, and says each thing once."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from limner.api.errors import BodyTooLarge, BodyTooSlow, WrongContentType, cut, invalid
from limner.core.errors import InvalidRequest

BODY_S = 30.0
"""Seconds a client has to send its whole body."""
DRAIN = 8 << 20
"""Bytes above the limit that are read and dropped: cut off while sending, a client would see a broken
connection instead of its 413."""
_LONG = 1 << 20
_MAX_VALUES = 100_000
MAX_KEY = 255
"""Characters of an `Idempotency-Key`."""

Body = TypeVar("Body", bound=BaseModel)


async def read(request: Request, into: type[Body], limit: int) -> tuple[Body, tuple[str, ...]]:
    """The body as `into`, strictly typed, and the names it holds that `into` does not know.

    Raises `BodyTooLarge`, `BodyTooSlow`, `WrongContentType` and `InvalidRequest`.
    """
    must_be_json(request)
    return parse(await raw(request, limit), into)


def parse(data: bytes, into: type[Body]) -> tuple[Body, tuple[str, ...]]:
    """The same, of a body that was read before. Raises `InvalidRequest`."""
    text = _decode(data)
    _must_be_plain(text)
    names = _names(text)
    try:
        body = into.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise invalid(error) from error
    return body, tuple(name for name in names if name not in into.model_fields)


def idempotency_key(request: Request) -> str | None:
    """The caller's `Idempotency-Key`: 1 to 255 printable ASCII characters. Raises `InvalidRequest`."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise InvalidRequest(
            f"Idempotency-Key: must be 1 to {MAX_KEY} printable ASCII characters", "Idempotency-Key"
        )
    return key


def must_be_json(request: Request) -> None:
    """Raises `WrongContentType` for a body that is declared as something else."""
    declared = request.headers.get("content-type", "")
    kind = declared.partition(";")[0].strip().lower()
    if (
        kind
        and kind != "application/json"
        and not (kind.startswith("application/") and kind.endswith("+json"))
    ):
        raise WrongContentType(f"the body is declared as {cut(kind, 64)}; send application/json")


async def raw(request: Request, limit: int) -> bytes:
    """The body as it came. Raises `BodyTooLarge`, `BodyTooSlow`, and `WrongContentType` for a packed one."""
    held = bytearray()
    await pour(request, held.extend, limit, BODY_S)
    return bytes(held)


async def pour(request: Request, into: Callable[[bytes], object], limit: int, within_s: float) -> None:
    """The body, piece by piece as it comes, `limit` bytes at most. Raises as `raw`, by then having poured."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise WrongContentType(f"the body is encoded as {cut(coding, 64)}; send it as it is")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:19]) > limit + DRAIN:
        raise _too_large(limit)
    length = 0
    try:
        async with asyncio.timeout(within_s):  # anyio.fail_after takes three times as long
            async for chunk in request.stream():
                length += len(chunk)
                if length <= limit:
                    into(chunk)
                elif length > limit + DRAIN:
                    break
    except TimeoutError as error:
        raise BodyTooSlow(f"the body did not arrive within {within_s:.0f} seconds") from error
    if length > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than {limit:,} bytes; send less")


def _decode(body: bytes) -> str:
    if not body:
        raise InvalidRequest("the body is empty; send a JSON object")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 at byte {error.start}; send UTF-8 text") from error


def _must_be_plain(text: str) -> None:
    """A long body is long by its pictures. Millions of tiny values would take gigabytes to read."""
    if len(text) > _LONG and sum(map(text.count, "{[,")) > _MAX_VALUES:
        raise InvalidRequest(f"the body holds more than {_MAX_VALUES:,} values; send fewer")


def _names(text: str) -> list[str]:
    """The top-level names. Python's own parser, because it alone tells of names that come twice."""
    try:
        document = _JSON.decode(text)
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply; send a flat JSON object") from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}; send a JSON object") from error
    except ValueError as error:
        raise InvalidRequest("the body holds a number of too many digits; send a smaller one") from error
    if not isinstance(document, dict):
        raise InvalidRequest('the body must be a JSON object, such as {"prompt": "a red fox"}')
    return list(document)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    once = dict(pairs)
    if len(once) != len(pairs):
        names = Counter(name for name, _ in pairs)
        twice, _ = names.most_common(1)[0]
        raise InvalidRequest(f"{cut(twice, 64)}: is given twice; give it once", cut(twice, 64))
    return once


def _no_number(word: str) -> NoReturn:
    raise InvalidRequest(f"the body holds {word}, which is not JSON; send a number")


_JSON = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number)
