"""Templates: text in which `{names}` stand for what a request brings. Pure."""

import re
from collections.abc import Mapping

from limner.core.errors import InvalidRequest
from limner.core.request import MAX_PROMPT

_HOLE = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]{0,31})\}")
PROMPT = "prompt"


def variables(text: str) -> tuple[str, ...]:
    """The names in a template besides `prompt`, in order of first appearance."""
    names = (found[1] for found in _HOLE.finditer(text) if found[1] not in (None, PROMPT))
    return tuple(dict.fromkeys(names))


def check(text: str) -> None:
    """Raises `InvalidRequest` for a template without a place for the prompt: it would be lost."""
    if not any(found[1] == PROMPT for found in _HOLE.finditer(text)):
        raise InvalidRequest("text: must hold {prompt}, where the request's own prompt goes", "text")


def render(text: str, prompt: str, values: Mapping[str, str]) -> str:
    """The template filled; what is filled in is text and nothing else. Raises `InvalidRequest` for values
    that are missing or belong nowhere, and for a result that is too long."""
    wanted = variables(text)
    missing = [name for name in wanted if name not in values]
    unknown = [name for name in values if name not in wanted]
    if missing or unknown:
        said = f"lacks {', '.join(missing)}" if missing else f"holds {', '.join(unknown)}, unknown to it"
        raise InvalidRequest(
            f"prompting.variables: for this template {said}; it takes {', '.join(wanted) or 'none'}",
            "prompting.variables",
        )
    known = {**values, PROMPT: prompt}
    filled = _HOLE.sub(lambda found: found[0][0] if found[1] is None else known[found[1]], text)
    if len(filled) > MAX_PROMPT:
        raise InvalidRequest(
            f"prompting.template: gives {len(filled):,} characters; at most {MAX_PROMPT:,} are accepted",
            "prompting.template",
        )
    return filled


def ref(text: str) -> tuple[str, int | None]:
    """A template's name and version, from `name` or `name@version`."""
    name, _, version = text.partition("@")
    return name, int(version) if version else None
