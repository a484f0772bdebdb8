"""What a person sees while a picture is drawn, and the receipt after it."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from limner.cli.words import plain
from limner.core import events, money
from limner.core.job import Attempt, Job
from limner.core.quote import Note, Priced, PricePart, Quote

_SAID: dict[events.EventType, str] = {
    "queued": "waiting for its turn",
    "running": "starting",
    "accepted": "drawing",
    "retrying": "trying again",
    "storing": "saving",
    "asked": "waiting for a decision",
    "decided": "decided",
    "succeeded": "done",
    "failed": "failed",
    "canceled": "cancelled",
}


_PIPE = 400
"""Columns where no terminal sets a limit."""


class Watcher(Protocol):
    """Shows the messages of one job as they come."""

    def show(self, message: events.Message) -> None: ...  # noqa: D102 - the class says it


def out() -> Console:
    """Answers, on stdout. In a pipe a line is as long as it needs to be."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE)


def err() -> Console:
    """Everything else, on stderr."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPE)


@contextmanager
def watching() -> Iterator[Watcher]:
    """A live bar where a person looks at a terminal; else one line a quarter; both on stderr."""
    console = err()
    if not (sys.stdout.isatty() and console.is_terminal) or console.is_dumb_terminal:
        yield Lines()
        return
    bar = Bar(console)
    with bar.progress:
        yield bar


class Lines:
    """Quiet progress for logs and pipes."""

    def __init__(self) -> None:
        self._quarter = 0

    def show(self, message: events.Message) -> None:
        """A line at each change of state and each quarter of the picture."""
        match message:
            case events.JobEvent(type="accepted" | "retrying"):
                self._say(_SAID[message.type] + (f": {message.message}" if message.message else ""))
            case events.Progress(step=int(step), steps=int(steps)) if (
                message.fraction * 4 >= self._quarter + 1
            ):
                self._quarter = int(message.fraction * 4)
                self._say(f"step {step} of {steps}" + _left(message.eta_s))
            case _:
                pass

    @staticmethod
    def _say(text: str) -> None:
        sys.stderr.write(f"limner: {plain(text)}\n")
        sys.stderr.flush()


class Bar:
    """A spinner until the first step, then a bar with steps and time left; gone at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        room = max(8, min(40, console.width - 32))
        self.progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}"),
            BarColumn(bar_width=room),
            TextColumn("{task.fields[steps]}", style="bold"),
            TextColumn("{task.fields[left]}", style="dim"),
            console=console,
            transient=True,
        )
        self._task: TaskID = self.progress.add_task("asking", total=None, steps="", left="")

    def show(self, message: events.Message) -> None:
        """Move the bar, or say what happens now."""
        match message:
            case events.Progress():
                steps = f"{message.step}/{message.steps}" if message.steps else ""
                self.progress.update(
                    self._task,
                    description="drawing",
                    total=1.0,
                    completed=message.fraction,
                    steps=steps,
                    left=_left(message.eta_s).removeprefix(", "),
                )
            case events.JobEvent():
                self.progress.update(self._task, description=_SAID[message.type], left="")
                if message.type == "retrying" and message.message:
                    self._console.print(Text(f"trying again: {plain(message.message)}", style="yellow"))
            case events.Ended():
                pass


def _left(eta_s: float | None) -> str:
    return "" if eta_s is None else f", {duration(eta_s)} left"


def duration(seconds: float) -> str:
    """For people: `0.4 s`, `12 s`, `3 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def size(count: int) -> str:
    """Bytes for people: `812 B`, `212 KB`, `1.4 MB`."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.0f} KB" if count < 999_500 else f"{count / 1e6:.1f} MB"


def sheet(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Labels beside values, wrapped to the terminal."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(f"  {label}", value if isinstance(value, Text) else Text(plain(value)))
    return grid


def receipt(job: Job) -> Table:
    """What was drawn, where, at what cost, and what was changed on the way."""
    return sheet(_receipt(job))


def _receipt(job: Job) -> Iterator[tuple[str, str | Text]]:
    if job.images:
        first = job.images[0]
        total = size(sum(image.size_bytes for image in job.images))
        yield "model", f"{first.model} at {first.provider}"
        yield "size", f"{first.width} x {first.height}, {first.format}, {total}"
        seeds = [str(image.seed) for image in job.images if image.seed is not None]
        if seeds:
            yield "seed", ", ".join(seeds)
    if job.receipt.seconds is not None:
        yield "time", duration(job.receipt.seconds)
    if job.images or job.receipt.cost_usd is not None:
        yield "cost", money.show(job.receipt.cost_usd)
    if job.ceiling_usd is not None:
        yield "agreed", f"at most {money.show(job.ceiling_usd)}"
    if job.receipt.attempts:
        yield from _priced(job.receipt.attempts[-1].priced)
    yield from notes(job.receipt.notes)
    if len(job.receipt.attempts) > 1:
        for attempt in job.receipt.attempts:
            yield f"attempt {attempt.n}", _attempt(attempt)


def _attempt(attempt: Attempt) -> str:
    said = f": {attempt.error.message}" if attempt.error else ""
    cost = money.show(attempt.price_usd)
    return f"{attempt.model} at {attempt.provider}, {attempt.why}, {cost}, {attempt.state}{said}"


def _priced(priced: Priced | None) -> Iterator[tuple[str, str]]:
    """How the price that was quoted comes about; nothing where drawing is free or its price unknown."""
    if priced is None or not priced.total_usd:
        return
    parts = " + ".join(f"{part.amount.normalize():f} {part.what} x {_unit(part)}" for part in priced.parts)
    yield "price", f"{parts}, as read on {priced.read_on} at {priced.source}"


def _unit(part: PricePart) -> str:
    """Dollars of one unit; those of a token are too small to be read."""
    return f"{money.show(part.usd * 1_000_000)} a million" if part.unit == "token" else money.show(part.usd)


def notes(entries: Iterable[Note]) -> Iterator[tuple[str, Text]]:
    """Each bent wish on its own line, hard to overlook."""
    for note in entries:
        yield "note", Text(plain(f"{note.field}: {note.message}"), style="yellow")


def quote(promised: Quote) -> Table:
    """What it would cost; nothing is drawn."""
    return sheet(_quote(promised))


def _quote(promised: Quote) -> Iterator[tuple[str, str | Text]]:
    yield "model", f"{promised.model} at {promised.provider} ({promised.tier})"
    pictures = "" if promised.count == 1 else f", {promised.count} pictures"
    steps = "" if promised.steps is None else f", {promised.steps} steps"
    yield "size", f"{promised.width} x {promised.height}{steps}{pictures}"
    yield "cost", money.show(promised.price_usd)
    yield from _priced(promised.priced)
    if promised.seconds is not None:
        yield "time", f"about {duration(promised.seconds)}"
    yield from notes(promised.notes)
    for then in promised.route[1:]:
        yield "then", f"{then.model} at {then.provider} ({then.tier}), {money.show(then.price_usd)}"
    for other in promised.alternatives:
        yield "or", f"{other.model} at {other.provider} ({other.tier}), {money.show(other.price_usd)}"
    for passed in promised.passed_over:
        yield "not", f"{passed.target}: {passed.reason}"
    if promised.token:
        until = time.strftime("%H:%M:%S", time.localtime(promised.valid_until))
        yield "valid", f"until {until}, when the same command has in place of --quote:"
