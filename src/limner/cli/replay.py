"""`limner inspect` and `limner replay`: what a file says about itself, and making it again."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import BaseModel

from limner.cli import files, generate, session, view, words
from limner.core.errors import InvalidRequest
from limner.core.job import Job
from limner.imaging.metadata import Inspection, read
from limner.imaging.sniff import InvalidImage


def inspect(file: Path, *, as_json: bool) -> None:
    """The recipe and parameters in a picture."""
    found = _told(file, _bytes(file))
    if as_json:
        words.print_json(found.model_dump(mode="json"))
        return
    view.out().print(view.sheet(_inspection(found)))


def _inspection(found: Inspection) -> Iterator[tuple[str, str]]:
    yield "format", f"{found.format}, {found.width} x {found.height}, {view.size(found.size_bytes)}"
    if found.recipe:
        recipe = found.recipe
        yield "prompt", recipe.prompt
        yield (
            "model",
            f"{recipe.model} at {recipe.provider}" + (f", engine {recipe.engine}" if recipe.engine else ""),
        )
        request = recipe.request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        skipped = {"prompt", "model", "provider", "format"}
        yield from ((name, str(value)) for name, value in request.items() if name not in skipped)
        yield "made by", f"Limner {recipe.limner}"
    elif found.parameters:
        yield from (
            ("parameters" if n == 0 else "", line) for n, line in enumerate(found.parameters.splitlines())
        )
    yield from found.other.items()
    if not (found.recipe or found.parameters or found.other):
        yield "recipe", "none: the file tells nothing about how it was made"


def replay(file: Path, *, out: str | None, as_json: bool, debug: bool) -> int:
    """Make the picture again from its recipe. 0 when the bytes are equal, 1 when they differ."""
    before = _bytes(file)
    told = _told(file, before)
    if told.recipe is None:
        raise InvalidRequest(f"{file} holds no recipe of Limner, so it cannot be made again", "file")
    request = told.recipe.request
    where = files.place(out, request.format, 1)[0] if out else None
    chosen = session.settings(debug=debug).settings

    async def again() -> tuple[Job, bytes, list[Path]]:
        async with session.entered(chosen) as door:
            job = generate.finished(await generate.drawn(door, request))
            data = await door.open(job.images[0])
            return job, data, await generate.saved(door, job, where, chosen) if where else []

    job, after, paths = session.run(again)
    differences = [] if before == after else list(_differences(told, read(after), before, after))
    if as_json:
        said = {"equal": before == after, "differences": differences}
        words.print_json(job.model_dump(mode="json") | {"saved": [str(path) for path in paths]} | said)
    else:
        for path in paths:
            sys.stdout.write(f"{path}\n")
        _tell(differences, equal=before == after)
    return 0 if before == after else 1


def _tell(differences: list[str], *, equal: bool) -> None:
    console = view.out()
    if equal:
        console.print("equal: the same bytes again", style="green", markup=False)
        return
    console.print("different:", style="yellow", markup=False)
    for line in differences:
        console.print(f"  {words.plain(line)}", markup=False)


def _differences(old: Inspection, new: Inspection, before: bytes, after: bytes) -> Iterator[str]:
    """What two files that are not the same differ in, most telling first."""
    if old.recipe and new.recipe:
        yield from _fields(old.recipe, new.recipe)
    if _pixels(before) == _pixels(after):
        yield "the pixels are the same; only the text in the file differs"
    else:
        yield "the pixels differ"


def _fields(old: BaseModel, new: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(old).model_fields:
        one: Any = getattr(old, name)
        other: Any = getattr(new, name)
        if isinstance(one, BaseModel) and isinstance(other, BaseModel):
            yield from _fields(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name}: {one} then, {other} now"


def _pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size, image.convert("RGB").tobytes()


def _told(file: Path, data: bytes) -> Inspection:
    try:
        return read(data)
    except InvalidImage as error:
        raise InvalidRequest(f"{file}: {error}", "file") from None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}", "file") from None
