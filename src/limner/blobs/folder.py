"""A folder of files that are whole or not there, also after the power went.

Plain system calls rather than obstore's LocalStore, which gives a file its final name without ever calling
fsync (strace, 0.12.1): after a power cut the name may stand for half the bytes or none, and syncing later
cannot mend that order. CPU per write, without waiting for the disk: 2 KB 0.08 ms here, 0.12 ms there;
1.5 MB 1.2 ms here, 3.3 ms there.

Every synced write goes to a thread, small ones too: fsync blocks for as long as the disk takes (10 ms for
both of one write where this was measured), and writes that wait side by side are committed together: 16 at
once took 0.5 ms each in threads, with a third of the CPU, against 11 ms each one after the other.
"""

import asyncio
import contextlib
import errno
import itertools
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from limner.core.errors import SetupError, StorageError

INLINE = 64 * 1024
"""Bytes up to which hashing or reading on the spot costs less than handing it to a thread."""
_UNFINISHED = "unfinished"
_NUMBERS = itertools.count()
P = ParamSpec("P")
T = TypeVar("T")
Name = Callable[[bytes], str]
"""The key of these bytes; large ones are hashed where they are written, in one thread."""


class Folder:
    """Files under `root` by key, which is a relative path; the callers check keys. Nothing is made before the
    first write. Every `OSError` comes up as `StorageError` with the folder, the reason and the way out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = str(root)
        """As text: on the way of every picture, joining paths as objects costs as much as writing them."""

    def __str__(self) -> str:
        return str(self.root)

    async def write(self, key: str, data: bytes, *, synced: bool = True) -> None:
        """Write or replace; synced, it is on disk, name and all, on return. A cancelled write is finished by
        its thread. Unsynced and small, it is written on the spot."""
        if synced or len(data) > INLINE:
            await asyncio.to_thread(
                self._guarded, "write to", self._place, self._path(key), data, synced=synced
            )
        else:
            self._guarded("write to", self._place, self._path(key), data, synced=False)

    async def add(self, name: Name, data: bytes, *, synced: bool) -> str:
        """Write under the key that `name` gives the bytes, and return it; a file with these very bytes is
        left as it is, made young again. Unsynced and small, it is written on the spot: without the wait for
        the disk that costs less than a thread."""
        if synced or len(data) > INLINE:
            return await asyncio.to_thread(self._guarded, "write to", self._add, name, data, synced)
        return self._guarded("write to", self._add, name, data, synced)

    async def secure(self, key: str, size: int) -> bool:
        """Sync a file that was added unsynced; False when it is not there in full length."""
        return await asyncio.to_thread(self._guarded, "write to", self._secure, self.root / key, size)

    async def read(self, key: str) -> bytes | None:
        """The bytes, None when there is no such file."""
        path = self.root / key
        try:
            large = path.stat().st_size > INLINE
            return await asyncio.to_thread(path.read_bytes) if large else path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refused("read", error) from error

    async def part(self, key: str, start: int, size: int) -> bytes | None:
        """`size` bytes from `start`, fewer at the end; None when there is no such file. On the spot where the
        kernel has them in memory, as it has what was just written."""
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._refused("read", error) from error
        try:
            found = _in_memory(descriptor, start, size)
            return await asyncio.to_thread(os.pread, descriptor, size, start) if found is None else found
        except OSError as error:
            raise self._refused("read", error) from error
        finally:
            os.close(descriptor)

    async def remove(self, key: str) -> None:
        """Remove the file if it is there; freeing a large one takes the disk a millisecond."""
        await asyncio.to_thread(self._guarded, "remove from", self._remove, self.root / key)

    async def show(self, key: str, shown: str) -> bool:
        """Let the file be seen under a second name: a hard link, or a copy where the disk knows none. Not
        synced, since it can be made again. False when there is no such file."""
        source, target = self._path(key), self._path(shown)
        try:
            return self._link(source, target)  # on the spot: nothing in it waits for the disk
        except OSError:  # a disk without hard links, or one with a fault that a copy will meet too
            await asyncio.to_thread(self._guarded, "write to", self._copy, Path(source), Path(target))
        return True

    async def old(self, prefix: str, older_than_s: float) -> list[str]:
        """Keys under `prefix` of files last written or added more than `older_than_s` ago."""
        return await asyncio.to_thread(self._guarded, "list", self._old, prefix, older_than_s)

    async def clear(self, keys: list[str], older_than_s: float) -> int:
        """Remove those of the files that are still that old, the names they are shown under below `images/`,
        and unfinished writes of that age. How many files were removed."""
        return await asyncio.to_thread(self._guarded, "remove from", self._clear, keys, older_than_s)

    async def probe(self) -> None:
        """Write a small file and remove it again. Raises `SetupError`."""
        try:
            await self.write("probe", b"limner")
            await self.remove("probe")
        except StorageError as error:
            raise SetupError(str(error)) from error

    def _guarded(self, verb: str, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return act(*args, **kwargs)
        except OSError as error:
            raise self._refused(verb, error) from error

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(NotADirectoryError):
            path.unlink(missing_ok=True)

    def _add(self, name: Name, data: bytes, synced: bool) -> str:
        key = name(data)
        self._leave_or_place(self._path(key), data, synced)
        return key

    def _leave_or_place(self, path: str, data: bytes, synced: bool) -> None:
        try:
            size = os.stat(path).st_size  # noqa: PTH116 - text, as _root says
            same = size == len(data) and Path(path).read_bytes() == data
        except FileNotFoundError:
            same = False
        if not same:
            self._place(path, data, synced=synced)
            return
        os.utime(path)
        if synced:  # whoever wrote it may not have come this far yet
            self._secure(Path(path), len(data))

    def _secure(self, path: Path, size: int) -> bool:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(descriptor).st_size != size:
                return False
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync_folder(path.parent)
        return True

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _place(self, path: str, data: bytes, *, synced: bool = True) -> None:
        """Bytes to disk under a name of no meaning, then the name, then the folder that holds the name."""
        unfinished = self._unfinished()
        try:
            descriptor = _create(unfinished)
        except FileNotFoundError:
            _make(Path(unfinished).parent)
            descriptor = _create(unfinished)
        try:
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                if synced:
                    os.fsync(descriptor)
                    _let_go(descriptor, len(data))
            finally:
                os.close(descriptor)
            self._name(unfinished, path)
        except OSError:
            Path(unfinished).unlink(missing_ok=True)
            raise
        if synced:
            _sync_folder(Path(path).parent)

    def _unfinished(self) -> str:
        return self._path(f"{_UNFINISHED}/{os.getpid()}-{next(_NUMBERS)}-{time.time_ns():x}")

    def _name(self, unfinished: str, path: str) -> None:
        try:
            os.replace(unfinished, path)  # noqa: PTH105 - text, as _root says
        except FileNotFoundError:
            _make(Path(path).parent)
            os.replace(unfinished, path)  # noqa: PTH105 - text, as _root says

    def _link(self, source: str, target: str) -> bool:
        try:
            os.link(source, target)
        except FileNotFoundError:
            if not Path(source).exists():
                return False
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
        except FileExistsError:
            if not Path(target).samefile(source):
                beside = self._unfinished()
                Path(beside).parent.mkdir(exist_ok=True)
                os.link(source, beside)
                os.replace(beside, target)  # noqa: PTH105 - text, as _root says
        return True

    def _copy(self, source: Path, target: Path) -> None:
        beside = Path(self._unfinished())
        for folder in (target.parent, beside.parent):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, beside)
        beside.replace(target)

    def _old(self, prefix: str, older_than_s: float) -> list[str]:
        before = time.time() - older_than_s
        found = _files(self.root / prefix)
        return sorted(str(path.relative_to(self.root)) for path, status in found if status.st_mtime <= before)

    def _clear(self, keys: list[str], older_than_s: float) -> int:
        before = time.time() - older_than_s
        removed, shown = 0, set()
        for path, status in _present(self.root / key for key in keys):
            if status.st_mtime <= before:  # it may have been added again since it was listed
                path.unlink(missing_ok=True)
                removed += 1
                shown.add(status.st_ino)
        for path, status in _files(self.root / "images") if shown else ():
            if status.st_ino in shown:
                path.unlink(missing_ok=True)
        for name in self._old(_UNFINISHED, older_than_s):
            (self.root / name).unlink(missing_ok=True)
        return removed

    def _refused(self, verb: str, error: OSError) -> StorageError:
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                way = "free some space there, or set blob_url to a folder on another disk"
            case errno.EROFS | errno.EACCES | errno.EPERM:
                way = "let this user write there, or set blob_url to another folder"
            case errno.ENOTDIR | errno.EEXIST:
                way = (
                    "a file stands where a folder is needed; move it away, or set blob_url to another folder"
                )
            case _:
                way = "check that the disk is mounted and sound, or set blob_url to another folder"
        return StorageError(
            f"cannot {verb} the picture folder {self.root} ({error.strerror or error}): {way}"
        )


def _in_memory(descriptor: int, start: int, size: int) -> bytes | None:
    """The part without waiting for the disk; None when the disk would have to be asked, or cannot be asked
    like that."""
    if not hasattr(os, "RWF_NOWAIT"):
        return None
    held = bytearray(size)
    try:
        length = os.preadv(descriptor, [held], start, os.RWF_NOWAIT)
    except (BlockingIOError, OSError) as error:
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            return None
        raise
    at_the_end = start + length == os.fstat(descriptor).st_size
    return bytes(memoryview(held)[:length]) if length == size or at_the_end else None


def _let_go(descriptor: int, size: int) -> None:
    """The kernel need not keep a large file in memory that is on disk: whoever asks next for it asks at once,
    and is answered from ours. Pages that are given back are had again for nothing; new ones took a virtual
    machine three times as long to write to."""
    if size > INLINE and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _create(path: str) -> int:
    # Read-only, since what people open under `images/` is the stored file itself.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)


def _make(folder: Path) -> None:
    """Make the folder and those above it; each new name is on disk on return."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    return _present(folder.rglob("*"))


def _present(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Those that are files; another process may take some away meanwhile."""
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield path, status
