"""All that running a job needs; built once by the app."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal

from limner.blobs.store import Blobs
from limner.core.quote import Agreed, Route, Target
from limner.core.request import GenerateRequest
from limner.core.room import Room
from limner.jobs.hooks import Hooks
from limner.jobs.hub import Hub
from limner.jobs.looks import Looks
from limner.providers.base import Provider, Usage
from limner.router.pulse import Pulse
from limner.store.store import Store


@dataclass(frozen=True, slots=True)
class Means:
    """What each part may be asked; `plan` and `provider` may raise `NoRoute`."""

    store: Store
    blobs: Blobs
    hub: Hub
    hooks: Hooks
    pulse: Pulse
    plan: Callable[[GenerateRequest, int | None, Decimal | None], Route]
    """With the seed that was drawn for a caller who gave none, and the most an order may cost."""
    agreed: Callable[[GenerateRequest], Agreed | None]
    """What the request's quote promises; raises `InvalidRequest` for one that cannot be accepted."""
    provider: Callable[[Target], Provider]
    fetch: Callable[[str, str | None], Awaitable[bytes]]
    """A picture from its address, with the host of the account that named it; raises as `Fetcher.fetch`."""
    settled: Callable[[Target, Usage], Decimal | None]
    """The price by a vendor's own count, None when the price does not go by that."""
    version: str
    looks: Looks = field(default_factory=Looks)
    room: Room = field(default_factory=Room)
    """How much of the vendors' answers is in memory at once."""
