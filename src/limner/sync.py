"""Limner for scripts without async: the same verbs, each one blocking until its answer is there."""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

from limner.app import Limner, ProviderStatus
from limner.catalog.model import Model
from limner.config import Settings
from limner.core.errors import InvalidRequest, StorageError
from limner.core.events import Message
from limner.core.job import Artifact, Decision, Job, JobState
from limner.core.lost import LostOrder, Reconciled
from limner.core.quote import Quote
from limner.core.request import GenerateRequest, RequestFields
from limner.inputs import Input
from limner.providers.base import Provider

T = TypeVar("T")


class SyncLimner:
    """`Limner` in a thread of its own. A context manager; may be used from several threads.

    Raises what `Limner` raises. Ctrl-C while waiting stops the waiting, not the job: use `cancel`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        providers: Mapping[str, type[Provider]] | None = None,
        models: Sequence[Model] | None = None,
    ) -> None:
        self._build: Callable[[], Limner] = lambda: Limner(settings, providers=providers, models=models)
        self._stack = ExitStack()
        self._portal: BlockingPortal
        self._limner: Limner

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            limner: AbstractAsyncContextManager[Limner] = self._build()
            self._limner = stack.enter_context(self._portal.wrap_async_context_manager(limner))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()  # what the block raised is the caller's and stays as it is

    def estimate(self, request: GenerateRequest) -> Quote:
        """What it would cost; buys nothing."""
        return self._do(lambda: self._limner.estimate(request))

    def generate(
        self,
        request: GenerateRequest | str,
        *,
        key: str | None = None,
        by: str = "local",
        **fields: Unpack[RequestFields],
    ) -> Job:
        """Order, and return once the job is accepted."""
        return self._do(lambda: self._limner.generate(request, key=key, by=by, **fields))

    def draw(
        self,
        request: GenerateRequest | str,
        *,
        key: str | None = None,
        by: str = "local",
        **fields: Unpack[RequestFields],
    ) -> Job:
        """Order and wait; the job comes back in whatever final state."""
        return self._do(lambda: self._limner.draw(request, key=key, by=by, **fields))

    @contextmanager
    def watch(self, job_id: str, after: int = 0) -> Iterator[Iterator[Message]]:
        """The job's messages after event `after`, the last one `Ended`."""
        opened = self._portal.wrap_async_context_manager(self._limner.watch(job_id, after))
        with opened as messages:
            yield self._each(messages.__anext__)

    def cancel(self, job_id: str) -> Job:
        """Stop the order."""
        return self._do(lambda: self._limner.cancel(job_id))

    def decide(
        self, job_id: str, decision: Decision, *, by: str = "local", picture: bytes | None = None
    ) -> Job:
        """Say what is to follow where a job asks, or where an order of it is lost; `picture` is what was
        `delivered`."""
        return self._do(lambda: self._limner.decide(job_id, decision, by=by, picture=picture))

    def lost(self) -> tuple[LostOrder, ...]:
        """Orders whose outcome is unknown."""
        return self._do(self._limner.lost)

    def reconcile(self) -> Reconciled:
        """Ask the vendors about all of them, and take what is found."""
        return self._do(self._limner.reconcile)

    def read(self, job_id: str) -> Job:
        """The job as it stands."""
        return self._do(lambda: self._limner.read(job_id))

    def jobs(
        self,
        *,
        state: JobState | None = None,
        project: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Job]:
        """Newest first; `before` is the id that the last page ended with."""
        return self._do(lambda: self._limner.jobs(state=state, project=project, limit=limit, before=before))

    def image(self, image_id: str) -> Artifact:
        """One finished picture's record."""
        return self._do(lambda: self._limner.image(image_id))

    def open(self, artifact: Artifact) -> bytes:
        """The picture's file."""
        return self._do(lambda: self._limner.open(artifact))

    def keep(self, picture: bytes | str | Path) -> Input:
        """Hand over a picture, or a file with one, for requests to work on; name it by its digest.

        Raises `InvalidRequest` for what is no picture or cannot be read.
        """
        if isinstance(picture, bytes):
            return self._do(lambda: self._limner.keep(picture))
        try:
            data = Path(picture).read_bytes()
        except OSError as error:
            raise InvalidRequest(f"{picture} cannot be read: {error.strerror}", "inputs") from error
        return self._do(lambda: self._limner.keep(data))

    def save(self, artifact: Artifact, path: str | Path) -> Path:
        """Write the picture's file to `path`, or into it under its own name when it is a folder.

        Raises StorageError when it cannot be written; the picture stays in Limner's storage.
        """
        target = Path(path)
        target = target / artifact.file if target.is_dir() else target
        try:
            target.write_bytes(self.open(artifact))
        except OSError as error:
            raise StorageError(
                f"{target} cannot be written: {error.strerror}; Limner still keeps the picture"
            ) from error
        return target

    def thumbnail(self, artifact: Artifact, side: int = 256) -> bytes:
        """A WebP of at most `side` pixels a side."""
        return self._do(lambda: self._limner.thumbnail(artifact, side))

    def models(self) -> tuple[Model, ...]:
        """The catalog."""
        return self._limner.models()

    def providers(self) -> list[ProviderStatus]:
        """Who can be asked now, and why not."""
        return self._do(self._limner.providers)

    def _do(self, verb: Callable[[], Coroutine[Any, Any, T]]) -> T:
        answer: T = self._portal.call(verb)
        return answer

    def _each(self, following: Callable[[], Any]) -> Iterator[Message]:
        while True:
            try:
                yield self._portal.call(following)
            except StopAsyncIteration:
                return
