"""What the OpenAI stand-in says: bodies of errors, and events of a stream."""

import json
from collections.abc import Sequence
from typing import assert_never

from pydantic import JsonValue

from limner.simulator.vendor import ErrorWord

Problem = dict[str, JsonValue]

_HELP = "You can find your API key at https://platform.openai.com/account/api-keys."
_UNSAFE = (
    "Your request was rejected by the safety system. If you believe this is an error, contact us at "
    "help.openai.com and include the request ID. safety_violations=[{}]."
)


def problem(message: str, kind: str, code: str | None = None, param: str | None = None) -> Problem:
    """What stands under `error`."""
    return {"message": message, "type": kind, "param": param, "code": code}


def moderated(categories: Sequence[str], stage: str) -> Problem:
    """The prompt (stage `input`) or the finished picture (`output`) was judged unfit."""
    body = problem(_UNSAFE.format(",".join(categories)), "image_generation_user_error", "moderation_blocked")
    return {**body, "moderation_details": {"moderation_stage": stage, "categories": list(categories)}}


def undrawn() -> Problem:
    """It could not be drawn."""
    return problem("Image generation failed", "image_generation_server_error", "image_generation_failed")


def event(name: str, data: dict[str, JsonValue]) -> str:
    """One server-sent event."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"


def told(word: ErrorWord, key: str, wait_s: float) -> tuple[int, Problem]:
    """Status and body. Its two meanings of 429 are told apart by type and code alone."""
    match word:
        case "no_key":
            said = f"You didn't provide an API key. {_HELP}"
            return 401, problem(said, "invalid_request_error")
        case "bad_key":
            said = f"Incorrect API key provided: {_masked(key)}. {_HELP}"
            return 401, problem(said, "invalid_request_error", "invalid_api_key")
        case "forbidden":
            said = "Country, region, or territory not supported"
            return 403, problem(said, "request_forbidden", "unsupported_country_region_territory")
        case "no_money":
            said = "You have no credit left. Add credit in the billing settings to go on."
            return 429, problem(said, "insufficient_quota", "credit_balance_exhausted")
        case "rate_limited":
            said = f"Rate limit reached: Limit 5, Used 5, Requested 1. Please try again in {wait_s:g}s."
            return 429, problem(said, "requests", "rate_limit_exceeded")
        case "server_error":
            said = "The server had an error while processing your request. Sorry about that!"
            return 500, problem(said, "server_error")
        case "overloaded":
            said = "Our servers are currently overloaded. Please try again later."
            return 503, problem(said, "service_unavailable_error", "server_is_overloaded")
        case _:
            assert_never(word)


def _masked(key: str) -> str:
    return f"{key[:6]}***{key[-3:]}" if len(key) > 12 else "***"
