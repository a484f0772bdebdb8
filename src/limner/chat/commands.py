"""Slash commands: which there are, what a line says, and what is ordered by them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from limner.chat.names import provider_of
from limner.core.request import GenerateRequest, Policy, Preset
from limner.prompts.enhance import NEGATIVE, enhanced
from limner.router.policy import ORDERS

ORDER: tuple[str, ...] = ("ollama_local", *ORDERS["commands"][1:])
"""Who is asked, in this order, by the names of these commands."""


class PresetValues(NamedTuple):
    """What a quality asks for; the side is in pixels."""

    side: int
    steps: int
    guidance: float


PRESETS: Mapping[Preset, PresetValues] = {
    "fast": PresetValues(256, 10, 5.0),
    "standard": PresetValues(512, 20, 7.5),
    "quality": PresetValues(1024, 40, 7.5),
    "ultra": PresetValues(1024, 60, 12.0),
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command; `parameters` are shown in angle brackets."""

    name: str
    about: str
    parameters: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """`/image <description>`."""
        return " ".join((f"/{self.name}", *(f"<{one}>" for one in self.parameters)))


COMMANDS: Mapping[str, Command] = {
    one.name: one
    for one in (
        Command("enhance", "Prompt enhancement on or off", ("on or off",)),
        Command("help", "What there is"),
        Command("image", "Draw a picture", ("description",)),
        Command("images", "Pictures on or off", ("on or off",)),
        Command("img", "Draw a picture", ("description",)),
        Command("limit", "The most that one picture may cost unasked, in dollars", ("dollars",)),
        Command("provider", "Who draws; auto: the first that can", ("name or auto",)),
        Command("quality", "fast, standard, quality or ultra", ("quality",)),
        Command("settings", "How things are set"),
    )
}


class Line(NamedTuple):
    """A command as it was typed: its name in lower case, and all the text after it."""

    name: str
    rest: str


def parse(text: str) -> Line | None:
    """The command of a line whose very first character is `/`; None for anything else."""
    if not text.startswith("/"):
        return None
    parts = text[1:].split(maxsplit=1)
    if not parts or text[1:2].isspace():
        return Line("", text[1:].strip())
    return Line(parts[0].lower(), parts[1].strip() if len(parts) == 2 else "")


@dataclass(frozen=True, slots=True)
class Taste:
    """How a person wants pictures in this conversation."""

    quality: Preset = "standard"
    provider: str | None = None
    """None: whoever comes first."""
    pictures: bool = True
    enhance: bool = True
    """Words for detail and focus are added to the description."""
    limit_usd: Decimal = Decimal("0.05")
    """The most that one picture may cost before a button is pressed for it."""


def order(description: str, taste: Taste) -> GenerateRequest:
    """What `/image` orders. Raises `ValidationError` for a description that no model can read."""
    preset = PRESETS[taste.quality]
    return GenerateRequest(
        prompt=enhanced(description) if taste.enhance else description,
        negative_prompt=NEGATIVE,
        provider=None if taste.provider is None else provider_of(taste.provider),
        width=preset.side,
        height=preset.side,
        steps=preset.steps,
        guidance_scale=preset.guidance,
        quality=taste.quality,
        # The order is the person's: who follows may be of another tier and cost more, up to their own limit.
        policy=Policy(prefer="commands", substitutes=True, max_cost_usd=taste.limit_usd),
    )


def shown(provider: str) -> str:
    """A provider by the name of these commands."""
    return "ollama_local" if provider == "ollama" else provider
