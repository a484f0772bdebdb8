"""Messages of running jobs to whoever watches in this process. Nothing is stored: the row is the truth."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from limner.core.events import Message, Progress


class Subscription:
    """Messages of one job in order. A watcher that falls behind misses progress, never a state."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._news = asyncio.Event()

    def put(self, message: Message) -> None:
        """Add a message; newer progress takes the place of progress that nobody has read yet."""
        if isinstance(message, Progress) and self._waiting and isinstance(self._waiting[-1], Progress):
            self._waiting.pop()
        self._waiting.append(message)
        self._news.set()

    async def next(self) -> Message:
        """The next message; waits for it."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()


class Hub:
    """Who watches what."""

    def __init__(self) -> None:
        self._watchers: dict[str, list[Subscription]] = {}

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        """Messages published from now until the block ends."""
        subscription = Subscription()
        self._watchers.setdefault(job_id, []).append(subscription)
        try:
            yield subscription
        finally:
            watchers = self._watchers[job_id]
            watchers.remove(subscription)
            if not watchers:
                del self._watchers[job_id]

    def watched(self) -> frozenset[str]:
        """Ids of the jobs that somebody watches."""
        return frozenset(self._watchers)

    def publish(self, job_id: str, message: Message) -> None:
        """Hand a message to all who watch the job."""
        for subscription in self._watchers.get(job_id, ()):
            subscription.put(message)
