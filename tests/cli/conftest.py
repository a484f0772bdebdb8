import functools
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog

import limner as limner_package
from limner.app import Limner
from limner.cli import main, session
from limner.config import ALIASES
from limner.config.settings import FLAG, OF_A_PROVIDER
from tests.cli import easel

ENVIRON = {**os.environ, "PYTHONPATH": str(Path(limner_package.__file__).parents[1])}
"""For a process of its own, which finds the same Limner as the tests."""


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder and a home of the test's own, and no settings from outside."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        ours = name.startswith("LIMNER_") or name in ALIASES
        if ours or FLAG.fullmatch(name) or OF_A_PROVIDER.fullmatch(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Give the logging that a command sets up back."""
    root = logging.getLogger()
    handlers, level, uvicorn = root.handlers[:], root.level, logging.getLogger("uvicorn").level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("uvicorn").setLevel(uvicorn)
    structlog.reset_defaults()


@pytest.fixture
def limner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`limner ...` in this process, with the easel as its only provider."""
    monkeypatch.setattr(session, "Limner", functools.partial(Limner, **easel.INSTALLED))

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        return Ran(code, *capsys.readouterr())

    return run
