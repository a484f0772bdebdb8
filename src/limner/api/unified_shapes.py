"""What the unified API answers, field by field."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, JsonValue

from limner.api.unified_words import CALLED
from limner.catalog.model import Model
from limner.core.job import Artifact, Job
from limner.core.project import JobStatus, status_of
from limner.core.quote import Note
from limner.core.request import Format

Refs = Mapping[tuple[str, str], str]
"""The vendor's name of a model, by provider and catalog id."""


class UnifiedImage(BaseModel):
    """One picture."""

    id: str
    provider_id: str
    url: str | None
    """The provider's address; Limner fetches the picture and keeps none."""
    local_url: str | None
    """Where this server serves it: a path."""
    local_path: str
    seed: int | None
    model_id: str
    width: int
    height: int
    format: Format
    file_size: int
    nsfw: bool
    provider_metadata: dict[str, JsonValue]


class PromptValidation(BaseModel):
    """What became of the prompt on its way."""

    original_length: int
    optimized_length: int
    optimization_time: float | None
    """Seconds, null where nobody was asked for help or the time is not known any more."""
    steps: list[dict[str, JsonValue]] = []
    """What was done to it, or could not be done."""


class UnifiedMetadata(BaseModel):
    """About the making. `notes` say what was bent, left out or replaced; `attempts` who was asked."""

    generation_time: float | None
    provider_model: str | None
    original_prompt: str
    prompt_validation: PromptValidation
    notes: list[Note]
    attempts: list[dict[str, JsonValue]]


class UnifiedAnswer(BaseModel):
    """A generation, however it ended."""

    generation_id: str
    provider: str
    status: JobStatus
    prompt: str
    project_id: UUID
    images: list[UnifiedImage]
    total_images: int
    created_at: datetime
    completed_at: datetime | None
    cost: float | None
    """US dollars; null when it is not known."""
    error_message: str | None
    provider_response: dict[str, JsonValue] | None
    metadata: UnifiedMetadata


class UnifiedJob(BaseModel):
    """A generation in the list."""

    id: str
    generation_id: str
    provider: str
    status: JobStatus
    prompt: str
    created_at: datetime
    completed_at: datetime | None
    error_message: str | None
    result_images: list[UnifiedImage]


class UnifiedProvider(BaseModel):
    """What a provider can do here."""

    name: str
    available: bool
    description: str
    max_images: int
    supported_formats: list[Literal["jpg", "png", "webp"]]
    supports_negative_prompt: bool
    supports_seed: bool
    error: str | None = None
    """Why it cannot be used now; absent when it can."""


class UnifiedProviders(BaseModel):
    """Every provider."""

    providers: dict[str, UnifiedProvider]
    total_available: int


class AvailableProviders(BaseModel):
    """Providers that can be used now."""

    providers: list[str]
    count: int


class UnifiedModel(BaseModel):
    """A model by the provider's own id."""

    id: str
    name: str
    description: str


class UnifiedCapabilities(BaseModel):
    """What a provider can do, available or not."""

    name: str
    description: str
    max_images: int
    supported_formats: list[Literal["jpg", "png", "webp"]]
    supports_negative_prompt: bool
    supports_seed: bool


class UnifiedDefaults(BaseModel):
    """What is taken for fields that are left out."""

    width: int = 512
    height: int = 512
    num_images: int = 1
    output_format: Literal["png"] = "png"
    guidance_scale: float = 7.5
    steps: int = 30


class UnifiedConfig(BaseModel):
    """Capabilities and defaults."""

    providers: dict[str, UnifiedCapabilities]
    defaults: UnifiedDefaults = UnifiedDefaults()


class UnifiedHealth(BaseModel):
    """How the unified API stands."""

    status: Literal["healthy", "unhealthy"]
    providers_available: int
    providers: list[str]
    service: Literal["Unified Image Generation"] = "Unified Image Generation"


def refs_of(models: Iterable[Model]) -> Refs:
    """The vendors' names of the catalog's models."""
    return {(model.provider, model.id): model.ref for model in models if model.ref}


def answered(job: Job, project: UUID, refs: Refs, asked: str | None, notes: Sequence[Note]) -> UnifiedAnswer:
    """A job as the client that ordered it sees it; `asked` is the provider it named."""
    provider, images = drawn_by(job), pictures(job, refs)
    bent = [
        note.model_copy(update={"field": CALLED.get(note.field, note.field)}) for note in job.receipt.notes
    ]
    told = [*notes, *bent, *_elsewhere(asked, provider, job)]
    return UnifiedAnswer(
        generation_id=job.id,
        provider=provider,
        status=status_of(job.state),
        prompt=job.request.asked_prompt,
        project_id=project,
        images=images,
        total_images=len(images),
        created_at=at(job.created_at),
        completed_at=None if job.finished_at is None else at(job.finished_at),
        cost=None if job.receipt.cost_usd is None else float(job.receipt.cost_usd),
        error_message=why(job),
        provider_response=None,
        metadata=UnifiedMetadata(
            generation_time=job.receipt.seconds,
            provider_model=_model(job, refs),
            original_prompt=job.request.asked_prompt,
            prompt_validation=validation(job),
            notes=told,
            attempts=[one.model_dump(mode="json", exclude={"priced"}) for one in job.receipt.attempts],
        ),
    )


def listed(job: Job, refs: Refs) -> UnifiedJob:
    """A job in the list."""
    return UnifiedJob(
        id=job.id,
        generation_id=job.id,
        provider=drawn_by(job),
        status=status_of(job.state),
        prompt=job.request.asked_prompt,
        created_at=at(job.created_at),
        completed_at=None if job.finished_at is None else at(job.finished_at),
        error_message=why(job),
        result_images=pictures(job, refs),
    )


def drawn_by(job: Job) -> str:
    """Who drew it; else who was asked last, or was to be asked."""
    if job.images:
        return job.images[0].provider
    if job.receipt.attempts:
        return job.receipt.attempts[-1].provider
    return job.request.provider or job.request.policy.first or "none"


def why(job: Job) -> str | None:
    """What to tell where there are no pictures."""
    if job.state == "needs_confirmation" and job.confirmation is not None:
        return f"waits for a person at POST /v1/jobs/{job.id}/decide: {job.confirmation.message}"
    if job.state == "canceled":
        return "cancelled"
    return None if job.error is None else job.error.message


def pictures(job: Job, refs: Refs) -> list[UnifiedImage]:
    """Every picture of the job."""
    return [_picture(image, refs) for image in job.images]


def validation(job: Job) -> PromptValidation:
    """Lengths of the prompt as it came and as it was sent."""
    done = None if job.request.prompting is None else job.request.prompting.done
    return PromptValidation(
        original_length=len(job.request.asked_prompt),
        optimized_length=len(job.request.prompt),
        optimization_time=None,
        steps=[] if done is None else [step.model_dump() for step in done.steps],
    )


def at(seconds: float) -> datetime:
    """A time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _picture(image: Artifact, refs: Refs) -> UnifiedImage:
    return UnifiedImage(
        id=image.id,
        provider_id=image.id,
        url=None,
        local_url=image.path,
        local_path=image.path.removeprefix("/"),
        seed=image.seed,
        model_id=refs.get((image.provider, image.model), image.model),
        width=image.width,
        height=image.height,
        format=image.format,
        file_size=image.size_bytes,
        nsfw=False,
        provider_metadata={"model": image.model, "sha256": image.digest, "engine": image.recipe.engine},
    )


def _model(job: Job, refs: Refs) -> str | None:
    made = job.images[0] if job.images else job.receipt.attempts[-1] if job.receipt.attempts else None
    return None if made is None else refs.get((made.provider, made.model), made.model)


def _elsewhere(asked: str | None, provider: str, job: Job) -> list[Note]:
    """Somebody else than the provider that was named has drawn it."""
    if asked is None or asked == provider or not job.images:
        return []
    tried = any(one.provider == asked for one in job.receipt.attempts)
    said = f"{asked} {'failed' if tried else 'could not be asked'}; {provider} has drawn it"
    return [Note(field="provider", message=said)]
