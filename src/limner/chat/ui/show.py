"""One turn of a conversation as Chainlit's messages, pictures and buttons."""

from collections.abc import Iterable
from decimal import Decimal

import chainlit as cl

from limner.chat import texts
from limner.chat.events import (
    Asking,
    Choice,
    Drawing,
    Event,
    Failed,
    Notice,
    Picture,
    Text,
    ToolEnded,
)
from limner.chat.tool import Offered
from limner.chat.verbs import Verbs
from limner.core.money import show as dollars


class Show:
    """`tell` takes what happens. `offers` is what the session's buttons stand for, by id."""

    def __init__(self, limner: Verbs, offers: dict[str, Offered]) -> None:
        self._limner = limner
        self._offers = offers
        self._status: cl.Message | None = None
        self._text: cl.Message | None = None
        self._said = ""
        self._offered: list[tuple[str, Offered]] = []

    async def tell(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Text(text=text):
                await self._more(text)
            case ToolEnded(call=call, offer=Offered() as offered):
                self._offered.append((call.id, offered))
            case Drawing():
                await self._under_way(texts.drawing(event))
            case Picture():
                await self._picture(event)
            case Failed():
                await self._settle(event.text, buttons=_after(event.choices, event.again, "Try again"))
            case Asking():
                await self._settle(event.text, buttons=[_confirm(one) for one in event.choices])
            case Notice():
                await self._settle(event.text)
            case _:
                pass

    async def close(self) -> None:
        """Nothing more comes: the words are whole, and what they offer stands below them."""
        if self._text is not None:
            await self._text.send()
            self._text = None
        for identity, offered in self._offered:
            await self._offer(identity, offered)
        self._offered = []

    async def broken(self, why: str) -> None:
        """The turn ended by an error."""
        await self._settle(f"**This did not work**\n\n{why}")

    async def stopped(self) -> None:
        """Somebody pressed stop."""
        if self._status is not None:
            await self._settle(f"{self._said}\n\nNobody waits for it any more; what was ordered goes on.")
        await self.close()

    async def _more(self, text: str) -> None:
        if self._text is None:
            self._text = cl.Message(content="")
        await self._text.stream_token(text)

    async def _under_way(self, said: str) -> None:
        """The one status message of a picture, changed as the next provider is tried."""
        await self.close()
        if said == self._said:
            return
        self._said = said
        if self._status is None:
            self._status = cl.Message(content=said)
            await self._status.send()
        else:
            self._status.content = said
            await self._status.update()

    async def _settle(
        self, said: str, elements: Iterable[cl.Image] = (), buttons: Iterable[cl.Action] = ()
    ) -> None:
        """What became of it, in the place of the status."""
        await self.close()
        message, self._status = self._status, None
        if message is None:
            await cl.Message(content=said, elements=[*elements], actions=[*buttons]).send()
            return
        message.content = said
        message.elements = [*elements]
        message.actions = [*buttons]
        await message.update()

    async def _picture(self, event: Picture) -> None:
        content = await self._limner.open(event.image)
        element = cl.Image(name=event.name, content=content, mime=f"image/{event.image.format}", size="large")
        buttons = _after(event.choices, event.description, "Another one")
        await self._settle(event.text, [element], buttons)

    async def _offer(self, identity: str, offered: Offered) -> None:
        """A picture that a language model, or a wish in words, would have: a button for each who draws it."""
        self._offers[identity] = offered
        first = cl.Action(
            name="press",
            payload={"id": identity},
            label=f"Generate Image for ${offered.cost:.4f}",
            tooltip=f"{offered.provider}/{offered.model}",
            icon="image",
        )
        others = [
            self._other(identity, number, offered) for number in range(len(offered.available_alternatives))
        ]
        await cl.Message(content=offered.message, actions=[first, *others]).send()

    def _other(self, identity: str, number: int, offered: Offered) -> cl.Action:
        other = offered.available_alternatives[number]
        name = f"{identity} {number + 1}"
        self._offers[name] = offered.by(other)
        return cl.Action(
            name="press", payload={"id": name}, label=_priced(other.provider, other.model_key, other.cost)
        )


def _priced(provider: str, model: str, usd: Decimal) -> str:
    return f"{provider}/{model}, {dollars(usd)}"


def _confirm(choice: Choice) -> cl.Action:
    """What the contract's button says, and who draws it."""
    return cl.Action(
        name="choose",
        payload={"id": choice.identity},
        label=f"Generate Image for ${choice.price_usd:.4f} ({choice.provider}/{choice.model})",
        icon="image",
    )


def _after(choices: Iterable[Choice], description: str, again: str) -> list[cl.Action]:
    """Once more, and elsewhere."""
    once_more = [
        cl.Action(name="again", payload={"description": description}, label=again, icon="refresh-cw")
    ]
    elsewhere = [
        cl.Action(
            name="choose",
            payload={"id": one.identity},
            label=_priced(one.provider, one.model, one.price_usd),
            tooltip="Draw it there instead",
        )
        for one in choices
    ]
    return [*(once_more if description else ()), *elsewhere]
