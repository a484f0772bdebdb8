"""The commands that ask Limner: providers and jobs."""

import time
from pathlib import Path
from typing import get_args

from rich.console import Group
from rich.text import Text

from limner.app import ProviderStatus
from limner.cli import files, generate, session, view, words
from limner.cli.show import WIDE, show
from limner.core import money
from limner.core.errors import InvalidRequest
from limner.core.job import Job, JobState

STATES: tuple[JobState, ...] = get_args(JobState)


def providers(*, as_json: bool, debug: bool) -> None:
    """Who can be asked now."""

    async def ask() -> list[ProviderStatus]:
        async with session.entered(chosen) as door:
            return await door.providers()

    chosen = session.settings(debug=debug).settings
    found = session.run(ask)
    if as_json:
        words.print_json([status.model_dump(mode="json") for status in found])
        return
    found.sort(key=lambda status: not status.available)
    show(("provider", "available", "models", "why", "address"), map(_provider, found))


def _provider(one: ProviderStatus) -> tuple[str, ...]:
    name = one.name if one.account == one.name else f"{one.name} ({one.account})"
    return name, "yes" if one.available else "no", str(one.models), one.reason, one.address


def jobs(*, state: str | None, project: str | None, limit: int, as_json: bool, debug: bool) -> None:
    """The newest jobs."""
    if not 1 <= limit <= 200:
        raise InvalidRequest(f"--limit must be from 1 to 200, not {limit}", "limit")
    wanted = next((known for known in STATES if known == state), None)
    if state is not None and wanted is None:
        raise InvalidRequest(f"--state must be one of {', '.join(STATES)}, not {state[:60]!r}", "state")

    async def ask() -> list[Job]:
        async with session.entered(chosen, idle=True) as door:
            return await door.jobs(state=wanted, project=project, limit=limit)

    chosen = session.settings(debug=debug).settings
    found = session.run(ask)
    if as_json:
        words.print_json([job.model_dump(mode="json") for job in found])
    elif not found:
        words.warn("no jobs yet" if wanted is None and project is None else "no such jobs")
    elif (console := view.out()).width < WIDE:
        console.print(Group(*map(_short, found)))
    else:
        show(("id", "state", "when", "model", "cost", "prompt"), map(_row, found))


def _row(job: Job) -> tuple[str | Text, ...]:
    model = job.images[0].model if job.images else job.request.model or ""
    cost = money.show(job.receipt.cost_usd) if job.receipt.cost_usd is not None else ""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created_at))
    return (job.id, _standing(job), when, model, cost, _prompt(job, 80))


def _short(job: Job) -> Text:
    """Two lines for a narrow terminal."""
    return Text.assemble(job.id, "  ", _standing(job), "\n  ", _prompt(job, 44))


def _prompt(job: Job, room: int) -> Text:
    text = words.plain(job.request.prompt)
    return Text(text if len(text) <= room else text[: room - 3] + "...")


def _standing(job: Job) -> Text:
    """The state, and of one that waits in line its place there."""
    if job.waiting is None:
        return _coloured(job.state)
    return Text.assemble(_coloured(job.state), f", {job.waiting}")


def _coloured(state: JobState) -> Text:
    match state:
        case "succeeded":
            style = "green"
        case "failed" | "needs_confirmation":
            style = "red"
        case "canceled":
            style = "dim"
        case "queued" | "running" | "waiting" | "storing":
            style = "cyan"
    return Text(state, style=style)


def job(job_id: str, *, out: str | None, as_json: bool, debug: bool) -> None:
    """One job with its receipt; with `out`, its pictures are saved again."""

    async def ask() -> tuple[Job, list[Path]]:
        async with session.entered(chosen, idle=True) as door:
            found = await door.read(job_id)
            if out is None:
                return found, []
            where, _ = files.place(
                out, found.images[0].format if found.images else None, len(found.images) or 1
            )
            return found, await generate.saved(door, generate.finished(found), where, chosen)

    chosen = session.settings(debug=debug).settings
    found, paths = session.run(ask)
    if out is not None:
        generate.report(found, paths, as_json=as_json)
    else:
        one(found, as_json=as_json)


def cancel(job_id: str, *, as_json: bool, debug: bool) -> None:
    """Stop the order."""

    async def ask() -> Job:
        async with session.entered(chosen, idle=True) as door:
            return await door.cancel(job_id)

    chosen = session.settings(debug=debug).settings
    one(session.run(ask), as_json=as_json)


def one(found: Job, *, as_json: bool) -> None:
    """One job with its receipt."""
    if as_json:
        words.print_json(found.model_dump(mode="json"))
        return
    console = view.out()
    rows = [
        ("job", Text(found.id)),
        ("state", _standing(found)),
        ("prompt", Text(words.plain(found.request.prompt))),
    ]
    rows += [("why", Text(words.plain(found.error.message), style="red"))] if found.error else []
    if found.state == "needs_confirmation" and found.confirmation is not None:
        rows.append(("asks", Text(words.plain(found.confirmation.message), style="yellow")))
        rows += [("say", Text(f"limner jobs decide {found.id} {one}")) for one in found.confirmation.choices]
    rows += [("picture", Text(image.path)) for image in found.images]
    console.print(view.sheet(rows))
    console.print(view.receipt(found))
