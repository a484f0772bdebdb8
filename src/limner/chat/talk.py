"""One turn of talk: the language model answers, and calls tools as often as it may."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from limner.chat.events import Answered, Asked, Began, Tell, Text, ToolBegan, ToolEnded, ToolGoesOn, Turn
from limner.chat.tool import GENERATE_IMAGE, NotOffered, Offered, generate_image, told
from limner.chat.verbs import Verbs
from limner.core.ids import uuid7
from limner.core.money import show
from limner.prompts.language import Language
from limner.prompts.said import Delta, Said, Tool, ToolCall

MOST_ROUNDS = 5
"""How often the model is asked in one turn; the last time it has no tools, so that it must answer."""
MOST_CALLS = 4
"""Tool calls of one answer that are run."""

WHO = (
    "You are the assistant of Limner, which draws pictures. When the user wants a picture, call the tool "
    "generate_image once with a full description; it prepares an offer with a price and draws nothing. Then "
    "say in one sentence what is offered. If it fails, say why and go on in words. Everything else you "
    "answer in words. Never invent addresses of pictures."
)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the model is to answer."""

    temperature: float = 0.7
    max_tokens: int | None = None
    pictures: bool = True
    """May it offer any?"""


@dataclass(slots=True)
class Talk:
    """One turn. Raises `ProviderError` when the language model cannot be asked, or breaks off."""

    limner: Verbs
    language: Language
    tell: Tell
    manner: Manner = field(default_factory=Manner)
    _calls: list[Answered] = field(default_factory=list)
    _tools: list[ToolEnded] = field(default_factory=list)

    async def answer(self, messages: Sequence[Said]) -> Turn:
        """Answer the last of the messages."""
        heard = list(messages)
        if not any(one.role == "system" for one in heard):
            heard.insert(0, Said(role="system", content=WHO))
        before = len(heard)
        tools = (GENERATE_IMAGE,) if self.manner.pictures else ()
        await self.tell(Began(self.language.name, self.language.provider, has_tools=bool(tools)))
        text = ""
        for number in range(1, MOST_ROUNDS + 1):
            said = await self._ask(number, heard, () if number == MOST_ROUNDS else tools)
            heard.append(said)
            text = "\n\n".join(one for one in (text, said.content.strip()) if one)
            if not said.tool_calls:
                break
            heard += [await self._run(call) for call in said.tool_calls]
        return Turn(
            text, tuple(heard[before:]), rounds=number, calls=tuple(self._calls), tools=tuple(self._tools)
        )

    async def _ask(self, number: int, heard: Sequence[Said], tools: Sequence[Tool]) -> Said:
        language = self.language
        names = tuple(tool.name for tool in tools)
        await self.tell(Asked(number, language.name, language.provider, len(heard), names))
        began = time.monotonic()
        text: list[str] = []
        calls: list[ToolCall] = []
        async with language.stream(
            heard, tools=tools, temperature=self.manner.temperature, max_tokens=self.manner.max_tokens
        ) as pieces:
            async for piece in pieces:
                match piece:
                    case Delta(text=more):
                        text.append(more)
                        await self.tell(Text(more))
                    case ToolCall():
                        calls.append(piece)
        ms = round((time.monotonic() - began) * 1000)
        done = Answered(number, language.name, language.provider, time.time(), ms, len(calls))
        self._calls.append(done)
        await self.tell(done)
        wanted = [_with_id(call) for call in calls[:MOST_CALLS]] if tools else []
        return Said(role="assistant", content="".join(text), tool_calls=tuple(wanted))

    async def _run(self, call: ToolCall) -> Said:
        await self.tell(ToolBegan(call))
        ended = await run_tool(self.limner, call, self.tell)
        self._tools.append(ended)
        await self.tell(ended)
        return Said(role="tool", content=ended.content, tool_call_id=call.id)


async def run_tool(limner: Verbs, call: ToolCall, tell: Tell) -> ToolEnded:
    """Our own tool's result, or an error for a tool that is not ours: the client's are its own to run."""
    if call.name != GENERATE_IMAGE.name:
        said = f"there is no tool {call.name[:60]!r} here; there is: {GENERATE_IMAGE.name}"
        return ToolEnded(call, orjson.dumps({"error": said}).decode(), said)
    await tell(ToolGoesOn(call, "Looking for a model and its price"))
    result = await generate_image(limner, call.arguments)
    match result:
        case Offered():
            return ToolEnded(call, told(result), offer=result)
        case NotOffered(error=error):
            return ToolEnded(call, told(result), error)


async def offer(limner: Verbs, description: str, why: str, tell: Tell) -> Turn:
    """The same turn without a language model, for words that plainly ask for a picture; `why` there is none,
    for people."""
    await tell(Began("none", "limner", has_tools=True))
    call = ToolCall(id=f"call_{uuid7()}", name=GENERATE_IMAGE.name, arguments={"prompt": description})
    await tell(ToolBegan(call))
    ended = await run_tool(limner, call, tell)
    await tell(ended)
    text = _offered(ended) + (f" (No language model answers here: {why})" if why else "")
    await tell(Text(text))
    said = (
        Said(role="assistant", tool_calls=(call,)),
        Said(role="tool", content=ended.content, tool_call_id=call.id),
        Said(role="assistant", content=text),
    )
    return Turn(text, said, tools=(ended,))


def _offered(ended: ToolEnded) -> str:
    if ended.offer is None:
        return f"I cannot draw it: {ended.error}."
    one = ended.offer
    return (
        f"I can draw it with {one.provider}/{one.model} at {one.size} for {show(one.cost)}: press the button."
    )


def _with_id(call: ToolCall) -> ToolCall:
    """Clients follow a picture by its call's id, so that there must be one."""
    return call if call.id else call.model_copy(update={"id": f"call_{uuid7()}"})
