"""`AIModelManager`: the manager class of programs before Limner, over Limner's verbs.

```python
manager = AIModelManager()
await manager.initialize_models()
picture = await manager.generate_image("a red fox in the snow", width=512, height=512)
```
"""

import os
import platform
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypedDict

from limner import __version__
from limner.app import Limner
from limner.catalog.model import Model
from limner.config import Settings
from limner.core.errors import InvalidRequest, LimnerError, SetupError
from limner.core.job import Job
from limner.core.money import FREE
from limner.core.quote import Note
from limner.core.request import GenerateRequest, Policy
from limner.manager.thread import LimnerThread
from limner.manager.words import CONFIGS, Options, ask, number, options, short
from limner.providers.base import Provider

NO_MODELS = "No image generation models available"
_NO_DOWNLOADS = (
    "this version of Limner downloads no models and draws from none on disk: set A1111_URL or COMFYUI_URL to "
    "a server of yours that has it"
)
_KINDS = ("text", "image", "voice", "video", "audio")
_FREE = Policy(max_cost_usd=FREE)


class Answer(dict[str, Any]):
    """A dict that may be awaited, too: programs before Limner do either."""

    def __await__(self) -> Generator[None, None, Self]:
        """Itself, at once."""
        yield from ()
        return self


class Picture(TypedDict):
    """What `generate_image` returns. `model` and `library` are the entry that was ordered, by the names such
    programs know; `drawn_by` and `notes` say who really drew, and what was bent."""

    image_data: bytes
    format: str
    width: int
    height: int
    model: str
    library: str
    provider: str
    prompt: str
    negative_prompt: str
    num_inference_steps: int
    guidance_scale: float
    seed: int | None
    seed_used: int | None
    drawn_by: str
    cost_usd: float | None
    notes: list[dict[str, str]]
    job_id: str


class AIModelManager:
    """Local models first, the cloud's where there are none. May be used from several event loops.

    What it starts ends with `close()`, or with the process. `settings`, `providers` and `models` are
    `Limner`'s; `models_dir` is where models are looked for, under `image/<name>`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        models_dir: str | Path = "models",
        providers: Mapping[str, type[Provider]] | None = None,
        models: Sequence[Model] | None = None,
    ) -> None:
        self.models_dir = Path(models_dir)
        self.local_model_configs: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS} | {
            "image": {name: config.shown(name) for name, config in CONFIGS.items()}
        }
        self.available_models: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
        self._loaded_pipelines: dict[str, str] = {}
        self._thread = LimnerThread(lambda: Limner(settings, providers=providers, models=models))

    async def initialize_models(self) -> None:
        """Start, and look at who can draw. Again and at the same time does no harm. Raises `SetupError`."""
        limner = await self._thread.started()
        self.available_models["image"] = await self._thread.ask(lambda: self._entries(limner))

    async def generate_image(self, prompt: str, **given: Any) -> Picture:  # noqa: ANN401 - checked in `options`
        """One picture; starts what is not started yet.

        Options: `width` and `height` (512), or `size` as "WxH"; `num_inference_steps` (25), `guidance_scale`
        (7.5), `seed`, `negative_prompt`; for the cloud `size` ("1024x1024") and `quality` ("standard", "hd").
        `model` names one of `available_models`. Others are left out, and told in the notes.

        Raises `TypeError` and `ValueError` for what cannot be meant or when nothing can draw, and
        `LimnerError` when drawing fails: there is no empty picture. A local model that fails is not replaced
        by a cloud's, which would cost money.
        """
        wanted = options(prompt, given)
        if not any(one["can_load"] for one in self.available_models["image"]):
            await self.initialize_models()
        entry = self._entry(wanted.model)
        limner = await self._thread.started()
        try:
            order, notes = ask(wanted, entry)
            job, data = await self._thread.ask(lambda: _drawn(limner, order))
        except InvalidRequest as error:
            raise ValueError(str(error)) from error
        picture = _picture(job, data, entry, wanted, notes)
        self._loaded_pipelines[entry["name"]] = picture["drawn_by"]
        entry["loaded"] = True
        return picture

    def get_available_models(self) -> Answer:
        """By kind; only pictures are drawn here."""
        return Answer({kind: [dict(one) for one in self.available_models[kind]] for kind in _KINDS})

    def get_system_info(self) -> Answer:
        """The machine, and what is loaded."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Answer(
            platform=platform.platform(),
            python_version=platform.python_version(),
            limner_version=__version__,
            cpu_count=os.cpu_count() or 1,
            memory_gb=round(memory / 2**30, 1),
            gpu_available=False,
            device="cpu",
            loaded_models=list(self._loaded_pipelines),
        )

    def install_model(self, model_type: str, model_name: str) -> Answer:
        """Whether a model's files are under `models/image/<name>`; this version neither downloads nor reads
        them."""
        known = self.local_model_configs.get(model_type, {})
        if model_name not in known:
            return Answer(
                success=False,
                error=f"no {short(model_type)} model is called {short(model_name)!r}",
                requirements={},
                available=list(known),
            )
        config, path = known[model_name], self.models_dir / "image" / model_name
        needs, size = config["requirements"], config["size_gb"]
        if path.is_dir() and any(path.iterdir()):
            return Answer(success=True, model=model_name, type=model_type, path=str(path), size_gb=size)
        return Answer(success=False, error=_NO_DOWNLOADS, requirements=needs, available=list(known))

    def close(self) -> Answer:
        """End all that was started; a second time does nothing. Blocks until it has ended."""
        self._thread.stop()
        self._loaded_pipelines.clear()
        return Answer()

    def _entry(self, name: str | None) -> dict[str, Any]:
        """The entry that is ordered: the named one, else the first that can draw. Raises `ValueError`."""
        able = [one for one in self.available_models["image"] if one["can_load"]]
        if name is not None:
            able = [one for one in able if name in (one["name"], one["model_id"])]
        if able:
            return able[0]
        known = [one["name"] for one in self.available_models["image"] if one["can_load"]]
        if known:
            raise ValueError(f"model {short(name)!r} is not available; available: {', '.join(known[:20])}")
        error = ValueError(NO_MODELS)
        for one in self.available_models["image"]:
            error.add_note(f"{one['name']}: {one['description']}")
        raise error

    async def _entries(self, limner: Limner) -> list[dict[str, Any]]:
        """The local models, whether or not they can draw now, and those of the cloud that are set up."""
        local = [await self._local(limner, name) for name in CONFIGS]
        paid = limner.set_up()
        cloud = [
            one
            for one in limner.models()
            if one.provider in paid and one.price is not None and one.price.usd > 0
            if "generate" in one.operations and one.retired is None and not one.open
        ]
        cloud.sort(key=lambda one: one.provider != "openai")  # the one such programs know
        return local + [_cloud_entry(one) for one in cloud]

    async def _local(self, limner: Limner, name: str) -> dict[str, Any]:
        """What draws under a local name is free: this machine's, or a server of the user's own."""
        config = CONFIGS[name]
        try:
            quote = await limner.estimate(GenerateRequest(prompt="a picture", model=name, policy=_FREE))
        except SetupError:
            raise
        except LimnerError as error:
            able, said = False, f"not set up here: {error}"
        else:
            able, said = True, f"drawn by {quote.provider}/{quote.model}"
        return {
            "name": name,
            "type": "text-to-image",
            "model_id": config.model_id,
            "provider": "local",
            "inference_engine": config.engine,
            "loaded": name in self._loaded_pipelines,
            "can_load": able,
            "size_gb": config.size_gb,
            "description": f"{config.title}, {said}",
            "device": "cpu",
        }


def _cloud_entry(model: Model) -> dict[str, Any]:
    return {
        "name": model.id,
        "type": "text-to-image",
        "model_id": model.ref,
        "provider": model.provider,
        "inference_engine": "api",
        "loaded": False,
        "can_load": True,
        "size_gb": 0,
        "description": model.description,
        "device": "cloud",
    }


async def _drawn(limner: Limner, order: GenerateRequest) -> tuple[Job, bytes]:
    job = await limner.draw(order)
    if job.state != "succeeded":
        said = job.error.message if job.error else job.confirmation.message if job.confirmation else job.state
        raise LimnerError(f"no picture: {said} (job {job.id})")
    return job, await limner.open(job.images[0])


def _picture(
    job: Job, data: bytes, entry: Mapping[str, Any], wanted: Options, notes: Sequence[Note]
) -> Picture:
    first, cost = job.images[0], job.receipt.cost_usd
    used = first.recipe.request
    return Picture(
        image_data=data,
        format="PNG",
        width=first.width,
        height=first.height,
        model=entry["name"],
        library=entry["inference_engine"] if entry["provider"] == "local" else entry["provider"],
        provider=entry["provider"],
        prompt=wanted.prompt,
        negative_prompt=wanted.negative_prompt,
        num_inference_steps=number(used.steps, wanted.num_inference_steps),
        guidance_scale=number(used.guidance_scale, wanted.guidance_scale),
        seed=wanted.seed,
        seed_used=first.seed,
        drawn_by=f"{first.provider}/{first.model}",
        cost_usd=None if cost is None else float(cost),
        notes=[{"field": one.field, "message": one.message} for one in (*job.receipt.notes, *notes)],
        job_id=job.id,
    )
