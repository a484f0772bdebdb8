"""What a job's answer says besides its pictures: the facts in headers, and the words OpenAI has for them."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import orjson

from limner.api.errors import cut
from limner.core.job import Job
from limner.core.quote import Note
from limner.core.request import GenerateRequest, Preset

Told = Literal["low", "medium", "high", "xhigh"]
TOLD: Mapping[Preset, Told] = {"fast": "low", "standard": "medium", "quality": "high", "ultra": "xhigh"}
FACTS = (
    "x-limner-attempts",
    "x-limner-cost-usd",
    "x-limner-ignored",
    "x-limner-job",
    "x-limner-model",
    "x-limner-notes",
    "x-limner-provider",
    "x-limner-seed",
    "x-request-id",
)
MAX_NOTES = 2_000
"""Bytes of the `x-limner-notes` header at most: proxies refuse long headers."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def quality_of(request: GenerateRequest) -> Told | None:
    """OpenAI's word for the quality asked for, None when none was."""
    return TOLD[request.quality] if request.quality else None


def background_of(request: GenerateRequest) -> Literal["opaque", "transparent"]:
    """What was asked for: nobody is asked for transparency who draws none."""
    return "transparent" if request.options.get("background") == "transparent" else "opaque"


def ended_at(job: Job) -> int:
    """Unix seconds."""
    return int(job.finished_at or job.created_at)


def facts(job: Job, bent: Sequence[Note] = ()) -> dict[str, str]:
    """What OpenAI's body has no place for, with what was `bent` before the order was placed. Values are plain
    ASCII on one line."""
    receipt = job.receipt
    told = {"x-limner-job": job.id, "x-limner-attempts": str(len(receipt.attempts))}
    if job.images:
        first = job.images[0]
        told["x-limner-provider"] = _plain(first.provider)
        told["x-limner-model"] = _plain(first.model)
        if first.seed is not None:
            told["x-limner-seed"] = str(first.seed)
    if receipt.cost_usd is not None:
        told["x-limner-cost-usd"] = f"{receipt.cost_usd:f}"
    return told | told_notes((*bent, *receipt.notes))


def ignored(names: Sequence[str]) -> dict[str, str]:
    """The header that names what was sent and not used; empty when all was."""
    if not names:
        return {}
    plain = [name if _PLAIN_NAME.fullmatch(name) else "?" for name in names[:20]]
    return {"x-limner-ignored": ", ".join(plain)}


def told_notes(notes: Sequence[Note]) -> dict[str, str]:
    """The header that tells what was bent; empty when nothing was."""
    return {"x-limner-notes": _notes(notes)} if notes else {}


def _notes(notes: Sequence[Note]) -> str:
    """As many whole notes as fit the header, as JSON in ASCII."""
    kept: list[str] = []
    room = MAX_NOTES - len("[]")
    for note in notes:
        text = _ascii_json({"field": cut(note.field, 64), "message": cut(note.message)})
        room -= len(text) + len(",")
        if room < 0:
            break
        kept.append(text)
    return f"[{','.join(kept)}]"


def _ascii_json(value: object) -> str:
    text = orjson.dumps(value).decode()
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isascii() and char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _plain(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text[:200])
