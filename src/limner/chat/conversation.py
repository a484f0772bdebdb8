"""One person's conversation: commands, pictures and talk, told as events to whoever shows it."""

from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from pydantic import ValidationError

from limner.app import Limner
from limner.chat import texts
from limner.chat.commands import ORDER, PRESETS, Line, Taste, order, parse, shown
from limner.chat.events import Drawing, Event, Failed, Notice, Picture, Tell, Text, Turn
from limner.chat.intent import wanted
from limner.chat.names import provider_of, read_size
from limner.chat.press import Nobody, press
from limner.chat.talk import Manner, Talk, offer
from limner.chat.tool import Offered
from limner.chat.wish import Wish
from limner.core.errors import LimnerError, NoRoute, ProviderError
from limner.core.events import Ended, JobEvent
from limner.core.job import Job
from limner.core.usage import LOCAL_USER
from limner.prompts.language import Language
from limner.prompts.said import Said

REMEMBERED = 40
"""Messages that the language model is told again at most."""
HIGHEST_LIMIT = Decimal(100)


@dataclass(slots=True)
class Conversation:
    """`hear` what was typed, `press` a button that was offered. What happens is told to `tell`, in order.

    Every method returns when all is told. Cancelling one stops the waiting: what was ordered goes on.
    """

    limner: Limner
    language: Language
    by: str = LOCAL_USER
    taste: Taste = field(default_factory=Taste)
    history: tuple[Said, ...] = ()
    last: str = ""
    """The last description, for `another one`."""

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
        await tell(Drawing(offered.prompt, shown(offered.provider)))
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
            case "quality" | "provider" | "images" | "limit" if line.rest:
                await tell(Notice(self._set(line)))
            case "quality" | "provider" | "images" | "limit" | "settings":
                await tell(Notice(texts.settings_text(self.taste)))
            case _:
                await tell(Notice(texts.not_found(line.name)))

    def _set(self, line: Line) -> str:
        """Change one setting; what to say about it."""
        changed = _changed(self.taste, line.name, line.rest.lower(), self._providers())
        if isinstance(changed, str):
            return changed
        self.taste = changed
        return texts.settings_text(changed)

    def _providers(self) -> frozenset[str]:
        return frozenset(model.provider for model in self.limner.models()) | set(map(provider_of, ORDER))

    async def draw(self, description: str, tell: Tell) -> None:
        """Draw at once, whoever comes first of those that can, within the person's limit."""
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
        await tell(Drawing(description, self.taste.provider or "the first that can"))
        try:
            job = await self.limner.generate(request, by=self.by)
            await tell(await self._watched(description, job, tell))
        except NoRoute as error:
            await tell(Failed(texts.failed(_by_provider(error.reasons))))
        except LimnerError as error:
            await tell(Failed(f"**Image generation failed**\n\n{texts.plain(str(error), 500)}"))

    async def _watched(self, description: str, job: Job, tell: Tell) -> Event:
        """Tell who is tried, until it is over; what came of it."""
        async with self.limner.watch(job.id) as messages:
            async for message in messages:
                match message:
                    case JobEvent(type="running", message=str(said)):
                        await tell(Drawing(description, shown(said.partition("/")[0])))
                    case Ended(job=ended):
                        return _ended(description, ended)
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
            on = {"on": True, "off": False}.get(value)
            return "images is on or off." if on is None else replace(taste, pictures=on)
        case _:
            usd = _dollars(value)
            said = f"limit is dollars from 0 to {HIGHEST_LIMIT}, such as 0.05; 0 draws only what is free."
            return said if usd is None else replace(taste, limit_usd=usd)


def _dollars(text: str) -> Decimal | None:
    try:
        usd = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and 0 <= usd <= HIGHEST_LIMIT else None


def _ended(description: str, job: Job) -> Picture | Failed:
    if job.state == "succeeded":
        return Picture(job, job.images[0], texts.done(description, job))
    if job.state == "needs_confirmation" and job.confirmation is not None:
        return Failed(f"**Image generation failed**\n\n{job.confirmation.message}", job)
    if job.error is not None and job.error.code == "refused":
        return Failed(f"**Image generation failed**\n\n{texts.plain(job.error.message, 500)}", job)
    reasons = {one.provider: one.error.message for one in job.receipt.attempts if one.error is not None}
    return Failed(texts.failed({shown(name): said for name, said in reasons.items()}), job)


def _by_provider(reasons: dict[str, str]) -> dict[str, str]:
    """Reasons by `provider/model` as the first of each provider."""
    found: dict[str, str] = {}
    for target, reason in reasons.items():
        found.setdefault(shown(target.partition("/")[0]), reason)
    return found
