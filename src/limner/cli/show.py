"""The commands that only look: models, providers, jobs, settings, versions, one file."""

import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from limner.app import Limner
from limner.catalog.load import shipped
from limner.catalog.model import Model
from limner.cli import files, generate, session, view, words
from limner.config import SECRETS, Source, load, shown
from limner.core import money
from limner.core.errors import InvalidRequest
from limner.core.job import Job, JobState

STATES: tuple[JobState, ...] = (
    "queued",
    "running",
    "waiting",
    "storing",
    "needs_confirmation",
    "succeeded",
    "failed",
    "canceled",
)


def table(*columns: str) -> Table:
    """A light table whose last column takes the room that is left."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column != columns[-1])
    return made


def models(*, as_json: bool) -> None:
    """The catalog."""
    known = shipped()
    if as_json:
        words.print_json([model.model_dump(mode="json") for model in known])
        return
    made = table("model", "provider", "tier", "price", "size", "what")
    for model in known:
        made.add_row(*map(words.plain, _model(model)))
    view.out().print(made)


def _model(model: Model) -> Iterable[str]:
    width, height = model.sizes.default
    price = "price unknown" if model.price is None else money.show(model.price.usd)
    unit = "" if model.price is None or model.price.usd == 0 else f" per {model.price.unit}"
    retired = f"retired {model.retired}; " if model.retired else ""
    yield from (
        model.id,
        model.provider,
        model.tier,
        price + unit,
        f"{width}x{height}",
        retired + model.description,
    )


def providers(*, as_json: bool, debug: bool) -> None:
    """Who can be asked now."""

    async def ask() -> list[dict[str, object]]:
        async with session.entered(chosen) as door:
            if isinstance(door, Limner):
                return [status.model_dump(mode="json") for status in await door.providers()]
            return await door.providers()

    chosen = session.settings(debug=debug).settings
    found = session.run(ask)
    if as_json:
        words.print_json(found)
        return
    made = table("provider", "available", "models", "address", "why")
    for status in found:
        available = "yes" if status["available"] else "no"
        cells = [str(status.get(name, "")) for name in ("name", "models", "address", "reason")]
        made.add_row(*map(words.plain, (cells[0], available, *cells[1:])))
    view.out().print(made)


def jobs(*, state: str | None, project: str | None, limit: int, as_json: bool, debug: bool) -> None:
    """The newest jobs."""
    if not 1 <= limit <= 200:
        raise InvalidRequest(f"--limit must be from 1 to 200, not {limit}", "limit")
    wanted = next((known for known in STATES if known == state), None)
    if state is not None and wanted is None:
        raise InvalidRequest(f"--state must be one of {', '.join(STATES)}, not {state[:60]!r}", "state")

    async def ask() -> list[Job]:
        async with session.entered(chosen) as door:
            return await door.jobs(state=wanted, project=project, limit=limit)

    chosen = session.settings(debug=debug).settings
    found = session.run(ask)
    if as_json:
        words.print_json([job.model_dump(mode="json") for job in found])
    elif not found:
        words.warn("no jobs yet" if wanted is None and project is None else "no such jobs")
    elif (console := view.out()).width < 100:
        console.print(Group(*map(_short, found)))
    else:
        console.print(_listing(found))


def _listing(found: Iterable[Job]) -> Table:
    made = table("id", "state", "when", "model", "cost", "prompt")
    for job in found:
        first = job.images[0] if job.images else None
        model = first.model if first else job.request.model or ""
        cost = money.show(job.receipt.cost_usd) if job.receipt.cost_usd is not None else ""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created_at))
        made.add_row(job.id, _coloured(job.state), when, words.plain(model), cost, _prompt(job, 80))
    return made


def _short(job: Job) -> Text:
    """Two lines for a narrow terminal."""
    return Text.assemble(job.id, "  ", _coloured(job.state), "\n  ", _prompt(job, 44))


def _prompt(job: Job, room: int) -> Text:
    text = words.plain(job.request.prompt)
    return Text(text if len(text) <= room else text[: room - 3] + "...")


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


def job(job_id: str, *, out: Path | None, as_json: bool, debug: bool) -> None:
    """One job with its receipt; with `out`, its pictures are saved again."""

    async def ask() -> tuple[Job, list[Path]]:
        async with session.entered(chosen) as door:
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
        _one(found, as_json=as_json)


def cancel(job_id: str, *, as_json: bool, debug: bool) -> None:
    """Stop the order."""

    async def ask() -> Job:
        async with session.entered(chosen) as door:
            return await door.cancel(job_id)

    chosen = session.settings(debug=debug).settings
    _one(session.run(ask), as_json=as_json)


def _one(found: Job, *, as_json: bool) -> None:
    if as_json:
        words.print_json(found.model_dump(mode="json"))
        return
    console = view.out()
    rows = [
        ("job", Text(found.id)),
        ("state", _coloured(found.state)),
        ("prompt", Text(words.plain(found.request.prompt))),
    ]
    rows += [("why", Text(words.plain(found.error.message), style="red"))] if found.error else []
    rows += [("picture", Text(image.path)) for image in found.images]
    console.print(view.sheet(rows))
    console.print(view.receipt(found))


def config(*, as_json: bool) -> None:
    """Every setting in force and where it came from; secrets are masked."""
    loaded = load()
    values = shown(loaded.settings)
    if as_json:
        settings = {
            name: {"value": value, "source": str(loaded.sources[name])} for name, value in values.items()
        }
        words.print_json({"settings": settings, "unused": dict(loaded.unused)})
        return
    made = table("setting", "value", "from")
    derived = {
        "database_url": f"sqlite:///{loaded.settings.database_path}",
        "blob_url": loaded.settings.blobs,
    }
    for name, value in values.items():
        told = _value(name, value or derived.get(name))
        made.add_row(name, Text(told), Text(_from(loaded.sources[name])))
    console = view.out()
    console.print(made)
    for name, why in loaded.unused.items():
        console.print(Text(f"{name} is set and not used: {why}", style="yellow"))


def _value(name: str, value: object) -> str:
    if value in (None, "", []):
        return "-"
    if name in SECRETS:
        return "********"
    return ", ".join(map(str, value)) if isinstance(value, list) else words.plain(str(value))


def _from(source: Source) -> str:
    return "" if source.kind == "default" else words.plain(str(source))
