"""Read the catalog: one TOML file per provider, shipped here, beside a plugin, or in the user's folder."""

import logging
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from limner.catalog import options
from limner.catalog.model import Model, Models, ProviderEntry
from limner.core.errors import SetupError

_log = logging.getLogger(__name__)
_FILE = "_file"
_LOOK_EVERY_S = 1.0
Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """One provider's part of the catalog."""

    provider: str
    entry: ProviderEntry
    models: tuple[Model, ...]


class Catalog:
    """Every provider's listing, with what the user's `folder` says put over it.

    `folder/<provider>.toml` has the shape of the shipped files: a `[[models]]` table changes the entry with
    its id, key by key, or adds one. The folder is looked at again about once a second; a file that cannot be
    read then leaves what was in force and is told in `fault` and in the log.
    """

    def __init__(self, tables: Mapping[str, Traversable], folder: Path | None = None) -> None:
        """`tables` are the files by provider; the folder changes these providers only. Raises `SetupError`
        naming the file and the entry."""
        self._tables = {name: _read(table) for name, table in tables.items()}
        self._folder = folder
        self._seen = _stamp(folder)
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        self._listings = self._merge()
        self._models_of: tuple[Listing, ...] | None = None
        self._models = Models()
        self.fault: str | None = None

    @classmethod
    def of(cls, models: Iterable[Model]) -> "Catalog":
        """A catalog of models that a program brings itself."""
        found: dict[str, list[Model]] = {}
        for model in models:
            found.setdefault(model.provider, []).append(model)
        catalog = cls({})
        catalog._listings = tuple(
            Listing(name, ProviderEntry(title=name, description="", website=""), tuple(of))
            for name, of in found.items()
        )
        return catalog

    def listings(self) -> tuple[Listing, ...]:
        """Per provider, in the order of their names."""
        if self._folder is None or time.monotonic() < self._look_at:
            return self._listings
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        stamp = _stamp(self._folder)
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._listings = self._merge()
                self.fault = None
                _log.info("catalog read again from %s", self._folder)
            except SetupError as error:
                self.fault = str(error)
                _log.error("the catalog stays as it was: %s", error)
        return self._listings

    def models(self) -> Models:
        """Every model, in the order of the listings; the same object until the catalog changes."""
        listings = self.listings()
        if self._models_of is not listings:
            self._models_of = listings
            self._models = Models(chain.from_iterable(listing.models for listing in listings))
        return self._models

    def entry(self, provider: str) -> ProviderEntry | None:
        """What is said of a provider; None when nothing is."""
        return next((one.entry for one in self.listings() if one.provider == provider), None)

    def _merge(self) -> tuple[Listing, ...]:
        overrides = {path.stem: path for path in _overrides(self._folder)}
        return tuple(_listing(name, self._tables[name], overrides.get(name)) for name in sorted(self._tables))


def shipped_tables() -> dict[str, Traversable]:
    """The package's own files by provider."""
    folder = files("limner.catalog")
    return {
        entry.name.removesuffix(".toml"): entry for entry in folder.iterdir() if entry.name.endswith(".toml")
    }


def beside(module: str, provider: str) -> Traversable | None:
    """The catalog file of a plugin: `<provider>.toml` beside the module that defines the provider."""
    package = module.rpartition(".")[0]
    file = getattr(sys.modules.get(module), "__file__", None)
    if not (package or file):
        return None  # typed at a prompt: there is nothing beside it
    folder: Traversable = files(package) if package else Path(str(file)).parent
    table = folder.joinpath(f"{provider}.toml")
    return table if table.is_file() else None


@cache
def shipped_listings() -> tuple[Listing, ...]:
    """Every provider of the package. Raises `SetupError`."""
    return Catalog(shipped_tables()).listings()


def shipped() -> tuple[Model, ...]:
    """Every model of every provider of the package, in the order of their names. Raises `SetupError`."""
    return tuple(model for listing in shipped_listings() for model in listing.models)


def parse(table: Traversable) -> Listing:
    """One file. Raises `SetupError` naming the file and the entry."""
    return _listing(table.name.removesuffix(".toml"), _read(table), None)


def _read(table: Traversable) -> Table:
    try:
        document = tomllib.loads(table.read_text(encoding="utf-8"))
        for model in document.get("models", ()):
            model["dialect"] = _with_files(model.get("dialect", {}), table)
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise SetupError(f"catalog file {table} cannot be read: {error}") from error
    return document


def _with_files(dialect: Table, table: Traversable) -> Table:
    """`x_file` becomes `x`, the text of the file of that name beside the table."""
    found = {name: value for name, value in dialect.items() if not name.endswith(_FILE)}
    for name, value in dialect.items():
        if name.endswith(_FILE):
            path = files("limner.catalog") if not isinstance(table, Path) else table.parent
            found[name.removesuffix(_FILE)] = path.joinpath(str(value)).read_text(encoding="utf-8")
    return found


def _listing(provider: str, document: Table, override: Path | None) -> Listing:
    place = f"catalog file {provider}.toml"
    if override is not None:
        document = _over(document, _read(override))
        place = f"catalog file {override}"
    if "provider" not in document:
        raise SetupError(f"{place}: a [provider] table with title, description and website is missing")
    models = []
    try:
        entry = ProviderEntry.model_validate(document["provider"])
        for model in document.get("models", ()):
            place = f"{place.partition(',')[0]}, model {str(model.get('id'))[:80]!r}"
            models.append(Model.model_validate(model | {"provider": provider}))
            options.check(models[-1])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SetupError(f"{place}: {where}: {first['msg']}") from error
    except (AttributeError, TypeError) as error:
        raise SetupError(f"{place}: models must be [[models]] tables") from error
    except ValueError as error:
        raise SetupError(f"{place}: {error}") from error
    _check_successors(place, models)
    return Listing(provider, entry, tuple(models))


def _check_successors(place: str, models: Iterable[Model]) -> None:
    current = {model.id for model in models if model.retired is None}
    for model in models:
        if model.retired and model.successor and model.successor not in current:
            raise SetupError(
                f"{place}: {model.id} names the successor {model.successor!r}, which is not there"
            )


def _over(base: Table, override: Table) -> Table:
    """The override's provider table and models put over the base's, key by key."""
    changed = {str(model.get("id")): model for model in override.get("models", ())}
    models = [_deep(model, changed.pop(str(model.get("id")), {})) for model in base.get("models", ())]
    return {
        **base,
        **(
            {"provider": _deep(base.get("provider", {}), override["provider"])}
            if "provider" in override
            else {}
        ),
        "models": [*models, *changed.values()],
    }


def _deep(base: Table, over: Table) -> Table:
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _deep(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _overrides(folder: Path | None) -> list[Path]:
    return [] if folder is None or not folder.is_dir() else sorted(folder.glob("*.toml"))


def _stamp(folder: Path | None) -> tuple[tuple[str, int, int], ...]:
    """What tells that a file of the folder was changed, added or removed: also those that the tables name."""
    found = []
    for path in [] if folder is None else sorted(folder.rglob("*")):
        try:
            status = path.stat()
        except OSError:
            continue  # just removed, or none of ours to look at
        found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


@cache
def words(path: str) -> frozenset[str]:
    """All words a model's tokenizer knows; `path` is relative to the package."""
    file = files("limner").joinpath(path)
    try:
        vocabulary = orjson.loads(file.read_bytes())["model"]["vocab"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SetupError(
            f"{path} in the limner package is missing or broken; reinstall with "
            "`pip install --force-reinstall limner`"
        ) from error
    return frozenset(vocabulary)
