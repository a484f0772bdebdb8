import errno
import os
import subprocess
import sys

import pytest

from limner.core.errors import HomeInUse, SetupError
from limner.store.lock import HomeLock


def test_a_home_has_one_owner_and_the_second_is_told_who_it_is(tmp_path):
    with HomeLock(tmp_path) as owner:
        with pytest.raises(HomeInUse) as caught, HomeLock(tmp_path):
            pass
        assert caught.value.url is None
        assert f"process {os.getpid()})" in str(caught.value)
        owner.tell("http://127.0.0.1:8003")
        with (
            pytest.raises(HomeInUse, match=r"serving http://127\.0\.0\.1:8003") as caught,
            HomeLock(tmp_path),
        ):
            pass
        assert caught.value.url == "http://127.0.0.1:8003"
    with HomeLock(tmp_path):
        pass


def test_a_killed_owner_leaves_no_lock_behind(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from limner.store.lock import HomeLock\n"
        "HomeLock(Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = os.pathsep.join(sys.path)
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, env={**os.environ, "PYTHONPATH": path}
    )
    with HomeLock(tmp_path):
        pass


def test_an_owner_whose_note_cannot_be_read_is_still_the_owner(tmp_path):
    with HomeLock(tmp_path):
        (tmp_path / "limner.lock").write_text("?")
        with pytest.raises(HomeInUse, match="process unknown") as caught, HomeLock(tmp_path):
            pass
    assert caught.value.url is None


def test_a_home_that_is_a_file_is_told_with_the_way_out(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(SetupError, match=r"home cannot be used as Limner's home: .*set LIMNER_HOME"):
        HomeLock(tmp_path / "home").__enter__()


def test_a_home_that_cannot_be_made_is_told_with_the_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="set LIMNER_HOME to a folder that can be written"):
        HomeLock(tmp_path / "file" / "home").__enter__()


def test_a_read_only_home_is_told_with_the_way_out(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("limner.store.lock.os.open", refuse)
    with pytest.raises(SetupError, match="Read-only file system; set LIMNER_HOME"):
        HomeLock(tmp_path).__enter__()


def test_a_disk_too_full_for_the_note_frees_the_lock_again(tmp_path, monkeypatch):
    def refuse(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("limner.store.lock.os.pwrite", refuse)
        with pytest.raises(SetupError, match="No space left on device"):
            HomeLock(tmp_path).__enter__()
    with HomeLock(tmp_path):
        pass


def test_who_has_left_says_nothing_any_more(tmp_path):
    lock = HomeLock(tmp_path)
    with lock:
        before = (tmp_path / "limner.lock").read_bytes()
    lock.tell("http://127.0.0.1:1")
    assert (tmp_path / "limner.lock").read_bytes() == before
