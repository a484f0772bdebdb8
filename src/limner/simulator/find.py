"""Which vendors can be simulated: every module of this package that defines one, and installed plugins."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from inspect import isabstract

from limner import simulator
from limner.core.errors import SetupError
from limner.simulator.vendor import Vendor

ENTRY_POINTS = "limner.simulators"
_CORE = frozenset(
    {"admin", "app", "faults", "find", "fixture", "gate", "journal", "pictures", "play", "vendor", "world"}
)


def installed() -> dict[str, type[Vendor]]:
    """Vendor classes by name; a plugin may not take a shipped vendor's name. Raises `SetupError`."""
    found = {kind.name: kind for kind in _plugins()}
    return dict(sorted((found | {kind.name: kind for kind in _shipped()}).items()))


def _shipped() -> Iterator[type[Vendor]]:
    for module in pkgutil.iter_modules(simulator.__path__):
        if module.name in _CORE:
            continue
        for value in vars(import_module(f"limner.simulator.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Vendor) and not isabstract(value):
                yield value


def _plugins() -> Iterator[type[Vendor]]:
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            yield entry.load()
        except (ImportError, AttributeError) as error:
            raise SetupError(
                f"the simulator plugin {entry.name!r} ({entry.value}) cannot be loaded: {error}; "
                "mend or uninstall its package"
            ) from error
