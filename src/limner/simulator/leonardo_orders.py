"""What Leonardo takes at v1 and v2, as strict as it is, and what it makes of what was left out."""

import re
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

KINO = "aa77f04e-3eec-4034-9c07-d0f619684628"
PHOENIX = ("de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3", "6b645e3a-d64f-4341-a6d8-7a3690fbf042")
LUCID = ("7b592283-e8a7-4c5a-9ba6-d18c31f258b9", "05ce0082-2d80-4a2d-8653-4d1c85e2418e")
FLUX = (
    "b2614463-296c-462a-9586-aafdb8f00e36",
    "1dd50843-d653-4516-a8e3-f0238ee453ff",
    "28aeddf8-bd19-4803-80fc-79602d1a9989",
)
LIGHTNING = "b24e16ff-06e3-43eb-8d33-4416c2d75876"
XL = (
    KINO,
    LIGHTNING,
    "5c232a9e-9061-4777-980a-ddc8e65647c6",
    "e71a1c2f-4f80-4800-934f-2c68979d8cc8",
    "1e60896f-3c26-4296-8ecc-53e2afecc132",
)
NAMES = {
    PHOENIX[0]: "Phoenix 1.0",
    PHOENIX[1]: "Phoenix 0.9",
    LUCID[0]: "Lucid Origin",
    LUCID[1]: "Lucid Realism",
    FLUX[0]: "FLUX Dev",
    FLUX[1]: "FLUX Schnell",
    FLUX[2]: "FLUX.1 Kontext",
    KINO: "Leonardo Kino XL",
    LIGHTNING: "Leonardo Lightning XL",
    XL[2]: "Leonardo Vision XL",
    XL[3]: "Leonardo Anime XL",
    XL[4]: "Leonardo Diffusion XL",
}

# Of Kino XL and FLUX schnell the price was seen in answers; the others are made up, as none are published.
_USD = {"kino-xl": "0.0045", "flux-schnell": "0.003"} | dict.fromkeys(
    ("concept-art", "graphic-design", "illustrative-albedo"), "0.0045"
)
_USD |= {"flux-pro-2.0": "0.03", "ideogram-3.0": "0.06", "seedream-4.0": "0.03", "seedream-4.5": "0.04"}
_USD |= {"gemini-2.5-flash-image": "0.04", "nano-banana-2": "0.07", "gemini-image-2": "0.14"}
_USD |= {"gpt-image-1.5": "0.05", "gpt-image-2": "0.06"}
_USD_V1, _USD_ALCHEMY = Decimal("0.009"), Decimal("0.015")

_OWN = frozenset({"style_ids", "mode", "negative_prompt", "contrast"})
_ALL = frozenset({"prompt", "width", "height", "quantity", "guidances"})
_PARAMETERS = {slug: _ALL | {"seed", "prompt_enhance"} for slug in _USD}
_PARAMETERS["kino-xl"] |= _OWN
for _slug in ("concept-art", "graphic-design", "illustrative-albedo"):
    _PARAMETERS[_slug] |= {"negative_prompt"}
for _slug in ("gemini-2.5-flash-image", "nano-banana-2", "gemini-image-2"):
    _PARAMETERS[_slug] |= {"style_ids"}
for _slug in ("gpt-image-1.5", "gpt-image-2"):
    _PARAMETERS[_slug] = _ALL

_CONTRASTS = (1.0, 1.3, 1.8, 2.5, 3.0, 3.5, 4.0, 4.5)
Side = Annotated[int, Field(ge=32, le=1536, multiple_of=8)]
Prompt = Annotated[str, Field(max_length=1500)]
M = TypeVar("M", bound=BaseModel)


class Refusal(Exception):
    """Why an order is not taken, in the vendor's words. `path` is the field's."""

    def __init__(self, said: str, path: str = "$", code: str = "bad-request") -> None:
        super().__init__(said)
        self.said, self.path, self.code = said, path, code


class _V1(BaseModel):
    """The body at v1 with the vendor's defaults: four pictures, alchemy, public, a style."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Prompt
    negative_prompt: Prompt | None = None
    modelId: str = LIGHTNING  # noqa: N815 - the vendor's names
    width: Side = 1024
    height: Side = 768
    num_images: Annotated[int, Field(ge=1, le=8)] = 4
    num_inference_steps: Annotated[int, Field(ge=10, le=60)] | None = None
    guidance_scale: Annotated[float, Field(ge=1, le=20)] | None = None
    seed: Annotated[int, Field(ge=0, le=9999999998)] | None = None
    alchemy: bool | None = True
    public: bool = False
    presetStyle: str = "DYNAMIC"  # noqa: N815 - as above
    styleUUID: str | None = None  # noqa: N815 - as above
    contrast: float | None = None
    ultra: bool | None = None
    enhancePrompt: bool | None = None  # noqa: N815 - as above
    photoReal: bool | None = None  # noqa: N815 - as above
    photoRealVersion: str | None = None  # noqa: N815 - as above
    tiling: bool | None = None
    transparency: Literal["disabled", "foreground_only"] | None = None
    init_image_id: str | None = None
    init_generation_image_id: str | None = None
    init_strength: Annotated[float, Field(ge=0.1, le=0.9)] | None = None
    scheduler: str | None = None
    sd_version: str | None = None
    controlnets: list[JsonValue] | None = None
    elements: list[JsonValue] | None = None
    userElements: list[JsonValue] | None = None  # noqa: N815 - as above

    @model_validator(mode="after")
    def _together(self) -> "_V1":
        if self.num_images > 4 and max(self.width, self.height) > 768:
            raise ValueError("num_images must be between 1 and 4 when a side is over 768")
        if self.contrast not in (None, *_CONTRASTS):
            raise ValueError(f"contrast must be one of {_CONTRASTS}")
        if self.modelId in PHOENIX and self.contrast is None:
            raise ValueError("contrast is required for Phoenix")
        if self.modelId in PHOENIX and self.alchemy and (self.contrast or 0) < 2.5:
            raise ValueError("contrast needs to be 2.5 or higher with alchemy")
        if self.modelId in LUCID and self.alchemy and "alchemy" in self.model_fields_set:
            raise ValueError("alchemy is not supported for this model")
        if self.modelId in FLUX and (self.seed or 0) > 2147483637:
            raise ValueError("seed must be at most 2147483637")
        if self.ultra and self.alchemy:
            raise ValueError("ultra can not be used with alchemy")
        return self


class _Picture(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    type: Literal["UPLOADED", "GENERATED"]


class _Reference(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    image: _Picture
    strength: Literal["LOW", "MID", "HIGH"]


class _Guidances(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    image_reference: list[_Reference]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Prompt
    width: Side = 1024
    height: Side = 1024
    quantity: Annotated[int, Field(ge=1, le=8)] = 1
    seed: Annotated[int, Field(ge=0, le=9999999998)] | None = None
    style_ids: list[str] | None = None
    prompt_enhance: Literal["ON", "OFF"] = "ON"
    mode: Literal["FAST", "QUALITY"] = "QUALITY"
    negative_prompt: Prompt | None = None
    contrast: float | None = None
    guidances: _Guidances | None = None


class _V2(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    public: bool = False
    parameters: dict[str, JsonValue]


class Wish(BaseModel):
    """A good order, the same for both versions. `dollars` is for all its pictures."""

    model: str
    prompt: str
    negative_prompt: str = ""
    width: int
    height: int
    count: int
    seed: int | None
    steps: int = 15
    guidance: float = 7.0
    style: str = "NONE"
    inputs: tuple[str, ...] = ()
    dollars: Decimal


def v1(fields: dict[str, JsonValue]) -> Wish:
    """An order at v1. Raises `Refusal`."""
    body = _checked(_V1, fields)
    if body.modelId not in NAMES:
        raise Refusal(
            f"{body.modelId} is not supported within the Production API. Please try again with a different "
            "model ID."
        )
    each = _USD_ALCHEMY if body.alchemy else _USD_V1
    return Wish(
        model=body.modelId,
        prompt=body.prompt,
        negative_prompt=body.negative_prompt or "",
        width=body.width,
        height=body.height,
        count=body.num_images,
        seed=body.seed,
        steps=body.num_inference_steps or 15,
        guidance=body.guidance_scale or 7.0,
        style=body.presetStyle,
        inputs=() if body.init_image_id is None else (body.init_image_id,),
        dollars=each * body.num_images,
    )


def v2(fields: dict[str, JsonValue]) -> Wish:
    """An order at v2, where every model has parameters of its own. Raises `Refusal`."""
    body = _checked(_V2, fields)
    if body.model not in _USD:
        raise Refusal(f"model {body.model} was not found", code="VALIDATION_ERROR")
    for name in body.parameters:
        if name not in _PARAMETERS[body.model]:
            raise Refusal(f"parameters: additional property '{name}' is not allowed", code="VALIDATION_ERROR")
    wanted = _checked(_Parameters, body.parameters)
    dear = 2 if "mode" in _PARAMETERS[body.model] and wanted.mode == "QUALITY" else 1
    shown = () if wanted.guidances is None else tuple(wanted.guidances.image_reference)
    return Wish(
        model=body.model,
        prompt=wanted.prompt,
        negative_prompt=wanted.negative_prompt or "",
        width=wanted.width,
        height=wanted.height,
        count=wanted.quantity,
        seed=wanted.seed,
        inputs=tuple(one.image.id for one in shown),
        dollars=Decimal(_USD[body.model]) * wanted.quantity * dear,
    )


def is_uuid(text: str) -> bool:
    """Whether a key or an id has the form of one."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def _checked(kind: type[M], fields: dict[str, JsonValue]) -> M:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"])
    path = f"$.selectionSet.sdGenerationJob.args.arg1.{name}"
    match fault["type"]:
        case "missing":
            raise Refusal(f'expecting a value for non-nullable variable: "{name}"', path, "validation-failed")
        case "extra_forbidden":
            raise Refusal(f"Unexpected variable {name}", path)
        case "string_too_long":
            raise Refusal("Invalid prompt, maximum length of 1500 characters exceeded.")
        case _ if name in ("width", "height"):
            raise Refusal("invalid dimensions")
        case _:
            raise Refusal(f"{name}: {fault['msg']}" if name else str(fault["msg"]), path, "validation-failed")
