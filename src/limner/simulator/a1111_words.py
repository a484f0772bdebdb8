"""What the simulated web UI is asked, and how it reads pictures."""

import asyncio
from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass, field
from io import BytesIO

from aiohttp import web
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from limner.simulator.vendor import Unreadable

LARGEST_PIXELS = 64_000_000
"""More do not fit its GPU."""


class Draw(BaseModel):
    """A body of txt2img and img2img; what is not known here is ignored there."""

    model_config = ConfigDict(extra="ignore")

    prompt: str = ""
    negative_prompt: str = ""
    seed: int = -1
    steps: int = 50
    cfg_scale: float = 7.0
    distilled_cfg_scale: float = 3.5
    width: int = Field(default=512, ge=1)
    height: int = Field(default=512, ge=1)
    batch_size: int = Field(default=1, ge=1)
    n_iter: int = Field(default=1, ge=1)
    sampler_name: str | None = None
    scheduler: str | None = None
    override_settings: dict[str, JsonValue] = {}
    override_settings_restore_afterwards: bool = True
    send_images: bool = True
    force_task_id: str | None = None
    init_images: list[str] | None = None
    mask: str | None = None
    denoising_strength: float = 0.75
    resize_mode: int = 0
    inpainting_fill: int = 0
    inpainting_mask_invert: int = 0


class Enlarge(BaseModel):
    """A body of extra-single-image."""

    model_config = ConfigDict(extra="ignore")

    image: str = ""
    upscaling_resize: float = Field(default=2.0, ge=1, le=8)
    upscaler_1: str = "None"


@dataclass(slots=True)
class Task:
    """What is drawn or waits to be."""

    id: str
    steps: int
    step: int = 0
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)


def invalid(error: ValidationError) -> web.Response:
    """The answer to fields that are missing or wrong."""
    faults: JsonValue = [
        {"loc": ["body", *one["loc"]], "msg": one["msg"], "type": one["type"]} for one in error.errors()
    ]
    return web.json_response({"detail": faults}, status=422)


def decoded(text: str) -> bytes:
    """A picture from base64, with or without a data URL's head. Raises `Unreadable`."""
    try:
        data = b64decode(text.partition(";base64,")[2] or text, validate=True)
        Image.open(BytesIO(data)).verify()
    except (NotBase64, OSError, SyntaxError) as error:
        raise Unreadable(str(error)) from error
    return data


async def either(one: asyncio.Event, other: asyncio.Event, seconds: float | None) -> None:
    """Until one of them is set, or the time is over."""
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    _, rest = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in rest:
        wait.cancel()
