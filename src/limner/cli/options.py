"""Numbers, sizes, formats and options of the command line: ASCII digits only, a way out in each complaint."""

import json
import re
from collections.abc import Sequence
from typing import Any

import typer


def whole(given: str | int) -> int:
    """A whole number; `int()` alone would take other scripts' digits, underscores and blanks."""
    text = str(given)  # typer passes an option's default through here too
    if not re.fullmatch(r"-?[0-9]{1,19}", text):
        raise typer.BadParameter(f"{text[:60]!r} is not a whole number; write it in digits, for example 512")
    return int(text)


def number(given: str | float) -> float:
    """A number with at most one point."""
    text = str(given)  # typer passes an option's default through here too
    if not re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        raise typer.BadParameter(f"{text[:60]!r} is not a number; write it in digits, for example 7.5")
    return float(text)


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT in pixels."""
    found = re.fullmatch(r"([0-9]{1,9})[xX]([0-9]{1,9})", text)
    if found is None:
        raise typer.BadParameter(
            f"--size: {text[:60]!r} is not a size; write WIDTHxHEIGHT in pixels, for example 512x512"
        )
    return int(found[1]), int(found[2])


def form(text: str) -> str:
    """A picture format by any of its names."""
    known = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
    if text.lower() not in known:
        raise typer.BadParameter(f"{text[:60]!r} is no picture format; choose png, jpeg or webp")
    return known[text.lower()]


def operation(inputs: Sequence[object], mask: object, strength: float | None, scale: float | None) -> str:
    """What is meant when pictures are given and no operation is named."""
    if mask is not None:
        return "inpaint"
    if scale is not None:
        return "upscale"
    if strength is not None:
        return "image-to-image"
    return "edit" if inputs else "generate"


def of_a_model(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value that reads as JSON is that, else it is text. Raises BadParameter."""
    found: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"--option {pair[:60]!r}: write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def policy(**given: object) -> dict[str, object]:
    """What was said of how to be served."""
    return {name: value for name, value in given.items() if value is not None}
