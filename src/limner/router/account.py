"""One set of credentials at a provider, as the planner sees it now."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """Availability in three layers: configured, switched on, breaker closed."""

    provider: str
    name: str
    obstacle: str | None = None
    """Why it cannot be used now, None when it can."""
    passing: bool = True
    """The obstacle may go away by itself."""
    local: bool = False
    """True when it runs on the user's own machines."""
    configured: bool = True
    """False when nothing was set up: it is mentioned only to callers who name it."""
    model: str | None = None
    """The vendor's name of the model for orders that name none."""
    latency_s: float | None = None
    """How long its orders took lately, None when there were none."""
    cap: int | None = None
    """Orders it takes at once, None for any number."""
    load: int = 0
    """Orders under way; of several accounts that would do, the least loaded is asked."""

    @property
    def full(self) -> bool:
        """It bears no further order now: no obstacle, since the job may wait for it."""
        return self.cap is not None and self.load >= self.cap
