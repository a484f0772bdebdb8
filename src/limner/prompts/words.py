"""The words by which a prompt is understood, from `words.toml`."""

import tomllib
from importlib.resources import files

_TABLE: dict[str, str] = tomllib.loads(files("limner.prompts").joinpath("words.toml").read_text("utf-8"))

STYLES, QUALITY, TECHNICAL, COMPOSITION, ADJECTIVES, STOP = (
    frozenset(_TABLE[name].split())
    for name in ("styles", "quality", "technical", "composition", "adjectives", "stop")
)
