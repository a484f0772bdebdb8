"""Hang what was bought: each picture of an answer becomes a file with its recipe and a record of it."""

import time
from collections.abc import Awaitable, Callable, Sequence

from limner.blobs.store import Blobs
from limner.core.ids import uuid7
from limner.core.job import Artifact, Job, Recipe
from limner.core.quote import Note, Target
from limner.core.request import EXTENSION, Policy
from limner.jobs import pictures
from limner.providers.base import Done

Save = Callable[[bytes], Awaitable[str]]
"""Store a file's bytes; returns their digest."""
Hung = tuple[tuple[Artifact, ...], tuple[Note, ...]]
"""The records of all pictures of an answer, and what had to be told about them."""

_NOT_IN_A_RECIPE = {
    "count": 1,
    "partial_images": 0,
    "user": None,
    "project": "default",
    "scene": None,
    "quote": None,
    "priority": 0,
    "policy": Policy(),
}
"""A picture's file travels: it says how it was made, not who asked or how it was to be routed."""


async def hang(job: Job, target: Target, done: Done, version: str, save: Save) -> Hung:
    """Every picture stored, and its record. Raises `InvalidImage` when an answer
    holds something that is no picture, and what `save` raises."""
    artifacts: list[Artifact] = []
    notes: list[Note] = []
    for index, data in enumerate(done.images):
        recipe = _recipe(job, target, done, index, version)
        picture = await pictures.finish(data, target.request, recipe)
        identity = uuid7()
        file = f"{identity}.{EXTENSION[picture.kind.format]}"
        project = target.request.project
        artifacts.append(
            Artifact(
                id=identity,
                job_id=job.id,
                index=index,
                digest=await save(picture.data),
                size_bytes=len(picture.data),
                width=picture.kind.width,
                height=picture.kind.height,
                format=picture.kind.format,
                seed=recipe.request.seed,
                project=project,
                provider=target.provider,
                model=target.model,
                file=file,
                created_at=time.time(),
                recipe=recipe,
            )
        )
        notes += picture.notes
        size = picture.kind.width, picture.kind.height
        if size != target.request.size and target.request.operation != "upscale":
            notes.append(Note(field="size", message=f"the picture came as {size[0]}x{size[1]}"))
    missing = target.request.count - len(artifacts)
    if missing > 0:
        said = f"the provider sent {len(artifacts)} pictures, {missing} fewer"
        notes.append(Note(field="count", message=said))
    return tuple(artifacts), tuple(notes)


async def show(blobs: Blobs, images: Sequence[Artifact]) -> None:
    """Let people find the files by their places in storage. Raises `StorageError`."""
    for image in images:
        await blobs.link(image.digest, image.path.removeprefix("/storage/"))


def _recipe(job: Job, target: Target, done: Done, index: int, version: str) -> Recipe:
    seed = None if target.request.seed is None else target.request.seed + index
    if index < len(done.seeds):
        seed = done.seeds[index]
    return Recipe(
        limner=version,
        prompt=job.request.asked_prompt,
        request=target.request.model_copy(update={"seed": seed} | _NOT_IN_A_RECIPE),
        provider=target.provider,
        model=target.model,
        engine=done.engine,
        parents=target.request.inputs,
        marks=done.marks,
    )
