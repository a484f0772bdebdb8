"""What a model at Replicate is asked, in its own words, and what was asked of it lately."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import AwareDatetime, BaseModel, JsonValue

from limner.core.errors import Lost, Malformed, Rejected, TimedOut, Unavailable
from limner.providers.base import Call
from limner.providers.masks import white_where_clear
from limner.providers.orders import Fields, data_url, file
from limner.wire import Wire

_PAGES = 20
_INLINE_BYTES = 192 * 1024
"""Larger pictures are uploaded: the vendor wants data URLs of at most 256 kB."""

Word = Literal[
    "count", "steps", "guidance_scale", "seed", "negative_prompt", "width", "height", "size", "strength"
]
"""Fields of a request; `size` is both sides as `WxH`."""


class Dialect(BaseModel, frozen=True, extra="forbid"):
    """How one model is spoken to."""

    official: bool = False
    """Called by its name alone; a community model is called by a version."""
    names: dict[Word, str] = {}
    """The model's fields by ours; what has no name here is not sent."""
    formats: dict[str, str] = {}
    """Its `output_format` by ours, `png` for others; empty when it has no choice."""
    shapes: dict[str, dict[str, JsonValue]] = {}
    """What to send for a size, by `WxH`, where the model takes no pixels."""
    drawing: dict[str, JsonValue] = {}
    """What else to send when a picture is drawn from words."""
    editing: dict[str, JsonValue] = {}
    """What else to send, and instead, when a picture is edited."""
    image: str | None = None
    """The field for input pictures, a list of them when `many`."""
    many: bool = False
    mask: str | None = None
    """The field for a mask, white where the picture is painted anew."""


class _Model(BaseModel):
    latest_version: dict[str, JsonValue] | None = None


class _Upload(BaseModel):
    urls: dict[str, str]


class Listed(BaseModel):
    """A prediction in the account's list, whoever placed it."""

    id: str
    model: str = ""
    input: dict[str, JsonValue] = {}
    created_at: AwareDatetime


class _Page(BaseModel):
    results: tuple[Listed, ...]
    next: str | None = None


def inputs(call: Call) -> Fields:
    """All the fields but the pictures."""
    wish, dialect = call.request, Dialect.model_validate(call.dialect)
    size = f"{wish.width}x{wish.height}"
    ours = wish.model_dump(exclude_none=True) | {"size": size}
    fields: Fields = {"prompt": wish.prompt}
    fields |= {name: ours[word] for word, name in dialect.names.items() if word in ours}
    if dialect.formats:
        fields["output_format"] = dialect.formats.get(wish.format, "png")
    fields |= dialect.shapes.get(size, {})
    fields |= dialect.editing if wish.operation == "edit" else dialect.drawing
    # An open entry has one option, `input`: whatever fields its model has.
    free = wish.options.get("input")
    return fields | (free if isinstance(free, dict) else dict(wish.options))


async def whole(call: Call, wire: Wire) -> Fields:
    """All the fields, with the pictures."""
    fields, dialect = inputs(call), Dialect.model_validate(call.dialect)
    if dialect.image is not None and call.inputs:
        pictures: list[JsonValue] = [await _address(picture, wire) for picture in call.inputs]
        fields[dialect.image] = pictures if dialect.many else pictures[0]
    if dialect.mask is not None and call.mask is not None:
        fields[dialect.mask] = await _address(await white_where_clear(call.mask), wire)
    return fields


async def version(call: Call, wire: Wire) -> str:
    """What to call: the version that was named, else the newest, else an official model's bare name."""
    name, _, named = call.model.partition(":")
    if Dialect.model_validate(call.dialect).official or named not in ("", "latest"):
        return call.model
    with _before_the_order():
        newest = (await wire.get(f"v1/models/{name}", into=_Model)).latest_version or {}
    return name if newest.get("id") in (None, "hidden") else str(newest["id"])


async def listed(wire: Wire, since: float) -> tuple[list[Listed], bool]:
    """The account's predictions, newest first, back to that Unix second and some before it, and whether they
    reach back so far: some pages are read and no more."""
    found: list[Listed] = []
    path: str | None = "v1/predictions"
    for _ in range(_PAGES):
        if path is None:
            break
        page = await wire.get(path, into=_Page)
        fresh = [one for one in page.results if one.created_at.timestamp() >= since]
        found += page.results
        path = page.next if len(fresh) == len(page.results) else None
    return found, path is None


async def _address(picture: bytes, wire: Wire) -> str:
    """Where the vendor finds an input picture; uploading is free."""
    if len(picture) <= _INLINE_BYTES:
        return data_url(picture)
    with _before_the_order():
        answer = await wire.send("POST", "v1/files", form=[file("content", picture)])
        return answer.read(_Upload).urls["get"]


@contextmanager
def _before_the_order() -> Iterator[None]:
    """A fault here is no lost order: nothing has been bought yet."""
    try:
        yield
    except Lost as error:
        raise Rejected(str(error)) from error
    except (TimedOut, Malformed) as error:
        raise Unavailable(str(error)) from error
