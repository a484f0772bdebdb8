"""What goes wrong over HTTP: one status and one word for each of Limner's codes."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from limner.core.errors import (
    Exhausted,
    InvalidRequest,
    LimnerError,
    NoEntry,
    NoRoute,
    OverLimit,
    RateLimited,
)
from limner.core.job import Job

MAX_ECHO = 200
"""Characters of the caller's own words that an answer repeats at most."""
MAX_MESSAGE = 1_000
MAX_DETAILS = 20


class BodyTooLarge(LimnerError):
    """The body is longer than the server reads."""

    code = "body_too_large"


class BodyTooSlow(LimnerError):
    """The body did not arrive in time."""

    code = "body_too_slow"


class WrongContentType(LimnerError):
    """The body is declared as something other than JSON."""

    code = "wrong_content_type"


class HeadTooLarge(LimnerError):
    """Address and headers are longer than the server reads."""

    code = "head_too_large"


class WrongHost(LimnerError):
    """A request to the loopback address under a foreign name: what DNS rebinding looks like."""

    code = "wrong_host"


class Finding(NamedTuple):
    """One thing that is wrong with what was sent, as the unified API's clients read it."""

    kind: str
    loc: tuple[str | int, ...]
    """`body`, `query` or `path`, then the names and positions that lead to it."""
    message: str


class Unprocessable(LimnerError):
    """Fields have wrong types or values, said with each one's place."""

    code = "unprocessable"

    def __init__(self, found: Sequence[Finding]) -> None:
        super().__init__("; ".join(f"{one.loc[-1]}: {one.message}" for one in found))
        self.found = tuple(found)


class ModelNotFound(InvalidRequest):
    """No model goes by that name here."""

    code = "model_not_found"


class NotDone(LimnerError):
    """A job that a caller waited for came to no pictures."""

    def __init__(self, job: Job) -> None:
        self.job = job
        if job.state == "needs_confirmation" and job.confirmation is not None:
            said = " or ".join(job.confirmation.choices)
            super().__init__(f"{job.confirmation.message} Decide at POST /v1/jobs/{job.id}/decide: {said}.")
        elif job.error is not None:
            super().__init__(job.error.message)
        elif job.state == "canceled":
            super().__init__(f"job {job.id} was cancelled before it ended")
        else:
            super().__init__(f"job {job.id} stands at {job.state}; see GET /v1/jobs/{job.id}")

    @property
    def word(self) -> str:
        """The code of the job's failure, or its state; a lost answer is one, also while somebody is asked."""
        job = self.job
        if job.state == "needs_confirmation":
            return "unknown" if job.confirmation and job.confirmation.reason == "unknown" else job.state
        return job.error.code if job.error is not None else job.state


class Rule(NamedTuple):
    """How one of Limner's codes is said over HTTP."""

    status: int
    kind: str
    """OpenAI's `type`."""
    word: str
    """OpenAI's `code`."""
    again: bool = False
    """May a client send the same once more without being asked? Limner has done its own retries by then."""


_ASKED = "invalid_request_error"
_OURS = "server_error"
RULES: Mapping[str, Rule] = {
    "invalid_request": Rule(400, _ASKED, "invalid_value"),
    "rejected": Rule(400, _ASKED, "rejected"),
    "refused": Rule(400, "image_generation_user_error", "moderation_blocked"),
    "no_entry": Rule(401, _ASKED, "invalid_api_key"),
    "over_budget": Rule(402, "insufficient_quota", "over_budget"),
    "not_found": Rule(404, _ASKED, "not_found"),
    "model_not_found": Rule(404, _ASKED, "model_not_found"),
    "method_not_allowed": Rule(405, _ASKED, "method_not_allowed"),
    "body_too_slow": Rule(408, _ASKED, "body_too_slow"),
    "conflict": Rule(409, _ASKED, "idempotency_conflict"),
    "canceled": Rule(409, _ASKED, "canceled"),
    "body_too_large": Rule(413, _ASKED, "body_too_large"),
    "wrong_content_type": Rule(415, _ASKED, "wrong_content_type"),
    "wrong_host": Rule(421, _ASKED, "wrong_host"),
    "unprocessable": Rule(422, _ASKED, "invalid_value"),
    "head_too_large": Rule(431, _ASKED, "head_too_large"),
    "over_limit": Rule(429, "requests", "rate_limit_exceeded", again=True),
    "rate_limited": Rule(429, "requests", "rate_limit_exceeded", again=True),
    "error": Rule(500, _OURS, "internal_error"),
    "unauthorized": Rule(502, _OURS, "upstream_unauthorized"),
    "malformed": Rule(502, _OURS, "upstream_malformed"),
    "lost": Rule(502, _OURS, "upstream_lost"),
    "provider_error": Rule(502, _OURS, "upstream_error"),
    "unavailable": Rule(503, "service_unavailable_error", "unavailable", again=True),
    "busy": Rule(503, "service_unavailable_error", "busy", again=True),
    "deadline": Rule(503, "service_unavailable_error", "deadline", again=True),
    "no_route": Rule(503, "service_unavailable_error", "no_route"),
    "exhausted": Rule(503, "service_unavailable_error", "exhausted"),
    "setup": Rule(503, "service_unavailable_error", "setup"),
    "home_in_use": Rule(503, "service_unavailable_error", "setup"),
    "timed_out": Rule(504, _OURS, "timed_out"),
    "unknown": Rule(504, _OURS, "outcome_unknown"),
    "written_off": Rule(504, _OURS, "written_off"),
    "needs_confirmation": Rule(402, "insufficient_quota", "needs_confirmation"),
    "storage": Rule(507, _OURS, "storage"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """One refusal, not yet in a door's shape."""

    code: str
    message: str
    field: str | None = None
    details: Mapping[str, str] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def rule(self) -> Rule:
        """How to say it; a code nobody has described is our fault."""
        return RULES.get(self.code, RULES["error"])


def cut(text: str, limit: int = MAX_ECHO) -> str:
    """At most `limit` characters, and none that UTF-8 cannot carry."""
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return short.encode("utf-8", "replace").decode("utf-8")


def fault_of(error: LimnerError) -> Fault:
    """What to answer, decided by class and attribute."""
    message = cut(str(error), MAX_MESSAGE)
    match error:
        case InvalidRequest():
            return Fault(error.code, message, error.field)
        case Unprocessable():
            return Fault(error.code, message, findings=error.found)
        case OverLimit() | RateLimited():
            return Fault(error.code, message, headers={"retry-after": str(max(1, round(error.after_s)))})
        case NoRoute():
            return Fault(error.code, message, details=_few(error.reasons))
        case Exhausted():
            return Fault(error.code, message, details=_few(error.failures))
        case NotDone():
            details = error.job.error.details if error.job.error is not None else {}
            headers = {"x-limner-job": error.job.id}
            if error.word in ("over_limit", "rate_limited"):
                headers["retry-after"] = "1"
            return Fault(error.word, message, details=_few(details), headers=headers)
        case NoEntry():
            return Fault(error.code, message, headers={"www-authenticate": "Bearer"})
        case BodyTooLarge() | BodyTooSlow():  # what may still come is not waited for
            return Fault(error.code, message, headers={"connection": "close"})
        case _:
            return Fault(error.code, message)


def invalid(error: ValidationError, names: Mapping[str, str] | None = None) -> InvalidRequest:
    """The first of a body's faults as one sentence. `names` maps our field names to the caller's."""
    faults = error.errors(include_url=False, include_input=False)
    first = faults[0]
    where = ".".join(str(part) for part in first["loc"])
    name = (names or {}).get(where, where)
    match first["type"]:
        case "missing":
            said = "is missing"
        case "extra_forbidden":
            said = "is not known here; remove it"
        case "value_error":
            said = str(first.get("ctx", {}).get("error", first["msg"]))
        case _:
            said = first["msg"]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    field_name = cut(name, 64) or None
    return InvalidRequest(f"{field_name}: {said}{more}" if field_name else f"{said}{more}", field_name)


def unprocessable(field: str | None, message: str, where: str = "body") -> Unprocessable:
    """One finding about a field, or about the body as a whole."""
    loc = (where,) if field is None else (where, cut(field, 64))
    return Unprocessable([Finding("value_error", loc, cut(message, MAX_MESSAGE))])


def findings(faults: Sequence[Mapping[str, Any]], *where: str) -> Unprocessable:
    """Pydantic's faults, each with its place behind `where`."""
    return Unprocessable([_finding(fault, where) for fault in faults[:MAX_DETAILS]])


def _finding(fault: Mapping[str, Any], where: tuple[str, ...]) -> Finding:
    loc = tuple(part if isinstance(part, int) else cut(str(part), 64) for part in (*where, *fault["loc"]))
    return Finding(cut(str(fault["type"]), 64), loc, cut(str(fault["msg"]).removeprefix("Value error, ")))


def _few(reasons: Mapping[str, str]) -> dict[str, str]:
    return {cut(name): cut(reason) for name, reason in list(reasons.items())[:MAX_DETAILS]}
