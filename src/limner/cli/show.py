"""The commands that only look at files: models and settings. They start nothing."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from limner.app import Limner
from limner.catalog.model import Model
from limner.cli import view, words
from limner.config import SECRETS, Source, load, shown
from limner.core import money
from limner.core.errors import InvalidRequest

WIDE = 90
"""Columns from which a table is easier to read than a list."""


def show(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """A light table; in a narrow terminal each row is a short list under its first cell."""
    console = view.out()
    cells = [[cell if isinstance(cell, Text) else Text(words.plain(cell)) for cell in row] for row in rows]
    if console.width < WIDE:
        for first, *others in cells:
            console.print(first, style="bold")
            console.print(view.sheet(pair for pair in zip(columns[1:], others, strict=True) if pair[1].plain))
        return
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column != columns[-1])
    for row in cells:
        made.add_row(*row)
    console.print(made)


def models(*, of: str | None, everything: bool, as_json: bool) -> None:
    """The catalog: what can be asked for as things are set up, or all of it. Raises `InvalidRequest`."""
    limner = Limner(load().settings)
    names = {listing.provider for listing in limner.listings()}
    if of is not None and of not in names:
        known = ", ".join(sorted(names))
        raise InvalidRequest(f"no provider is called {of[:60]!r}; known: {known}", "provider")
    shown_of = {of} if of else names if everything else limner.set_up()
    found = [one for one in limner.models() if one.provider in shown_of]
    if as_json:
        words.print_json([model.model_dump(mode="json", exclude={"dialect"}) for model in found])
        return
    current = [model for model in found if everything or of or model.retired is None]
    show(("model", "provider", "tier", "price", "size", "what"), map(_model, current))
    others = names - shown_of
    if not of and others:
        view.err().print(
            f"{len(limner.models()) - len(found)} models of {len(others)} providers that are not set up: "
            "limner models --all; limner providers says what each needs",
            style="dim",
        )


def _model(model: Model) -> tuple[str, ...]:
    width, height = model.sizes.default
    price = "price unknown" if model.price is None else money.show(model.price.usd)
    unit = "" if model.price is None or model.price.usd == 0 else f" per {model.price.unit}"
    retired = f"retired {model.retired}; " if model.retired else ""
    what = retired + model.description
    return (model.id, model.provider, model.tier, price + unit, f"{width}x{height}", what)


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
    derived = {
        "database_url": f"sqlite:///{loaded.settings.database_path}",
        "blob_url": loaded.settings.blobs,
    }
    told = [
        (name, _value(name, value or derived.get(name)), _from(loaded.sources[name]))
        for name, value in values.items()
    ]
    console = view.out()
    if console.width < WIDE:
        for name, value, source in told:
            console.print(Text(f"{name} = {value}" + (f"  ({source})" if source else "")))
    else:
        show(("setting", "value", "from"), told)
    for name, why in loaded.unused.items():
        console.print(Text(f"{name} is set and not used: {why}", style="yellow"))


def _value(name: str, value: object) -> str:
    if value in (None, "", [], {}):
        return "-"
    if isinstance(value, dict):
        return words.plain(", ".join(value))
    if name in SECRETS:
        return "********"
    return ", ".join(map(str, value)) if isinstance(value, list) else words.plain(str(value))


def _from(source: Source) -> str:
    return "" if source.kind == "default" else words.plain(str(source))
