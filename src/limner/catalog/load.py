"""Read the catalog: one TOML file per provider, shipped in this folder."""

import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import orjson
from pydantic import ValidationError

from limner.catalog.model import Model
from limner.core.errors import SetupError


def shipped() -> tuple[Model, ...]:
    """Every model of every `<provider>.toml` in the package, in the order of the files."""
    folder = files("limner.catalog")
    tables = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name
    )
    return tuple(model for table in tables for model in parse(table))


def parse(table: Traversable) -> tuple[Model, ...]:
    """The models of one file. Raises `SetupError` naming the file and the entry."""
    provider = table.name.removesuffix(".toml")
    try:
        document = tomllib.loads(table.read_text(encoding="utf-8"))
        return tuple(Model.model_validate(entry | {"provider": provider}) for entry in document["models"])
    except (tomllib.TOMLDecodeError, KeyError, ValidationError, OSError) as error:
        raise SetupError(f"catalog file {table.name} cannot be read: {error}") from error


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
