"""Why a request is refused: each class says what next by its status, code and message."""

from collections.abc import Mapping
from typing import ClassVar


class Problem(Exception):
    """An answer with a status of 400 or more."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer carries beside its body."""
        return {}


class Invalid(Problem):
    """A field is wrong: the message names it."""

    status = 422
    code = "invalid"


class TooLarge(Problem):
    """The body is longer than any order."""

    status = 413
    code = "too_large"


class Unauthorized(Problem):
    """The engine's token is missing or wrong."""

    status = 401
    code = "unauthorized"


class UnknownModel(Problem):
    """No such model: ``GET /models`` lists them."""

    status = 404
    code = "unknown_model"


class UnknownOrder(Problem):
    """Never ordered, or finished and forgotten: order it again."""

    status = 404
    code = "unknown_order"


class NotReady(Problem):
    """There is no such picture yet."""

    status = 404
    code = "not_ready"


class Conflict(Problem):
    """The id belongs to an order with another body: choose another id."""

    status = 409
    code = "conflict"


class Full(Problem):
    """Too many pictures wait: come again after ``after_s`` seconds."""

    status = 429
    code = "queue_full"

    def __init__(self, after_s: int) -> None:
        super().__init__(f"the queue is full; try again in {after_s} s")
        self.after_s = after_s

    @property
    def headers(self) -> Mapping[str, str]:
        """When to come again."""
        return {"Retry-After": str(self.after_s)}


class Closing(Problem):
    """The engine is shutting down: order again when it is back."""

    status = 503
    code = "shutting_down"
