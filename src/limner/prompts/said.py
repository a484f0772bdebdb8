"""What is said to a language model and what it says back, whichever shape its server speaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(BaseModel):
    """The model wants a tool to be run."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    arguments: dict[str, JsonValue]


class Said(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True)

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """Which call a `tool` message answers."""


class Tool(BaseModel):
    """What the model may ask to be run."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    parameters: dict[str, JsonValue]
    """JSON schema of the arguments."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Some more text."""

    text: str


Piece = Delta | ToolCall
"""What a stream yields, in order."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a model, before it is put into a server's shape."""

    model: str
    messages: Sequence[Said]
    tools: Sequence[Tool]
    temperature: float
    max_tokens: int | None
    stream: bool
