"""A chat in OpenAI's shape: `/chat/completions`, whose stream is server-sent events. Groq and many servers of
one's own speak it, too."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from limner.core.errors import Malformed, ProviderError, RateLimited, Rejected, Unauthorized, Unavailable
from limner.prompts.said import Ask, Delta, Piece, Said, Tool, ToolCall
from limner.wire import Event, Wire, retry_after_s

_SHOWN = 200
_CHAT = "chat/completions"
_ARGUMENTS = TypeAdapter(dict[str, JsonValue])


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None
    """JSON as text; in a stream a part of it."""


class _Call(BaseModel):
    index: int = 0
    id: str | None = None
    function: _Function = _Function()


class _Message(BaseModel):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(BaseModel):
    message: _Message


class _Completion(BaseModel):
    choices: list[_Choice]


class _Difference(BaseModel):
    delta: _Message = _Message()
    finish_reason: str | None = None


class _Fault(BaseModel):
    message: str


class _Chunk(BaseModel):
    choices: list[_Difference] = []
    """The last one, which tells of usage, has none."""
    error: _Fault | None = None


class _Error(BaseModel):
    error: _Fault


class _Model(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Model]


@dataclass(slots=True)
class _Growing:
    """A call whose parts come one by one."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def add(self, part: _Call) -> None:
        self.id = self.id or part.id or ""
        self.name += part.function.name or ""
        self.arguments += part.function.arguments or ""


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
    """By status; the answer's own words are kept."""
    if status < 400:
        return None
    said = f"{status}: {_words(body)}"
    match status:
        case 401 | 402 | 403:
            return Unauthorized(said)
        case 429 | 498:  # 498: Groq's tier has no room
            return RateLimited(said, after_s=retry_after_s(headers))
        case _ if status >= 500:
            return Unavailable(said)
        case _:
            return Rejected(said)


async def reply(wire: Wire, ask: Ask) -> Said:
    """The whole answer. Raises `ProviderError`s."""
    answer = await wire.ask(_CHAT, into=_Completion, json=_body(ask))
    if not answer.choices:
        raise Malformed("the language model's answer holds no choice")
    message = answer.choices[0].message
    calls = [_whole(_grown([one]), n) for n, one in enumerate(message.tool_calls or (), 1)]
    return Said(role="assistant", content=message.content or "", tool_calls=tuple(calls))


@asynccontextmanager
async def stream(wire: Wire, ask: Ask) -> AsyncIterator[AsyncIterator[Piece]]:
    """The answer as it is made; calls come when they are whole. Raises `ProviderError`s."""
    async with wire.events(_CHAT, json=_body(ask)) as events:
        yield _pieces(events)


async def models(wire: Wire) -> frozenset[str]:
    """The ids of the models there are."""
    return frozenset(one.id for one in (await wire.get("models", into=_Models)).data)


async def _pieces(events: AsyncIterator[Event]) -> AsyncIterator[Piece]:
    calls: dict[int, list[_Call]] = {}
    ended = False
    async for event in events:
        if event.data == b"[DONE]":
            ended = True
            break
        chunk = event.read(_Chunk)
        if chunk.error is not None:
            raise Unavailable(f"the language model broke off: {chunk.error.message[:_SHOWN]}")
        for choice in chunk.choices:
            if choice.delta.content:
                yield Delta(choice.delta.content)
            for call in choice.delta.tool_calls or ():
                calls.setdefault(call.index, []).append(call)
            ended = ended or choice.finish_reason is not None
    if not ended:
        raise Unavailable("the language model broke off before its answer was whole")
    for n, index in enumerate(sorted(calls), 1):
        yield _whole(_grown(calls[index]), n)


def _grown(parts: list[_Call]) -> _Growing:
    growing = _Growing()
    for part in parts:
        growing.add(part)
    return growing


def _whole(grown: _Growing, n: int) -> ToolCall:
    """Raises `Malformed`."""
    try:
        arguments = _ARGUMENTS.validate_json(grown.arguments or "{}")
    except ValidationError as fault:
        said = f"the language model calls {grown.name[:50]!r} with what is no JSON object"
        raise Malformed(said) from fault
    return ToolCall(id=grown.id or f"call_{n}", name=grown.name, arguments=arguments)


def _words(body: bytes) -> str:
    try:
        return _Error.model_validate_json(body).error.message[:_SHOWN]
    except ValidationError:
        return body[:_SHOWN].decode("utf-8", "replace")


def _body(ask: Ask) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = {
        "model": ask.model,
        "messages": [_message(one) for one in ask.messages],
        "temperature": ask.temperature,
        "stream": ask.stream,
    }
    if ask.max_tokens is not None:
        body["max_completion_tokens"] = ask.max_tokens
    if ask.tools:
        body["tools"] = [_tool(one) for one in ask.tools]
    return body


def _message(said: Said) -> dict[str, JsonValue]:
    message: dict[str, JsonValue] = {"role": said.role, "content": said.content}
    if said.tool_calls:
        message["tool_calls"] = [_call(one) for one in said.tool_calls]
    if said.tool_call_id is not None:
        message["tool_call_id"] = said.tool_call_id
    return message


def _call(call: ToolCall) -> dict[str, JsonValue]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: Tool) -> dict[str, JsonValue]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }
