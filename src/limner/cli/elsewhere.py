"""A conversation's Limner that another process runs: verbs over HTTP, the catalog by the same settings."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from limner.app import Limner
from limner.catalog.model import Model
from limner.cli.remote import Remote
from limner.config import Settings
from limner.core.events import Message
from limner.core.job import Artifact, Job
from limner.core.quote import Quote
from limner.core.request import GenerateRequest
from limner.core.usage import LOCAL_USER


class Elsewhere:
    """`known` is a Limner that is not entered: it reads the catalog and the settings and no more."""

    def __init__(self, known: Limner, remote: Remote) -> None:
        self._known = known
        self._remote = remote

    @property
    def settings(self) -> Settings:
        """Those of this command, which are the server's: they share the home."""
        return self._known.settings

    def models(self) -> tuple[Model, ...]:
        """The catalog."""
        return self._known.models()

    def set_up(self) -> frozenset[str]:
        """Providers that can be asked as far as the settings tell."""
        return self._known.set_up()

    async def estimate(self, request: GenerateRequest, /) -> Quote:
        """What it would cost."""
        return await self._remote.estimate(request)

    async def generate(
        self, request: GenerateRequest, /, *, key: str | None = None, by: str = LOCAL_USER
    ) -> Job:
        """Order."""
        return await self._remote.generate(request, key=key, by=by)

    def watch(self, job_id: str, /) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """What happens to a job."""
        return self._remote.watch(job_id)

    async def read(self, job_id: str, /) -> Job:
        """A job as it stands."""
        return await self._remote.read(job_id)

    async def cancel(self, job_id: str, /) -> Job:
        """Stop the order."""
        return await self._remote.cancel(job_id)

    async def open(self, artifact: Artifact, /) -> bytes:
        """A picture's file."""
        return await self._remote.open(artifact)
