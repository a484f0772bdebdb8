"""What callers of `AIModelManager` say, and the same wish in Limner's words. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from limner.core.money import FREE
from limner.core.quote import Note
from limner.core.reading import read_request
from limner.core.request import MAX_SEED, GenerateRequest, Policy, Preset

Number = TypeVar("Number", int, float)
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_QUALITY: dict[str, Preset] = {"standard": "standard", "hd": "quality"}
_CLOUD_SIZE = "1024x1024"
_SIDE = 512
_MOST_STEPS = 100
_LEAST_GUIDANCE, _MOST_GUIDANCE = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Config:
    """A local model as such programs know it."""

    model_id: str
    title: str
    size_gb: int
    vram_gb: int
    ram_gb: int
    engine: str

    def shown(self, name: str) -> dict[str, Any]:
        """As an entry of `local_model_configs`."""
        return {
            "name": name,
            "model_id": self.model_id,
            "size_gb": self.size_gb,
            "requirements": {"vram_gb": self.vram_gb, "ram_gb": self.ram_gb},
            "inference_engine": self.engine,
            "description": self.title,
        }


CONFIGS: Mapping[str, Config] = {
    "stable-diffusion-v1-5": Config(
        "runwayml/stable-diffusion-v1-5", "Stable Diffusion 1.5", 4, 4, 8, "diffusers"
    ),
    "sdxl-1.0": Config(
        "stabilityai/stable-diffusion-xl-base-1.0", "Stable Diffusion XL", 7, 8, 16, "diffusers"
    ),
    "flux.1-dev": Config("black-forest-labs/FLUX.1-dev", "FLUX.1 [dev]", 12, 12, 24, "comfyui"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, with the defaults such programs rely on."""

    prompt: str
    width: int | None = None
    height: int | None = None
    num_inference_steps: int = 25
    guidance_scale: float = 7.5
    seed: int | None = None
    negative_prompt: str = "ugly, blurry, low quality, distorted"
    size: str | None = None
    quality: str = "standard"
    model: str | None = None
    unknown: tuple[str, ...] = ()

    def sides(self, *, local: bool) -> tuple[int, int]:
        """`size`, else `width` and `height`, else the default. Raises `ValueError`."""
        said = self.width is not None or self.height is not None
        if self.size is None and (local or said):
            width, height = (_SIDE if side is None else side for side in (self.width, self.height))
            return width, height
        match = _SIZE.fullmatch(self.size or _CLOUD_SIZE)
        if match is None:
            raise ValueError("size must be WIDTHxHEIGHT in pixels, such as 512x512")
        return int(match[1]), int(match[2])


_TYPES: Mapping[str, tuple[type, ...]] = {
    "width": (int,),
    "height": (int,),
    "num_inference_steps": (int,),
    "guidance_scale": (int, float),
    "seed": (int,),
    "negative_prompt": (str,),
    "size": (str,),
    "quality": (str,),
    "model": (str,),
}


def options(prompt: object, given: Mapping[str, object]) -> Options:
    """The caller's keyword arguments, None standing for the default. Raises `TypeError` and `ValueError`."""
    if not isinstance(prompt, str):
        raise TypeError(f"prompt must be str, not {type(prompt).__name__}")
    known = {field.name for field in fields(Options)} - {"prompt", "unknown"}
    named: dict[str, Any] = {
        name: value for name, value in given.items() if name in known and value is not None
    }
    for name, value in named.items():
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise TypeError(f"{name} must be {_TYPES[name][-1].__name__}, not {type(value).__name__}")
    if named.get("quality", "standard") not in _QUALITY:
        raise ValueError(f"quality must be one of {', '.join(_QUALITY)}, not {short(named['quality'])!r}")
    steps = named.get("num_inference_steps", 1)
    if not 1 <= steps <= _MOST_STEPS:
        raise ValueError(f"num_inference_steps must be from 1 to {_MOST_STEPS}, not {short(steps)}")
    return Options(prompt, **named, unknown=tuple(short(name) for name in given if name not in known))


def ask(wanted: Options, entry: Mapping[str, Any]) -> tuple[GenerateRequest, tuple[Note, ...]]:
    """The order for an entry of `available_models`, and what was bent on the way to it.

    A local one is free or is not drawn at all. Raises `InvalidRequest` and `ValueError`.
    """
    local = entry["provider"] == "local"
    width, height = wanted.sides(local=local)
    guidance = min(max(wanted.guidance_scale, _LEAST_GUIDANCE), _MOST_GUIDANCE)
    seed = None if wanted.seed is None else wanted.seed % (MAX_SEED + 1)
    where: dict[str, object] = (
        {"policy": Policy(max_cost_usd=FREE)}
        if local
        else {"provider": entry["provider"], "quality": _QUALITY[wanted.quality]}
    )
    order = read_request(
        {
            "prompt": wanted.prompt,
            "negative_prompt": wanted.negative_prompt,
            "model": entry["name"],
            "width": width,
            "height": height,
            "steps": wanted.num_inference_steps,
            "guidance_scale": guidance,
            "seed": seed,
        }
        | where
    )
    return order, tuple(_notes(wanted, guidance, seed))


def _notes(wanted: Options, guidance: float, seed: int | None) -> list[Note]:
    notes = [Note(field=name, message="ignored: no such option here") for name in wanted.unknown]
    if guidance != wanted.guidance_scale:
        notes.append(
            Note(field="guidance_scale", message=f"{wanted.guidance_scale:g} is drawn as {guidance:g}")
        )
    if seed != wanted.seed:
        notes.append(Note(field="seed", message=f"drawn as {seed}"))
    return notes


def number(used: Number | None, wanted: Number) -> Number:
    """What was used; where the model has none, what was asked for."""
    return wanted if used is None else used


def short(text: object) -> str:
    """Somebody else's words, for a message."""
    return str(text)[:80]
