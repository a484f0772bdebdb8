"""Where pictures are saved: decided, and proven writable, before anything is drawn."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limner.core.errors import InvalidRequest, StorageError
from limner.core.request import EXTENSION, Format

FORMATS: dict[str, Format] = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}


@dataclass(frozen=True, slots=True)
class Place:
    """Files to be written. `exact`: the caller named the file, so it may be replaced."""

    folder: Path
    stem: str
    suffix: str
    count: int
    exact: bool

    def save(self, index: int, data: bytes) -> Path:
        """Write picture `index` whole or not at all. Raises OSError."""
        if self.exact:
            return _replace(self.folder / self._name(index), data)
        for number in itertools.count(1):
            path = self.folder / self._free(number, index)
            with contextlib.suppress(FileExistsError):
                return _create(path, data)
        raise AssertionError("counting never ends")

    def _name(self, index: int) -> str:
        return f"{self.stem}{self.suffix}" if self.count == 1 else f"{self.stem}-{index + 1}{self.suffix}"

    def _free(self, number: int, index: int) -> str:
        """The name to try: picture.png, picture-2.png ...; of several, picture-1.png on."""
        if self.count == 1 and number == 1:
            return f"{self.stem}{self.suffix}"
        return f"{self.stem}-{number if self.count == 1 else index + number}{self.suffix}"


def picture(path: Path) -> bytes:
    """A picture to work on. Raises InvalidRequest when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}", "inputs") from None


def place(out: str | None, form: Format | None, count: int) -> tuple[Place, Format]:
    """Where to save, and the format that follows from the name unless `form` is given.

    A folder exists, or is meant by a slash at the end and is made.
    Raises InvalidRequest for a name that cannot be meant, StorageError where nothing can be written.
    """
    path = Path(out or "")
    if path.is_dir() or str(out).endswith("/"):
        chosen = form or "png"
        if not path.exists():
            _make(path)
        _check(path)
        return Place(path, "picture", f".{EXTENSION[chosen]}", count, exact=False), chosen
    chosen = form or _format_of(path)
    target = path if path.suffix or _special(path) else path.with_name(f"{path.name}.{EXTENSION[chosen]}")
    _check_target(target, count)
    return Place(target.parent, target.stem, target.suffix, count, exact=True), chosen


def _format_of(out: Path) -> Format:
    suffix = out.suffix.removeprefix(".").lower()
    if not suffix or _special(out):
        return "png"
    if suffix not in FORMATS:
        raise InvalidRequest(
            f"--out {out}: .{suffix} is no picture format; use .png, .jpg or .webp, or give --format",
            "out",
        )
    return FORMATS[suffix]


def _check_target(target: Path, count: int) -> None:
    if _special(target) and count > 1:
        raise InvalidRequest(f"--out {target} takes one picture; give a file name for --n {count}", "out")
    if not _special(target):
        _check(target.parent)
    if target.is_file() and not os.access(target, os.W_OK):
        raise StorageError(f"--out {target} exists and may not be written; choose another name")


def _special(path: Path) -> bool:
    """A device or pipe, as in `--out /dev/stdout`."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StorageError(f"--out {folder} cannot be made: {error.strerror}") from None


def _check(folder: Path) -> None:
    if not folder.exists():
        raise InvalidRequest(f"--out: there is no folder {folder}; make it first or choose another", "out")
    if not folder.is_dir():
        raise InvalidRequest(f"--out: {folder} is a file, not a folder", "out")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(f"--out: {folder.absolute()} cannot be written: {error.strerror}") from None


def _replace(path: Path, data: bytes) -> Path:
    if _special(path):
        path.write_bytes(data)
        return path
    target = path.resolve()
    with _temporary(target.parent, data) as temporary:
        temporary.replace(target)
    return path


def _create(path: Path, data: bytes) -> Path:
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise
    return path


@contextlib.contextmanager
def _temporary(folder: Path, data: bytes) -> Iterator[Path]:
    """A complete file beside the one to be, gone afterwards."""
    handle, name = tempfile.mkstemp(prefix=".limner-", dir=folder)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
