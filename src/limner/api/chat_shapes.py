"""What `POST /chat` reads, and its events in its clients' words."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from limner.chat.events import Answered, Asked, Began, Event, Text, ToolBegan, ToolEnded, ToolGoesOn, Turn
from limner.chat.tool import GENERATE_IMAGE, Offered
from limner.core.errors import InvalidRequest
from limner.core.request import says_something
from limner.core.text import clean_text
from limner.prompts.said import Role, Said, ToolCall

Code = Literal["UNAUTHORIZED", "FORBIDDEN", "INVALID_REQUEST", "CONFIGURATION_ERROR"]
Frame = tuple[str, dict[str, JsonValue]]
"""An event's type and its data."""
MOST_MESSAGES = 500
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class TextPart(BaseModel):
    """A piece of a message; only text is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    text: str | None = None


class ChatMessage(BaseModel):
    """One message. Those without text, such as results of tools, are left out: the answer that used them is
    there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """All its text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class ChatBody(BaseModel):
    """A conversation to be answered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)]
    model: str | None = None
    """Accepted; the server's own model answers, and `status` says which that is."""
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    stream: bool | None = None
    """Accepted; the answer is always a stream."""
    tools: list[dict[str, JsonValue]] | None = None
    """Only `generate_image` is run here. A list without it switches pictures off."""
    access_token: str | None = Field(None, alias="accessToken")
    """The caller's key, where it is not in the header `Authorization`."""

    @property
    def pictures(self) -> bool:
        """May pictures be offered?"""
        return not self.tools or GENERATE_IMAGE.name in map(_tool_name, self.tools)

    def said(self) -> list[Said]:
        """The conversation, which ends with what the user said. Raises `InvalidRequest`."""
        found = [
            Said(role=_ROLES[one.role], content=one.text)
            for one in self.messages
            if one.role in _ROLES and says_something(one.text)
        ]
        if not found or found[-1].role != "user":
            raise InvalidRequest("messages: must end with a message of the user that holds text", "messages")
        try:
            for one in found:
                clean_text(one.content)
        except ValueError as error:
            raise InvalidRequest(f"messages: {error}", "messages") from error
        return found


def _tool_name(tool: dict[str, JsonValue]) -> JsonValue:
    inner = tool.get("function")
    return inner.get("name") if isinstance(inner, dict) else tool.get("name")


def frame(event: Event) -> Frame | None:
    """An event as the stream has it, None for one that it has not."""
    match event:
        case Began():
            said: dict[str, JsonValue] = {"status": "processing", "model": event.model}
            return "status", said | {"provider": event.provider, "hasTools": event.has_tools}
        case Asked():
            return "llm_request", {
                "iteration": event.round,
                "model": event.model,
                "provider": event.provider,
                "messageCount": event.messages,
                "tools": list(event.tools),
            }
        case Answered():
            return "llm_response", _call(event)
        case Text(text=text):
            return "delta", {"content": text}
        case ToolBegan(call=call):
            arguments = orjson.dumps(call.arguments).decode()
            return "tool_call_start", {"id": call.id, "name": call.name, "arguments": arguments}
        case ToolGoesOn(call=call, status=status):
            return "tool_call_progress", {"id": call.id, "name": call.name, "status": status}
        case ToolEnded():
            return "tool_call_result", _result(event)
        case _:
            return None


def ends(messages: Sequence[Said], turn: Turn) -> tuple[Frame, Frame]:
    """The last two: the whole answer, and the end."""
    complete: dict[str, JsonValue] = {
        "role": "assistant",
        "content": turn.content,
        "llmApiCalls": [_call(one) for one in turn.calls],
    }
    if turn.tools:
        complete["toolResults"] = [_result(one) for one in turn.tools]
    if turn.offers:
        complete["imageGenerations"] = [_generation(identity, one) for identity, one in turn.offers]
    last: dict[str, JsonValue] = {
        "status": "success",
        "messages": [_message(one) for one in (*messages, *turn.new)],
        "iterations": turn.rounds,
        "cost": 0.0,
    }
    return ("message_complete", complete), ("complete", last)


def refused(code: Code, text: str) -> Frame:
    """The event of a chat that is not answered. Clients sign the user out at the word `Authentication`."""
    if code != "UNAUTHORIZED":
        text = text.replace("uthentication", "uthorisation")
    return "error", {"error": text, "code": code}


def _generation(identity: str, offered: Offered) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = offered.model_dump(mode="json", by_alias=True, exclude={"capabilities"})
    return {"id": identity, **said, "status": "pending"}


def _call(one: Answered) -> dict[str, JsonValue]:
    return {
        "type": "chat",
        "iteration": one.round,
        "provider": one.provider,
        "model": one.model,
        "timestamp": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds"),
        "duration": one.ms,
        "durationMs": one.ms,
        "toolCalls": one.tool_calls,
        "success": True,
    }


def _result(one: ToolEnded) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {"id": one.call.id, "name": one.call.name, "content": one.content}
    return said if one.error is None else said | {"error": one.error}


def _message(one: Said) -> dict[str, JsonValue]:
    """In OpenAI's shape, so that it can be sent again."""
    said: dict[str, JsonValue] = {"role": one.role, "content": one.content}
    if one.tool_calls:
        said["tool_calls"] = [_tool_call(call) for call in one.tool_calls]
    return said if one.tool_call_id is None else said | {"tool_call_id": one.tool_call_id}


def _tool_call(call: ToolCall) -> dict[str, JsonValue]:
    function: dict[str, JsonValue] = {
        "name": call.name,
        "arguments": orjson.dumps(call.arguments).decode(),
    }
    return {"id": call.id, "type": "function", "function": function}
