"""What may follow an order whose outcome is unknown: by the caller's policy, or by a person's word. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from limner.core.errors import Lost, Malformed, TimedOut, Unknown
from limner.core.job import Attempt, Confirmation
from limner.core.money import FREE, show
from limner.core.quote import Target
from limner.core.request import Policy

_OPEN_OUTCOMES = frozenset({TimedOut.code, Malformed.code, Lost.code, Unknown.code})
"""Whether there is a picture is not known. A vendor that said no, and perhaps charged for it, leaves only the
bill open: nobody is asked to buy the same refusal again."""


def unanswered(tried: Sequence[Attempt]) -> Attempt | None:
    """The lost order that stands in the way of buying another; None when there is none, or when somebody has
    agreed to what follows."""
    lost = [one for one in tried if one.state == "unknown"]
    return lost[-1] if lost and lost[-1].undecided else None


def asks(lost: Attempt, policy: Policy) -> bool:
    """Is it worth asking a person what is to follow?"""
    if policy.on_unknown == "never":
        return False
    return lost.error is not None and lost.error.code in _OPEN_OUTCOMES


def may_follow(targets: Sequence[Target], tried: Sequence[Attempt], policy: Policy) -> tuple[Target, ...]:
    """Of the targets, those that may be asked without asking anybody: after a lost order what is free, and
    what the policy has money for."""
    if unanswered(tried) is None:
        return tuple(targets)
    room = room_usd(tried, policy)
    return tuple(one for one in targets if one.free or (one.price_usd is not None and one.price_usd <= room))


def room_usd(tried: Sequence[Attempt], policy: Policy) -> Decimal:
    """How much may be paid again without asking: what the policy allows, less what was paid again already."""
    lost = [one.n for one in tried if one.state == "unknown"]
    if policy.on_unknown != "auto" or not lost:
        return FREE
    paid = [one.price_usd for one in tried if one.n > lost[0] and one.state != "refused"]
    known = [one for one in paid if one is not None]
    return FREE if len(known) < len(paid) else max(FREE, policy.auto_usd - sum(known, FREE))


def why(tried: Sequence[Attempt], policy: Policy) -> str:
    """Why another order is placed after these."""
    last = tried[-1]
    if last.state == "unknown" and last.decided is not None:
        return f"again: {last.decided.by} agreed to pay again"
    if last.state == "unknown" and policy.on_unknown == "auto":
        return f"again: the policy pays up to {show(policy.auto_usd)} again"
    return f"again: {last.error.code}" if last.error else "again"


def question(lost: Attempt) -> Confirmation:
    """What a person is asked about a lost order."""
    name = f"{lost.provider}/{lost.model}"
    said = f" ({lost.error.message[:300]})" if lost.error else ""
    price = "an unknown price" if lost.price_usd is None else show(lost.price_usd)
    return Confirmation(
        reason="unknown",
        message=(
            f"{name} took the order and its answer is lost{said}. {price} counts as charged, and "
            "nothing is bought in its place before a person says so: pay_again buys another, write_off gives "
            "it up as charged, delivered hands over the picture if it came by another way. "
            "`limner reconcile --ask`, or POST /v1/reconcile, asks the vendor once more."
        ),
        choices=("pay_again", "write_off", "delivered"),
        target=name,
        price_usd=lost.price_usd,
    )
