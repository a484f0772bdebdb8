"""Slots: what bounds the work of a process. A job that only waits for a vendor holds none."""

import time
from collections.abc import Callable


class Slots:
    """`total` jobs run at once, and up to `away` more wait for vendors that have their orders."""

    def __init__(self, total: int, away: int) -> None:
        self.total = total
        self.free = total
        """Below 0 when jobs came back from waiting all at once: nothing new is begun until they are done."""
        self._away = away
        self._freed: Callable[[], None] = _nothing

    def on_free(self, told: Callable[[], None]) -> None:
        """Who is told whenever a slot becomes free."""
        self._freed = told

    def reserve(self) -> bool:
        """Take a slot, if one is free."""
        if self.free <= 0:
            return False
        self.free -= 1
        return True

    def give_back(self) -> None:
        """A reserved slot is needed no more."""
        self.free += 1
        self._freed()

    def may_leave(self) -> bool:
        """Note that a job waits without a slot; False when too many do."""
        if self._away <= 0:
            return False
        self._away -= 1
        return True

    def returned(self) -> None:
        """One of those that waited is back, or gone."""
        self._away += 1


def _nothing() -> None:
    """Nobody is told."""


class Slot:
    """The slot of one job that runs, reserved before, with its lease: `held_until` on the monotonic clock."""

    def __init__(self, slots: Slots, held_until: float) -> None:
        self._slots = slots
        self.held_until = held_until
        """Later than that the job may be somebody else's."""
        self.waiting = False
        """The vendor has the order, its ticket is on disk, and somebody else may use the slot."""

    @property
    def overslept(self) -> bool:
        """The lease was not renewed in time: nothing that costs money is sent any more."""
        return time.monotonic() > self.held_until

    def leave(self) -> None:
        """The job only waits from here on; it keeps its slot where too many wait already."""
        if not self.waiting and self._slots.may_leave():
            self.waiting = True
            self._slots.give_back()

    def back(self) -> None:
        """The job has something to do again: it goes on at once, whether or not a slot is free."""
        if self.waiting:
            self.waiting = False
            self._slots.free -= 1
            self._slots.returned()

    def close(self) -> None:
        """The job is done here."""
        if self.waiting:
            self._slots.returned()
        else:
            self._slots.give_back()
