"""What the web UI's door remembers of each of its callers: the chosen model, and what is being drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from limner.core.events import Progress
from limner.core.job import Job


@dataclass(slots=True)
class Work:
    """One job under way, and how far it is."""

    job: Job
    progress: Progress | None = None
    interrupted: bool = False


@dataclass(slots=True)
class Place:
    """One caller's."""

    chosen: str | None = None
    """The model that orders mean which name none."""
    works: list[Work] = field(default_factory=list)
    """In the order they came."""

    @contextmanager
    def working(self, job: Job) -> Iterator[Work]:
        """The job is under way as long as the block lasts."""
        work = Work(job)
        self.works.append(work)
        try:
            yield work
        finally:
            self.works.remove(work)


class Places:
    """Each caller's own, so that none changes what another draws, pays or waits for. Forgotten with the
    process; there are as many as keys in the settings, and one without any."""

    def __init__(self) -> None:
        self._by: dict[str, Place] = {}

    def of(self, by: str) -> Place:
        """The caller's."""
        return self._by.setdefault(by, Place())
