"""`POST /chat`: the first of two phases. A language model talks and offers pictures; nothing is drawn."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.caller import key_of
from limner.api.chat_shapes import ChatBody, Frame, ends, frame, refused
from limner.api.errors import MAX_MESSAGE, cut
from limner.api.reference import ANYWHERE, EVENTS, MEANING, answer, takes
from limner.api.shapes import PlainErrorBody
from limner.api.stream import Emit, EventStream, event
from limner.app import Limner
from limner.chat.events import Event, Text, ToolEnded, Turn
from limner.chat.intent import wanted
from limner.chat.talk import Manner, Talk, offer
from limner.core.errors import LimnerError, NoEntry, ProviderError
from limner.core.events import Message

_DEFAULT_TEMPERATURE = 0.7
_NO_MESSAGES: tuple[Message, ...] = ()


class Chat:
    """The door."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        app.add_api_route(
            "/chat",
            self.chat,
            methods=["POST"],
            tags=["Two-phase chat"],
            summary="Talk, and be offered pictures",
            description=(
                "Server-sent events: `status`, `llm_request`, `delta`, `llm_response`, `tool_call_start`, "
                "`tool_call_progress`, `tool_call_result`, `message_complete`, and `complete` as the last. "
                "A chat that is refused is 200, too, with one event `error` whose `code` is `UNAUTHORIZED`, "
                "`FORBIDDEN`, `INVALID_REQUEST` or `CONFIGURATION_ERROR`."
            ),
            response_class=Response,
            responses=answer(200, "The stream", EVENTS) | _other(),
            openapi_extra=takes(ChatBody),
        )

    async def chat(self, request: Request) -> Response:
        """Answer as a stream, whatever is sent."""
        try:
            body = await self._allowed(request)
            messages = body.said()
        except NoEntry as error:
            return _Told(_only(refused("UNAUTHORIZED", f"Authentication required: {error}")))
        except LimnerError as error:
            return _Told(_only(refused("INVALID_REQUEST", cut(str(error), MAX_MESSAGE))))

        async def turn(emit: Emit) -> None:
            stage = _Stage(emit)
            manner = Manner(
                _DEFAULT_TEMPERATURE if body.temperature is None else body.temperature,
                body.max_tokens,
                body.pictures,
            )
            talk = Talk(self._limner, self._limner.language, stage.show, manner)
            try:
                done = await talk.answer(messages)
            except ProviderError as error:
                done_without = await self._without(messages[-1].content, body, stage, error)
                if done_without is None:
                    return
                done = done_without
            for one in ends(messages, done):
                await stage.send(one)

        return _Told(turn)

    async def _allowed(self, request: Request) -> ChatBody:
        """The body, of somebody who has a key. Raises `NoEntry` before anything that is wrong with it."""
        try:
            self._limner.who(key_of(request.scope["headers"]))
        except NoEntry as locked:
            try:
                body, _ = await read(request, ChatBody, self._limit)
            except LimnerError:
                raise locked from None
            self._limner.who(body.access_token or None)
            return body
        return (await read(request, ChatBody, self._limit))[0]

    async def _without(self, text: str, body: ChatBody, stage: "_Stage", error: ProviderError) -> Turn | None:
        """No language model: what plainly asks for a picture is offered all the same."""
        why = cut(str(error))
        asked = wanted(text) if body.pictures and not stage.begun else None
        if asked is not None and asked.description:
            return await offer(self._limner, asked.description, why, stage.show)
        said = f"The language model does not answer: {why}. See the settings language_url, language_model."
        await stage.send(refused("CONFIGURATION_ERROR", said))
        return None


class _Stage:
    """Shows the events of a turn as frames of the stream."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.begun = False
        """Something of the answer was shown."""

    async def show(self, one: Event) -> None:
        """What the stream's clients listen for."""
        self.begun = self.begun or isinstance(one, Text | ToolEnded)
        shown = frame(one)
        if shown is not None:
            await self.send(shown)

    async def send(self, one: Frame) -> None:
        """One event: an `event:` line, one `data:` line, an empty line; no carriage returns."""
        await self._emit(event(one[0], orjson.dumps(one[1])))


Tells = Callable[[Emit], Awaitable[None]]


class _Told(EventStream):
    """A stream that tells itself. Its keep-alive comments have no `event:` line: clients pass over them."""

    def __init__(self, tells: Tells) -> None:
        super().__init__(nullcontext(_nothing()), _unheard, _unsaid)
        self._tells = tells

    async def _tell(self, messages: AsyncIterator[Message], emit: Emit) -> None:
        try:
            await self._tells(emit)
        except LimnerError as error:
            await _Stage(emit).send(refused("CONFIGURATION_ERROR", cut(str(error), MAX_MESSAGE)))


def _only(one: Frame) -> Tells:
    async def tells(emit: Emit) -> None:
        await _Stage(emit).send(one)

    return tells


async def _nothing() -> AsyncIterator[Message]:
    for message in _NO_MESSAGES:
        yield message


async def _unheard(_message: Message, _emit: Emit) -> None:
    """There are no messages."""


def _unsaid(_error: LimnerError) -> bytes:
    return b""


def _other() -> dict[int | str, dict[str, Any]]:
    """What stands before every door."""
    return {
        one: {"description": MEANING[one], "model": PlainErrorBody}
        for one in ANYWHERE
        if one != 401  # said in the stream
    }
