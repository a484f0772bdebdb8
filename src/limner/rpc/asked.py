"""What a gRPC client asks, as Limner's request: ranges, defaults and seeds as its contract has them. Pure."""

import math

from limner.core.errors import InvalidRequest
from limner.core.prompting import MAX_TURN, MAX_TURNS
from limner.core.reading import read_request
from limner.core.request import GenerateRequest, Policy, says_something
from limner.prompts.styles import style
from limner.rpc.starweave_pb2 import ImageRequest, ImageSettings, ImageVariationsRequest

DEFAULT_MODEL = "runwayml/stable-diffusion-v1-5"
DEFAULTS = {DEFAULT_MODEL: (512, 512), "stabilityai/stable-diffusion-2-1": (768, 768)}
"""The models that are always listed, and the size each draws when none is asked for."""
SIDES = (128, 1024)
STEPS, GUIDANCE = 25, 7.5
RANDOM_SEED = -1
MAX_SEED = 2**31 - 1
MAX_VARIATIONS = 4


def model_of(asked: ImageRequest) -> str:
    """The model meant; who names none gets the default."""
    return asked.model or DEFAULT_MODEL


def order(asked: ImageRequest) -> GenerateRequest:
    """The same wish in Limner's words, for one picture. Raises `InvalidRequest`.

    The seed is None where we are to draw it: Limner's own fit these clients' int32.
    """
    said = asked.settings
    given = _numbers(said, model_of(asked))
    values = {
        **given,
        "prompt": asked.prompt,
        "model": model_of(asked),
        "seed": _seed(said) if asked.HasField("settings") else None,
        "style": None if _preset(said.style) else said.style or None,
        "user": asked.user_id or None,
        "prompting": _prompting(asked),
        "policy": Policy(
            any_style=True
        ),  # `style` is free text here: one that is not known is told, not refused
    }
    try:
        return read_request(values)
    except InvalidRequest as error:
        raise in_their_words(error) from error


def in_their_words(error: InvalidRequest) -> InvalidRequest:
    """The same with the field's name as these clients know it."""
    field = error.field or ""
    name = "user_id" if field == "user" else field.removeprefix("prompting.")
    return error if name == field else InvalidRequest(str(error).replace(field, name, 1), name)


def _prompting(asked: ImageRequest) -> dict[str, object] | None:
    """What is done to the prompt: a style of Limner's own, and the last turns of what was said before."""
    said = [turn[-MAX_TURN:] for turn in asked.context if says_something(turn)][-MAX_TURNS:]
    preset = _preset(asked.settings.style)
    return {"context": said, "style_preset": preset} if said or preset else None


def _preset(name: str) -> str | None:
    """Limner's own style of that name, None when it is another's."""
    try:
        return style(name).name
    except InvalidRequest:
        return None


def many(asked: ImageVariationsRequest) -> int:
    """How many variations, 1 to 4."""
    return max(1, min(asked.num_variations, MAX_VARIATIONS))


def strength(asked: ImageVariationsRequest) -> float:
    """0 to 1. Raises `InvalidRequest` for what is no number."""
    given = asked.variation_strength
    if math.isnan(given):
        raise InvalidRequest("Variation strength must be between 0.0 and 1.0", "variation_strength")
    return max(0.0, min(given, 1.0)) if given else 0.5


def varied(base: GenerateRequest, first_seed: int | None, index: int) -> GenerateRequest:
    """Variation `index` of the base; without a first seed Limner draws one. Raises `InvalidRequest`."""
    if first_seed is None:
        return base
    if first_seed + index > MAX_SEED:
        raise InvalidRequest(f"Seed {first_seed} + {index} is above {MAX_SEED}", "seed")
    return base.model_copy(update={"seed": first_seed + index})


def _numbers(said: ImageSettings, model: str) -> dict[str, int | float | None]:
    """Size, steps and guidance. The defaults are those of the models that are always listed: another model
    that is asked for by name has its own, and would have to bend ours."""
    width, height = _side(said.width, "Width"), _side(said.height, "Height")
    steps = _steps(said.steps)
    guidance = _guidance(said.guidance_scale)
    if model in DEFAULTS:
        usual = DEFAULTS[model]
        width, height = width or usual[0], height or usual[1]
        steps, guidance = steps or STEPS, guidance or GUIDANCE
    elif width or height:
        width, height = width or 512, height or 512
    return {"width": width, "height": height, "steps": steps, "guidance_scale": guidance}


def _side(pixels: int, name: str) -> int | None:
    if pixels and not SIDES[0] <= pixels <= SIDES[1]:
        raise InvalidRequest(f"{name} must be between {SIDES[0]} and {SIDES[1]}", name.lower())
    return pixels or None


def _steps(count: int) -> int | None:
    if count and not 1 <= count <= 100:
        raise InvalidRequest("Steps must be between 1 and 100", "steps")
    return count or None


def _guidance(scale: float) -> float | None:
    if scale and not 1 <= scale <= 20:  # NaN, too
        raise InvalidRequest("Guidance scale must be between 1.0 and 20.0", "guidance_scale")
    return float(f"{scale:.7g}") if scale else None  # 7.3 as it was typed, not as a float32 holds it


def _seed(said: ImageSettings) -> int | None:
    if said.seed < RANDOM_SEED:
        raise InvalidRequest(f"Seed must be between 0 and {MAX_SEED}, or -1 for a random one", "seed")
    return None if said.seed == RANDOM_SEED else said.seed
