"""Money is `Decimal` US dollars in code and whole micro-dollars at rest."""

from decimal import ROUND_UP, Decimal
from typing import Annotated

from pydantic import PlainSerializer

FREE = Decimal(0)
_MICRO = Decimal(1_000_000)

# JSON numbers on the wire: clients read a cost as a number, and six decimals fit a double exactly enough.
Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


def to_micros(usd: Decimal) -> int:
    """Whole micro-dollars, rounded up: a fraction of a micro-dollar is never lost to the payer's favour."""
    return int((usd * _MICRO).to_integral_value(rounding=ROUND_UP))


def from_micros(micros: int) -> Decimal:
    """The dollars that `to_micros` stored."""
    return Decimal(micros) / _MICRO


def show(usd: Decimal | None) -> str:
    """For people: `free`, `$0.04`, `$0.0025`; an unknown price is said to be unknown, never shown as 0."""
    if usd is None:
        return "price unknown"
    if usd == 0:
        return "free"
    text = f"{usd:.6f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:0<2}"
