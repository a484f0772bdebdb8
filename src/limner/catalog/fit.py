"""Does a model fit a request, and as what is the request sent? Pure."""

import re
import unicodedata
from dataclasses import dataclass

from limner.catalog import options, sizes
from limner.catalog.model import Model
from limner.core.quote import Note
from limner.core.request import GenerateRequest

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


def fit(
    request: GenerateRequest, model: Model, known: frozenset[str] | None = None, *, seed: int | None = None
) -> Fitted | Misfit:
    """Set what the caller left open and bend what the model cannot do, with a note for each bend.

    `known` is the model's vocabulary; None when it reads any word. `seed` is used when the caller gave none
    and the model takes one. With `policy.strict`, what would be
    bent is a misfit.
    """
    request, left_out = _without_strange_style(request, model)
    misfit = _misfit(request, model)
    if misfit is not None:
        return misfit
    width, height = _size(request, model)
    notes = (*left_out, *_size_notes(request, (width, height), model), *_notes(request, model, known))
    if request.policy.strict and notes:
        return Misfit(notes[0].field, f"strict: {notes[0].message}")
    sent = request.model_copy(
        update={
            "width": width,
            "height": height,
            "steps": _steps(request, model),
            "guidance_scale": _guidance(request, model),
            "negative_prompt": request.negative_prompt if model.takes_negative else None,
            "seed": seed if request.seed is None and model.takes_seed else _seed(request, model),
            "options": options.sent(request.options, request.quality, model),
        }
    )
    return Fitted(sent, notes)


def _without_strange_style(
    request: GenerateRequest, model: Model
) -> tuple[GenerateRequest, tuple[Note, ...]]:
    """The request without a style the model does not list, where the policy allows that."""
    style = request.style
    if not request.policy.any_style or style is None or style.casefold() in model.styles:
        return request, ()
    note = Note(field="style", message=f"{style[:60]} is left out: the model has no such style")
    return request.model_copy(update={"style": None}), (note,)


def _misfit(request: GenerateRequest, model: Model) -> Misfit | None:
    if request.operation not in model.operations:
        able = ", ".join(sorted(model.operations)) or "draw nothing"
        return Misfit("operation", f"does not {request.operation}; it can {able}")
    if request.count > model.max_count:
        return Misfit("count", f"draws at most {model.max_count} pictures an order")
    if len(request.inputs) > model.max_inputs:
        return Misfit("inputs", f"takes at most {model.max_inputs} input pictures")
    if len(request.prompt) > model.max_prompt:
        return Misfit("prompt", f"reads at most {model.max_prompt:,} characters")
    if request.style is not None and not model.free_style and request.style.casefold() not in model.styles:
        return Misfit(
            "style", f"unknown style {request.style[:60]!r}; knows {', '.join(model.styles) or 'none'}"
        )
    fault = options.wrong(request.options, model)
    if fault is not None:
        return Misfit("options", f"option {fault[0]}: {fault[1]}")
    if request.size is None or model.sizes.nearest:
        return None
    said = sizes.why_not(request.size, model.sizes)
    return None if said is None else Misfit(*said)


def _size(request: GenerateRequest, model: Model) -> sizes.Size:
    if request.size is not None:
        drawn = sizes.why_not(request.size, model.sizes) is None
        return request.size if drawn else sizes.nearest(request.size, model.sizes)
    return model.sizes.default if request.quality is None else sizes.by_preset(request.quality, model.sizes)


def _steps(request: GenerateRequest, model: Model) -> int | None:
    if model.steps is None:
        return None
    preset = None
    match request.quality:
        case None:
            pass
        case "fast":
            preset = model.steps.fast
        case "standard":
            preset = model.steps.standard
        case "quality":
            preset = model.steps.quality
        case "ultra":
            preset = model.steps.ultra
    return max(model.steps.min, min(request.steps or preset or model.steps.default, model.steps.max))


def _guidance(request: GenerateRequest, model: Model) -> float | None:
    if model.guidance is None:
        return None
    return (
        model.guidance if request.guidance_scale is None else min(request.guidance_scale, model.max_guidance)
    )


def _seed(request: GenerateRequest, model: Model) -> int | None:
    """The seed, brought into the model's range in a way that keeps different seeds different."""
    if not model.takes_seed or request.seed is None:
        return None
    highest = model.max_seed
    if highest is None or request.seed + request.count - 1 <= highest:
        return request.seed
    return request.seed % (highest + 2 - request.count)


def _size_notes(request: GenerateRequest, size: sizes.Size, model: Model) -> tuple[Note, ...]:
    pixels = size[0] * size[1]
    notes = []
    if request.size not in (None, size):
        message = f"{request.width}x{request.height} is not drawn; {size[0]}x{size[1]} is the nearest"
        notes.append(Note(field="size", message=message))
    drawn = model.sizes.drawn_pixels
    if drawn is not None and pixels > drawn:
        notes.append(Note(field="size", message=f"drawn with {drawn:,} pixels and enlarged to {pixels:,}"))
    return tuple(notes)


def _notes(request: GenerateRequest, model: Model, known: frozenset[str] | None) -> tuple[Note, ...]:
    notes = [*_named_otherwise(request, model), *_number_notes(request, model)]
    if not model.takes_negative and request.negative_prompt:
        notes.append(Note(field="negative_prompt", message="ignored: the model takes none"))
    for name in options.unknown(request.options, model):
        able = ", ".join(model.options) or "none"
        notes.append(Note(field="options", message=f"{name[:60]} is ignored: the model has {able}"))
    if known is not None:
        notes += _unknown_words(request, known)
    if model.max_words is not None and len(_words(request.prompt)) > model.max_words:
        notes.append(Note(field="prompt", message=f"only its first {model.max_words} words are read"))
    return tuple(notes)


def _named_otherwise(request: GenerateRequest, model: Model) -> list[Note]:
    if request.model is None or request.model not in model.stands_in_for:
        return []
    return [Note(field="model", message=f"{request.model} is not set up here; {model.id} draws instead")]


def _number_notes(request: GenerateRequest, model: Model) -> list[Note]:
    """Steps, guidance, seed, strength and scale that are bent or ignored."""
    notes = []
    if request.strength is not None and request.operation in ("generate", "upscale"):
        notes.append(Note(field="strength", message=f"ignored: {request.operation} has none"))
    if request.scale is not None and request.operation != "upscale":
        notes.append(Note(field="scale", message=f"ignored: {request.operation} has none"))
    if model.steps is None and request.steps is not None:
        notes.append(Note(field="steps", message="ignored: the model takes none"))
    elif model.steps and request.steps and request.steps > model.steps.max:
        notes.append(Note(field="steps", message=f"{request.steps} lowered to {model.steps.max}"))
    elif model.steps and request.steps and request.steps < model.steps.min:
        notes.append(Note(field="steps", message=f"{request.steps} raised to {model.steps.min}"))
    if model.guidance is None and request.guidance_scale is not None:
        notes.append(Note(field="guidance_scale", message="ignored: the model takes none"))
    elif request.guidance_scale is not None and request.guidance_scale > model.max_guidance:
        said = f"{request.guidance_scale:g} lowered to {model.max_guidance:g}"
        notes.append(Note(field="guidance_scale", message=said))
    if not model.takes_seed and request.seed is not None:
        notes.append(Note(field="seed", message="ignored: the model takes none"))
    elif model.takes_seed and _seed(request, model) != request.seed:
        said = f"{request.seed} is above {model.max_seed}; {_seed(request, model)} is used"
        notes.append(Note(field="seed", message=said))
    return notes


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
