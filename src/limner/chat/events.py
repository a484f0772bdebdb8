"""What happens in a conversation, as whoever shows it is told: the door `/chat`, the chat window, a test."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal

from limner.chat.tool import Offered
from limner.core.job import Artifact, Job
from limner.prompts.said import Said, ToolCall


@dataclass(frozen=True, slots=True)
class Began:
    """Somebody will answer: `model` at `provider`."""

    model: str
    provider: str
    has_tools: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """The language model is asked, for the `round`-th time, counted from 1."""

    round: int
    model: str
    provider: str
    messages: int
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """It has answered. `at` is Unix seconds, `ms` what it took."""

    round: int
    model: str
    provider: str
    at: float
    ms: int
    tool_calls: int


@dataclass(frozen=True, slots=True)
class Text:
    """Some more of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolBegan:
    """A tool is about to be run."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolGoesOn:
    """What it is doing."""

    call: ToolCall
    status: str


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """What it said, as JSON. `offer` is there when a picture was offered, `error` when it failed."""

    call: ToolCall
    content: str
    error: str | None = None
    offer: Offered | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Somebody who draws it for exactly `price_usd` once the button `identity` is pressed."""

    identity: str
    provider: str
    model: str
    price_usd: Decimal


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture is on its way: who is asked now, and for what. Replaces the one before."""

    description: str
    provider: str
    price_usd: Decimal | None = None
    fraction: float | None = None
    """How much of it is done, where one is told."""


@dataclass(frozen=True, slots=True)
class Picture:
    """It is done: an element called `name`. `text` says via whom, and all that was done otherwise."""

    job: Job
    image: Artifact
    text: str
    name: str = "generated_image"
    choices: tuple[Choice, ...] = ()
    """Who else would draw it."""
    description: str = ""
    """What to draw for another one."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No picture came of it: what to tell people."""

    text: str
    job: Job | None = None
    choices: tuple[Choice, ...] = ()
    """Who else would draw it."""
    again: str = ""
    """The description, where drawing it once more may help and buys nothing twice."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Nothing is drawn before one of the buttons is pressed."""

    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Help, a setting, a command that is not known: Markdown for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn is over: the whole answer and all that it brought."""

    content: str
    new: tuple[Said, ...] = ()
    """Messages that the turn added, the answer last."""
    rounds: int = 0
    calls: tuple[Answered, ...] = ()
    tools: tuple[ToolEnded, ...] = field(default=())

    @property
    def offers(self) -> list[tuple[str, Offered]]:
        """The pictures that were offered, each by its tool call's id."""
        return [(one.call.id, one.offer) for one in self.tools if one.offer is not None]


Event = (
    Began
    | Asked
    | Answered
    | Text
    | ToolBegan
    | ToolGoesOn
    | ToolEnded
    | Drawing
    | Picture
    | Failed
    | Asking
    | Notice
)
Tell = Callable[[Event], Awaitable[None]]
"""Whoever shows the conversation."""
