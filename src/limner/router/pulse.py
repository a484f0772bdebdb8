"""What is known of each account's health: breakers, rests and load. `now` is an argument, on a monotonic
clock."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limner.core.errors import ProviderError, RateLimited
from limner.router.breaker import Breaker, Circuit

_UNAUTHORIZED_REST_S = 300.0
_NEWEST = 0.2
"""Share of the newest order in an account's latency."""


class Pulse:
    """Told of every outcome; says why an account may not be used."""

    def __init__(self, threshold: int, window_s: float) -> None:
        self._closed = Breaker(threshold, window_s)
        self._breakers: dict[str, Breaker] = {}
        self._rests: dict[str, tuple[float, str]] = {}
        self._under_way: Counter[str] = Counter()
        self._latency: dict[str, float] = {}
        self._changes: Counter[str] = Counter()

    def obstacle(self, account: str, now: float) -> str | None:
        """Why the account may not be used at `now`, None when it may."""
        until, reason = self._rests.get(account, (0.0, ""))
        if now < until:
            return f"rests for {until - now:.0f} s: {reason}"
        breaker = self._breakers.get(account, self._closed)
        return None if breaker.admits(now) else f"Circuit breaker OPEN for {account}"

    def circuit(self, account: str, now: float, wall: float) -> Circuit:
        """The account's breaker as it is shown; `wall` is the Unix time of `now`."""
        return self._breakers.get(account, self._closed).record(now, wall)

    def changes(self, account: str) -> int:
        """How often what is known of the account changed: whoever remembers it asks anew then."""
        return self._changes[account]

    def latency_s(self, account: str) -> float | None:
        """How long its orders took lately, newer ones counting more; None before the first."""
        return self._latency.get(account)

    def load(self, account: str) -> int:
        """Orders under way at the account."""
        return self._under_way[account]

    @contextmanager
    def ordering(self, account: str, now: float) -> Iterator[None]:
        """An order is under way: it counts as load, and in the half-open state it is the one probe."""
        if account in self._breakers:
            self._breakers[account] = self._breakers[account].probe(now)
        self._under_way[account] += 1
        try:
            yield
        finally:
            self._under_way[account] -= 1

    def failed(self, account: str, error: ProviderError, now: float) -> None:
        """An order failed at the account."""
        if error.rests or error.trips:
            self._changes[account] += 1
        if error.rests:
            rest_s = error.after_s if isinstance(error, RateLimited) else _UNAUTHORIZED_REST_S
            self._rests[account] = (now + rest_s, str(error))
        if error.trips:
            self._breakers[account] = self._breakers.get(account, self._closed).failed(now)

    def succeeded(self, account: str, took_s: float | None = None) -> None:
        """An order ended well at the account, `took_s` seconds after it was placed."""
        known = self._breakers.pop(account, None), self._rests.pop(account, None)
        if any(known):
            self._changes[account] += 1
        if took_s is not None:
            before = self._latency.get(account, took_s)
            self._latency[account] = before + _NEWEST * (took_s - before)
