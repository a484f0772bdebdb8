"""What Ollama takes, and how its answers look: its own shapes and OpenAI's."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from limner.simulator.ollama_words import Speech

Line = dict[str, Any]
"""One line of an answer: JSON whose fields its kind decides."""
_STRICT = ConfigDict(strict=True, frozen=True)


class Options(BaseModel):
    """The options that matter here; the others are taken and ignored, as all unknown fields are."""

    model_config = _STRICT

    seed: int = 0
    num_predict: int = -1


class Asked(BaseModel):
    """What both of its own ways to ask have."""

    model_config = _STRICT

    model: str = ""
    stream: bool = True
    options: Options = Options()
    think: bool | str | None = None
    format: str | dict[str, Any] | None = None


class Generate(Asked):
    """`/api/generate`. A side of 0 is one that was not given."""

    prompt: str = ""
    width: Annotated[int, Field(ge=0)] = 0
    height: Annotated[int, Field(ge=0)] = 0
    steps: Annotated[int, Field(ge=0)] = 0
    images: list[str] = []


class Message(BaseModel):
    """One thing said."""

    model_config = _STRICT

    role: str
    content: str | list[dict[str, Any]] = ""

    @property
    def text(self) -> str:
        """Its words, also where they come in parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(str(part.get("text", "")) for part in self.content)


class Chat(Asked):
    """`/api/chat`."""

    messages: list[Message] = []
    tools: list[dict[str, Any]] = []


class OpenAIFormat(BaseModel):
    """`response_format`."""

    model_config = _STRICT

    type: str
    json_schema: dict[str, Any] = {}

    @property
    def shape(self) -> object:
        """As Ollama's own `format` says it."""
        return "json" if self.type == "json_object" else self.json_schema.get("schema")


class OpenAIChat(BaseModel):
    """`/v1/chat/completions`."""

    model_config = _STRICT

    model: str = ""
    messages: list[Message] = []
    response_format: OpenAIFormat | None = None
    tools: list[dict[str, Any]] = []
    max_tokens: int | None = None
    stream: bool = False


class OpenAIImage(BaseModel):
    """`/v1/images/generations` and `edits`."""

    model_config = _STRICT

    model: str = ""
    prompt: str = ""
    size: str = ""
    seed: int = 0
    image: str = ""


def last_said(messages: Iterable[Message]) -> str:
    """The words of the user's last message."""
    return next((one.text for one in reversed(list(messages)) if one.role == "user"), "")


def chat_lines(head: Line, speech: Speech) -> Iterator[Line]:
    """The lines of a chat's answer."""
    for kind, piece in speech.pieces():
        yield head | {"message": {"role": "assistant", "content": "", kind: piece}, "done": False}
    yield head | {"message": {"role": "assistant", "content": ""}} | _ended(speech)


def completion_lines(head: Line, speech: Speech) -> Iterator[Line]:
    """The lines of a raw completion."""
    for kind, piece in speech.pieces():
        said = {"response": piece} if kind == "content" else {"response": "", "thinking": piece}
        yield head | said | {"done": False}
    yield head | {"response": ""} | _ended(speech)


def _ended(speech: Speech) -> Line:
    counts = {"prompt_eval_count": speech.heard, "eval_count": speech.tokens}
    times = {"total_duration": 4_883_583_458, "load_duration": 1_334_875, "eval_duration": 4_535_599_000}
    return {"done": True, "done_reason": speech.reason} | counts | times


def joined(lines: list[Line]) -> Line:
    """An answer that is not streamed: the last line with the words of all."""
    last = dict(lines[-1])
    if "message" in last:
        last["message"] = {"role": "assistant"} | _texts([line["message"] for line in lines], "content")
    elif "response" in last:
        last |= _texts(lines, "response")
    return last


def _texts(parts: list[Line], said: str) -> Line:
    thinking = "".join(part.get("thinking", "") for part in parts)
    return {said: "".join(part.get(said, "") for part in parts)} | (
        {"thinking": thinking} if thinking else {}
    )


def openai_completion(head: Line, speech: Speech) -> Line:
    """A chat's whole answer in OpenAI's shape."""
    message = {"role": "assistant", "content": speech.content}
    usage = {"prompt_tokens": speech.heard, "completion_tokens": speech.tokens}
    usage["total_tokens"] = speech.heard + speech.tokens
    choices = [{"index": 0, "message": message, "finish_reason": speech.reason}]
    return head | {"object": "chat.completion", "choices": choices, "usage": usage}


def openai_events(head: Line, speech: Speech) -> web.Response:
    """A chat's answer as server-sent events in OpenAI's shape."""
    words = [(piece, None) for kind, piece in speech.pieces() if kind == "content"]
    events = [
        head
        | {
            "object": "chat.completion.chunk",
            "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": reason},
            ],
        }
        for piece, reason in (*words, ("", speech.reason))
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return web.Response(text=body, content_type="text/event-stream")


def said(status: int, text: str) -> web.Response:
    """An error in its own shape."""
    return web.json_response({"error": text}, status=status)


def openai_said(status: int, text: str) -> web.Response:
    """An error in OpenAI's shape."""
    kind = {404: "not_found_error"}.get(status, "api_error" if status >= 500 else "invalid_request_error")
    body: Mapping[str, object] = {"message": text, "type": kind, "param": None, "code": None}
    return web.json_response({"error": body}, status=status)
