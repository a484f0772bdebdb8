"""When a job must be done. Counted on the monotonic clock from what the database said when the job was taken:
neither a clock that is set nor one that differs from the database's ends a job early, or keeps it."""

import time

from limner.core.errors import LimnerError
from limner.core.job import Failure
from limner.store.rows import Work

_SHARE = 2 / 3
"""How much of what is left an order may take when somebody else could be asked after it."""


class Overdue(LimnerError):
    """The job's time was up before another order could be placed."""

    code = "deadline"

    def __init__(self, said: Failure) -> None:
        super().__init__(said.message)
        self.said = said


class Deadline:
    """Of one job in one worker's hand; None for `left_s` leaves all of the time."""

    def __init__(self, work: Work) -> None:
        self.whole_s = work.deadline_s
        left_s = work.deadline_s if work.left_s is None else work.left_s
        self._ends = time.monotonic() + left_s

    @property
    def left_s(self) -> float:
        """Seconds until then, negative once it has passed."""
        return self._ends - time.monotonic()

    @property
    def at(self) -> float:
        """As Unix seconds by this machine's clock of now."""
        return time.time() + self.left_s

    def of_order(self, *, followed: bool) -> float:
        """Until when one order may take, as `at`: one that never ends leaves time for who could follow."""
        return time.time() + self.left_s * (_SHARE if followed and self.left_s > 0 else 1.0)

    def restart(self) -> None:
        """The first order is about to be placed: all of the time begins to run."""
        self._ends = time.monotonic() + self.whole_s
