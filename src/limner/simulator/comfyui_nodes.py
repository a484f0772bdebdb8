"""The nodes the simulated ComfyUI has: what each takes, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

Models = Mapping[str, Sequence[str]]
"""Files of the server by folder."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input. `choices` are a list of their own or, as in `@checkpoints`, the files of a folder."""

    type: str
    least: float | None = None
    most: float | None = None
    default: JsonValue = None
    choices: tuple[str, ...] = ()

    def allowed(self, models: Models) -> list[str]:
        """What may be chosen."""
        folder = self.choices[0][1:] if self.choices and self.choices[0].startswith("@") else None
        return list(self.choices if folder is None else models.get(folder, ()))


@dataclass(frozen=True, slots=True)
class Kind:
    """One class of nodes; `saves` ends a graph."""

    inputs: dict[str, Input]
    gives: tuple[str, ...] = ()
    saves: bool = False
    tags: tuple[str, ...] = field(default=())


def _link(type: str) -> Input:  # noqa: A002 - as in Input
    return Input(type)


def _int(default: int, least: int, most: int) -> Input:
    return Input("INT", least, most, default)


def _float(default: float, least: float, most: float) -> Input:
    return Input("FLOAT", least, most, default)


def _choice(*choices: str) -> Input:
    return Input("COMBO", choices=choices)


_SIDE = _int(512, 16, 16384)
_BATCH = _int(1, 1, 4096)
_SEED = _int(0, 0, 2**64 - 1)
_STEPS = _int(20, 1, 10000)
_SAMPLERS = _choice(
    "euler",
    "euler_ancestral",
    "heun",
    "dpm_2",
    "lms",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_sde",
    "ddim",
    "uni_pc",
)
_SCHEDULERS = _choice(
    "simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal", "linear_quadratic",
    "kl_optimal",
)  # fmt: skip
_METHODS = _choice("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
_FILE = Input("FILE")
_TEXT = Input("STRING")

NODES: dict[str, Kind] = {
    "CheckpointLoaderSimple": Kind({"ckpt_name": _choice("@checkpoints")}, ("MODEL", "CLIP", "VAE")),
    "UNETLoader": Kind(
        {
            "unet_name": _choice("@diffusion_models"),
            "weight_dtype": _choice("default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"),
        },
        ("MODEL",),
    ),
    "DualCLIPLoader": Kind(
        {
            "clip_name1": _choice("@text_encoders"),
            "clip_name2": _choice("@text_encoders"),
            "type": _choice("sdxl", "sd3", "flux", "hunyuan_video", "hidream"),
        },
        ("CLIP",),
    ),
    "VAELoader": Kind({"vae_name": _choice("@vae")}, ("VAE",)),
    "CLIPTextEncode": Kind({"text": _TEXT, "clip": _link("CLIP")}, ("CONDITIONING",)),
    "FluxGuidance": Kind(
        {"conditioning": _link("CONDITIONING"), "guidance": _float(3.5, 0, 100)}, ("CONDITIONING",)
    ),
    "ConditioningZeroOut": Kind({"conditioning": _link("CONDITIONING")}, ("CONDITIONING",)),
    "EmptyLatentImage": Kind({"width": _SIDE, "height": _SIDE, "batch_size": _BATCH}, ("LATENT",)),
    "EmptySD3LatentImage": Kind({"width": _SIDE, "height": _SIDE, "batch_size": _BATCH}, ("LATENT",)),
    "RepeatLatentBatch": Kind({"samples": _link("LATENT"), "amount": _int(1, 1, 64)}, ("LATENT",)),
    "KSampler": Kind(
        {
            "model": _link("MODEL"),
            "seed": _SEED,
            "steps": _STEPS,
            "cfg": _float(8.0, 0, 100),
            "sampler_name": _SAMPLERS,
            "scheduler": _SCHEDULERS,
            "positive": _link("CONDITIONING"),
            "negative": _link("CONDITIONING"),
            "latent_image": _link("LATENT"),
            "denoise": _float(1.0, 0, 1),
        },
        ("LATENT",),
        tags=("sampler",),
    ),
    "RandomNoise": Kind({"noise_seed": _SEED}, ("NOISE",)),
    "KSamplerSelect": Kind({"sampler_name": _SAMPLERS}, ("SAMPLER",)),
    "BasicScheduler": Kind(
        {"model": _link("MODEL"), "scheduler": _SCHEDULERS, "steps": _STEPS, "denoise": _float(1.0, 0, 1)},
        ("SIGMAS",),
    ),
    "BasicGuider": Kind({"model": _link("MODEL"), "conditioning": _link("CONDITIONING")}, ("GUIDER",)),
    "SamplerCustomAdvanced": Kind(
        {
            "noise": _link("NOISE"),
            "guider": _link("GUIDER"),
            "sampler": _link("SAMPLER"),
            "sigmas": _link("SIGMAS"),
            "latent_image": _link("LATENT"),
        },
        ("LATENT", "LATENT"),
        tags=("sampler",),
    ),
    "VAEDecode": Kind({"samples": _link("LATENT"), "vae": _link("VAE")}, ("IMAGE",)),
    "VAEEncode": Kind({"pixels": _link("IMAGE"), "vae": _link("VAE")}, ("LATENT",)),
    "VAEEncodeForInpaint": Kind(
        {
            "pixels": _link("IMAGE"),
            "vae": _link("VAE"),
            "mask": _link("MASK"),
            "grow_mask_by": _int(6, 0, 64),
        },
        ("LATENT",),
    ),
    "LoadImage": Kind({"image": _FILE}, ("IMAGE", "MASK")),
    "LoadImageMask": Kind({"image": _FILE, "channel": _choice("alpha", "red", "green", "blue")}, ("MASK",)),
    "MaskToImage": Kind({"mask": _link("MASK")}, ("IMAGE",)),
    "ImageToMask": Kind(
        {"image": _link("IMAGE"), "channel": _choice("red", "green", "blue", "alpha")}, ("MASK",)
    ),
    "ImageScale": Kind(
        {
            "image": _link("IMAGE"),
            "upscale_method": _METHODS,
            "width": _int(512, 0, 16384),
            "height": _int(512, 0, 16384),
            "crop": _choice("disabled", "center"),
        },
        ("IMAGE",),
    ),
    "EmptyImage": Kind(
        {
            "width": _int(512, 1, 16384),
            "height": _int(512, 1, 16384),
            "batch_size": _BATCH,
            "color": _int(0, 0, 0xFFFFFF),
        },
        ("IMAGE",),
    ),
    "SaveImage": Kind({"images": _link("IMAGE"), "filename_prefix": _TEXT}, saves=True),
    "PreviewImage": Kind({"images": _link("IMAGE")}, saves=True),
}

MODELS: dict[str, tuple[str, ...]] = {
    "checkpoints": (
        "dreamshaper_8.safetensors",
        "flux1-dev-fp8.safetensors",
        "sd_xl_base_1.0.safetensors",
        "v1-5-pruned-emaonly-fp16.safetensors",
        "v1-5-pruned-emaonly.safetensors",
    ),
    "diffusion_models": ("flux1-dev.safetensors",),
    "text_encoders": ("clip_l.safetensors", "t5xxl_fp16.safetensors"),
    "vae": ("ae.safetensors",),
}


def described(name: str, models: Models) -> dict[str, JsonValue]:
    """A class as `object_info` tells it; empty for one that is not there."""
    kind = NODES.get(name)
    if kind is None:
        return {}
    required: JsonValue = {key: _spec(one, models) for key, one in kind.inputs.items()}
    return {
        name: {
            "input": {"required": required},
            "output": list(kind.gives),
            "output_name": list(kind.gives),
            "name": name,
            "display_name": name,
            "output_node": kind.saves,
        }
    }


def _spec(one: Input, models: Models) -> JsonValue:
    if one.type == "COMBO":
        return [list(one.allowed(models))]
    if one.type == "FILE":
        return [[], {"image_upload": True}]
    return config(one)


def config(one: Input) -> list[JsonValue]:
    """An input's type and limits, as `object_info` and validation errors tell them."""
    told: dict[str, JsonValue] = {"default": one.default, "min": one.least, "max": one.most}
    return [one.type, {name: value for name, value in told.items() if value is not None}]
