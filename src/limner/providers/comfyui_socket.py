"""What ComfyUI's socket tells while an order is drawn: how far it is, and previews. Pure."""

from dataclasses import replace

from pydantic import BaseModel, JsonValue

from limner.providers.base import Pending
from limner.providers.comfyui_graph import copy_of

WITH_OWNER: JsonValue = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
"""Sent first, asks for previews that say whose they are; the others may show somebody else's picture."""
_OWNED_PREVIEW = 4


class Held(BaseModel):
    """Our ticket: the order's id and the nodes that save its pictures."""

    id: str
    outputs: tuple[str, ...]
    previews: bool


class _Event(BaseModel):
    """Custom nodes add types of their own."""

    type: str
    data: JsonValue = None


class _Step(BaseModel):
    """`progress`; and `executing`, which has no node at the end."""

    prompt_id: str | None = None
    node: str | None = None
    value: float = 0.0
    max: float = 1.0


class _Owner(BaseModel):
    prompt_id: str


def hear(known: Pending, message: object, held: Held) -> tuple[Pending, bool]:
    """What is known after a frame; and was it the last? Raises `ValidationError`."""
    match message:
        case bytes():
            return replace(known, preview=_preview(message, held) or known.preview), False
        case str():
            return _told(known, _Event.model_validate_json(message), held)
        case _:
            return known, False


def _told(known: Pending, event: _Event, held: Held) -> tuple[Pending, bool]:
    if event.type not in ("progress", "executing"):
        return known, False
    step = _Step.model_validate(event.data)
    if step.prompt_id != held.id:
        return known, False  # other people's progress is told to everybody
    if event.type == "executing":
        return known, step.node is None
    each = max(1, int(step.max))
    done, steps = copy_of(step.node or "") * each + int(step.value), each * len(held.outputs)
    return replace(known, fraction=min(1.0, done / steps), step=done, steps=steps), False


def _preview(frame: bytes, held: Held) -> bytes | None:
    """The picture of a preview that is the order's own: kind and length (big-endian), JSON, picture."""
    kind, length = int.from_bytes(frame[:4]), int.from_bytes(frame[4:8])
    if not held.previews or kind != _OWNED_PREVIEW:
        return None
    owner = _Owner.model_validate_json(frame[8 : 8 + length])
    return frame[8 + length :] if owner.prompt_id == held.id else None
