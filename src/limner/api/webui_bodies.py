"""What programs send to a Stable Diffusion web UI, and the same wish in Limner's words."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from limner.api.errors import invalid
from limner.core.errors import InvalidRequest
from limner.core.quote import Note
from limner.core.request import GenerateRequest, Operation

CALLED = {
    "count": "batch_size",
    "guidance_scale": "cfg_scale",
    "strength": "denoising_strength",
    "scale": "upscaling_resize",
    "inputs": "init_images",
    "model": "sd_model_checkpoint",
    "style": "styles",
}
"""Our field names as the web UI's callers know them."""
_CHECKPOINT = "sd_model_checkpoint"
_USUAL_SIDE = 512
_STEP = 8
"""The web UI draws multiples of this many pixels, and cuts off what is over."""
_INERT: tuple[JsonValue, ...] = (None, False, 0, -1, "", [], {}, "None", "Automatic", "automatic")
"""Values that ask for nothing, whatever their field."""
_HARMLESS = frozenset(
    {
        "do_not_save_grid",
        "do_not_save_samples",
        "force_task_id",
        "hr_negative_prompt",
        "include_init_images",
        "initial_noise_multiplier",
        "override_settings_restore_afterwards",
        "save_images",
        "script_args",
        "show_extras_results",
    }
)
"""Fields about the web UI's own files and windows: leaving them out changes no picture."""
_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "enable_hr": ("denoising_strength", "firstphase_", "hr_"),
    "mask": ("inpaint", "mask_blur"),
    "enlarge": ("upscaling_crop", "upscaling_resize_"),
}
"""Beginnings of fields that mean something only beside another one."""


class WebuiDraw(BaseModel):
    """A body of txt2img. Other names are left out; those that would have changed the picture are told in
    `x-limner-ignored`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    prompt: str = ""
    negative_prompt: str | None = None
    styles: list[str] | None = None
    """Styles of the model, at most one at a time: see prompt-styles."""
    seed: int | None = None
    """-1 or less: drawn at acceptance and told."""
    steps: int | None = None
    cfg_scale: Annotated[float, Field(ge=0)] | None = None
    """Up to 1 there is no guidance."""
    width: int | None = None
    height: int | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    n_iter: Annotated[int, Field(ge=1)] | None = None
    """As many pictures as `batch_size` times `n_iter`."""
    sampler_name: str | None = None
    sampler_index: str | None = None
    """The older name of `sampler_name`."""
    scheduler: str | None = None
    override_settings: dict[str, JsonValue] | None = None
    """`sd_model_checkpoint`: the model for this order alone."""
    send_images: bool | None = None

    @property
    def checkpoint(self) -> str | None:
        """The model this order names. Raises `InvalidRequest`."""
        named = (self.override_settings or {}).get(_CHECKPOINT)
        if named is not None and not isinstance(named, str):
            raise InvalidRequest(f"override_settings.{_CHECKPOINT}: must be a name", _CHECKPOINT)
        return named or None

    @property
    def unused(self) -> tuple[str, ...]:
        """Names that were sent, would have changed the picture, and do not."""
        settings = tuple(name for name in self.override_settings or {} if name != _CHECKPOINT)
        return (*_telling(self.model_extra or {}, self._beside), *settings)

    @property
    def _beside(self) -> frozenset[str]:
        return frozenset({"enable_hr"}) if (self.model_extra or {}).get("enable_hr") else frozenset()

    def order(self, model: str | None) -> tuple[GenerateRequest, tuple[Note, ...]]:
        """The wish, and what of it was bent here. Raises `InvalidRequest` with the caller's field name."""
        width, height, notes = _sides(_side(self.width), _side(self.height))
        return self._ordered("generate", model, {"width": width, "height": height}), notes

    def _ordered(
        self, operation: Operation, model: str | None, more: Mapping[str, object]
    ) -> GenerateRequest:
        if len(self.styles or ()) > 1:
            raise InvalidRequest("styles: one style at a time", "styles")
        fields = {
            "operation": operation,
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt or None,
            "model": model,
            "count": (self.batch_size or 1) * (self.n_iter or 1),
            "steps": self.steps,
            # Without guidance is 0 for some programs and 1 for others; the picture is the same.
            "guidance_scale": None if self.cfg_scale is None else max(1.0, self.cfg_scale),
            "seed": None if self.seed is None or self.seed < 0 else self.seed,
            "style": self.styles[0] if self.styles else None,
            "options": self._options(),
        }
        return wish(fields | dict(more))

    def _options(self) -> dict[str, JsonValue]:
        said = {"sampler_name": self.sampler_name or self.sampler_index, "scheduler": self.scheduler}
        return {name: value for name, value in said.items() if value not in _INERT}


class WebuiPaint(WebuiDraw):
    """A body of img2img, with a mask of inpainting."""

    init_images: list[str] | None = None
    """One picture in base64, with or without the head of a data URL."""
    mask: str | None = None
    """White is painted anew; where a picture has transparency, what is opaque."""
    inpainting_mask_invert: int | bool | None = None
    denoising_strength: float | None = None
    """0 keeps the picture, 1 ignores it; absent: 0.75."""

    @property
    def _beside(self) -> frozenset[str]:
        return super()._beside | (frozenset({"mask"}) if self.mask else frozenset())

    def painting(
        self, model: str | None, source: str, mask: str | None
    ) -> tuple[GenerateRequest, tuple[Note, ...]]:
        """The wish over the kept picture `source`, whose size is taken when none is given."""
        more: dict[str, object] = {
            "inputs": (source,),
            "mask": mask,
            "strength": 0.75 if self.denoising_strength is None else self.denoising_strength,
        }
        notes: tuple[Note, ...] = ()
        if self.width is not None and self.height is not None:
            more["width"], more["height"], notes = _sides(self.width, self.height)
        return self._ordered("inpaint" if mask else "image-to-image", model, more), notes


class WebuiEnlarge(BaseModel):
    """A body of extra-single-image."""

    model_config = ConfigDict(frozen=True, extra="allow")

    image: Annotated[str, Field(min_length=1)]
    resize_mode: int | None = None
    """0 enlarges by `upscaling_resize`; there is no other here."""
    upscaling_resize: float | None = None
    upscaler_1: str | None = None
    """One of upscalers; absent or None: chosen here."""

    @property
    def unused(self) -> tuple[str, ...]:
        """Names that were sent, would have changed the picture, and do not."""
        return _telling(self.model_extra or {}, frozenset())

    def order(self, source: str, models: Sequence[str]) -> GenerateRequest:
        """The wish; an upscaler's name is one of `models`, or what the model's own server calls it."""
        if self.resize_mode:
            raise InvalidRequest("resize_mode: only 0 is known here; give upscaling_resize", "resize_mode")
        named = self.upscaler_1 if self.upscaler_1 not in _INERT else None
        return wish(
            {
                "operation": "upscale",
                "prompt": "",
                "inputs": (source,),
                "scale": 2.0 if self.upscaling_resize is None else self.upscaling_resize,
                "model": named if named in models else None,
                "options": {"upscaler": named} if named and named not in models else {},
            }
        )


class WebuiOptions(BaseModel):
    """Settings, of which one is kept: the caller's own model. Empty: chosen by what fits."""

    model_config = ConfigDict(frozen=True, extra="allow")

    sd_model_checkpoint: str | None = None


class WebuiPicture(BaseModel):
    """A body of png-info."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    image: Annotated[str, Field(min_length=1)]


WEBUI_BODIES: tuple[type[BaseModel], ...] = (
    WebuiDraw,
    WebuiPaint,
    WebuiEnlarge,
    WebuiOptions,
    WebuiPicture,
)


def wish(fields: Mapping[str, object]) -> GenerateRequest:
    """A request. Raises `InvalidRequest` with the web UI's field names."""
    try:
        return GenerateRequest.model_validate(fields)
    except ValidationError as error:
        raise invalid(error, CALLED) from error


def _side(given: int | None) -> int:
    return _USUAL_SIDE if given is None else given


def _sides(width: int, height: int) -> tuple[int, int, tuple[Note, ...]]:
    cut = (width - width % _STEP, height - height % _STEP)
    if cut == (width, height) or min(cut) < _STEP:
        return width, height, ()
    said = f"{width}x{height} was cut to {cut[0]}x{cut[1]}, multiples of {_STEP}"
    return *cut, (Note(field="size", message=said),)


def _telling(sent: Mapping[str, JsonValue], beside: frozenset[str]) -> tuple[str, ...]:
    away = tuple(start for other, starts in _ONLY_WITH.items() if other not in beside for start in starts)
    return tuple(
        name
        for name, value in sent.items()
        if value not in _INERT and name not in _HARMLESS and not name.startswith(away) and not _idle(value)
    )


def _idle(value: JsonValue) -> bool:
    """Extensions that are all switched off, as `{"ADetailer": {"args": [false]}}`."""
    match value:
        case dict():
            return all(_idle(one) for one in value.values())
        case list():
            return all(_idle(one) for one in value)
        case _:
            return value in _INERT
