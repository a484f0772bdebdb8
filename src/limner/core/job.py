"""An accepted request, from `queued` to an end, and the pictures and receipt it leaves."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from limner.core.money import FREE, Usd
from limner.core.quote import Note, PassedOver, Priced
from limner.core.request import Format, GenerateRequest

JobState = Literal[
    "queued", "running", "waiting", "storing", "needs_confirmation", "succeeded", "failed", "canceled"
]
AttemptState = Literal["submitting", "accepted", "answered", "settled", "refused", "unknown", "written_off"]
How = Literal["direct", "resumed", "list", "webhook", "same-key", "person"]
"""How the outcome of an attempt was learnt."""

Decision = Literal["pay_again", "write_off", "delivered", "accept", "cancel"]
"""What a person may say to a job that waits: buy it again; give it up as charged; here is the picture; go on
at the new price; do not."""

Reason = Literal["unknown", "dearer", "above_ceiling"]
"""Why a person is asked."""

FINAL: frozenset[JobState] = frozenset({"succeeded", "failed", "canceled"})


_FOLDERS = {"leonardo": "leonardo_ai", "runware": "runware_ai"}
"""Folders in storage that are not called like their provider, as programs before Limner know them."""


def folder_of(provider: str) -> str:
    """The provider's folder in storage."""
    return _FOLDERS.get(provider, provider)


def provider_of(name: str) -> str:
    """The provider that a folder, or the provider's own name, means."""
    return next((provider for provider, folder in _FOLDERS.items() if folder == name), name)


class Recipe(BaseModel):
    """All that is needed to make the picture again. Holds no time and no job id, so that the same
    recipe gives the same file."""

    model_config = ConfigDict(frozen=True)

    limner: str
    """Version of Limner that made the picture."""
    prompt: str
    """As the caller wrote it."""
    request: GenerateRequest
    """As sent: size, steps, guidance and seed are set; `seed` is this picture's own."""
    provider: str
    model: str
    engine: str | None = None
    """Version of the model or engine, when the provider tells."""
    parents: tuple[str, ...] = ()
    """Digests of the pictures it was made from."""
    marks: tuple[str, ...] = ()
    """Provenance that the vendor put into the pixels or the file: `synthid`, `c2pa`."""


class Artifact(BaseModel):
    """One finished picture: bytes by digest, with its recipe. Its address is unguessable and needs no key."""

    model_config = ConfigDict(frozen=True)

    id: str
    job_id: str
    index: int
    digest: str
    """SHA-256 of the file, hex."""
    size_bytes: int
    width: int
    height: int
    format: Format
    seed: int | None
    project: str
    provider: str
    model: str
    file: str
    """Name under `storage/images/{project}/{folder of the provider}/`."""
    created_at: float
    """Unix seconds."""
    recipe: Recipe

    @computed_field  # type: ignore[prop-decorator]  # mypy cannot type a decorator over a property
    @property
    def path(self) -> str:
        """Where every door serves the file."""
        return f"/storage/images/{self.project}/{folder_of(self.provider)}/{self.file}"


class Failure(BaseModel):
    """Why a job or an attempt did not end well."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    details: dict[str, str] = {}


class Decided(BaseModel):
    """What a person said about an order or a job."""

    model_config = ConfigDict(frozen=True)

    decision: Decision
    by: str
    at: float
    """Unix seconds."""


class Attempt(BaseModel):
    """One order at one target, as the receipt shows it."""

    model_config = ConfigDict(frozen=True)

    n: int
    """1 for the first."""
    state: AttemptState
    provider: str
    account: str
    model: str
    why: str
    """Why this target was asked: `first choice`, `fallback: ...`, `again: ...`."""
    how: How
    price_usd: Usd | None
    """Reserved until settled, then what it really cost."""
    submitted_at: float
    priced: Priced | None = None
    """How the price that was reserved came about, by the catalog of that day."""
    error: Failure | None = None
    decided: Decided | None = None
    """What a person said when its outcome could not be learnt."""

    @property
    def undecided(self) -> bool:
        """Its outcome is unknown, and nobody has said yet what is to follow."""
        return self.state == "unknown" and self.decided is None


def cost_usd(attempts: Sequence[Attempt]) -> Decimal | None:
    """What was charged, or must be counted as charged, for all attempts; None when that is not known, or not
    known yet."""
    if not attempts:
        return None
    made = [one for one in attempts if one.state != "refused"]
    known = [one.price_usd for one in made if one.price_usd is not None]
    decided = all(one.state in ("answered", "settled", "unknown", "written_off") for one in made)
    return sum(known, FREE) if decided and len(known) == len(made) else None


class Receipt(BaseModel):
    """What every answer carries: each attempt, what it cost, what was changed."""

    model_config = ConfigDict(frozen=True)

    attempts: tuple[Attempt, ...] = ()
    cost_usd: Usd | None = None
    notes: tuple[Note, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    seconds: float | None = None
    """From acceptance to the end."""


class Confirmation(BaseModel):
    """What a job waits for a person to say."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    """An order may have been charged and brought nothing; the quote cannot be kept; it costs more than may
    be bought unasked."""
    message: str
    choices: tuple[Decision, ...]
    target: str | None = None
    """`provider/model` that going on would ask."""
    price_usd: Usd | None = None
    """What going on would cost, None when that is not known."""
    decided: Decided | None = None
    """What was said to it, once somebody has."""


class Waiting(BaseModel):
    """Where a queued job stands."""

    model_config = ConfigDict(frozen=True)

    position: int
    """1 for the next."""
    expected_s: float | None
    """Until it is begun, None when nothing is known to reckon by."""

    def __str__(self) -> str:
        """For people."""
        if self.expected_s is None:
            return f"position {self.position}"
        return f"position {self.position}, about {max(1, round(self.expected_s))} s"


class Job(BaseModel):
    """The row is the truth; progress is published, not stored."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: JobState
    request: GenerateRequest
    created_at: float
    """Unix seconds, like the next two."""
    started_at: float | None = None
    finished_at: float | None = None
    tries: int = 0
    cancel_requested: bool = False
    images: tuple[Artifact, ...] = ()
    error: Failure | None = None
    receipt: Receipt = Receipt()
    ceiling_usd: Usd | None = None
    """The price of the quote that was accepted, or a dearer one accepted since: no order costs more."""
    confirmation: Confirmation | None = None
    """What the job waits for in `needs_confirmation`; kept when it was agreed to."""
    waiting: Waiting | None = None
    """Where the job stands while it is queued."""

    @property
    def resting(self) -> bool:
        """True when nothing will happen before a person says something, or at all."""
        return self.final or self.state == "needs_confirmation"

    @property
    def final(self) -> bool:
        """True when nothing will change any more."""
        return self.state in FINAL

    @property
    def choices(self) -> tuple[Decision, ...]:
        """What a person may say about the job as it stands, empty when there is nothing to decide."""
        if self.state == "needs_confirmation":
            return () if self.confirmation is None else self.confirmation.choices
        if not any(one.undecided for one in self.receipt.attempts):
            return ()
        match self.state:
            case "failed":
                return ("pay_again", "write_off", "delivered")
            case "succeeded" | "canceled":
                return ("write_off", "delivered")
            case "queued" | "running" | "waiting" | "storing":
                return ()
