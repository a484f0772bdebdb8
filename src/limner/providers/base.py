"""What a vendor must say. A provider says the order and reads the answer; nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from pydantic import JsonValue

from limner.core.errors import Lost, ProviderError
from limner.core.request import GenerateRequest
from limner.wire import Wire, by_status

Ticket = dict[str, JsonValue]
"""What a vendor gave us to ask again by: survives JSON and a restart, holds no secret."""


class Recovery(Enum):
    """What can be learnt about an order whose answer was lost."""

    NAMED = "named"
    """We choose the order's id, and a second order under the same id is refused or harmless."""
    TICKETED = "ticketed"
    """The vendor returns an id."""
    BLIND = "blind"
    """The answer, or nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """One order. `request` has its size, steps, guidance and seed set as they are to be sent."""

    key: str
    """Ours, unique per attempt; the order's id where the vendor lets us choose it."""
    model: str
    """The vendor's own name of the model."""
    request: GenerateRequest
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    inputs: tuple[bytes, ...] = ()
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Accepted, not finished. Ask again by the ticket in `after_s` seconds."""

    ticket: Ticket
    after_s: float = 1.0
    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Finished: the encoded pictures."""

    images: tuple[bytes, ...]
    seeds: tuple[int, ...] = ()
    """One per picture when the vendor tells them."""
    cost_usd: str | None = None
    """The vendor's own figure as a decimal, None when it tells none."""
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Answer of a probe, which is never a paid call."""

    ok: bool
    reason: str = ""


Outcome = Pending | Done
Report = Callable[[Pending], None]


class Provider(ABC):
    """One vendor. Stateless: everything lasting is in the ticket."""

    name: ClassVar[str]
    base_url: ClassVar[str]
    recovery: ClassVar[Recovery]

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @staticmethod
    def auth(key: str) -> dict[str, str]:
        """Headers that carry the key. Default: a bearer token."""
        return {"Authorization": f"Bearer {key}"} if key else {}

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """The error an answer means, None when it is fine. Default: by status alone."""
        return by_status(status, headers, body)

    @abstractmethod
    async def submit(self, call: Call) -> Outcome:
        """Place the order: at most one POST that can cost money. Raises `ProviderError`."""

    async def poll(self, ticket: Ticket) -> Outcome:
        """Ask how an accepted order is doing. Raises `Lost` when the vendor does not know it."""
        raise Lost(f"{self.name}: cannot be asked again about {ticket}")

    async def find(self, call: Call) -> Ticket | None:
        """After a lost answer: the order's ticket when it is there, None when it certainly is not."""
        return None

    async def cancel(self, ticket: Ticket) -> None:  # noqa: B027 - doing nothing is a vendor's honest default
        """Stop the order where the vendor lets us; the outcome is still polled and charged as it came."""

    async def probe(self) -> Health:
        """Is the vendor there? Free of charge. Default: assume so."""
        return Health(ok=True)
