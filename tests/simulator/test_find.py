from importlib.metadata import EntryPoint

import pytest

from limner.core.errors import SetupError
from limner.simulator import find
from tests.simulator.easel import Easel


def plug(monkeypatch, *names):
    entries = [EntryPoint(name, f"tests.simulator.test_find:{name}", find.ENTRY_POINTS) for name in names]
    monkeypatch.setattr(find, "entry_points", lambda group: entries if group == "limner.simulators" else [])


def test_a_plugin_is_found_beside_what_is_shipped(monkeypatch):
    plug(monkeypatch)
    shipped = find.installed()
    plug(monkeypatch, "Easel")
    found = find.installed()
    assert set(found) - set(shipped) == {"easel"}
    assert found["easel"].__name__ == "Easel"
    assert list(found) == sorted(found)


def test_a_plugin_takes_no_shipped_name(monkeypatch):
    plug(monkeypatch, "Easel")
    monkeypatch.setattr(find, "_shipped", lambda: [Shipped])
    assert find.installed() == {"easel": Shipped}


class Shipped(Easel):
    """The one that stays."""


def test_a_plugin_that_cannot_be_loaded_is_named(monkeypatch):
    plug(monkeypatch, "Nobody")
    with pytest.raises(SetupError, match=r"simulator plugin 'Nobody'.*cannot be loaded"):
        find.installed()


def test_every_shipped_vendor_is_known_by_the_name_of_its_module(monkeypatch):
    plug(monkeypatch)
    assert [(name, kind.__module__) for name, kind in find.installed().items() if kind.name != name] == []
