"""What a gRPC client may ask for, in its words."""

from collections.abc import Iterable, Mapping, Set

from limner.app import Limner, ProviderStatus
from limner.catalog.model import Model
from limner.core.errors import LimnerError
from limner.core.quote import Quote
from limner.core.request import GenerateRequest, Operation
from limner.rpc.asked import DEFAULTS, GUIDANCE, SIDES, STEPS
from limner.rpc.starweave_pb2 import ModelResponse
from limner.rpc.told import cut

MAX_STATUS = 100
MAX_ABOUT = 1_000
_CAPABILITY: Mapping[Operation, str] = {
    "generate": "text-to-image",
    "image-to-image": "image-to-image",
    "inpaint": "inpainting",
    "variation": "image-variation",
}


async def listed(limner: Limner) -> ModelResponse:
    """The models that are always listed, with who really draws for them, then all that is set up."""
    statuses = await limner.providers()
    first = [await _well_known(limner, name, statuses) for name in DEFAULTS]
    able = limner.set_up()
    rest = {
        model.id: model
        for model in reversed(limner.models())  # the first of a shared id stays
        if model.provider in able and _draws(model) and model.id not in DEFAULTS
    }
    return ModelResponse(models=[*first, *(_described(rest[name], statuses) for name in sorted(rest))])


def _draws(model: Model) -> bool:
    """It can be asked for here: by its name, for a picture from words."""
    return not model.open and model.retired is None and "generate" in model.operations


async def _well_known(
    limner: Limner, name: str, statuses: Iterable[ProviderStatus]
) -> ModelResponse.ModelInfo:
    """With who would serve it, by the plan for a request that names it."""
    try:
        quote = await limner.estimate(GenerateRequest(prompt="a picture", model=name))
    except LimnerError as error:
        told = _settings(name, None) | _standing("", ()) | {"status": cut(f"error: {error}", MAX_STATUS)}
        said = cut(f"Nothing here draws it now: {error}", MAX_ABOUT)
        return ModelResponse.ModelInfo(
            id=name, name=name, description=said, capabilities=_able({"generate"}), parameters=told
        )
    model = _who(limner, quote)
    told = _settings(name, model) | _standing(quote.provider, statuses)
    return ModelResponse.ModelInfo(
        id=name,
        name=name,
        description=_drawn_by(quote),
        capabilities=_able(model.operations),
        parameters=told,
    )


def _who(limner: Limner, quote: Quote) -> Model:
    """The entry that would serve."""
    here = [model for model in limner.models() if model.provider == quote.provider]
    return next((model for model in here if model.id == quote.model), here[0])


def _drawn_by(quote: Quote) -> str:
    instead = [note.message for note in quote.notes if note.field == "model"]
    return instead[0] if instead else f"Drawn by {quote.provider}/{quote.model}"


def _described(model: Model, statuses: Iterable[ProviderStatus]) -> ModelResponse.ModelInfo:
    return ModelResponse.ModelInfo(
        id=model.id,
        name=model.name,
        description=cut(model.description, MAX_ABOUT),
        capabilities=_able(model.operations),
        parameters=_settings(model.id, model) | _standing(model.provider, statuses),
    )


def _able(operations: Set[Operation]) -> list[str]:
    """Capability words. Variations are drawn from words and seeds: whoever draws from words draws them."""
    words = [_CAPABILITY[one] for one in _CAPABILITY if one in operations]
    return list(dict.fromkeys([*words, *(["image-variation"] if "generate" in operations else [])]))


def _settings(name: str, model: Model | None) -> dict[str, str]:
    """What each setting may be, and its default where the caller leaves it out."""
    size, steps, guidance = _defaults(name, model)
    sides = f"integer, {SIDES[0]} to {SIDES[1]}"
    return {
        "width": f"{sides}, default {size[0]}",
        "height": f"{sides}, default {size[1]}",
        "steps": "integer, 1 to 100" + _default(steps),
        "guidance_scale": "float, 1.0 to 20.0" + _default(guidance),
        "seed": "integer, 0 or more; -1 for a random one",
        "supported_sizes": ", ".join(f"{one[0]}x{one[1]}" for one in _sizes(size, model)),
    }


def _defaults(name: str, model: Model | None) -> tuple[tuple[int, int], float | None, float | None]:
    """Size, steps and guidance scale."""
    if name in DEFAULTS or model is None:
        return DEFAULTS.get(name, (512, 512)), STEPS, GUIDANCE
    return model.sizes.default, model.steps.default if model.steps else None, model.guidance


def _default(value: float | None) -> str:
    return ", not used by this model" if value is None else f", default {value:g}"


def _sizes(default: tuple[int, int], model: Model | None) -> list[tuple[int, int]]:
    """Sizes to offer, the default first."""
    listed = model.sizes.listed if model else ()
    return list(dict.fromkeys((default, *(listed or ((512, 512), (768, 768))))))


def _standing(provider: str, statuses: Iterable[ProviderStatus]) -> dict[str, str]:
    """How the provider's best account stands."""
    here = sorted((one for one in statuses if one.name == provider), key=lambda one: not one.available)
    best = here[0] if here else None
    status = "not_loaded" if best is None else "loaded" if best.available else f"error: {best.reason}"
    return {
        "status": cut(status, MAX_STATUS),
        "load_count": str(int(status == "loaded")),
        "error_count": str(best.circuit.failure_count if best and best.circuit else 0),
        "memory_usage": "0.00 MB",  # of the server: pictures are drawn in other processes, or elsewhere
    }
