"""The tool `generate_image`: what a picture would be and cost. Nothing is drawn, and nothing is bought."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from limner.catalog import sizes
from limner.catalog.model import Model
from limner.chat.names import Size, capabilities, entry_of, key_of, read_size, shown, supports_style
from limner.chat.verbs import Verbs
from limner.chat.wish import HIGHEST_USD, Wish, whole
from limner.core.errors import InvalidRequest, LimnerError, NoRoute
from limner.core.money import Usd, show
from limner.core.quote import Quote
from limner.core.request import GenerateRequest, Policy, Tier, says_something
from limner.prompts.said import Tool
from limner.router.policy import TIERS, tier_of

ToolSize = Literal["256x256", "512x512", "1024x1024", "1792x1024", "1024x1792"]
Style = Literal["natural", "vivid"]
SIZES: tuple[ToolSize, ...] = ("256x256", "512x512", "1024x1024", "1792x1024", "1024x1792")
_ALTERNATIVES = 3
_MOST_MODELS = 10
_MOST_PROMPT = 10_000

GENERATE_IMAGE = Tool(
    name="generate_image",
    description=(
        "Prepare a picture. Nothing is drawn yet: the user sees the price and presses a button. Call it "
        "whenever the user wants a picture, with a full description of what it shows."
    ),
    parameters={
        "type": "object",
        "properties": {
            "prompt": {"type": "string", "description": "What the picture shows, in full."},
            "quality": {
                "type": "string",
                "enum": [*TIERS],
                "description": "Only where the user asks for one; dearer from fast to ultra.",
            },
            "size": {"type": "string", "enum": [*SIZES], "default": "1024x1024"},
            "style": {"type": "string", "enum": ["natural", "vivid"], "default": "natural"},
        },
        "required": ["prompt"],
        "additionalProperties": False,
    },
)


class _Camel(BaseModel):
    """Names as the clients have them."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Arguments(BaseModel):
    """What the language model may say; nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    quality: Tier | Literal[""] | None = None
    size: ToolSize = "1024x1024"
    style: Style = "natural"


class Alternative(_Camel):
    """Somebody else who would draw it, as good, and what that would cost."""

    provider: str
    model: str
    model_key: str
    cost: Usd
    capabilities: list[str]


class Bounds(_Camel):
    """What the model can do, for the client's form."""

    max_size: str
    supported_sizes: list[str]
    supports_style: bool


class Offered(_Camel):
    """A picture that a press of the button draws, for exactly `cost`."""

    provider: str
    model: str
    model_key: str
    quality_tier: Tier
    prompt: str
    size: str
    style: str
    cost: Usd
    capabilities: list[str]
    ready: Literal[False] = False
    available_alternatives: list[Alternative]
    constraints: Bounds
    message: str

    def by(self, other: Alternative) -> "Offered":
        """The same picture by one of the alternatives, at its price."""
        named = {name: getattr(other, name) for name in ("provider", "model", "model_key", "cost")}
        return self.model_copy(update=named)


class RequestedModel(_Camel):
    """A model that would have done, and why it cannot be used."""

    provider: str
    model: str
    reason: str


class NotOffered(_Camel):
    """Why nothing can be offered, and what would help."""

    error: str
    ready: Literal[False] = False
    quality_tier: Tier | None = None
    available_tiers: list[Tier] | None = None
    requested_models: list[RequestedModel] | None = None
    hint: str | None = None


def told(result: Offered | NotOffered) -> str:
    """The result as the JSON that the language model and the client read."""
    return result.model_dump_json(by_alias=True, exclude_none=True)


async def generate_image(limner: Verbs, arguments: object) -> Offered | NotOffered:
    """Run the tool on what a language model said. Never raises for what was said, or for want of a model."""
    try:
        said = Arguments.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "arguments"
        return NotOffered(error=f"{where}: {first['msg']}"[:300], hint="prompt is required; see the schema")
    if not says_something(said.prompt):
        return NotOffered(error="prompt is required", hint="say what the picture shows")
    try:
        return await _offer(limner, said)
    except NoRoute as error:
        return await _nobody(limner, said, error)
    except LimnerError as error:
        return NotOffered(error=str(error)[:500], hint="change the prompt or the size")


async def _offer(limner: Verbs, said: Arguments) -> Offered:
    wanted: Tier = said.quality or tier_of(said.prompt)
    try:
        quote, tier = await limner.estimate(_search(said, wanted)), wanted
    except NoRoute:
        other = None if said.quality else await _nearest(limner, said, wanted)
        if other is None:
            raise
        quote, tier = await limner.estimate(_search(said, other)), other
    models = limner.models()
    first = await _priced(limner, said, quote.provider, quote.model, (quote.width, quote.height))
    entry = entry_of(models, first.provider, first.model)
    return Offered(
        provider=first.provider,
        model=entry.ref if entry else first.model,
        model_key=key_of(entry) if entry else first.model,
        quality_tier=tier,
        prompt=said.prompt,
        size=shown((quote.width, quote.height)),
        style=said.style,
        cost=_known(first),
        capabilities=capabilities(entry) if entry else ["text-to-image"],
        available_alternatives=await _alternatives(limner, said, quote),
        constraints=_bounds(entry, (quote.width, quote.height)),
        message=_message(said, quote, first, wanted, tier),
    )


def _search(said: Arguments, tier: Tier) -> GenerateRequest:
    """Whoever is of the tier, at a price that is known."""
    width, height = read_size(said.size)
    if len(said.prompt) > _MOST_PROMPT:
        raise InvalidRequest(f"prompt: at most {_MOST_PROMPT:,} characters are accepted", "prompt")
    try:
        return GenerateRequest(
            prompt=said.prompt,
            tier=tier,
            width=width,
            height=height,
            policy=Policy(prefer="two-phase", max_cost_usd=HIGHEST_USD),
        )
    except ValidationError as error:
        raise InvalidRequest("prompt: holds characters that no model can read", "prompt") from error


async def _priced(limner: Verbs, said: Arguments, provider: str, model: str, size: Size) -> Quote:
    """What pressing the button orders, at the size that is drawn."""
    models = limner.models()
    wish = Wish(said.prompt, provider, model, size, style=said.style).meant(models)
    return await limner.estimate(wish.request(models))


async def _alternatives(limner: Verbs, said: Arguments, quote: Quote) -> list[Alternative]:
    found: dict[tuple[str, str], Alternative] = {}
    models = limner.models()
    # Other providers come first: what the next model at the same one would do is mostly the same.
    for one in (*quote.route[1:], *quote.alternatives):
        name = one.provider, one.model
        if name == (quote.provider, quote.model) or name in found or len(found) == _ALTERNATIVES:
            continue
        priced = await _priced(limner, said, *name, (quote.width, quote.height))
        entry = entry_of(models, *name)
        found[name] = Alternative(
            provider=one.provider,
            model=entry.ref if entry else one.model,
            model_key=key_of(entry) if entry else one.model,
            cost=_known(priced),
            capabilities=capabilities(entry) if entry else ["text-to-image"],
        )
    return list(found.values())


def _known(quote: Quote) -> Decimal:
    if quote.price_usd is None:
        raise NoRoute(f"{quote.provider}/{quote.model}: its price is unknown")
    return whole(quote.price_usd)


def _bounds(model: Model | None, size: Size) -> Bounds:
    if model is None:
        return Bounds(max_size=shown(size), supported_sizes=[shown(size)], supports_style=False)
    ours = [read_size(one) for one in SIZES]
    drawn = dict.fromkeys(
        (*model.sizes.listed, *(one for one in ours if not sizes.why_not(one, model.sizes)))
    )
    drawn = drawn or {model.sizes.default: None}
    largest = max((*drawn, model.sizes.default), key=lambda one: one[0] * one[1])
    return Bounds(
        max_size=shown(largest),
        supported_sizes=[shown(one) for one in drawn],
        supports_style=supports_style(model),
    )


def _message(said: Arguments, quote: Quote, first: Quote, wanted: Tier, tier: Tier) -> str:
    size = shown((quote.width, quote.height))
    text = (
        f"{first.provider}/{first.model} would draw it at {size}: {show(_known(first))}. "
        "Nothing is drawn before the button is pressed."
    )
    if tier != wanted:
        text += f" Nobody here draws at the quality {wanted}; this is {tier}."
    if size != said.size:
        text += f" {said.size} is not drawn there; {size} is the nearest."
    if said.style == "vivid" and not _styled(first):
        text += " The model has no styles, so vivid changes nothing."
    return text


def _styled(quote: Quote) -> bool:
    return quote.constraints is not None and "vivid" in quote.constraints.styles


# -- nobody draws it


async def _nearest(limner: Verbs, said: Arguments, wanted: Tier) -> Tier | None:
    """For a tier that nobody named: the served one that is nearest, the better one of two."""
    served = await _served(limner, said)
    place = TIERS.index(wanted)
    return min(served, key=lambda tier: (abs(TIERS.index(tier) - place), TIERS.index(tier)), default=None)


async def _served(limner: Verbs, said: Arguments) -> list[Tier]:
    """The tiers of which somebody can draw it now."""
    found: list[Tier] = []
    for tier in TIERS:
        try:
            await limner.estimate(_search(said, tier))
        except LimnerError:
            continue
        found.append(tier)
    return found


async def _nobody(limner: Verbs, said: Arguments, error: NoRoute) -> NotOffered:
    wanted: Tier = said.quality or tier_of(said.prompt)
    served = await _served(limner, said)
    asked = _requested(limner.models(), wanted, limner.set_up(), error)
    if not asked:
        return NotOffered(
            error=f"No models available for quality tier: {wanted}",
            quality_tier=wanted,
            available_tiers=served,
        )
    hint = f"ask for the quality {' or '.join(served)}" if served else "set a key for one of these providers"
    return NotOffered(
        error=f"No models available for quality tier: {wanted}",
        quality_tier=wanted,
        available_tiers=served,
        requested_models=asked,
        hint=hint,
    )


def _requested(
    models: Sequence[Model], tier: Tier, ready: frozenset[str], error: NoRoute
) -> list[RequestedModel]:
    """The tier's models, best first, each with what keeps it from drawing."""
    of_tier = [m for m in models if m.tier == tier and m.retired is None and not m.open]
    found = []
    for model in sorted(of_tier, key=lambda m: m.fallback_priority)[:_MOST_MODELS]:
        missing = f"No API key configured for {model.provider}" if model.provider not in ready else None
        reason = error.reasons.get(f"{model.provider}/{model.id}") or missing or "cannot be used now"
        found.append(RequestedModel(provider=model.provider, model=model.ref, reason=reason[:300]))
    return found
