"""What was asked and what was charged. No key is ever written down."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from pydantic import JsonValue

HIDDEN = "***"
CREDENTIALS = frozenset(
    {"authorization", "x-key", "key", "x-goog-api-key", "x-api-key", "api-key", "xi-api-key"}
)
"""Headers that carry a key at one vendor or another."""

_SECRETS = CREDENTIALS | {"apikey", "api_key", "token", "access_token", "password", "secret", "cookie"}
_KEPT = 10_000
_LONGEST = 2000


@dataclass(slots=True)
class Asked:
    """One request: when (Unix seconds), what, and what came of it; no answer is no `status`."""

    at: float
    vendor: str
    method: str
    path: str
    headers: dict[str, str]
    body: JsonValue
    """Parsed JSON with long texts cut, else its size as `{"bytes": n}`, None when there was none."""
    query: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    fault: str | None = None
    images: int = 0
    usd: Decimal = Decimal(0)
    carried_key: bool = False
    """Whether it had a header, parameter or text with a key in it."""

    def as_json(self) -> dict[str, JsonValue]:
        """For the admin's answers."""
        return asdict(self) | {"usd": str(self.usd)}


class Journal:
    """The last requests, oldest first."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque(maxlen=_KEPT)

    def add(self, asked: Asked) -> None:
        """Write it down; what comes of it is filled in later."""
        self._asked.append(asked)

    def read(self, vendor: str | None = None, path: str | None = None) -> list[Asked]:
        """Those at a vendor, and with this text in their path."""
        return [
            one for one in self._asked if vendor in (None, one.vendor) and (path is None or path in one.path)
        ]

    def clear(self) -> None:
        """Forget them."""
        self._asked.clear()


@dataclass(frozen=True, slots=True)
class Line:
    """One charge."""

    at: float
    vendor: str
    id: str
    usd: Decimal
    images: int
    name: str = ""
    """What the order calls itself, with `[[order:NAME]]` in its prompt; a bill need not know."""

    def as_json(self) -> dict[str, JsonValue]:
        """For the admin's answers: money is text, and a name is there where there is one."""
        shown = asdict(self) | {"usd": str(self.usd)}
        return shown if self.name else {key: value for key, value in shown.items() if key != "name"}


class Bill:
    """Every charge since the start or the last reset."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def of(self, vendor: str | None = None) -> list[Line]:
        """The lines of one vendor, or all."""
        return [line for line in self.lines if vendor in (None, line.vendor)]

    def usd(self, vendor: str | None = None) -> Decimal:
        """What was charged in US dollars."""
        return sum((line.usd for line in self.of(vendor)), Decimal(0))

    def images(self, vendor: str | None = None) -> int:
        """How many pictures were charged."""
        return sum(line.images for line in self.of(vendor))

    def orders(self, vendor: str | None = None) -> int:
        """How many charges there were."""
        return len(self.of(vendor))

    def as_json(self, vendor: str | None = None) -> dict[str, JsonValue]:
        """Totals and lines; money is text."""
        lines = self.of(vendor)
        return {
            "total_usd": str(self.usd(vendor)),
            "vendors": {name: self._total(name) for name in sorted({line.vendor for line in lines})},
            "lines": [line.as_json() for line in lines],
        }

    def _total(self, vendor: str) -> JsonValue:
        return {
            "orders": self.orders(vendor),
            "images": self.images(vendor),
            "usd": str(self.usd(vendor)),
        }


def carries_key(headers: Mapping[str, str], query: Mapping[str, str], keys: Iterable[str]) -> bool:
    """Whether a request carries a key: a header has the name of one, or one of `keys` is in any value."""
    known = tuple(keys)
    values = [*headers.values(), *query.values()]
    return any(name.lower() in CREDENTIALS for name in headers) or any(
        key in value for value in values for key in known
    )


def hide(values: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Headers or parameters as they may be written down: a key is `***`, the word before it stays."""
    known = tuple(keys)
    return {name: _hidden(name, value, known) for name, value in values.items()}


def _hidden(name: str, value: str, keys: Iterable[str]) -> str:
    if name.lower() in _SECRETS:
        scheme, space, _ = value.partition(" ")
        return f"{scheme} {HIDDEN}" if space else HIDDEN
    return _blank(value, keys)


def _blank(text: str, keys: Iterable[str]) -> str:
    shown = text[:_LONGEST]
    for key in keys:
        shown = shown.replace(key, HIDDEN)
    return shown if len(text) <= _LONGEST else f"{shown[:64]}... ({len(text)} characters)"


def body_shown(raw: bytes, keys: Iterable[str]) -> JsonValue:
    """A body as it may be written down."""
    if not raw:
        return None
    value = parsed(raw)
    return {"bytes": len(raw)} if value is None else _shown(value, tuple(keys))


def parsed(raw: bytes) -> JsonValue:
    """The JSON in a body, None when there is none to read."""
    try:
        value: JsonValue = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value


def _shown(value: JsonValue, keys: tuple[str, ...]) -> JsonValue:
    match value:
        case str():
            return _blank(value, keys)
        case list():
            return [_shown(one, keys) for one in value]
        case dict():
            return {
                name: HIDDEN if name.lower() in _SECRETS and isinstance(one, str) else _shown(one, keys)
                for name, one in value.items()
            }
        case _:
            return value


def texts(raw: bytes) -> str:
    """All the text in a body: the strings of JSON one by one, else the body as it is."""
    value = parsed(raw)
    return raw.decode("utf-8", "replace") if value is None else "\n".join(_strings(value))


def _strings(value: JsonValue) -> Iterable[str]:
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _strings(one)
        case dict():
            for one in value.values():
                yield from _strings(one)
        case _:
            pass
