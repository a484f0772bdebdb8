"""The recipe in the file: written by splicing, never by encoding the picture again.

| format | parameters (the AUTOMATIC1111 text) | recipe (JSON of `Recipe`) |
|---|---|---|
| PNG | text chunk `parameters` | text chunk `limner` |
| JPEG | EXIF UserComment, UTF-16BE | EXIF MakerNote, after `Limner\\0` |
| WebP | the same | the same |

EXIF in a JPEG holds 65,527 bytes. When both do not fit, the parameters are left out, since the recipe says
all they say; when the recipe alone does not fit, it goes into APP1 segments of its own (see `jpeg`) and the
parameters stay if they fit. Nothing written depends on the time or the machine: same recipe, same bytes.
"""

import json
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, ValidationError

from limner.core.job import Recipe
from limner.core.request import Format
from limner.imaging import exif, jpeg, png, webp
from limner.imaging.sniff import sniff

_MAX_EXIF = jpeg.MAX_BODY - len(jpeg.EXIF)


class Inspection(BaseModel):
    """All that a file says about itself, ours or not."""

    model_config = ConfigDict(frozen=True)

    format: Format
    width: int
    height: int
    """Pixels, like the width."""
    size_bytes: int
    recipe: Recipe | None = None
    """Set for pictures that Limner made."""
    parameters: str | None = None
    """The AUTOMATIC1111 text."""
    other: dict[str, str] = {}
    """Every other text by name, such as `prompt` and `workflow` of ComfyUI."""


def parameters(recipe: Recipe) -> str:
    """The text that AUTOMATIC1111, Forge, SD.Next, Civitai and their viewers read: prompt, negative prompt,
    one line of settings. What is not known is left out; there are always the three settings they ask for."""
    request = recipe.request
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in _settings(recipe)))
    return "\n".join(lines)


def _settings(recipe: Recipe) -> Iterator[tuple[str, str]]:
    request = recipe.request
    if request.steps is not None:
        yield "Steps", str(request.steps)
    if request.guidance_scale is not None:
        yield "CFG scale", f"{request.guidance_scale:g}"
    if request.seed is not None:
        yield "Seed", str(request.seed)
    if request.size is not None:
        yield "Size", "{}x{}".format(*request.size)
    yield "Model", recipe.model
    yield "Provider", recipe.provider
    yield "Version", f"Limner {recipe.limner}"


def _quoted(value: str) -> str:
    """Values with a comma, colon or line end are JSON strings, as that family of programs writes them."""
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ',:\n"') else value


def embed(data: bytes, recipe: Recipe) -> bytes:
    """The same picture, carrying its recipe in place of one it carried before. Raises `InvalidImage`."""
    text, blob = parameters(recipe), recipe.model_dump_json()
    match sniff(data).format:
        case "png":
            return png.with_texts(data, {"parameters": text, "limner": blob})
        case "jpeg":
            return _in_jpeg(data, _software(recipe), text, blob.encode())
        case "webp":
            turned = exif.unpack(webp.exif_of(data)).orientation
            packed = exif.pack(
                software=_software(recipe), comment=text, recipe=blob.encode(), orientation=turned
            )
            return webp.with_exif(data, packed)


def _software(recipe: Recipe) -> str:
    return f"Limner {recipe.limner}"


def _in_jpeg(data: bytes, software: str, text: str, blob: bytes) -> bytes:
    turned = exif.unpack(jpeg.exif_of(data)).orientation

    def fits(comment: str | None, recipe: bytes | None) -> bytes | None:
        packed = exif.pack(software=software, comment=comment, recipe=recipe, orientation=turned)
        return packed if len(packed) <= _MAX_EXIF else None

    if packed := fits(text, blob) or fits(None, blob):
        return jpeg.with_exif(data, packed)
    bare = exif.pack(software=software, comment=None, recipe=None, orientation=turned)
    return jpeg.with_exif(data, fits(text, None) or bare, blob)


def extract(data: bytes) -> Recipe | None:
    """The recipe of a picture that Limner made, None for others. Raises `InvalidImage` for broken files."""
    return read(data).recipe


def read(data: bytes) -> Inspection:
    """What the header and the texts say; no pixel is decoded. Raises `InvalidImage` for broken files; a text
    that cannot be read, or is above 1 MiB, says so in its place or is left out."""
    kind = sniff(data)
    match kind.format:
        case "png":
            texts = png.texts(data)
            blob = texts.pop("limner", "").encode()
        case "jpeg":
            texts, blob = _exif_texts(exif.unpack(jpeg.exif_of(data)))
            blob = blob or jpeg.recipe_of(data)
            if (comment := jpeg.comment_of(data)) is not None:
                texts.setdefault("Comment", comment)
        case "webp":
            texts, blob = _exif_texts(exif.unpack(webp.exif_of(data)))
    return Inspection(
        format=kind.format,
        width=kind.width,
        height=kind.height,
        size_bytes=len(data),
        recipe=_recipe(blob),
        parameters=texts.pop("parameters", None),
        other=texts,
    )


def _exif_texts(found: exif.Exif) -> tuple[dict[str, str], bytes]:
    """ComfyUI hides `prompt:{...}` and `workflow:{...}` in the camera's make and model."""
    texts: dict[str, str] = {}
    for name, text in found.texts.items():
        word, _, rest = text.partition(":")
        texts |= {word: rest} if word in {"prompt", "workflow"} else {name: text}
    if found.comment is not None:
        texts["parameters"] = found.comment
    return texts, found.recipe or b""


def _recipe(blob: bytes) -> Recipe | None:
    """None as well for what another version wrote and this one cannot read."""
    if not 0 < len(blob) <= png.MAX_TEXT:
        return None
    try:
        return Recipe.model_validate_json(blob)
    except ValidationError:
        return None
