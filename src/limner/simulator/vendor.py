"""What a vendor's file is written against: its routes, its errors, and the order in hand."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Literal

from aiohttp import web
from pydantic import JsonValue

from limner.core.errors import InvalidRequest
from limner.simulator.faults import Fault, Kind, named
from limner.simulator.journal import Asked, parsed, texts
from limner.simulator.world import Unreadable, World

__all__ = ["Asked", "ErrorWord", "Order", "Route", "Unreadable", "Vendor", "route"]

ErrorWord = Literal[
    "no_key", "bad_key", "forbidden", "no_money", "rate_limited", "server_error", "overloaded"
]
"""What every vendor can answer in its own words."""

Handler = Callable[..., Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Order:
    """One request that may cost money, and the fault it meets, if any. May be kept and charged later."""

    world: World
    asked: Asked
    fault: Fault | None = None
    body: bytes = b""
    """As it came."""
    prompt: str = ""
    """All the text of the query and the body, which is where markers are looked for."""

    def has(self, kind: Kind) -> bool:
        """Whether this order's fault is of that kind."""
        return self.fault is not None and self.fault.kind == kind

    def fields(self) -> dict[str, JsonValue]:
        """The body as a JSON object. Raises `Unreadable` for anything else."""
        value = parsed(self.body)
        if not isinstance(value, dict):
            raise Unreadable("the body must be a JSON object")
        return value

    def charge(self, usd: Decimal | str, images: int = 1, id: str | None = None) -> None:  # noqa: A002 - the bill's word
        """Write a line of the bill now, heard or not. `usd` is the price of all its `images`.

        Raises `ValueError` when `usd` is no number from 0 up.
        """
        line = self.world.charge(usd, images, id, named(self.prompt))
        self.asked.images += line.images
        self.asked.usd += line.usd


ORDER = web.RequestKey("order", Order)
"""Under which a request keeps its order."""


@dataclass(frozen=True, slots=True)
class Route:
    """One door of a vendor."""

    method: str
    path: str
    handler: Handler
    order: bool
    open: bool


def route(
    method: str,
    path: str,
    handler: Handler,
    *,
    order: bool = False,
    open: bool = False,  # noqa: A002 - an open door needs no key
) -> Route:
    """A door at `path` below `/{vendor}`, in aiohttp's syntax: `/jobs/{id}`, `/{id:.+}`. The first that fits.

    `order`: may cost money; its handler gets `(request, order)`, others `(request)`. `open`: needs no key,
    and whoever sends one is refused with 403. A WebSocket is a route that is no order: `Vendor.order_in`.
    """
    return Route(method, path, handler, order, open)


class Vendor(ABC):
    """One vendor's API. Its state is in attributes set by `reset`, which is called once at the start, too."""

    name: ClassVar[str]
    """The provider's name; everything is below `/{name}`."""
    base: ClassVar[str]
    """What follows `/{name}` in the base address that Limner is given, as in `/v1/`."""
    key: ClassVar[str]
    """The good key; empty when the vendor needs none. `{key}-nocredit`, `-limited` and `-forbidden` are
    good keys in that state."""
    also_under: ClassVar[tuple[str, ...]] = ()
    """Other prefixes that lead to the same routes."""
    any_model: ClassVar[str | None] = None
    """For orders that name no model, where the vendor takes any name."""
    further_keys: ClassVar[tuple[str, ...]] = ()
    """Other whole keys that are let in, for states the vendor judges itself (see `key_of`)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reset()

    @abstractmethod
    def routes(self) -> Iterable[Route]:
        """Its doors."""

    @abstractmethod
    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """The vendor's own status, headers and body for it. See `retry_after_s`."""

    def key_of(self, request: web.Request) -> str | None:
        """The key a request carries, None when it carries none. Default: the bearer token."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """The answer to a path it does not have."""
        return web.json_response({"error": f"no such path: {request.path}"}, status=404)

    def wrong_method(self, request: web.Request, allowed: Iterable[str]) -> web.StreamResponse:
        """The answer to a path it has, asked by another method."""
        headers = {"Allow": ", ".join(sorted(allowed))}
        return web.json_response({"error": "method not allowed"}, status=405, headers=headers)

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """The answer when a handler could not read the body: it raised `Unreadable`, or what `json.loads`
        or pydantic raise."""
        return web.json_response({"error": f"cannot read the request: {why}"}, status=400)

    def reset(self) -> None:  # noqa: B027 - a vendor without state has nothing to forget
        """Forget all orders and jobs."""

    def jobs(self) -> list[dict[str, JsonValue]]:
        """The jobs it knows, for tests and people. Default: none."""
        return []

    def order_of(self, request: web.Request) -> Order:
        """The order of any request, where the handler is given none: `self.order_of(request).has("lost")`."""
        return request[ORDER]

    def retry_after_s(self, request: web.Request) -> float:
        """For `error`: the `after_s` of the fault in force, 1 where none is."""
        fault = self.order_of(request).fault
        return 1.0 if fault is None else fault.after_s

    def order_in(self, request: web.Request, message: str) -> Order:
        """An order that came as a message of a WebSocket: journalled as `WS`, its fault decided by its text.

        Nothing is played around it: every kind of fault, `cut_after` too, is the vendor's to play.
        Raises `Unreadable` for a marker with an unknown kind.
        """
        raw = message.encode()
        asked = self.world.note("WS", request.path, raw)
        try:
            fault = self.world.fault(request.path, texts(raw), order=True)
        except InvalidRequest as error:
            raise Unreadable(str(error)) from error
        asked.fault = None if fault is None else fault.kind
        return Order(self.world, asked, fault, raw, texts(raw))
