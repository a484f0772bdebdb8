"""Models that the simulated Replicate hosts: their input schemas, what they cost, what they give."""

import io
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from hashlib import sha256
from typing import Literal

from PIL import Image
from pydantic import JsonValue

Schema = dict[str, JsonValue]
Size = tuple[int, int]

_MICRO = Decimal("0.000001")
_WIDE = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
_ULTRA = {
    "1:1": (2048, 2048),
    "16:9": (2752, 1536),
    "21:9": (3136, 1344),
    "3:2": (2496, 1664),
    "2:3": (1664, 2496),
    "4:3": (2368, 1792),
    "3:4": (1792, 2368),
    "9:16": (1536, 2752),
    "9:21": (1344, 3136),
}


@dataclass(frozen=True, slots=True)
class Hosted:
    """One model. `usd` is for a picture of an official model, for a second of work of the others."""

    name: str
    inputs: dict[str, Schema]
    usd: str
    output: Literal["one", "list"] = "one"
    official: bool = True
    ratios: tuple[tuple[str, Size], ...] = tuple(_WIDE.items())
    seconds: float = 3.0
    megapixel_seconds: float = 0.0
    """For each megapixel of each picture, at `usual_steps`."""
    usual_steps: int = 50
    image: str = "image"

    @property
    def version(self) -> str:
        """64 hexadecimal digits; of an official model nobody is told them."""
        return sha256(self.name.encode()).hexdigest()

    @property
    def schema(self) -> Schema:
        """JSON Schema of the whole input."""
        needed: list[JsonValue] = ["prompt"] if self.official else []
        return {
            "type": "object",
            "required": needed,
            "properties": {**self.inputs},
            "additionalProperties": False,
        }

    def filled(self, given: Schema) -> Schema:
        """The input with the model's defaults, which apply whether or not they were meant."""
        defaults = {name: one["default"] for name, one in self.inputs.items() if "default" in one}
        return defaults | given

    def count(self, fields: Schema) -> int:
        """How many pictures."""
        return _whole(fields.get("num_outputs"), 1)

    def size(self, fields: Schema, source: bytes | None) -> Size:
        """Pixels of each picture."""
        ratio, resolution = str(fields.get("aspect_ratio", "custom")), str(fields.get("resolution", "None"))
        if source is not None and (ratio == "match_input_image" or self.image == "image"):
            return Image.open(io.BytesIO(source)).size
        if resolution[:1].isdecimal() and "x" in resolution:
            width, _, height = resolution.partition("x")
            return int(width), int(height)
        if ratio != "custom" and fields.get("size") != "custom":
            width_px, height_px = dict(self.ratios).get(ratio, (1024, 1024))
            half = 2 if fields.get("megapixels") == "0.25" else 1
            return width_px // half, height_px // half
        return _whole(fields.get("width"), 1024), _whole(fields.get("height"), 1024)

    def work_s(self, fields: Schema, size: Size) -> float:
        """Seconds of work, as `metrics.predict_time` tells them."""
        steps = _whole(fields.get("num_inference_steps", fields.get("steps")), self.usual_steps)
        drawn = float(Decimal(size[0] * size[1]) / 1_000_000) * self.count(fields)
        return drawn * self.megapixel_seconds * (steps / self.usual_steps) + self.seconds

    def price(self, fields: Schema, seconds: float) -> Decimal:
        """Dollars for the order: by the picture, or by the second."""
        units = Decimal(self.count(fields)) if self.official else Decimal(str(seconds))
        return (Decimal(self.usd) * units).quantize(_MICRO, ROUND_UP)


def _whole(value: JsonValue, default: int) -> int:
    return value if isinstance(value, int) else default


def _text(default: str | None = None) -> Schema:
    return {"type": "string"} if default is None else {"type": "string", "default": default}


def _number(low: float, high: float, default: float | None = None, *, whole: bool = False) -> Schema:
    schema: Schema = {"type": "integer" if whole else "number", "minimum": low, "maximum": high}
    return schema if default is None else schema | {"default": default}


def _choice(default: str, *words: str) -> Schema:
    return {"type": "string", "enum": [*words], "default": default}


def _flag(*, default: bool) -> Schema:
    return {"type": "boolean", "default": default}


_SEED: Schema = {"type": "integer"}
_LINK: Schema = {"type": "string", "format": "uri"}
_LINKS: Schema = {"type": "array", "items": _LINK}
_FORMAT = _choice("webp", "webp", "jpg", "png")
_QUALITY = _number(0, 100, 80, whole=True)

_FLUX: dict[str, Schema] = {
    "prompt": _text(),
    "aspect_ratio": _choice("1:1", *_WIDE),
    "num_outputs": _number(1, 4, 1, whole=True),
    "seed": _SEED,
    "output_format": _FORMAT,
    "output_quality": _QUALITY,
    "megapixels": _choice("1", "1", "0.25"),
    "go_fast": _flag(default=True),
    "disable_safety_checker": _flag(default=False),
}
_KONTEXT: dict[str, Schema] = {
    "prompt": _text(),
    "input_image": _LINK,
    "aspect_ratio": _choice("match_input_image", "match_input_image", "2:1", "1:2", *_WIDE),
    "seed": _SEED,
    "output_format": _choice("png", "jpg", "png"),
    "safety_tolerance": _number(0, 6, 2, whole=True),
    "prompt_upsampling": _flag(default=False),
}

MODELS = (
    Hosted(
        "black-forest-labs/flux-schnell",
        _FLUX | {"num_inference_steps": _number(1, 4, 4, whole=True)},
        "0.003",
        "list",
        seconds=1.0,
    ),
    Hosted(
        "black-forest-labs/flux-dev",
        _FLUX
        | {
            "num_inference_steps": _number(1, 50, 28, whole=True),
            "guidance": _number(0, 10, 3),
            "image": _LINK,
            "prompt_strength": _number(0, 1),
        },
        "0.025",
        "list",
    ),
    Hosted(
        "black-forest-labs/flux-1.1-pro",
        {
            "prompt": _text(),
            "image_prompt": _LINK,
            "aspect_ratio": _choice("1:1", "custom", *_WIDE),
            "width": _number(256, 1440, whole=True) | {"multipleOf": 32},
            "height": _number(256, 1440, whole=True) | {"multipleOf": 32},
            "safety_tolerance": _number(1, 6, 2, whole=True),
            "seed": _SEED,
            "prompt_upsampling": _flag(default=False),
            "output_format": _FORMAT,
            "output_quality": _QUALITY,
        },
        "0.04",
    ),
    Hosted(
        "black-forest-labs/flux-1.1-pro-ultra",
        {
            "prompt": _text(),
            "image_prompt": _LINK,
            "image_prompt_strength": _number(0, 1, 0.1),
            "aspect_ratio": _choice("1:1", *_ULTRA),
            "safety_tolerance": _number(1, 6, 2, whole=True),
            "seed": _SEED,
            "raw": _flag(default=False),
            "output_format": _choice("jpg", "jpg", "png"),
        },
        "0.06",
        ratios=tuple(_ULTRA.items()),
        seconds=8.0,
    ),
    Hosted("black-forest-labs/flux-kontext-pro", _KONTEXT, "0.04", image="input_image"),
    Hosted("black-forest-labs/flux-kontext-max", _KONTEXT, "0.08", image="input_image"),
    Hosted(
        "black-forest-labs/flux-fill-pro",
        {
            "prompt": _text(),
            "image": _LINK,
            "mask": _LINK,
            "steps": _number(15, 50, 50, whole=True),
            "guidance": _number(1.5, 100, 60),
            "seed": _SEED,
            "output_format": _choice("jpg", "jpg", "png"),
            "safety_tolerance": _number(1, 6, 2, whole=True),
            "prompt_upsampling": _flag(default=False),
        },
        "0.05",
    ),
    Hosted(
        "black-forest-labs/flux-2-pro",
        {
            "prompt": _text(),
            "input_images": _LINKS | {"maxItems": 8},
            "aspect_ratio": _choice("1:1", "match_input_image", "custom", *_WIDE),
            "resolution": _choice("1 MP", "match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"),
            "width": _number(256, 2048, whole=True) | {"multipleOf": 32},
            "height": _number(256, 2048, whole=True) | {"multipleOf": 32},
            "safety_tolerance": _number(1, 5, 2, whole=True),
            "seed": _SEED,
            "output_format": _FORMAT,
            "output_quality": _QUALITY,
        },
        "0.03",
        image="input_images",
    ),
    Hosted(
        "bytedance/seedream-4",
        {
            "prompt": _text(),
            "image_input": _LINKS | {"maxItems": 10},
            "size": _choice("2K", "1K", "2K", "4K", "custom"),
            "aspect_ratio": _choice("match_input_image", "match_input_image", *_WIDE),
            "width": _number(1024, 4096, 2048, whole=True),
            "height": _number(1024, 4096, 2048, whole=True),
            "sequential_image_generation": _choice("disabled", "disabled", "auto"),
            "max_images": _number(1, 15, 1, whole=True),
            "enhance_prompt": _flag(default=True),
        },
        "0.03",
        "list",
        image="image_input",
    ),
    Hosted(
        "ideogram-ai/ideogram-v3-quality",
        {
            "prompt": _text(),
            "aspect_ratio": _choice("1:1", *_WIDE),
            "resolution": {
                "type": "string",
                "pattern": r"^(None|([5-9]|1[0-5])\d\dx([5-9]|1[0-5])\d\d)$",
                "default": "None",
            },
            "magic_prompt_option": _choice("Auto", "Auto", "On", "Off"),
            "style_type": _choice("None", "None", "Auto", "General", "Realistic", "Design"),
            "seed": _SEED,
        },
        "0.09",
    ),
    Hosted(
        "stability-ai/stable-diffusion-3.5-large",
        {
            "prompt": _text(),
            "negative_prompt": _text(),
            "aspect_ratio": _choice("1:1", *_WIDE),
            "cfg": _number(1, 10, 5),
            "image": _LINK,
            "prompt_strength": _number(0, 1),
            "seed": _SEED,
            "output_format": _FORMAT,
        },
        "0.065",
    ),
    Hosted(
        "stability-ai/sdxl",
        {
            "prompt": _text("An astronaut riding a rainbow unicorn"),
            "negative_prompt": _text(""),
            "image": _LINK,
            "mask": _LINK,
            "width": _number(64, 2048, 1024, whole=True),
            "height": _number(64, 2048, 1024, whole=True),
            "num_outputs": _number(1, 4, 1, whole=True),
            "scheduler": _choice(
                "K_EULER",
                "DDIM",
                "DPMSolverMultistep",
                "HeunDiscrete",
                "K_EULER_ANCESTRAL",
                "K_EULER",
                "PNDM",
            ),
            "num_inference_steps": _number(1, 500, 50, whole=True),
            "guidance_scale": _number(1, 50, 7.5),
            "prompt_strength": _number(0, 1),
            "seed": _SEED,
            "refine": _choice("no_refiner", "no_refiner", "expert_ensemble_refiner", "base_image_refiner"),
            "apply_watermark": _flag(default=True),
            "disable_safety_checker": _flag(default=False),
        },
        "0.000975",
        "list",
        official=False,
        seconds=1.2,
        megapixel_seconds=5.0,
    ),
    Hosted(
        "lucataco/realistic-vision-v5.1",
        {
            "prompt": _text("RAW photo, a portrait"),
            "negative_prompt": _text(""),
            "steps": _number(0, 100, 20, whole=True),
            "width": _number(0, 1920, 512, whole=True),
            "height": _number(0, 1920, 728, whole=True),
            "guidance": _number(3.5, 7, 5),
            "scheduler": _choice("EulerA", "EulerA", "MultistepDPM-Solver"),
            "seed": _number(0, 2147483647, 0, whole=True),
        },
        "0.000975",
        official=False,
        seconds=1.0,
        megapixel_seconds=3.0,
        usual_steps=20,
    ),
    Hosted(
        "lucataco/ssd-1b",
        {"prompt": _text(), "width": _number(64, 1024, 1024, whole=True), "seed": _SEED},
        "0.000975",
        "list",
        official=False,
        seconds=4.0,
    ),
)
"""A version and its hash are this simulator's own; the fields are the models'."""
