"""What a conversation needs of Limner, in this process or in the one that owns the home."""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from limner.catalog.model import Model
from limner.core.events import Message
from limner.core.job import Artifact, Job
from limner.core.quote import Quote
from limner.core.request import GenerateRequest
from limner.core.usage import LOCAL_USER


class Switched(Protocol):
    """The part of the settings that is looked at."""

    @property
    def disabled_providers(self) -> Collection[str]:
        """Those that are switched off."""
        ...


class Verbs(Protocol):
    """`Limner`'s own, word by word; its class says what each does and raises."""

    @property
    def settings(self) -> Switched:
        """How it is set."""
        ...

    def models(self) -> tuple[Model, ...]:
        """The catalog."""
        ...

    def set_up(self) -> frozenset[str]:
        """Providers that can be asked as far as the settings tell."""
        ...

    async def estimate(self, request: GenerateRequest, /) -> Quote:
        """What it would cost."""
        ...

    async def generate(
        self, request: GenerateRequest, /, *, key: str | None = None, by: str = LOCAL_USER
    ) -> Job:
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

    async def open(self, artifact: Artifact, /) -> bytes:
        """A picture's file."""
        ...
