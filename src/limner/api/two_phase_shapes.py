"""What `POST /generate-image` reads and says, in its clients' words."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from limner.api.errors import cut
from limner.catalog.model import Model
from limner.chat.names import key_of, provider_of, read_size, shown
from limner.chat.press import Pressed, charged, lost
from limner.chat.wish import Wish
from limner.core.errors import InvalidRequest
from limner.core.job import Artifact, Job
from limner.core.money import Usd
from limner.core.request import says_something

_SHOWN = 100
"""Characters of a prompt in `llmApiCall`."""


class _Camel(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class PressBody(_Camel):
    """The button that was pressed. An empty string is the same as none. Names not listed here change
    nothing, and are told in `x-limner-ignored`."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"required": ["prompt", "provider", "model"]})

    prompt: str | None = None
    """Required."""
    provider: str | None = None
    """Required: who was offered."""
    model: str | None = None
    """Required: the vendor's name of the model."""
    model_key: str | None = None
    """The model's key in the catalogue; it counts where the provider knows it."""
    size: str | None = None
    """`1024x1024` where there is none."""
    quality: str | None = None
    """A tier (`ultra`, `high`, `standard`, `fast`), or `hd`."""
    style: str | None = None
    """`natural` or `vivid`; only some models have them."""
    access_token: str | None = None
    """The caller's key, where it is not in the header `Authorization`."""
    max_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Limner's own: dollars that the picture may cost at most, whoever draws it. Without it, whoever stands
    in draws for no more than was asked for."""

    def wish(self, known: frozenset[tuple[str, str]]) -> Wish:
        """The same in Limner's words. `known` are names of models by provider. Raises `InvalidRequest`."""
        prompt = _required("prompt", self.prompt)
        provider = provider_of(_required("provider", self.provider))
        model = _required("model", self.model)
        key = self.model_key or ""
        return Wish(
            prompt=prompt,
            provider=provider,
            model=key if (provider, key) in known else model,
            size=read_size(self.size or "1024x1024"),
            quality=self.quality or "",
            style=self.style or "natural",
            max_usd=None if self.max_cost is None else Decimal(str(self.max_cost)),
        )


def _required(name: str, value: str | None) -> str:
    if value is None or not says_something(value):
        raise InvalidRequest(f"{name} is required", name)
    return value


class CallFacts(_Camel):
    """About the picture. Sizes are pixels."""

    size: str
    width: int
    height: int
    steps: int | None
    style: str
    quality: str
    prompt: str
    original_prompt: str
    revised_prompt: str | None = None
    duration: int
    """Milliseconds."""
    timestamp: str
    seed: int | None
    job_id: str
    """Limner's own, like what follows: `GET /v1/jobs/{jobId}` tells all of it."""
    charged: Usd | None
    """What the ledger says."""
    notes: list[str]
    """What was bent, ignored or done otherwise."""


class LlmApiCall(_Camel):
    """One call of a model, for the clients' display."""

    id: str
    timestamp: str
    type: Literal["image_generation"] = "image_generation"
    provider: str
    model: str
    model_key: str
    cost: Usd
    duration: int
    """Milliseconds, like the next."""
    duration_ms: int
    success: bool
    fallback_used: bool
    original_provider: str
    metadata: dict[str, JsonValue]


class PressAnswer(_Camel):
    """The picture. `cost` is what was offered; `metadata.charged` what the vendor's count came to."""

    success: Literal[True] = True
    image_url: str
    provider: str
    model: str
    model_key: str
    cost: Usd
    fallback_used: bool
    fallback_reason: str | None = None
    original_provider: str
    llm_api_call: LlmApiCall
    metadata: CallFacts


class PressRefusal(_Camel):
    """No picture. Clients show `error`."""

    success: Literal[False] = False
    error: str
    code: str | None = None
    provider: str | None = None
    model: str | None = None
    primary_provider: str | None = None
    primary_reason: str | None = None
    attempted_fallback: bool | None = None
    fallback_result: str | None = None
    job_id: str | None = None
    job_url: str | None = None
    """Where to look for the picture of an order whose answer was lost."""


def answer_of(body: PressBody, pressed: Pressed, drawn_by: Model | None, base: str) -> PressAnswer:
    """The first picture of a job that succeeded; `drawn_by` is the catalog's entry of its model, `base` the
    address of this server."""
    job, image = pressed.job, pressed.job.images[0]
    cost, counted = charged(job, pressed.price_usd)
    about = _facts(body, pressed, image, counted)
    call = _call(body, pressed, image, cost, about)
    if drawn_by is not None:
        call = call.model_copy(update={"model": drawn_by.ref, "model_key": key_of(drawn_by)})
    return PressAnswer(
        image_url=f"{base}{image.path}",
        provider=image.provider,
        model=call.model,
        model_key=call.model_key,
        cost=cost,
        fallback_used=pressed.instead_of is not None,
        fallback_reason=pressed.instead_of,
        original_provider=body.provider or "",
        llm_api_call=call,
        metadata=about,
    )


def refusal(body: PressBody, message: str, code: str, job: Job | None = None) -> PressRefusal:
    """Why there is none, with where to find what is lost."""
    found = job if job is not None and (lost(job) is not None or not job.final) else None
    return PressRefusal(
        error=message,
        code=code,
        provider=_echo(body.provider),
        model=_echo(body.model),
        job_id=None if job is None else job.id,
        job_url=None if found is None else f"/v1/jobs/{found.id}",
    )


def _echo(said: str | None) -> str | None:
    return None if said is None else cut(said)


def _facts(body: PressBody, pressed: Pressed, image: Artifact, counted: str | None) -> CallFacts:
    job = pressed.job
    said = [f"{note.field}: {note.message}" for note in (*pressed.notes, *job.receipt.notes)]
    return CallFacts(
        size=shown((image.width, image.height)),
        width=image.width,
        height=image.height,
        steps=image.recipe.request.steps,
        style=body.style or "natural",
        quality=body.quality or "standard",
        prompt=image.recipe.request.prompt,
        original_prompt=body.prompt or "",
        duration=round(1000 * (job.receipt.seconds or 0.0)),
        timestamp=_iso(job.finished_at or job.created_at),
        seed=image.seed,
        job_id=job.id,
        charged=job.receipt.cost_usd,
        notes=[*said, counted] if counted else said,
    )


def _call(body: PressBody, pressed: Pressed, image: Artifact, cost: Decimal, about: CallFacts) -> LlmApiCall:
    prompt = body.prompt or ""
    own: dict[str, JsonValue] = about.model_dump(mode="json", by_alias=True)
    return LlmApiCall(
        id=f"img_{image.id}",
        timestamp=about.timestamp,
        provider=image.provider,
        model=image.model,
        model_key=image.model,
        cost=cost,
        duration=about.duration,
        duration_ms=about.duration,
        success=True,
        fallback_used=pressed.instead_of is not None,
        original_provider=body.provider or "",
        metadata=own | {"prompt": prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}..."},
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
