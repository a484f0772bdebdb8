import threading

import pytest

from limner.cli import session
from limner.core.errors import HomeInUse
from limner.store.lock import HomeLock
from tests.fakes import settings


async def test_a_command_waits_for_another_that_owns_the_home(tmp_path, capsys):
    owner = HomeLock(tmp_path)
    owner.__enter__()
    threading.Timer(0.5, owner.__exit__, (None, None, None)).start()
    async with session.entered(settings(tmp_path), idle=True) as door:
        assert await door.jobs() == []
    assert capsys.readouterr().err == "limner: waiting for another limner to finish with this home\n"


async def test_a_home_that_is_not_given_up_is_refused_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(session, "_RETRY_S", 0.01)
    with HomeLock(tmp_path), pytest.raises(HomeInUse, match="owns"):
        async with session.entered(settings(tmp_path), idle=True):
            pass
