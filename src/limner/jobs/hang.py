"""Hang what was bought: each picture of an answer becomes a file with its recipe and a record of it."""

import time

from limner.core.ids import uuid7
from limner.core.job import Artifact, Job, Recipe
from limner.core.quote import Note, Target
from limner.core.request import EXTENSION, Policy
from limner.jobs import pictures
from limner.jobs.means import Means
from limner.jobs.pictures import Picture
from limner.jobs.steady import steadily
from limner.providers.base import Done

_NOT_IN_A_RECIPE = {"count": 1, "partial_images": 0, "user": None, "project": "default", "policy": Policy()}
"""A picture's file travels: it says how it was made, not who asked or how it was to be routed."""


async def hang(
    job: Job, target: Target, done: Done, means: Means, *, synced: bool
) -> tuple[tuple[Artifact, ...], tuple[Note, ...]]:
    """The records of all pictures, and what had to be told about them. The files are written, on disk when
    `synced`. Raises `InvalidImage` when an answer holds something that is no picture, or nothing."""
    artifacts: list[Artifact] = []
    notes: list[Note] = []
    for index, data in enumerate(done.images):
        recipe = _recipe(job, target, done, index, means.version)
        picture = await pictures.finish(data, target.request, recipe)
        artifacts.append(
            await _store(picture, recipe, job=job, target=target, index=index, means=means, synced=synced)
        )
        notes += picture.notes
    missing = target.request.count - len(artifacts)
    if missing > 0:
        said = f"the provider sent {len(artifacts)} pictures, {missing} fewer"
        notes.append(Note(field="count", message=said))
    return tuple(artifacts), tuple(notes)


def _recipe(job: Job, target: Target, done: Done, index: int, version: str) -> Recipe:
    seed = None if target.request.seed is None else target.request.seed + index
    if index < len(done.seeds):
        seed = done.seeds[index]
    return Recipe(
        limner=version,
        prompt=job.request.prompt,
        request=target.request.model_copy(update={"seed": seed} | _NOT_IN_A_RECIPE),
        provider=target.provider,
        model=target.model,
        engine=done.engine,
    )


async def _store(
    picture: Picture, recipe: Recipe, *, job: Job, target: Target, index: int, means: Means, synced: bool
) -> Artifact:
    digest = await steadily(lambda: means.blobs.put(picture.data, synced=synced), "picture")
    identity = uuid7()
    artifact = Artifact(
        id=identity,
        job_id=job.id,
        index=index,
        digest=digest,
        size_bytes=len(picture.data),
        width=picture.kind.width,
        height=picture.kind.height,
        format=picture.kind.format,
        seed=recipe.request.seed,
        project=target.request.project,
        provider=target.provider,
        model=target.model,
        file=f"{identity}.{EXTENSION[picture.kind.format]}",
        created_at=time.time(),
        recipe=recipe,
    )
    shown = f"images/{artifact.project}/{artifact.provider}/{artifact.file}"
    await steadily(lambda: means.blobs.link(digest, shown), "picture")
    return artifact
