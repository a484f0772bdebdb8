"""A circuit breaker as a value: `now` is an argument, every change is a new breaker."""

from dataclasses import dataclass, replace
from typing import Literal

BreakerState = Literal["CLOSED", "OPEN", "HALF_OPEN"]


@dataclass(frozen=True, slots=True)
class Circuit:
    """A breaker as people and programs see it."""

    state: BreakerState
    failure_count: int
    last_failure: float | None
    """Unix seconds."""
    available: bool
    threshold: int
    timeout_ms: int
    recovery_in_ms: int | None
    """Until one order may try again, while it is open."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens at `threshold` failures within `window_s` seconds, for as long; then one probe may pass."""

    threshold: int = 5
    window_s: float = 600.0
    failures: tuple[float, ...] = ()
    """Times of the failures that still count, seconds on the caller's clock."""
    opened_at: float | None = None
    probing_since: float | None = None

    def state(self, now: float) -> BreakerState:
        """Where the breaker stands at `now`."""
        if self.opened_at is None:
            return "CLOSED"
        return "OPEN" if now - self.opened_at < self.window_s else "HALF_OPEN"

    def record(self, now: float, wall: float) -> "Circuit":
        """What is shown of it; `wall` is the Unix time of `now`."""
        state = self.state(now)
        left = 0.0 if self.opened_at is None else self.window_s - (now - self.opened_at)
        return Circuit(
            state=state,
            failure_count=len([at for at in self.failures if now - at < self.window_s]),
            last_failure=None if not self.failures else wall - (now - self.failures[-1]),
            available=self.admits(now),
            threshold=self.threshold,
            timeout_ms=round(self.window_s * 1000),
            recovery_in_ms=round(left * 1000) if state == "OPEN" else None,
        )

    def admits(self, now: float) -> bool:
        """True when an order may be placed; half open admits one probe per window."""
        match self.state(now):
            case "CLOSED":
                return True
            case "OPEN":
                return False
            case "HALF_OPEN":
                return self.probing_since is None or now - self.probing_since >= self.window_s

    def probe(self, now: float) -> "Breaker":
        """Note that the one probe of the half-open state is under way."""
        return replace(self, probing_since=now) if self.state(now) == "HALF_OPEN" else self

    def failed(self, now: float) -> "Breaker":
        """Count a failure of the provider; a caller's mistake is not one."""
        if self.state(now) == "HALF_OPEN":
            return replace(self, failures=(now,), opened_at=now, probing_since=None)
        recent = (*(at for at in self.failures if now - at < self.window_s), now)
        opened = now if len(recent) >= self.threshold and self.opened_at is None else self.opened_at
        return replace(self, failures=recent, opened_at=opened)

    def succeeded(self) -> "Breaker":
        """A success closes the breaker and clears what was counted."""
        return replace(self, failures=(), opened_at=None, probing_since=None)
