"""The pages of the providers, written from their classes and the catalog: one each, and a list of all."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson
from pydantic import JsonValue

from limner.catalog.load import Catalog, Listing, beside, shipped_tables
from limner.catalog.model import Model, Price
from limner.core import money
from limner.providers.base import Provider, Recovery
from limner.providers.find import installed

_MADE = "<!-- Written by `make docs` from the providers and their catalog files. -->"
_LOST: dict[Recovery, str] = {
    Recovery.NAMED: "Limner chooses the order's id, so a lost answer is asked for by that id.",
    Recovery.TICKETED: "The vendor gives each order an id; a lost one is looked for in the vendor's list.",
    Recovery.BLIND: (
        "An answer that is lost cannot be asked for again. The order then counts as charged, and nothing is "
        "bought in its place unless the caller agrees."
    ),
}


_FREE = "It costs nothing, so what cannot be found again is ordered again."


def pages(docs: Path) -> dict[Path, str]:
    """Every page by its path below `docs`."""
    kinds = installed()
    shipped = shipped_tables()
    tables = {name: shipped.get(name) or beside(kind.__module__, name) for name, kind in kinds.items()}
    listings = Catalog({name: table for name, table in tables.items() if table is not None}).listings()
    folder = docs / "providers"
    found = {folder / f"{one.provider}.md": page(one, kinds[one.provider]) for one in listings}
    return {folder / "index.md": index(listings, kinds), **found}


def index(listings: Iterable[Listing], kinds: Mapping[str, type[Provider]]) -> str:
    """All providers in one table."""
    rows = [
        f"| [{one.entry.title}]({one.provider}.md) | `{one.provider}` | {_models_of(one)} | "
        f"{_needs(kinds[one.provider])} |"
        for one in listings
    ]
    head = ("| provider | name | models | needs |", "|---|---|---|---|")
    about = (
        "Who can draw. `limner providers` says who can be asked now; `limner serve --simulate` lets you try "
        "all of them without a key. What a file `<provider>.toml` in the folder `catalog` of the home says "
        "is put over the entries below, without a restart."
    )
    return "\n".join((_MADE, "", "# Providers", "", about, "", *head, *rows, ""))


def page(listing: Listing, kind: type[Provider]) -> str:
    """One provider's page."""
    entry = listing.entry
    current = [model for model in listing.models if model.retired is None]
    retired = [model for model in listing.models if model.retired is not None]
    parts = [_MADE, "", f"# {entry.title}", "", entry.description, "", f"API: <{entry.website}>", ""]
    if entry.cannot_draw:
        return "\n".join((*parts, f"**{entry.cannot_draw}**", ""))
    parts += [
        f"- Needs: {_needs(kind)}",
        f"- Address: `{kind.base_url}`; another one in `{_prefix(kind)}_URL` or `[accounts.NAME]`.",
        f"- When an answer is lost: {_FREE if kind.self_hosted else _LOST[kind.recovery]}",
        "",
        "## Models",
        "",
        "| model | at the vendor | tier | does | default size | price | read |",
        "|---|---|---|---|---|---|---|",
        *map(_row, current),
        "",
    ]
    parts += _options(current)
    if retired:
        parts += ["## Retired", "", "| model | since | served by |", "|---|---|---|"]
        parts += [*map(_gone, retired), ""]
    return "\n".join(parts)


def _models_of(listing: Listing) -> str:
    if listing.entry.cannot_draw:
        return "none"
    return str(sum(model.retired is None for model in listing.models))


def _needs(kind: type[Provider]) -> str:
    if kind.name == "local":
        return "nothing"
    if kind.self_hosted:
        return f"its address in `{(*kind.url_env, f'{_prefix(kind)}_URL')[0]}`"
    return f"a key in `{(*kind.key_env, f'{_prefix(kind)}_KEY')[0]}`"


def _prefix(kind: type[Provider]) -> str:
    return f"LIMNER_{kind.name.upper().replace('-', '_')}"


def _row(model: Model) -> str:
    names = "".join(f"<br>also `{name}`" for name in model.aliases)
    does = ", ".join(sorted(model.operations))
    width, height = model.sizes.default
    ref = f"`{model.ref}`" if model.ref else "as it is set there"
    if model.open:
        ref = f"any name, as `{model.provider}/NAME`"
    price, read = _price(model.price)
    return (
        f"| `{model.id}`<br>{model.name}{names} | {ref} | {model.tier} | {does} | {width}x{height} | "
        f"{price} | {read} |"
    )


def _price(price: Price | None) -> tuple[str, str]:
    if price is None:
        return "unknown", ""
    if price.usd == 0 and not price.rows:
        return "free", ""
    amounts = sorted({price.usd, *(row.usd for row in price.rows)})
    shown = " to ".join(money.show(usd) for usd in dict.fromkeys((amounts[0], amounts[-1])))
    unit = "image" if price.unit == "token" else price.unit
    return f"{shown} per {unit}", f"{price.read_on}, {price.source}"


def _options(models: Iterable[Model]) -> list[str]:
    """Options that only single models understand; those that share them stand together."""
    shared: dict[str, list[str]] = {}
    for model in models:
        if model.options:
            lines = "\n".join(_option(name, one) for name, one in model.options.items())
            shared.setdefault(lines, []).append(f"`{model.id}`")
    parts = []
    for lines, names in shared.items():
        parts += [f"## Options of {', '.join(names)}", "", "| option | values | what |", "|---|---|---|"]
        parts += [lines, ""]
    return parts


def _option(name: str, one: Mapping[str, JsonValue]) -> str:
    default = f", default `{_json(one['default'])}`" if "default" in one else ""
    return f"| `{name}` | {_values(one)}{default} | {one.get('description', '')} |"


def _values(one: Mapping[str, JsonValue]) -> str:
    words = one.get("enum")
    if isinstance(words, list):
        return ", ".join(f"`{_json(word)}`" for word in words)
    low, high = one.get("minimum"), one.get("maximum")
    if low is not None and high is not None:
        return f"{one.get('type', 'number')} {low} to {high}"
    return str(one.get("type", "any"))


def _json(value: JsonValue) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _gone(model: Model) -> str:
    by = f"`{model.successor}`" if model.successor else "nobody"
    return f"| `{model.id}` {model.name} | {model.retired} | {by} |"
