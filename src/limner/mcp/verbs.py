"""What the tools need of Limner, in this process or through the server that owns the home."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from limner.app import ProviderStatus
from limner.catalog.model import Model
from limner.core.events import Message
from limner.core.job import Artifact, Job, JobState
from limner.core.quote import Quote
from limner.core.request import GenerateRequest
from limner.inputs import Input


class Verbs(Protocol):
    """`Limner`'s own, word by word; its class says what each does and raises."""

    async def estimate(self, request: GenerateRequest, /) -> Quote:
        """What it would cost."""
        ...

    async def generate(self, request: GenerateRequest, /, *, key: str | None, by: str) -> Job:
        """Order."""
        ...

    def watch(self, job_id: str, /) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """What happens to a job."""
        ...

    async def read(self, job_id: str, /) -> Job:
        """A job as it stands."""
        ...

    async def cancel(self, job_id: str, /) -> Job:
        """Stop the order."""
        ...

    async def jobs(
        self, *, state: JobState | None, project: str | None, limit: int, before: str | None
    ) -> list[Job]:
        """Jobs, newest first."""
        ...

    async def image(self, image_id: str, /) -> Artifact:
        """A picture's record."""
        ...

    async def open(self, artifact: Artifact, /) -> bytes:
        """A picture's file."""
        ...

    async def thumbnail(self, artifact: Artifact, side: int, /) -> bytes:
        """A small WebP of it."""
        ...

    async def keep(self, data: bytes, /) -> Input:
        """Store a picture to work on."""
        ...

    async def providers(self) -> list[ProviderStatus]:
        """Who can draw now."""
        ...

    def models(self) -> "tuple[Model, ...] | Awaitable[tuple[Model, ...]]":
        """The catalog."""
        ...
