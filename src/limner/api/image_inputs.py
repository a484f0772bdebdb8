"""The pictures that OpenAI's clients send to be worked on, and as what work on them is ordered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, NoReturn, Protocol
from urllib.parse import unquote

import anyio
from pydantic import BaseModel, ConfigDict, Field

from limner.api.image_answer import in_openai_words
from limner.api.image_body import PictureBody
from limner.api.multipart import Form
from limner.app import Limner
from limner.catalog.model import Model
from limner.core.errors import InvalidRequest, NoRoute, NotFound
from limner.core.quote import Note
from limner.core.request import MAX_INPUTS, GenerateRequest, InputName, Operation

FETCH_S = 60.0
"""Seconds that fetching all pictures of one request may take."""
_IMAGES = ("image", "image[]", "images", "images[]")
FILES = (*_IMAGES, "mask")
"""Names under which a form carries pictures."""
_NO_PICTURE = "image: is missing; send the picture to work on"
_INSTEAD: dict[tuple[Operation, Operation], str] = {
    ("edit", "image-to-image"): "nobody here edits by words alone; the whole picture is painted over",
    ("variation", "image-to-image"): "nobody here draws variations; the picture is painted over",
    ("variation", "edit"): "nobody here draws variations; the picture is edited by words instead",
}
_DOES: dict[Operation, str] = {"edit": "edits pictures", "variation": "draws variations"}


class PictureRef(BaseModel):
    """A picture by its address, or by the id of one that is here: a digest, or a picture's id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_url: Annotated[str, Field(min_length=1, max_length=20_971_520)] | None = None
    """`data:` with the picture inside, http(s) at a public host, or a picture of this server."""
    file_id: InputName | None = None


class Pictures(Protocol):
    """Those that came with a request, not yet kept."""

    @property
    def masked(self) -> bool:
        """Is there a mask?"""

    async def keep(self, limner: Limner) -> tuple[tuple[str, ...], str | None]:
        """Their digests, the main one first, and the mask's. Raises `InvalidRequest`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The files of a form."""

    form: Form

    @property
    def masked(self) -> bool:
        """Is there a mask?"""
        return bool(self.form.of("mask"))

    async def keep(self, limner: Limner) -> tuple[tuple[str, ...], str | None]:
        """Keep them all. Raises `InvalidRequest`."""
        for name in FILES:
            if name in self.form.texts:
                raise InvalidRequest(f"{name}: must be a file; give its part a filename", name)
        files = self.form.of(*_IMAGES)
        mask = self.form.one("mask")
        _check_count(len(files))
        images = [await _kept(limner, one.data, "image") for one in files]
        return tuple(images), await _kept(limner, mask.data, "mask") if mask else None


@dataclass(frozen=True, slots=True)
class Named:
    """Pictures at addresses; `base` is this server's own."""

    images: Sequence[PictureRef]
    mask: PictureRef | None
    base: str

    @property
    def masked(self) -> bool:
        """Is there a mask?"""
        return self.mask is not None

    async def keep(self, limner: Limner) -> tuple[tuple[str, ...], str | None]:
        """Find or fetch them all. Raises `InvalidRequest`."""
        _check_count(len(self.images))
        try:
            with anyio.fail_after(FETCH_S):
                names = [await _found(limner, one, "image", self.base) for one in self.images]
                mask = await _found(limner, self.mask, "mask", self.base) if self.mask else None
        except TimeoutError as error:
            said = f"image: could not be fetched within {FETCH_S:.0f} seconds"
            raise InvalidRequest(said, "image") from error
        return tuple(names), mask


async def order_of(
    limner: Limner, words: PictureBody, pictures: Pictures, *wanted: Operation, strength: float | None = None
) -> tuple[GenerateRequest, tuple[Note, ...]]:
    """The order for the first of the operations that can be done, and what was bent for it. Pictures are kept
    once all else is found in order. Raises `InvalidRequest` and `NoRoute`."""
    plain = words.order()
    try:
        operation, bent = choose(limner.meant(plain), wanted) or _nobody(limner, plain.model, wanted)
    except InvalidRequest as error:
        raise in_openai_words(error, plain, limner) from error
    images, mask = await pictures.keep(limner)
    return words.order(operation, images, mask, strength), bent


def choose(meant: Iterable[Model], wanted: Sequence[Operation]) -> tuple[Operation, tuple[Note, ...]] | None:
    """The first of `wanted` that any of the models can do, with a note when it is not the first of all."""
    able = frozenset[Operation]().union(*(model.operations for model in meant))
    for operation in wanted:
        if operation in able:
            bent = _INSTEAD.get((wanted[0], operation))
            return operation, (Note(field="operation", message=f"{bent} ({operation})"),) if bent else ()
    return None


def _nobody(limner: Limner, name: str | None, wanted: Sequence[Operation]) -> NoReturn:
    """Raises `NoRoute` where setting up an account would help, else `InvalidRequest`."""
    does = _DOES.get(wanted[0], "paints where a mask says")
    where = "GET /v1/models lists what each model can"
    if name is None:
        raise NoRoute(f"nobody who is set up here {does}; set up one who does: {where}")
    if any(model.known_as(name) and model.operations & set(wanted) for model in limner.models()):
        raise NoRoute(f"{name[:80]} is not set up here, and nobody who stands in for it {does}; {where}")
    raise InvalidRequest(f"model: {name[:80]} is not one that {does}; {where}", "model")


def _check_count(count: int) -> None:
    if count == 0:
        raise InvalidRequest(_NO_PICTURE, "image")
    if count > MAX_INPUTS:
        raise InvalidRequest(f"image: at most {MAX_INPUTS} pictures, not {count}", "image")


async def _kept(limner: Limner, data: bytes, name: str) -> str:
    try:
        return (await limner.keep(data)).digest
    except InvalidRequest as error:
        raise InvalidRequest(f"{name}: {error}", name) from error


async def _found(limner: Limner, ref: PictureRef, name: str, base: str) -> str:
    if (ref.image_url is None) == (ref.file_id is None):
        raise InvalidRequest(f"{name}: give either image_url or file_id", name)
    if ref.file_id is not None:
        return ref.file_id
    url = ref.image_url or ""
    try:
        return await _own(limner, url, base) or (await limner.keep_from(url)).digest
    except InvalidRequest as error:
        raise InvalidRequest(f"{name}: {error}", name) from error


async def _own(limner: Limner, url: str, base: str) -> str | None:
    """The digest of a picture whose address this server gave out, None for other addresses."""
    place = url.removeprefix(f"{base}/storage/images/")
    parts = [unquote(part) for part in place.split("/")] if place != url else []
    if len(parts) != 3:
        return None
    try:
        return (await limner.image_at(*parts)).digest
    except NotFound as error:
        raise InvalidRequest("the picture at this server's address is not here (any more)") from error
