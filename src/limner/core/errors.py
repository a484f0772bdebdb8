"""Errors are answers to "what next?": decide by attribute, never by message.

LimnerError
├── InvalidRequest          the caller's mistake, found before anything was bought
├── NotFound · Conflict     no such thing · the same key with another body
├── NoRoute                 nothing fits, with a reason per candidate
├── OverBudget · OverLimit  policy says no
├── NoEntry                 the door is locked and the caller has no key to it
├── SetupError              this machine, its files or its settings are not as they must be
│   └── HomeInUse           another Limner owns the folder
├── StorageError            pictures or rows cannot be written now
├── Canceled                the job was cancelled before it ended
└── ProviderError           what one order at one target came to
    ├── Rejected · Refused · Unauthorized · RateLimited · Unavailable
    ├── TimedOut · Malformed · Lost · Unknown
    └── Exhausted           every target failed
"""

from typing import ClassVar, Literal

Billed = Literal["no", "maybe", "yes"]


class LimnerError(Exception):
    """Everything Limner raises on purpose; the message names the thing and the way out."""

    code: ClassVar[str] = "error"


class InvalidRequest(LimnerError):
    """The request cannot be accepted. `field` is the caller's name, None for the request as a whole."""

    code = "invalid_request"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(LimnerError):
    """No such job, image or project."""

    code = "not_found"


class Conflict(LimnerError):
    """The idempotency key was used before with another request, or the job is past the act asked for."""

    code = "conflict"


class NoRoute(LimnerError):
    """Nobody can serve the request now. `reasons` maps candidate to why it was passed over; `passing` says
    that waiting may help, as for a breaker that is open."""

    code = "no_route"

    def __init__(self, message: str, reasons: dict[str, str] | None = None, *, passing: bool = False) -> None:
        super().__init__(message)
        self.reasons = reasons or {}
        self.passing = passing


class OverBudget(LimnerError):
    """The price is above what the caller or a budget allows, or is unknown where a limit was set."""

    code = "over_budget"


class OverLimit(LimnerError):
    """Too many requests; `after_s` seconds until the next one may be tried."""

    code = "over_limit"

    def __init__(self, message: str, after_s: float = 1.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class NoEntry(LimnerError):
    """The server asks for a key, and the caller has none or a wrong one."""

    code = "no_entry"


class SetupError(LimnerError):
    """A folder, file, port, database or setting is not as it must be; nothing was started."""

    code = "setup"


class HomeInUse(SetupError):
    """Another Limner owns this home; `url` is where its server answers, None when it serves nobody."""

    code = "home_in_use"

    def __init__(self, message: str, url: str | None = None) -> None:
        super().__init__(message)
        self.url = url


class StorageError(LimnerError):
    """The disk or database refuses to write (full, read-only, gone). What was bought is kept and retried."""

    code = "storage"


class Canceled(LimnerError):
    """The job ended as `canceled`."""

    code = "canceled"


class ProviderError(LimnerError):
    """One order at one target failed.

    `retry`: may the same target be tried later. `fallback`: may another target. `trips`: counts for the
    breaker. `rests`: the account rests until a probe succeeds. `billed`: was money taken.
    """

    code = "provider_error"
    retry: ClassVar[bool] = False
    fallback: ClassVar[bool] = True
    trips: ClassVar[bool] = False
    rests: ClassVar[bool] = False
    billed: Billed = "no"


class Rejected(ProviderError):
    """The vendor calls the request invalid."""

    code = "rejected"


class Refused(ProviderError):
    """Moderation declined. No fallback: we do not shop for a laxer judge. Some vendors charge for it."""

    code = "refused"
    fallback = False

    def __init__(self, message: str, *, billed: Billed = "no") -> None:
        super().__init__(message)
        self.billed = billed


class Unauthorized(ProviderError):
    """Bad key or out of credit."""

    code = "unauthorized"
    rests = True


class RateLimited(ProviderError):
    """Too many requests at the vendor; the account rests for `after_s` seconds."""

    code = "rate_limited"
    retry = True
    rests = True

    def __init__(self, message: str, after_s: float = 1.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class Unavailable(ProviderError):
    """Refused connection, or a server error before the order was accepted."""

    code = "unavailable"
    retry = True
    trips = True


class TimedOut(ProviderError):
    """Sent, no answer: what may follow depends on the provider's recovery class. Not `billed` where the
    vendor says that an order which was stopped costs nothing."""

    code = "timed_out"
    trips = True
    billed: Billed = "maybe"

    def __init__(self, message: str, *, billed: Billed = "maybe") -> None:
        super().__init__(message)
        self.billed = billed


class Malformed(ProviderError):
    """An answer that cannot be read."""

    code = "malformed"
    trips = True
    billed = "maybe"


class Lost(ProviderError):
    """The vendor no longer knows the ticket."""

    code = "lost"
    billed = "maybe"


class Unknown(ProviderError):
    """Sent, and the outcome cannot be learnt: counts as charged; repeated only by consent, so that only
    free targets may follow."""

    code = "unknown"
    trips = True
    billed = "maybe"


class Exhausted(ProviderError):
    """Every target failed; `failures` maps target to what was said there."""

    code = "exhausted"
    fallback = False

    def __init__(self, message: str, failures: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.failures = failures or {}
