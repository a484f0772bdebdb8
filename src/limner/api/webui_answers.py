"""What a Stable Diffusion web UI answers."""

import re
import time
from collections.abc import Sequence
from typing import Literal

import orjson
import pybase64
from pydantic import BaseModel, JsonValue

from limner.api.webui_places import Place
from limner.core.job import Artifact, Job
from limner.core.quote import Note
from limner.imaging.metadata import Inspection, parameters

_NO_TIME = "0"
_SETTING = re.compile(r'(\w[\w \-/]{0,60}): ?("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_MAX_SETTINGS = 4_000
"""Characters of the settings' line that are read: it may come from anybody."""


class WebuiImages(BaseModel):
    """The answer to txt2img and img2img."""

    images: list[str]
    """PNG files in base64, each with its `parameters` text."""
    parameters: dict[str, JsonValue]
    """What was asked, without its pictures."""
    info: str
    """JSON: seeds, the `parameters` texts, what was bent (`notes`), who drew and what it cost (`limner`)."""


class WebuiEnlarged(BaseModel):
    """The answer to extra-single-image."""

    html_info: str
    image: str
    """PNG in base64."""


class WebuiState(BaseModel):
    """What is being drawn for the caller."""

    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    job: str = ""
    """The job's id."""
    job_count: int = 0
    job_timestamp: str = _NO_TIME
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class WebuiProgress(BaseModel):
    """How far the caller's oldest order is; nothing under way is 0."""

    progress: float = 0.0
    """0 to 1."""
    eta_relative: float = 0.0
    """Seconds."""
    state: WebuiState = WebuiState()
    current_image: str | None = None
    """Newest preview, PNG in base64."""
    textinfo: str | None = None


class WebuiModel(BaseModel):
    """One checkpoint: a model of the catalog."""

    title: str
    model_name: str
    hash: str | None = None
    sha256: str | None = None
    filename: str
    config: str | None = None


class WebuiSampler(BaseModel):
    """One sampler."""

    name: str
    aliases: list[str] = []
    options: dict[str, str] = {}


class WebuiScheduler(BaseModel):
    """One schedule of noise."""

    name: str
    label: str
    aliases: list[str] | None = None
    default_rho: float = -1.0
    need_inner_model: bool = False


class WebuiUpscaler(BaseModel):
    """One model that enlarges."""

    name: str
    model_name: str | None = None
    model_path: str | None = None
    model_url: str | None = None
    scale: float | None = None


class WebuiStyle(BaseModel):
    """A style of some model, to be named in `styles`."""

    name: str
    prompt: str | None = None
    negative_prompt: str | None = None


class WebuiPngInfo(BaseModel):
    """What a picture says about itself."""

    info: str
    items: dict[str, str]
    parameters: dict[str, str]
    """The settings in `info`, by name."""


class WebuiTold(BaseModel):
    """Options as they stand for the caller."""

    sd_model_checkpoint: str
    """The model of orders that name none; empty when nothing can draw now."""
    sd_checkpoint_hash: Literal[""] = ""
    samples_format: Literal["png"] = "png"


class WebuiMemory(BaseModel):
    """Bytes."""

    ram: dict[str, int]
    cuda: dict[str, str]


def images(job: Job, data: Sequence[bytes], asked: dict[str, JsonValue], bent: Sequence[Note]) -> bytes:
    """A `WebuiImages`, with what the door itself had to bend. Base64 needs no escaping and is spliced in."""
    pictures = b",".join(b'"' + pybase64.b64encode(one) + b'"' for one in data)
    rest = orjson.dumps({"parameters": asked, "info": orjson.dumps(_info(job, bent)).decode()})
    return b"".join((b'{"images":[', pictures, b"],", rest[1:]))


def _info(job: Job, bent: Sequence[Note]) -> dict[str, object]:
    first = job.images[0]
    request, count = first.recipe.request, len(job.images)
    seeds = [_seed(image) for image in job.images]
    prompt, negative = job.request.prompt, job.request.negative_prompt or ""
    return {
        "prompt": prompt,
        "all_prompts": [prompt] * count,
        "negative_prompt": negative,
        "all_negative_prompts": [negative] * count,
        "seed": seeds[0],
        "all_seeds": seeds,
        "subseed": -1,
        "all_subseeds": [-1] * count,
        "subseed_strength": 0,
        "width": first.width,
        "height": first.height,
        "sampler_name": request.options.get("sampler_name", ""),
        "cfg_scale": request.guidance_scale,
        "steps": request.steps,
        "batch_size": count,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": first.model,
        "sd_model_hash": None,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": request.strength,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": [parameters(image.recipe) for image in job.images],
        "styles": [request.style] if request.style else [],
        "job_timestamp": _stamp(job.created_at),
        "clip_skip": 1,
        "is_using_inpainting_conditioning": False,
        "version": f"Limner {first.recipe.limner}",
        "notes": [note.model_dump() for note in (*bent, *job.receipt.notes)],
        "limner": {
            "job": job.id,
            "provider": first.provider,
            "model": first.model,
            "cost_usd": None if job.receipt.cost_usd is None else f"{job.receipt.cost_usd:f}",
        },
    }


def _seed(image: Artifact) -> int:
    return -1 if image.seed is None else image.seed


def _stamp(at: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(at))


def progress(place: Place, *, picture: bool) -> WebuiProgress:
    """How far the caller's oldest order is, with its newest preview if `picture`."""
    if not place.works:
        return WebuiProgress()
    work = place.works[0]
    now, job = work.progress, work.job
    preview = now.preview if now is not None and picture else None
    return WebuiProgress(
        progress=now.fraction if now is not None else 0.0,
        eta_relative=(now.eta_s if now is not None else None) or 0.0,
        state=WebuiState(
            interrupted=work.interrupted,
            stopping_generation=work.interrupted,
            job=job.id,
            job_count=len(place.works),
            job_timestamp=_stamp(job.created_at),
            sampling_step=(now.step if now is not None else None) or 0,
            sampling_steps=(now.steps if now is not None else None) or job.request.steps or 0,
        ),
        current_image=pybase64.b64encode(preview).decode() if preview else None,
    )


def png_info(found: Inspection) -> WebuiPngInfo:
    """What the file says: the settings text, and every other text by name."""
    text = found.parameters or ""
    return WebuiPngInfo(info=text, items=found.other, parameters=settings(text))


def settings(text: str) -> dict[str, str]:
    """The prompt, the negative prompt and the last line's settings, by name; empty without such a line."""
    head, _, last = text.rpartition("\n")
    last = last[:_MAX_SETTINGS]
    if not last.startswith("Steps: ") and "Size: " not in last:
        return {}
    prompt, _, negative = head.partition("\nNegative prompt: ")
    named = {name.strip(): value for name, value in _SETTING.findall(last)}
    return {"Prompt": prompt, "Negative prompt": negative} | named
