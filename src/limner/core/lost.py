"""Orders whose outcome is unknown, as people see them, and what the vendors say when they are asked."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from limner.core.job import Decided, Decision, JobState
from limner.core.money import Usd
from limner.core.text import Name

AskedBy = Literal["ticket", "id", "list", "nothing"]
"""What the vendor can still be asked by: the ticket it gave, the id we gave, a look through its list; by
nothing, where only the order's own answer would have told."""

Outcome = Literal["found", "not_charged", "working", "silent"]
"""What asking came to: its pictures; certainly no charge; the vendor is still at it; nothing."""


class DecisionBody(BaseModel):
    """What is to follow. A job says in `confirmation.choices` what it can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Decision
    by: Name = "local"
    """Who says so, for the receipt."""
    picture: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """With `delivered`: the digest that `POST /v1/inputs` gave for the picture that came."""


class LostOrder(BaseModel):
    """One order that may have been charged and brought nothing."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    n: int
    """Which attempt of the job it was, 1 for the first."""
    job_state: JobState
    provider: str
    account: str
    model: str
    amount_usd: Usd | None
    """What counts as charged, None when the price is not known."""
    submitted_at: float
    """Unix seconds."""
    prompt: str
    """How the prompt begins."""
    message: str
    """What is known of it."""
    asked_by: AskedBy
    choices: tuple[Decision, ...]
    """What a person may say about it now."""
    decided: Decided | None = None


class Finding(BaseModel):
    """What was learnt about one order."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    n: int
    outcome: Outcome
    message: str


class Reconciled(BaseModel):
    """What asking all vendors came to, and what is left to decide."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...]
    left: tuple[LostOrder, ...]
