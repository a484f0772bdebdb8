"""Groq's stand-in: the chat API for work on prompts. There is nothing that draws, as at Groq.

Besides the common faults a message may carry `[[groq:WORD]]`: `json_validate_failed` `capacity_498` `think`
`too_large`.
"""

import json
import re
from collections.abc import Iterable
from decimal import ROUND_UP, Decimal
from math import ceil
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from limner.simulator.faults import unmarked
from limner.simulator.language import Heard, speak
from limner.simulator.ollama_chat import offered
from limner.simulator.openai_chat import completion, events
from limner.simulator.vendor import ErrorWord, Order, Route, Vendor, route

_ANSWERING_S = 0.5
_KNOB = re.compile(r"\[\[groq:(\w+)\]\]")
_MILLION = Decimal(1_000_000)
_PRICES = {
    "openai/gpt-oss-20b": (Decimal("0.075"), Decimal("0.30")),
    "openai/gpt-oss-120b": (Decimal("0.15"), Decimal("0.60")),
    "qwen/qwen3-32b": (Decimal("0.29"), Decimal("0.59")),
    "qwen/qwen3.6-27b": (Decimal("0.29"), Decimal("0.59")),
    "qwen/qwen3.8-27b": (Decimal("0.29"), Decimal("0.59")),
}
"""Dollars per million tokens, read and written; near what Groq asks, and no part of a picture's price."""
_RETIRED = ("llama-3.3-70b-versatile", "llama-3.1-8b-instant")
_LIMITS = {
    "x-ratelimit-limit-requests": "1000",
    "x-ratelimit-remaining-requests": "999",
    "x-ratelimit-reset-requests": "1m26.4s",
    "x-ratelimit-limit-tokens": "8000",
    "x-ratelimit-remaining-tokens": "7900",
    "x-ratelimit-reset-tokens": "7.66s",
}
Json = dict[str, JsonValue]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Message(_Strict):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: JsonValue = None
    name: str | None = None
    tool_calls: JsonValue = None
    tool_call_id: str | None = None


class _Form(_Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonValue = None


class _Ask(_Strict):
    model: str
    messages: Annotated[tuple[_Message, ...], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=65_536)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=65_536)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: JsonValue = None
    n: Literal[1] = 1
    reasoning_effort: Literal["none", "default", "low", "medium", "high"] | None = None
    reasoning_format: Literal["hidden", "raw", "parsed"] | None = None
    include_reasoning: bool | None = None
    response_format: _Form | None = None
    service_tier: Literal["auto", "on_demand", "flex", "performance"] | None = None
    stream: bool = False
    tools: list[dict[str, Any]] = []
    tool_choice: JsonValue = None
    user: str | None = None

    @property
    def heard(self) -> list[Heard]:
        """All that was said."""
        return [Heard(one.role, one.content if isinstance(one.content, str) else "") for one in self.messages]

    @property
    def said(self) -> str:
        """The text of the last message of the user."""
        words = [one.content for one in self.messages if one.role == "user" and isinstance(one.content, str)]
        return words[-1] if words else ""


class Groq(Vendor):
    """Chat completions and models; what is under `images` is a path that does not exist."""

    name = "groq"
    base = "/"
    key = "gsk_emu"

    def routes(self) -> Iterable[Route]:
        """Chat, and list the models."""
        return [
            route("POST", "/openai/v1/chat/completions", self.chat, order=True),
            route("GET", "/openai/v1/models", self.listed),
        ]

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """Groq's error body."""
        match word:
            case "no_key" | "bad_key":
                return _error(401, "Invalid API Key", code="invalid_api_key")
            case "forbidden":
                return _error(403, "Your organization may not use this.", "permissions_error")
            case "no_money":
                said = "API access is blocked: the organization's spend limit was reached."
                return _error(400, said, code="blocked_api_access")
            case "rate_limited":
                return self._rate_limited(request)
            case "server_error":
                return _error(500, "Internal Server Error", "internal_server_error")
            case "overloaded":
                return _error(503, "Service Unavailable", "internal_server_error")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """The answer to a path it does not have, pictures among them."""
        return _error(404, f"Unknown request URL: {request.method} {request.path}.", code="unknown_url")

    async def listed(self, request: web.Request) -> web.Response:
        """The chat models."""
        return web.json_response({"object": "list", "data": [_about(name) for name in _PRICES]})

    async def chat(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Answer the last message."""
        try:
            ask = _Ask.model_validate_json(order.body)
        except ValidationError as error:
            return _invalid(error)
        barred = _barred(ask)
        if barred is not None:
            return barred
        await self.world.sleep(_ANSWERING_S)
        spoken = speak(ask.heard, offered(ask.tools), order)
        words, ending = _words(ask, order) if spoken is None else (spoken.content, spoken.ending)
        read, written = _tokens(str([one.content for one in ask.messages])), _tokens(words)
        price = _PRICES[ask.model]
        usd = (read * price[0] + written * price[1]) / _MILLION
        order.charge(usd.quantize(1 / _MILLION, ROUND_UP), images=0)
        if spoken is not None:
            head: Json = {"id": f"chatcmpl-{self.world.new_id()}", "created": int(self.world.now())}
            head["model"] = ask.model
            return (
                events(head, spoken, _LIMITS)
                if ask.stream
                else web.json_response(completion(head, spoken), headers=_LIMITS)
            )
        told = self._completion(ask, words, ending, read, written)
        return (
            await _streamed(request, told, words) if ask.stream else web.json_response(told, headers=_LIMITS)
        )

    def _completion(self, ask: _Ask, words: str, ending: str, read: int, written: int) -> Json:
        message: Json = {"role": "assistant", "content": words}
        if ask.reasoning_format == "parsed":
            message["reasoning"] = "They want a better prompt."
        choice: Json = {"index": 0, "message": message, "logprobs": None, "finish_reason": ending}
        usage: Json = {
            "queue_time": 0.01,
            "prompt_tokens": read,
            "prompt_time": 0.002,
            "completion_tokens": written,
            "completion_time": 0.02,
            "total_tokens": read + written,
            "total_time": 0.022,
        }
        return {
            "id": f"chatcmpl-{self.world.new_id()}",
            "object": "chat.completion",
            "created": int(self.world.now()),
            "model": ask.model,
            "system_fingerprint": "fp_44e53",
            "service_tier": ask.service_tier or "on_demand",
            "choices": [choice],
            "usage": usage,
            "x_groq": {"id": "req_01jx"},
        }

    def _rate_limited(self, request: web.Request) -> web.Response:
        after = self.retry_after_s(request)
        said = (
            "Rate limit reached for model in organization `org_x` service tier `on_demand` on tokens per "
            f"minute (TPM): Limit 6000, Used 5034, Requested 1443. Please try again in {after:g}s."
        )
        headers = _LIMITS | {"x-ratelimit-remaining-tokens": "0", "retry-after": str(ceil(after))}
        return _error(429, said, "tokens", code="rate_limit_exceeded", headers=headers)


def _barred(ask: _Ask) -> web.Response | None:
    """What is said instead of an answer, for which nothing is charged."""
    if ask.model in _RETIRED:
        said = (
            f"The model `{ask.model}` has been decommissioned and is no longer supported. Please refer to "
            "https://console.groq.com/docs/deprecations for a recommendation on which model to use instead."
        )
        return _error(400, said, code="model_decommissioned")
    if ask.model not in _PRICES:
        said = f"The model `{ask.model}` does not exist or you do not have access to it."
        return _error(404, said, code="model_not_found")
    found = _KNOB.search(ask.said)
    match "" if found is None else found[1]:
        case "json_validate_failed":
            said = (
                "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more "
                "details."
            )
            return _error(400, said, code="json_validate_failed", failed_generation="{prompt:")
        case "capacity_498":
            return _error(
                498, "Flex tier capacity exceeded.", "internal_server_error", code="capacity_exceeded"
            )
        case "too_large":
            return _error(413, "Request too large for model: reduce your message size.", "tokens")
        case _:
            return None


def _words(ask: _Ask, order: Order) -> tuple[str, str]:
    """What it answers, and why it stops."""
    if order.has("refused"):
        return "I'm sorry, but I can't help with that.", "stop"
    if order.has("empty_success"):
        return "", "length"
    said = unmarked(_KNOB.sub("", ask.said)).strip()
    better = f"{said}, soft morning light, fine detail, balanced composition"
    if ask.response_format is not None and ask.response_format.type != "text":
        better = json.dumps({"prompt": better}, ensure_ascii=False)
    if "[[groq:think]]" in ask.said or ask.reasoning_format == "raw":
        better = f"<think>They want a better prompt.</think>\n{better}"
    most = ask.max_completion_tokens or ask.max_tokens or 65_536
    cut = _tokens(better) > most
    return better[: most * 4], "sparkled" if order.has("unknown_word") else "length" if cut else "stop"


def _tokens(text: str) -> int:
    return ceil(len(text) / 4)


def _about(name: str) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": 1795132800,
        "owned_by": name.partition("/")[0],
        "active": True,
        "context_window": 131072,
        "max_completion_tokens": 65536,
    }


def _error(
    status: int,
    message: str,
    kind: str = "invalid_request_error",
    *,
    code: str | None = None,
    failed_generation: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    told: Json = {"message": message, "type": kind}
    further = {"code": code, "failed_generation": failed_generation}
    told |= {name: value for name, value in further.items() if value is not None}
    return web.json_response({"error": told}, status=status, headers=headers)


def _invalid(error: ValidationError) -> web.Response:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    said = f"property '{where}' is unsupported" if first["type"] == "extra_forbidden" else first["msg"]
    return _error(400, f"'{where}' : {said}")


async def _streamed(request: web.Request, told: Json, words: str) -> web.StreamResponse:
    """The same in pieces, as server-sent events."""
    answer = web.StreamResponse(headers=_LIMITS | {"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    head = {name: told[name] for name in ("id", "created", "model", "system_fingerprint")}
    pieces: list[Json] = [{"role": "assistant", "content": ""}]
    pieces += [{"content": words[at : at + 20]} for at in range(0, len(words), 20)]
    for piece in pieces:
        await _event(answer, head, {"index": 0, "delta": piece, "finish_reason": None})
    await _event(answer, head, {"index": 0, "delta": {}, "finish_reason": "stop"})
    await answer.write(b"data: [DONE]\n\n")
    return answer


async def _event(answer: web.StreamResponse, head: Json, choice: Json) -> None:
    chunk = head | {"object": "chat.completion.chunk", "choices": [choice]}
    await answer.write(f"data: {json.dumps(chunk)}\n\n".encode())
