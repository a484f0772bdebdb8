"""Which providers there are: every module of this package that defines one, and installed plugins."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from inspect import isabstract

from limner import providers
from limner.core.errors import SetupError
from limner.providers.base import Provider

ENTRY_POINTS = "limner.providers"


def installed() -> dict[str, type[Provider]]:
    """Provider classes by name; a plugin may not take a shipped provider's name. Raises `SetupError`."""
    found = {kind.name: kind for kind in _plugins()}
    return found | {kind.name: kind for kind in _shipped()}


def _shipped() -> Iterator[type[Provider]]:
    for module in pkgutil.iter_modules(providers.__path__):
        if module.name in ("base", "find"):
            continue
        for value in vars(import_module(f"limner.providers.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Provider) and not isabstract(value):
                yield value


def _plugins() -> Iterator[type[Provider]]:
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            yield entry.load()
        except (ImportError, AttributeError) as error:
            raise SetupError(
                f"the provider plugin {entry.name!r} ({entry.value}) cannot be loaded: {error}; "
                "mend or uninstall its package"
            ) from error
