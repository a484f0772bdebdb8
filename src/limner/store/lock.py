"""One process owns the SQLite file. The lock is the kernel's, so a killed owner leaves none behind."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from limner.core.errors import HomeInUse, SetupError


def make_home(home: Path) -> None:
    """Make the home folder where there is none. Raises `SetupError`."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(home, error) from error


class HomeLock:
    """Exclusive ownership of a home folder; the lock file says who has it and where it answers.

    Entering raises `HomeInUse` when another process has it, `SetupError` when the folder cannot be used.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "limner.lock"
        self._file: int | None = None

    def __enter__(self) -> Self:
        make_home(self._home)
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unusable(self._home, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._in_use() from None
        try:
            self.tell(None)
        except OSError as error:
            self.__exit__(None, None, None)
            raise SetupError(
                f"{self._path} cannot be written: {error.strerror}; free some space there"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def tell(self, url: str | None) -> None:
        """Say where this owner answers, for commands that find the home in use."""
        if self._file is not None:
            said = orjson.dumps({"pid": os.getpid(), "url": url})
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, said, 0)

    def _in_use(self) -> HomeInUse:
        said = os.pread(self._file or 0, 4096, 0)
        os.close(self._file or 0)
        self._file = None
        try:
            owner = orjson.loads(said)
            pid, url = owner["pid"], owner["url"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            pid, url = "unknown", None
        where = f", serving {url}" if url else ""
        return HomeInUse(
            f"another Limner (process {pid}{where}) owns {self._home}; "
            "stop it, or set LIMNER_HOME to another folder",
            url,
        )


def _unusable(home: Path, error: OSError) -> SetupError:
    return SetupError(
        f"{home} cannot be used as Limner's home: {error.strerror}; "
        "set LIMNER_HOME to a folder that can be written"
    )
