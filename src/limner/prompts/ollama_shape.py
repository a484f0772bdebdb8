"""A chat in Ollama's shape: `/api/chat`, whose stream is one JSON object a line."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from pydantic import BaseModel, JsonValue, ValidationError

from limner.core.errors import Malformed, ProviderError, RateLimited, Rejected, Unauthorized, Unavailable
from limner.prompts.said import Ask, Delta, Piece, Said, Tool, ToolCall
from limner.wire import Wire, retry_after_s

_SHOWN = 200
_CHAT = "api/chat"


class _Function(BaseModel):
    name: str
    arguments: dict[str, JsonValue] = {}


class _Call(BaseModel):
    id: str = ""
    """Newer servers only."""
    function: _Function


class _Message(BaseModel):
    content: str = ""
    tool_calls: list[_Call] = []


class _Line(BaseModel):
    message: _Message = _Message()
    done: bool = False
    error: str | None = None


class _Error(BaseModel):
    error: str


class _Model(BaseModel):
    name: str


class _Tags(BaseModel):
    models: list[_Model]


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
    """By status: nothing is ever charged, so an error of the server's is one before the answer."""
    if status < 400:
        return None
    said = f"Ollama: {_words(body) or status}"
    match status:
        case 401 | 403:
            return Unauthorized(said)
        case 404:
            return Rejected(f"{said} (`ollama pull` installs a model)")
        case 429:
            return RateLimited(said, after_s=retry_after_s(headers))
        case _ if status >= 500:
            return Unavailable(said)
        case _:
            return Rejected(said)


async def reply(wire: Wire, ask: Ask) -> Said:
    """The whole answer. Raises `ProviderError`s."""
    line = await wire.ask(_CHAT, into=_Line, json=_body(ask))
    if line.error is not None:
        raise Unavailable(f"Ollama: {line.error[:_SHOWN]}")
    if not line.done:
        raise Malformed("Ollama's answer does not say that it is whole")
    return Said(role="assistant", content=line.message.content, tool_calls=tuple(_calls(line.message, 0)))


@asynccontextmanager
async def stream(wire: Wire, ask: Ask) -> AsyncIterator[AsyncIterator[Piece]]:
    """The answer as it is made. Raises `ProviderError`s."""
    async with wire.lines(_CHAT, json=_body(ask)) as lines:
        yield _pieces(lines)


async def models(wire: Wire) -> frozenset[str]:
    """The names of the installed models, with their tags."""
    return frozenset(one.name for one in (await wire.get("api/tags", into=_Tags)).models)


async def _pieces(lines: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    count = 0
    async for raw in lines:
        line = _read(raw or b"{}")
        if line.error is not None:
            raise Unavailable(f"Ollama broke off: {line.error[:_SHOWN]}")
        if line.message.content:
            yield Delta(line.message.content)
        for call in _calls(line.message, count):
            count += 1
            yield call
        if line.done:
            return
    raise Unavailable("Ollama broke off before its answer was whole")


def _calls(message: _Message, before: int) -> list[ToolCall]:
    """Older servers give no ids, so that they are numbered here."""
    return [
        ToolCall(
            id=call.id or f"call_{before + n}", name=call.function.name, arguments=call.function.arguments
        )
        for n, call in enumerate(message.tool_calls, 1)
    ]


def _read(raw: bytes) -> _Line:
    try:
        return _Line.model_validate_json(raw)
    except ValidationError as fault:
        raise Malformed(f"cannot read a line of Ollama's answer: {raw[:100]!r}") from fault


def _words(body: bytes) -> str:
    try:
        return _Error.model_validate_json(body).error[:_SHOWN]
    except ValidationError:
        return body[:_SHOWN].decode("utf-8", "replace")


def _body(ask: Ask) -> dict[str, JsonValue]:
    options: dict[str, JsonValue] = {"temperature": ask.temperature}
    if ask.max_tokens is not None:
        options["num_predict"] = ask.max_tokens
    names = {call.id: call.name for one in ask.messages for call in one.tool_calls}
    body: dict[str, JsonValue] = {
        "model": ask.model,
        "messages": [_message(one, names) for one in ask.messages],
        "stream": ask.stream,
        "options": options,
    }
    if ask.model.startswith("gpt-oss"):
        body["think"] = "low"  # it cannot leave thinking off, and plain models refuse the field
    if ask.tools:
        body["tools"] = [_tool(one) for one in ask.tools]
    return body


def _message(said: Said, names: Mapping[str, str]) -> dict[str, JsonValue]:
    message: dict[str, JsonValue] = {"role": said.role, "content": said.content}
    if said.tool_calls:
        message["tool_calls"] = [
            {"id": one.id, "function": {"name": one.name, "arguments": one.arguments}}
            for one in said.tool_calls
        ]
    if said.tool_call_id is not None:
        message["tool_call_id"] = said.tool_call_id
        message["tool_name"] = names.get(said.tool_call_id, "")
    return message


def _tool(tool: Tool) -> dict[str, JsonValue]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }
