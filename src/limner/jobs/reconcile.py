"""What to do with an attempt that somebody left open, and whether an order may be placed again. Pure."""

from typing import Literal

from limner.core.errors import ProviderError
from limner.core.quote import Target
from limner.core.request import GenerateRequest
from limner.providers.base import Provider, Recovery
from limner.store.rows import OpenAttempt

NextStep = Literal["submit", "poll", "find", "unknown"]

MAX_TRIES = 6
"""How often a job is put back before its failure is final."""

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 30.0


def next_step(attempt: OpenAttempt, recovery: Recovery) -> NextStep:
    """How to learn what became of an open attempt whose worker is gone and whose answer was not kept."""
    if attempt.ticket is not None:
        return "poll"
    if attempt.target.free and recovery is not Recovery.NAMED:
        return "submit"
    match recovery:
        case Recovery.NAMED | Recovery.TICKETED:
            return "find"
        case Recovery.BLIND:
            return "unknown"


def listed_by(attempt: OpenAttempt, provider: Provider) -> float:
    """Unix seconds from which a list without the order says that it never arrived: its POST is over by then,
    whoever sent it, and the vendor's list has caught up."""
    return attempt.submitted_at + provider.timeout_s + provider.lag_s


def may_repeat(error: ProviderError, target: Target) -> bool:
    """May the same target be asked again? What may have been charged is repeated only where it is free."""
    return error.retry or (target.free and error.billed != "no")


def may_fall_back(
    error: ProviderError, following: Target, request: GenerateRequest, *, free: bool = False
) -> bool:
    """May `following` be asked instead? After an outcome that may have been charged, only if it is free; what
    was asked and is `free` itself has charged nothing."""
    if not request.policy.fallback or not error.fallback:
        return False
    return error.billed == "no" or free or following.free


def wait_s(tries: int, jitter: float, asked_s: float | None = None) -> float:
    """Seconds before the next try: doubling, spread by `jitter` in 0..1, never less than was asked."""
    backoff: float = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**tries) * (0.5 + jitter)
    return max(backoff, asked_s or 0.0)
