"""One person's conversation: commands, pictures and talk, told as events to whoever shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from pydantic import ValidationError

from limner.chat import texts
from limner.chat.choices import Choices, quoted
from limner.chat.commands import ORDER, PRESETS, Line, Taste, order, parse, shown
from limner.chat.events import Asking, Drawing, Event, Failed, Notice, Picture, Tell, Text, Turn
from limner.chat.intent import wanted
from limner.chat.names import provider_of, read_size
from limner.chat.press import Nobody, press
from limner.chat.talk import Manner, Talk, offer
from limner.chat.tool import Offered
from limner.chat.verbs import Verbs
from limner.chat.wish import Wish
from limner.core.errors import LimnerError, NoRoute, OverBudget, ProviderError
from limner.core.events import Ended, JobEvent, Progress
from limner.core.job import Job
from limner.core.quote import Quote
from limner.core.request import GenerateRequest
from limner.core.usage import LOCAL_USER
from limner.prompts.language import Language
from limner.prompts.said import Said

REMEMBERED = 40
"""Messages that the language model is told again at most."""
HIGHEST_LIMIT = Decimal(100)
_ON = {"on": True, "off": False}


@dataclass(slots=True)
class Conversation:
    """`hear` what was typed, `press` a button that was offered. What happens is told to `tell`, in order.

    Every method returns when all is told. Cancelling one stops the waiting: what was ordered goes on.
    """

    limner: Verbs
    language: Language
    by: str = LOCAL_USER
    taste: Taste = field(default_factory=Taste)
    history: tuple[Said, ...] = ()
    last: str = ""
    """The last description, for `another one`."""
    choices: Choices = field(default_factory=Choices)

    async def hear(self, text: str, tell: Tell) -> None:
        """A line that somebody typed: a command, a wish for a picture, or anything else."""
        line = parse(text)
        if line is not None:
            await self._command(line, tell)
            return
        asked = wanted(text) if self.taste.pictures else None
        description = (asked.description or self.last) if asked is not None else ""
        if description:
            await self._wished(text, description, tell)
        else:
            await self._talk(text, tell)

    async def press(self, identity: str, offered: Offered, tell: Tell) -> None:
        """The button of an offer; `identity` is its tool call's. Pressed twice, it draws once."""
        await tell(Drawing(offered.prompt, shown(offered.provider), offered.cost))
        wish = Wish(
            prompt=offered.prompt,
            provider=offered.provider,
            model=offered.model_key,
            size=read_size(offered.size),
            quality=offered.quality_tier,
            style=offered.style,
            max_usd=offered.cost,
        )
        try:
            pressed = await press(self.limner, wish, key=f"offer {identity}"[:255], by=self.by)
        except Nobody as error:
            await tell(Failed(texts.failed({shown(error.provider): error.reason}), error.job))
        except LimnerError as error:
            await tell(Failed(f"**Image generation failed**\n\n{texts.plain(str(error), 500)}"))
        else:
            await tell(_ended(offered.prompt, pressed.job))

    async def choose(self, identity: str, tell: Tell) -> None:
        """The button of a `Choice`. It orders once, at the price it bore or not at all."""
        chosen = self.choices.take(identity)
        if chosen is None:
            await tell(Notice("This button has been used, or is too old. `/image` asks for a picture."))
            return
        self.last = chosen.description
        try:
            request = await quoted(self.limner, chosen)
        except LimnerError as error:
            await tell(Failed(f"**Image generation failed**\n\n{texts.plain(str(error), 500)}"))
        else:
            await self._order(chosen.description, request, await self.limner.estimate(request), tell)

    # -- commands

    async def _command(self, line: Line, tell: Tell) -> None:
        match line.name:
            case "image" | "img" if not line.rest:
                names = sorted({shown(model.provider) for model in self.limner.models()})
                await tell(Notice(texts.image_help(names)))
            case "image" | "img":
                await self.draw(line.rest, tell)
            case "help":
                await tell(Notice(texts.help_text()))
            case "quality" | "provider" | "images" | "limit" | "enhance" if line.rest:
                await tell(Notice(self.change(line.name, line.rest)))
            case "quality" | "provider" | "images" | "limit" | "enhance" | "settings":
                await tell(Notice(texts.settings_text(self.taste)))
            case _:
                await tell(Notice(texts.not_found(line.name)))

    def change(self, name: str, value: str) -> str:
        """Change one setting as the command `name` does; what to say about it."""
        changed = _changed(self.taste, name, value.lower(), self.providers())
        if isinstance(changed, str):
            return changed
        self.taste = changed
        return texts.settings_text(changed)

    def providers(self) -> frozenset[str]:
        """All whom `/provider` may name, by our names."""
        return frozenset(model.provider for model in self.limner.models()) | set(map(provider_of, ORDER))

    async def draw(self, description: str, tell: Tell) -> None:
        """Draw at once, whoever comes first of those that can, within the person's limit; above it, ask."""
        self.last = description
        if not self.taste.pictures:
            await tell(Notice("Pictures are off; `/images on` switches them on."))
            return
        try:
            request = order(description, self.taste)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False)[0]["msg"]
            await tell(Failed(f"**Image generation failed**\n\nThe description cannot be drawn: {said}"))
            return
        try:
            quote = await self.limner.estimate(request)
        except (NoRoute, OverBudget) as error:
            await tell(await self._above(description, request, error))
        except LimnerError as error:
            await tell(Failed(f"**Image generation failed**\n\n{texts.plain(str(error), 500)}"))
        else:
            await self._order(description, request, quote, tell)

    async def _above(self, description: str, request: GenerateRequest, error: LimnerError) -> Event:
        """Nobody draws it within the limit: who would for more?"""
        found = await self.choices.dearer(self.limner, description, request)
        if found:
            return Asking(texts.above(self.taste.limit_usd), found)
        reasons = _by_provider(error.reasons) if isinstance(error, NoRoute) else {}
        others = await self.choices.others(self.limner, description, request)
        return Failed(texts.failed(reasons), choices=others, again=description)

    async def _order(self, description: str, request: GenerateRequest, quote: Quote, tell: Tell) -> None:
        """Order what was quoted, and tell who is tried at what price until it is over."""
        prices = {f"{one.provider}/{one.model}": one.price_usd for one in quote.route}
        await tell(Drawing(description, shown(quote.provider), quote.price_usd))
        try:
            job = await self.limner.generate(request, by=self.by)
            ended = await self._watched(description, job, prices, tell)
        except NoRoute as error:
            await tell(Failed(texts.failed(_by_provider(error.reasons)), again=description))
        except LimnerError as error:
            await tell(Failed(f"**Image generation failed**\n\n{texts.plain(str(error), 500)}"))
        else:
            await tell(await self._told(description, request, ended))

    async def _told(self, description: str, request: GenerateRequest, job: Job) -> Event:
        """How it ended, and who else would draw it."""
        tried = {one.provider for one in job.receipt.attempts} | {one.provider for one in job.images}
        event = _ended(description, job)
        if isinstance(event, Failed) and not event.again:
            return event
        return replace(event, choices=await self.choices.others(self.limner, description, request, tried))

    async def _watched(
        self, description: str, job: Job, prices: Mapping[str, Decimal | None], tell: Tell
    ) -> Job:
        """The job at its end."""
        now = Drawing(description, "")
        async with self.limner.watch(job.id) as messages:
            async for message in messages:
                match message:
                    case JobEvent(type="running", message=str(said)):
                        usd = next((usd for name, usd in prices.items() if _names(said, name)), None)
                        now = Drawing(description, shown(said.partition("/")[0]), usd)
                        await tell(now)
                    case Progress(fraction=fraction) if now.provider:
                        await tell(replace(now, fraction=fraction))
                    case Ended(job=ended):
                        return ended
                    case _:
                        pass
        raise AssertionError("a watch ends with Ended")

    # -- talk

    async def _wished(self, text: str, description: str, tell: Tell) -> None:
        """A picture was asked for in words: what is free is drawn at once, the rest is offered."""
        self.last = description
        turn = await offer(self.limner, description, "", _nobody)
        self._remember(text, turn)
        free = [(identity, one) for identity, one in turn.offers if one.cost == 0]
        if free:
            await self.press(*free[0], tell)
            return
        for one in turn.tools:
            await tell(one)
        if not turn.offers:
            await tell(Text(turn.content))

    async def _talk(self, text: str, tell: Tell) -> None:
        messages = (*self.history, Said(role="user", content=text))
        try:
            talk = Talk(self.limner, self.language, tell, Manner(pictures=self.taste.pictures))
            turn = await talk.answer(messages)
        except ProviderError as error:
            way = " Pictures are drawn without it: `/image <description>`." if self.taste.pictures else ""
            await tell(Failed(f"No language model answers: {texts.plain(str(error), 300)}.{way}"))
        else:
            self._remember(text, turn)

    def _remember(self, text: str, turn: Turn) -> None:
        """What is told again: whole turns only, so that no tool's answer stands without its call."""
        kept = (*self.history, Said(role="user", content=text), *turn.new)[-REMEMBERED:]
        first = next((place for place, one in enumerate(kept) if one.role == "user"), len(kept))
        self.history = tuple(kept[first:])


async def _nobody(_event: Event) -> None:
    """What is told only once it is known."""


def _changed(taste: Taste, name: str, value: str, providers: frozenset[str]) -> Taste | str:
    """The taste with one thing changed, or why it cannot be."""
    match name:
        case "quality":
            quality = next((one for one in PRESETS if one == value), None)
            known = ", ".join(PRESETS)
            return f"quality is one of {known}." if quality is None else replace(taste, quality=quality)
        case "provider":
            if value == "auto":
                return replace(taste, provider=None)
            known = ", ".join(("auto", *sorted(map(shown, providers))))
            found = provider_of(value) in providers
            return replace(taste, provider=value) if found else f"provider is one of {known}."
        case "images":
            on = _ON.get(value)
            return "images is on or off." if on is None else replace(taste, pictures=on)
        case "enhance":
            on = _ON.get(value)
            return "enhance is on or off." if on is None else replace(taste, enhance=on)
        case _:
            usd = _dollars(value)
            said = f"limit is dollars from 0 to {HIGHEST_LIMIT}, such as 0.05; with 0 all that costs asks."
            return said if usd is None else replace(taste, limit_usd=usd)


def _dollars(text: str) -> Decimal | None:
    try:
        usd = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and 0 <= usd <= HIGHEST_LIMIT else None


def _ended(description: str, job: Job) -> Picture | Failed:
    if job.state == "succeeded":
        return Picture(job, job.images[0], texts.done(description, job), description=description)
    if job.state == "needs_confirmation" and job.confirmation is not None:
        return Failed(f"**Image generation failed**\n\n{job.confirmation.message}", job)
    if job.error is not None and job.error.code == "refused":
        return Failed(f"**Image generation failed**\n\n{texts.plain(job.error.message, 500)}", job)
    reasons = {one.provider: one.error.message for one in job.receipt.attempts if one.error is not None}
    said = texts.failed({shown(name): reason for name, reason in reasons.items()})
    return Failed(said, job, again=description)


def _names(said: str, target: str) -> bool:
    """Does an event's message begin with the target? A model's name may hold a colon, too."""
    return said == target or said.startswith(f"{target}: ")


def _by_provider(reasons: dict[str, str]) -> dict[str, str]:
    """Reasons by `provider/model` as the first of each provider."""
    found: dict[str, str] = {}
    for target, reason in reasons.items():
        found.setdefault(shown(target.partition("/")[0]), reason)
    return found
