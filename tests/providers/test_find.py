from importlib.metadata import EntryPoint

import pytest

from limner.catalog.load import shipped_tables
from limner.core.errors import SetupError
from limner.providers import find
from limner.providers.local import Local
from tests.fakes import Desk, vendor

Easel = vendor(Desk())
Impostor = vendor(Desk(), "local")


def plug(monkeypatch, *names):
    entries = [EntryPoint(name, f"tests.providers.test_find:{name}", find.ENTRY_POINTS) for name in names]
    monkeypatch.setattr(find, "entry_points", lambda group: entries if group == "limner.providers" else [])


def test_every_shipped_provider_is_found(monkeypatch):
    plug(monkeypatch)
    found = find.installed()
    assert found["local"] is Local
    assert found.keys() == shipped_tables().keys()
    assert [name for name, kind in found.items() if kind.name != name] == []


def test_a_plugin_is_found_and_takes_no_shipped_name(monkeypatch):
    plug(monkeypatch, "Easel", "Impostor")
    found = find.installed()
    assert found.keys() - shipped_tables().keys() == {"easel"}
    assert (found["easel"].__name__, found["local"]) == ("Easel", Local)


def test_a_plugin_that_cannot_be_loaded_is_named(monkeypatch):
    plug(monkeypatch, "Nobody")
    with pytest.raises(SetupError, match=r"provider plugin 'Nobody'.*cannot be loaded"):
        find.installed()
