"""Does a model fit a request, and as what is the request sent? Pure."""

import re
import unicodedata
from dataclasses import dataclass

from limner.catalog.model import Model
from limner.core.quote import Note
from limner.core.request import GenerateRequest, Preset

_WORD = re.compile(r"[^\W_]+")
_SHOWN_WORDS = 12


@dataclass(frozen=True, slots=True)
class Fitted:
    """The request as this model will get it, and what had to be bent."""

    request: GenerateRequest
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why this model cannot do it, with the field that is at fault."""

    field: str
    reason: str


_PRESET_SIDE: dict[Preset, int] = {"fast": 256, "standard": 512, "quality": 512, "ultra": 768}


def fit(request: GenerateRequest, model: Model, known: frozenset[str] | None = None) -> Fitted | Misfit:
    """Set what the caller left open and bend what the model cannot do, with a note for each bend.

    `known` is the model's vocabulary; None when it reads any word. With `policy.strict`, what would be
    bent is a misfit.
    """
    misfit = _misfit(request, model)
    if misfit is not None:
        return misfit
    width, height = request.size or _default_size(request.quality, model)
    notes = (*_size_notes(width * height, model), *_notes(request, model, known))
    if request.policy.strict and notes:
        return Misfit(notes[0].field, f"strict: {notes[0].message}")
    sent = request.model_copy(
        update={
            "width": width,
            "height": height,
            "steps": _steps(request, model),
            "guidance_scale": _guidance(request, model),
            "negative_prompt": request.negative_prompt if model.takes_negative else None,
            "seed": request.seed if model.takes_seed else None,
        }
    )
    return Fitted(sent, notes)


def _misfit(request: GenerateRequest, model: Model) -> Misfit | None:
    if request.operation not in model.operations:
        return Misfit("operation", f"does not {request.operation}")
    if request.count > model.max_count:
        return Misfit("count", f"draws at most {model.max_count} pictures an order")
    if len(request.prompt) > model.max_prompt:
        return Misfit("prompt", f"reads at most {model.max_prompt:,} characters")
    if request.style is not None and not model.free_style and request.style.casefold() not in model.styles:
        return Misfit(
            "style", f"unknown style {request.style[:60]!r}; knows {', '.join(model.styles) or 'none'}"
        )
    return _size_misfit(request, model)


def _size_misfit(request: GenerateRequest, model: Model) -> Misfit | None:
    if request.size is None:
        return None
    sizes = model.sizes
    for side, name in zip(request.size, ("width", "height"), strict=True):
        if not sizes.min_side <= side <= sizes.max_side:
            return Misfit(name, f"{name} {side} is outside {sizes.min_side} to {sizes.max_side} pixels")
        if side % sizes.multiple_of:
            below = side - side % sizes.multiple_of
            return Misfit(
                name,
                f"{name} {side} is not a multiple of {sizes.multiple_of}; "
                f"nearest are {below} and {below + sizes.multiple_of}",
            )
    width, height = request.size
    if sizes.max_pixels is not None and width * height > sizes.max_pixels:
        return Misfit("width", f"{width}x{height} is more than {sizes.max_pixels:,} pixels")
    return None


def _default_size(quality: Preset | None, model: Model) -> tuple[int, int]:
    if quality is None:
        return model.sizes.default
    sizes = model.sizes
    side = min(max(_PRESET_SIDE[quality], sizes.min_side), sizes.max_side)
    side -= side % sizes.multiple_of
    drawable = side >= sizes.min_side and (sizes.max_pixels is None or side * side <= sizes.max_pixels)
    return (side, side) if drawable else sizes.default


def _steps(request: GenerateRequest, model: Model) -> int | None:
    if model.steps is None:
        return None
    match request.quality:
        case None:
            preset = model.steps.default
        case "fast":
            preset = model.steps.fast
        case "standard":
            preset = model.steps.standard
        case "quality":
            preset = model.steps.quality
        case "ultra":
            preset = model.steps.ultra
    return min(request.steps or preset, model.steps.max)


def _guidance(request: GenerateRequest, model: Model) -> float | None:
    return None if model.guidance is None else request.guidance_scale or model.guidance


def _size_notes(pixels: int, model: Model) -> tuple[Note, ...]:
    drawn = model.sizes.drawn_pixels
    if drawn is None or pixels <= drawn:
        return ()
    return (Note(field="size", message=f"drawn with {drawn:,} pixels and enlarged to {pixels:,}"),)


def _notes(request: GenerateRequest, model: Model, known: frozenset[str] | None) -> tuple[Note, ...]:
    notes = []
    if request.model in model.stands_in_for:
        notes.append(
            Note(field="model", message=f"{request.model} is not set up here; {model.id} draws instead")
        )
    if model.steps is None and request.steps is not None:
        notes.append(Note(field="steps", message="ignored: the model takes none"))
    elif model.steps and request.steps and request.steps > model.steps.max:
        notes.append(Note(field="steps", message=f"{request.steps} lowered to {model.steps.max}"))
    if model.guidance is None and request.guidance_scale is not None:
        notes.append(Note(field="guidance_scale", message="ignored: the model takes none"))
    if not model.takes_seed and request.seed is not None:
        notes.append(Note(field="seed", message="ignored: the model takes none"))
    if not model.takes_negative and request.negative_prompt:
        notes.append(Note(field="negative_prompt", message="ignored: the model takes none"))
    if known is not None:
        notes += _unknown_words(request, known)
    if model.max_words is not None and len(_words(request.prompt)) > model.max_words:
        notes.append(Note(field="prompt", message=f"only its first {model.max_words} words are read"))
    return tuple(notes)


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def _unknown_words(request: GenerateRequest, known: frozenset[str]) -> list[Note]:
    """A model with a small vocabulary says which words it will not draw."""
    notes = []
    for field, text in (("prompt", request.prompt), ("negative_prompt", request.negative_prompt)):
        unknown = list(dict.fromkeys(word for word in _words(text or "") if word not in known))
        if unknown:
            shown = ", ".join(word[:40] for word in unknown[:_SHOWN_WORDS])
            more = f" and {len(unknown) - _SHOWN_WORDS} more" if len(unknown) > _SHOWN_WORDS else ""
            notes.append(Note(field=field, message=f"words it does not know, not drawn: {shown}{more}"))
    return notes
