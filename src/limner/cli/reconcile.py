"""`limner reconcile` and `limner jobs decide`: orders whose outcome is unknown, and what is to follow."""

import getpass
from pathlib import Path
from typing import get_args

from rich.text import Text

from limner.cli import files, jobs, session, view, words
from limner.cli.show import show
from limner.core import money
from limner.core.errors import InvalidRequest
from limner.core.events import Ended
from limner.core.job import Decision, Job
from limner.core.lost import Finding, LostOrder, Reconciled

WORDS: dict[str, Decision] = {one.replace("_", "-"): one for one in get_args(Decision)}
"""What is to follow, as the command line says it."""


def lost(*, as_json: bool, debug: bool) -> None:
    """Every lost order."""

    async def ask() -> tuple[LostOrder, ...]:
        async with session.entered(chosen, idle=True) as door:
            return await door.lost()

    chosen = session.settings(debug=debug).settings
    found = session.run(ask)
    if as_json:
        words.print_json([one.model_dump(mode="json") for one in found])
    else:
        _table(found)


def ask_vendors(*, as_json: bool, debug: bool) -> None:
    """Ask about every lost order, and take what is found."""

    async def ask() -> Reconciled:
        async with session.entered(chosen, idle=True) as door:
            return await door.reconcile()

    chosen = session.settings(debug=debug).settings
    found = session.run(ask)
    if as_json:
        words.print_json(found.model_dump(mode="json"))
        return
    if found.findings:
        show(("job", "attempt", "learnt", "what"), map(_finding, found.findings))
    _table(found.left)


def decide(
    job_id: str, word: str | None, file: Path | None, *, by: str | None, as_json: bool, debug: bool
) -> None:
    """Say what is to follow; one that is bought after all is drawn before this returns."""
    decision = _decision(word)
    if (file is None) == (decision == "delivered"):
        said = "needs the FILE that came" if file is None else "takes no FILE"
        raise InvalidRequest(f"{word} {said}", "picture")
    picture = None if file is None else files.picture(file)

    async def say() -> Job:
        async with session.entered(chosen) as door:
            job = await door.decide(job_id, decision, by=by or _user(), picture=picture)
            return job if job.resting else await _seen_through(door, job_id)

    chosen = session.settings(debug=debug).settings
    jobs.one(session.run(say), as_json=as_json)


async def _seen_through(door: session.Door, job_id: str) -> Job:
    """The job at its end. Interrupted, it goes on with the next server or worker on this home."""
    with view.watching() as watcher:
        async with door.watch(job_id) as messages:
            async for message in messages:
                watcher.show(message)
                if isinstance(message, Ended):
                    return message.job
    return await door.read(job_id)


def _decision(word: str | None) -> Decision:
    decision = WORDS.get((word or "").replace("_", "-"))
    if decision is None:
        said = "say what is to follow" if word is None else f"{word[:40]!r} is no decision"
        raise InvalidRequest(f"{said}: {', '.join(WORDS)}", "decision")
    return decision


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:  # an account that the machine has no name for
        return "local"


def _table(found: tuple[LostOrder, ...]) -> None:
    if not found:
        words.warn("no lost orders")
        return
    show(("job", "attempt", "at", "charged", "asked by", "say", "prompt"), map(_row, found))


def _row(one: LostOrder) -> tuple[str | Text, ...]:
    said = ", ".join(choice.replace("_", "-") for choice in one.choices)
    if one.decided is not None:
        said = f"{one.decided.decision.replace('_', '-')}, said {one.decided.by}"
    return (
        one.job_id,
        str(one.n),
        f"{one.model} at {one.provider}",
        money.show(one.amount_usd),
        one.asked_by,
        said,
        one.prompt,
    )


def _finding(one: Finding) -> tuple[str | Text, ...]:
    return one.job_id, str(one.n), one.outcome.replace("_", " "), one.message
