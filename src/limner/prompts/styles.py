"""Limner's own styles, from `styles.toml`: words that are put after a prompt, and into the negative one."""

import difflib
import re
import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from limner.core.errors import InvalidRequest

_SHOWN = 40


class Style(BaseModel):
    """One style. `also` are other ways to write its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    also: tuple[str, ...] = ()
    positive: str
    negative: str


@cache
def styles() -> tuple[Style, ...]:
    """All of them, by name."""
    table = tomllib.loads(files("limner.prompts").joinpath("styles.toml").read_text("utf-8"))
    return tuple(Style.model_validate({"name": name} | fields) for name, fields in sorted(table.items()))


def style(name: str) -> Style:
    """The style of that name or spelling. Raises `InvalidRequest` with those that are near."""
    found = _spellings().get(_plain(name))
    if found is not None:
        return found
    near = difflib.get_close_matches(_plain(name), _spellings(), n=3, cutoff=0.6)
    names = dict.fromkeys(_spellings()[one].name for one in near)
    said = f" (near: {', '.join(names)})" if names else ""
    shown = name if len(name) <= _SHOWN else name[: _SHOWN - 3] + "..."
    raise InvalidRequest(
        f"prompting.style_preset: there is no style {shown!r}{said}; GET /v1/styles lists all",
        "prompting.style_preset",
    )


@cache
def _spellings() -> dict[str, Style]:
    return {_plain(word): one for one in styles() for word in (one.name, *one.also)}


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold())
