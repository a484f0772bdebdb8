"""Chat in OpenAI's shape, for OpenAI and servers that copy it: whole, or as server-sent events. Free."""

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from limner.simulator.language import Heard, Spoken, plain, speak
from limner.simulator.ollama_chat import offered
from limner.simulator.vendor import Order

_MODEL = "gpt-oss:20b"
_PART = 12
Json = dict[str, Any]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)

    role: str
    content: str | list[Json] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class _Ask(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    model: str = _MODEL
    messages: Annotated[list[_Message], Field(min_length=1)]
    tools: list[Json] = []
    stream: bool = False


def chat(order: Order) -> web.Response:
    """The answer to an order. Raises pydantic's `ValidationError` for what is none."""
    asked = _Ask.model_validate(order.fields())
    heard = [Heard(one.role, one.text) for one in asked.messages]
    said = next((one.content for one in reversed(heard) if one.role == "user"), "")
    spoken = speak(heard, offered(asked.tools), order) or plain(said)
    head: Json = {"id": "chatcmpl-emulated", "created": int(order.world.now()), "model": asked.model}
    return events(head, spoken) if asked.stream else web.json_response(completion(head, spoken))


def completion(head: Json, spoken: Spoken) -> Json:
    """The whole answer."""
    message: Json = {"role": "assistant", "content": spoken.content or (None if spoken.calls else "")}
    if spoken.calls:
        message["tool_calls"] = calls(spoken)
    words = len(spoken.content.split())
    usage = {"prompt_tokens": 26, "completion_tokens": words, "total_tokens": 26 + words}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": spoken.ending}
    return head | {"object": "chat.completion", "choices": [choice], "usage": usage}


def calls(spoken: Spoken) -> list[Json]:
    """The calls; their arguments are JSON as text."""
    return [
        {
            "id": one.id,
            "type": "function",
            "function": {"name": one.name, "arguments": json.dumps(one.arguments, ensure_ascii=False)},
        }
        for one in spoken.calls
    ]


def events(head: Json, spoken: Spoken, headers: dict[str, str] | None = None) -> web.Response:
    """The answer as server-sent events; a call's arguments come in parts."""
    choices = [*_deltas(spoken), ({}, spoken.ending)]
    chunks = (
        head
        | {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": ending}],
        }
        for delta, ending in choices
    )
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return web.Response(text=body, content_type="text/event-stream", headers=headers)


def _deltas(spoken: Spoken) -> Iterator[tuple[Json, None]]:
    yield {"role": "assistant", "content": ""}, None
    for piece in spoken.pieces():
        yield {"content": piece}, None
    for index, call in enumerate(calls(spoken)):
        function = call["function"]
        begun = call | {"function": {"name": function["name"], "arguments": ""}}
        yield {"tool_calls": [{"index": index} | begun]}, None
        for part in _parts(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}, None


def _parts(text: str) -> Iterable[str]:
    return (text[at : at + _PART] for at in range(0, len(text), _PART))
