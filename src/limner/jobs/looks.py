"""When a list that does not hold an order says that it never arrived: by two clocks, since one can be set."""

import time
from collections.abc import Callable

from limner.jobs.reconcile import listed_by
from limner.providers.base import Provider
from limner.store.rows import OpenAttempt

_MOST = 10_000


class Looks:
    """Remembers when this process first looked for each order. A list is believed once the wall clock is past
    the order's own time and the vendor's lag, and the lag has passed here, too: after a restart a clock that
    was set forward would else have an order bought again that the vendor is about to list."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: dict[str, float] = {}

    def known_in_s(self, attempt: OpenAttempt, provider: Provider, wall: float) -> float:
        """Seconds from now until a list tells; 0 when it does. `wall` is the time of day, Unix seconds."""
        if attempt.id not in self._first and len(self._first) >= _MOST:
            del self._first[next(iter(self._first))]
        now = self._clock()
        looked_s = now - self._first.setdefault(attempt.id, now)
        return max(0.0, listed_by(attempt, provider) - wall, provider.lag_s - looked_s)
