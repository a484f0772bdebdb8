"""Waiting for a job while its progress is told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from limner.core.errors import LimnerError
from limner.core.events import Ended, JobEvent, Progress
from limner.core.job import Job
from limner.mcp.verbs import Verbs

Report = Callable[[float, str], Awaitable[None]]
"""Takes how far it is, from 0 to 1 and growing, and a word about it."""
_SIGN_S = 5.0
"""A client may give up on a call that says nothing for long."""


@dataclass(slots=True)
class _Teller:
    report: Report
    fraction: float = 0.0
    word: str = "queued"

    async def say(self, fraction: float) -> None:
        """What grows is told; what does not is kept to oneself."""
        if fraction > self.fraction:
            self.fraction = min(fraction, 1.0)
            await self.report(self.fraction, self.word)

    async def hear(self, message: JobEvent | Progress) -> None:
        """Tell one message of the watch."""
        match message:
            case Progress():
                if message.step is not None and message.steps is not None:
                    self.word = f"step {message.step} of {message.steps}"
                await self.say(message.fraction)
            case JobEvent():
                self.word = message.state
                await self.say(self._a_little_more())

    async def sign(self) -> None:
        """A sign of life every few seconds, however little is heard."""
        while True:
            await anyio.sleep(_SIGN_S)
            await self.say(self._a_little_more())

    def _a_little_more(self) -> float:
        return self.fraction + (1.0 - self.fraction) * 0.01


async def follow(limner: Verbs, job: Job, wait_s: float, report: Report) -> Job:
    """The job once it rests, or as it stands after `wait_s` seconds. Being cancelled stops the wait only."""
    if job.resting or wait_s == 0:
        return job
    outcome: Job | LimnerError | None = None
    teller = _Teller(report)
    with anyio.move_on_after(wait_s):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(teller.sign)
            try:
                outcome = await _end(limner, job.id, teller)
            except LimnerError as error:  # as itself, not inside a group
                outcome = error
            tasks.cancel_scope.cancel()
    if isinstance(outcome, LimnerError):
        raise outcome
    return outcome or await limner.read(job.id)


async def _end(limner: Verbs, job_id: str, teller: _Teller) -> Job:
    async with limner.watch(job_id) as messages:
        async for message in messages:
            if isinstance(message, Ended):
                return message.job
            await teller.hear(message)
    raise AssertionError("a watch ends with Ended")
