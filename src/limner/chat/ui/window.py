"""The Chainlit app: what people type goes to the conversation, what it tells is shown. It decides nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import chainlit as cl
from chainlit.input_widget import NumberInput, Select, Switch

from limner.chat import texts
from limner.chat.conversation import Conversation
from limner.chat.tool import Offered
from limner.chat.ui import panel
from limner.chat.ui.show import Show
from limner.chat.verbs import Verbs
from limner.core.errors import LimnerError
from limner.prompts.language import Language

STARTERS: Final = (
    ("Draw a red fox", "/image a red fox in the snow"),
    ("A farm at sunrise", "/image A serene farm landscape at sunrise"),
    ("How things are set", "/settings"),
    ("All commands", "/help"),
)
Turn = Callable[[Conversation, Show], Awaitable[None]]


class Window:
    """Every browser tab is a conversation of its own."""

    def __init__(self, limner: Verbs, language: Language) -> None:
        self._limner = limner
        self._language = language

    def register(self) -> None:
        """Make this the app that Chainlit serves."""
        cl.set_starters(self.starters)
        cl.on_chat_start(self.begin)
        cl.on_message(self.hear)
        cl.on_settings_update(self.set)
        cl.action_callback("press")(self.press)
        cl.action_callback("choose")(self.choose)
        cl.action_callback("again")(self.again)

    async def starters(self) -> list[cl.Starter]:
        """What an empty window offers."""
        return [cl.Starter(label=label, message=said) for label, said in STARTERS]

    async def begin(self) -> None:
        """A tab was opened."""
        await self._show_panel(self._conversation())

    async def hear(self, message: cl.Message) -> None:
        """Somebody typed."""
        await self._turn(lambda talk, show: talk.hear(message.content, show.tell))

    async def set(self, settings: Mapping[str, object]) -> None:
        """The settings panel was changed."""
        conversation = self._conversation()
        wanted = panel.changes(conversation.taste, settings)
        said = [conversation.change(*one) for one in wanted]
        whole = texts.settings_text(conversation.taste)
        refused = [one for one in said if not one.startswith("## ")]
        await cl.Message(content="\n\n".join((*refused, whole))).send()
        await self._show_panel(conversation)

    async def press(self, action: cl.Action) -> None:
        """The button of an offer, or of one of its alternatives. What it buys is what was offered, whatever
        the browser sends."""
        identity = str(action.payload.get("id"))
        offered = _offers().get(identity)
        if offered is None:
            await cl.Message(content="This offer is too old. `/image` asks for a picture.").send()
            return
        await action.remove()
        await self._turn(lambda talk, show: talk.press(identity, offered, show.tell))

    async def choose(self, action: cl.Action) -> None:
        """The button of somebody else who draws it."""
        await action.remove()
        identity = str(action.payload.get("id"))
        await self._turn(lambda talk, show: talk.choose(identity, show.tell))

    async def again(self, action: cl.Action) -> None:
        """The same description once more."""
        description = str(action.payload.get("description"))
        await self._turn(lambda talk, show: talk.draw(description, show.tell))

    async def _turn(self, turn: Turn) -> None:
        """Show all that happens in one turn."""
        conversation = self._conversation()
        show = Show(self._limner, _offers())
        before = conversation.taste
        try:
            await turn(conversation, show)
        except LimnerError as error:
            await show.broken(texts.plain(str(error), 500))
        except asyncio.CancelledError:
            await show.stopped()
            raise
        await show.close()
        if conversation.taste != before:
            await self._show_panel(conversation)

    def _conversation(self) -> Conversation:
        """The tab's own; a new one where this process has not seen the tab before."""
        found: Conversation | None = cl.user_session.get("conversation")
        if found is None:
            found = Conversation(self._limner, self._language)
            cl.user_session.set("conversation", found)
        return found

    async def _show_panel(self, conversation: Conversation) -> None:
        now = panel.values(conversation.taste)
        for name in (panel.QUALITY, panel.PROVIDER):
            cl.user_session.set(name, now[name])
        names = panel.providers(self._limner.set_up())
        chosen = str(now[panel.PROVIDER])
        names += [] if chosen in names else [chosen]
        await cl.ChatSettings(
            [
                Select(
                    id=panel.QUALITY,
                    label="Image quality",
                    items=panel.qualities(),
                    initial_value=str(now[panel.QUALITY]),
                ),
                Select(
                    id=panel.PROVIDER,
                    label="Image provider",
                    items={name: name for name in names},
                    initial_value=chosen,
                    description="auto: the first that can",
                ),
                Switch(id=panel.IMAGES, label="Images", initial=bool(now[panel.IMAGES])),
                Switch(id=panel.ENHANCE, label="Prompt enhancement", initial=bool(now[panel.ENHANCE])),
                NumberInput(
                    id=panel.LIMIT,
                    label="Limit for a picture, in dollars",
                    initial=float(now[panel.LIMIT]),
                    description="What costs more is not bought before you press its button",
                ),
            ]
        ).send()


def _offers() -> dict[str, Offered]:
    """What the tab's buttons stand for."""
    found: dict[str, Offered] | None = cl.user_session.get("offers")
    if found is None:
        found = {}
        cl.user_session.set("offers", found)
    return found
