"""What a vendor must say. A provider says the order and reads the answer; nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue, RootModel

from limner.core.errors import Lost, ProviderError, Unknown
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
class Pending:
    """Accepted, not finished. Ask again by the ticket in `after_s` seconds."""

    ticket: Ticket
    after_s: float = 1.0
    fraction: float | None = None
    step: int | None = None
    steps: int | None = None
    preview: bytes | None = None


class Usage(BaseModel):
    """What the vendor counted, for prices by token or by second."""

    model_config = ConfigDict(frozen=True)

    tokens: dict[str, int] = {}
    """By kind, as the catalog's price names them: `text_in`, `image_in`, `image_out`, `text_out`."""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Finished: the encoded pictures, or where they are to be fetched."""

    images: tuple[bytes, ...] = ()
    seeds: tuple[int, ...] = ()
    """One per picture when the vendor tells them."""
    cost_usd: str | None = None
    """The vendor's own figure for all pictures as a decimal, None when it tells none."""
    engine: str | None = None
    links: tuple[str, ...] = ()
    """Addresses of the pictures, instead of `images`: fetched at once, without our key, from public hosts
    or the account's own."""
    usage: Usage | None = None
    marks: tuple[str, ...] = ()
    """Provenance the vendor put into the pictures: `synthid`, `c2pa`."""


Report = Callable[[Pending], None]


def unheard(_pending: Pending) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class Call:
    """One order. `request` has its size, steps, guidance, seed and options set as they are to be sent."""

    key: str
    """Ours, unique per attempt; the order's id where the vendor lets us choose it."""
    model: str
    """The vendor's own name of the model."""
    request: GenerateRequest
    dialect: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the catalog says of how this model is spoken to; read it through a pydantic model of your own."""
    inputs: tuple[bytes, ...] = ()
    """The pictures `request.inputs` names."""
    mask: bytes | None = None
    at: float = 0.0
    """Unix seconds at which the order was first placed."""
    report: Report = unheard
    """For vendors that tell progress while the order's own answer is awaited."""
    others: frozenset[str] = frozenset()
    """The vendor's ids of this job's other orders: they look like this one in its list, and are not."""
    webhook: str | None = None
    """Where the vendor is to call once the order is done; None when it cannot reach us."""

    @property
    def uuid(self) -> str:
        """The key as a version 4 UUID, always the same for the same key."""
        digest = bytearray(sha256(self.key.encode()).digest()[:16])
        digest[6] = digest[6] & 0x0F | 0x40
        digest[8] = digest[8] & 0x3F | 0x80
        return str(UUID(bytes=bytes(digest)))


@dataclass(frozen=True, slots=True)
class Health:
    """Answer of a probe, which is never a paid call."""

    ok: bool
    reason: str = ""


Outcome = Pending | Done


def the_one(ids: Sequence[str], *, whole: bool, older: bool = False) -> str | None:
    """Of the orders in a vendor's list that look like ours, ours: None when none does. Raises `Unknown` when
    several do; when none does in a list that is not `whole`, from the order's time on; or when only an
    `older` one does: by a clock that is set wrong it is ours."""
    if len(ids) > 1:
        raise Unknown(f"{len(ids)} orders in the vendor's list look like this one")
    if not ids and older:
        raise Unknown("an order in the vendor's list looks like this one, and is from before it by our clock")
    if not ids and not whole:
        raise Unknown("the vendor's list does not reach back to this order")
    return ids[0] if ids else None


_Anything = RootModel[JsonValue]


class Provider(ABC):
    """One vendor. Stateless: everything lasting is in the ticket."""

    name: ClassVar[str]
    base_url: ClassVar[str]
    """Where it is, ending in a slash; an account may say another address."""
    recovery: ClassVar[Recovery]
    key_env: ClassVar[tuple[str, ...]] = ()
    """Environment variables that people keep the key in, besides `LIMNER_<NAME>_KEY`; the first set wins."""
    url_env: ClassVar[tuple[str, ...]] = ()
    """Environment variables that hold the address, besides `LIMNER_<NAME>_URL`."""
    model_env: ClassVar[tuple[str, ...]] = ()
    """Environment variables that name the model for orders that name none."""
    key_header: ClassVar[str] = "Authorization"
    """The header that carries the key."""
    key_prefix: ClassVar[str] = "Bearer "
    """What stands before the key in its header."""
    needs_key: ClassVar[bool] = True
    self_hosted: ClassVar[bool] = False
    """It runs on the user's machines: there is no account before its address is set."""
    hosts: ClassVar[tuple[str, ...]] = ()
    """Domains besides the address's own host that may see the key, for vendors whose tickets name them."""
    lag_s: ClassVar[float] = 15.0
    """How much later than its order's end the vendor's list may show an order, or its call may come."""
    webhooks: ClassVar[bool] = False
    """It can be told to call when an order is done: `submit` passes `Call.webhook` on."""
    standing_calls: ClassVar[bool] = False
    """It calls one address of the account about all its orders, and proves with the account's secret who it
    is."""
    concurrency: ClassVar[int | None] = None
    """Orders that one account takes at once, None for any number; the settings may say another."""
    timeout_s: ClassVar[float] = 120.0
    """For one call, from connect to the last byte."""
    probe_path: ClassVar[str | None] = None
    """What `probe` asks for: something free that only a good key gets, as JSON."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @classmethod
    def auth(cls, key: str) -> dict[str, str]:
        """Headers that carry the key. Default: one header, none without a key."""
        return {cls.key_header: cls.key_prefix + key} if key else {}

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
        """After a lost answer: the order's ticket when it is there, None when it certainly is not: then it is
        bought again. Raises `Unknown` when several could be it, or the list ends too early to tell.

        Default: an id of ours may be sent again; about an id of theirs nothing can be learnt."""
        if self.recovery is Recovery.TICKETED:
            raise Unknown(f"{self.name}: a lost order cannot be looked for")
        return None

    async def verify(self, headers: Mapping[str, str], body: bytes, secret: str | None, now: float) -> bool:
        """Whether a call is the vendor's, by its signature; `secret` is what the settings say it signs with.
        Default: the vendor signs nothing, so that the unguessable address is all there is to know it by.
        Raises `ProviderError` when the vendor has to be asked for its keys and cannot be."""
        return True

    @staticmethod
    def told(model: str, body: bytes) -> Ticket | None:
        """The ticket that a call tells, of an order whose own answer is lost. Default: it tells none."""
        return None

    async def cancel(self, ticket: Ticket) -> None:  # noqa: B027 - doing nothing is a vendor's honest default
        """Stop the order where the vendor lets us; the outcome is still polled and charged as it came."""

    async def probe(self) -> Health:
        """Is the vendor there, and is the key good? Free of charge. Raises `ProviderError` when it is not."""
        if self.probe_path is not None:
            await self.wire.get(self.probe_path, into=_Anything)
        return Health(ok=True)
