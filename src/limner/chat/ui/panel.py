"""The settings panel of the chat window: what it shows, and which commands a change stands for. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from limner.chat.commands import ORDER, PRESETS, Taste, shown

QUALITY = "image_quality"
PROVIDER = "image_provider"
IMAGES = "images"
ENHANCE = "prompt_enhancement"
LIMIT = "limit_usd"
AUTO = "auto"


def qualities() -> dict[str, str]:
    """What is read, and the word for it."""
    return {
        f"{name} ({preset.side}x{preset.side}, {preset.steps} steps)": name
        for name, preset in PRESETS.items()
    }


def providers(ready: Iterable[str]) -> list[str]:
    """Those that the commands ask first, and whoever else can be asked here."""
    others = sorted({shown(name) for name in ready} - set(ORDER))
    return [AUTO, *ORDER, *others]


def values(taste: Taste) -> dict[str, str | bool | float]:
    """The panel as it stands."""
    return {
        QUALITY: taste.quality,
        PROVIDER: taste.provider or AUTO,
        IMAGES: taste.pictures,
        ENHANCE: taste.enhance,
        LIMIT: float(taste.limit_usd),
    }


_COMMANDS: Mapping[str, str] = {
    QUALITY: "quality",
    PROVIDER: "provider",
    IMAGES: "images",
    ENHANCE: "enhance",
    LIMIT: "limit",
}


def changes(taste: Taste, panel: Mapping[str, object]) -> list[tuple[str, str]]:
    """The commands that make the conversation as the panel is, each with its value."""
    now = values(taste)
    return [
        (command, _word(panel[name]))
        for name, command in _COMMANDS.items()
        if name in panel and panel[name] != now[name]
    ]


def _word(value: object) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case float() | int():
            return f"{Decimal(str(value)):f}"
        case _:
            return str(value)
