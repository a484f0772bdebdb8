"""Pictures and raw answers by key, in a folder or an object store chosen by an address."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from obstore.store import MemoryStore

from limner.blobs.bucket import Bucket
from limner.blobs.folder import Folder, Name
from limner.core.errors import InvalidRequest, NotFound, SetupError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,199}/){0,3}[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_SHOWN = re.compile(r"images/(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,199}/){2}[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_BATCH = 500
_FRESH_BYTES = 16 * 1024 * 1024
"""Of the pictures stored last, which are answered from memory: most are asked for once, at once."""

Referenced = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Of these digests, those that some artifact still needs."""


class _Place(Protocol):
    async def write(self, key: str, data: bytes, *, synced: bool) -> None: ...
    async def add(self, name: Name, data: bytes, *, synced: bool) -> str: ...
    async def secure(self, key: str, size: int) -> bool: ...
    async def read(self, key: str) -> bytes | None: ...
    async def part(self, key: str, start: int, size: int) -> bytes | None: ...
    async def remove(self, key: str) -> None: ...
    async def show(self, key: str, shown: str) -> bool: ...
    async def old(self, prefix: str, older_than_s: float) -> list[str]: ...
    async def clear(self, keys: list[str], older_than_s: float) -> int: ...
    async def probe(self) -> None: ...


class Blobs:
    """Picture bytes by digest, and vendors' raw answers until they are settled.

    `url` is a folder (a plain path or `file:///path`) or `memory://`; an empty store, or one made later, is
    fine: nothing is touched before the first write. What `put` (synced) and `keep` have returned from
    survives a crash and a power cut. A full, read-only or missing disk raises `StorageError`. May be used by
    several tasks and several processes at once. Raises `SetupError` for other addresses.
    """

    def __init__(self, url: str | Path) -> None:
        self._place = _open(str(url))
        self._fresh: dict[str, bytes] = {}
        self._fresh_bytes = 0

    def __str__(self) -> str:
        return str(self._place)

    async def put(self, data: bytes, *, synced: bool = True) -> str:
        """Store a picture; its digest, SHA-256 in hex. Stored twice it is there once; a damaged file under
        its name is replaced.

        With `synced` false it survives a crash of this process but not yet a power cut: for a caller that can
        make it again, and calls `secure` later, when that costs next to nothing.
        """
        key = await self._place.add(_place_by_digest, data, synced=synced)
        digest = key.rpartition("/")[2]
        self._remember(digest, data)
        return digest

    def _remember(self, digest: str, data: bytes) -> None:
        self._fresh_bytes += len(data) - len(self._fresh.pop(digest, b""))
        self._fresh[digest] = data
        while self._fresh_bytes > _FRESH_BYTES:
            self._fresh_bytes -= len(self._fresh.pop(next(iter(self._fresh))))

    async def secure(self, digest: str, size_bytes: int) -> bool:
        """See that a picture put without syncing is on disk; False when it is not there in full length."""
        return await self._place.secure(_place_of(digest), size_bytes)

    async def get(self, digest: str) -> bytes:
        """The picture, as stored: not checked against its digest again. Raises `NotFound`."""
        data = await self._place.read(_place_of(digest))
        if data is None:
            raise NotFound(f"no picture {digest} in {self}")
        return data

    async def part(self, digest: str, start: int, size: int) -> bytes:
        """`size` bytes of the picture from `start` on, fewer at its end: of one that was just stored, without
        asking for its file. Raises `NotFound`."""
        fresh = self._fresh.get(digest)
        if fresh is not None:
            return fresh[start : start + size]
        data = await self._place.part(_place_of(digest), start, size)
        if data is None:
            raise NotFound(f"no picture {digest} in {self}")
        return data

    async def keep(self, key: str, data: bytes, *, synced: bool = True) -> None:
        """Save an answer as it came, before anything in it is read; replaces what was kept under this key.
        With `synced` false it survives a crash of this process, and not a power cut."""
        await self._place.write(_answer(key), data, synced=synced)

    async def kept(self, key: str) -> bytes | None:
        """The answer kept under this key, None when there is none."""
        return await self._place.read(_answer(key))

    async def drop(self, key: str) -> None:
        """Forget a kept answer; fine when there is none."""
        await self._place.remove(_answer(key))

    async def link(self, digest: str, path: str) -> None:
        """Let people find the picture in the folder as `images/{project}/{provider}/{file}` too; an object
        store has nothing to show. Raises `NotFound`."""
        if not _SHOWN.fullmatch(path):
            raise InvalidRequest(f"{path!r} is not of the form images/project/provider/file")
        if not await self._place.show(_place_of(digest), path):
            raise NotFound(f"no picture {digest} in {self}")

    async def probe(self) -> None:
        """Can it be written to? Writes and removes a small file. Raises `SetupError` with the reason."""
        await self._place.probe()

    async def sweep(self, older_than_s: float, referenced: Referenced) -> int:
        """Remove pictures that nothing refers to, and what crashed writes left. How many pictures went.

        Only what is older than `older_than_s` is looked at: it must be longer than a picture may wait between
        `put` and the record that refers to it. A digest put again is young again.
        """
        removed = 0
        keys = await self._place.old("blobs", older_than_s)
        for batch in [keys[at : at + _BATCH] for at in range(0, len(keys), _BATCH)] or [[]]:
            needed = await referenced([key.rpartition("/")[2] for key in batch])
            orphans = [key for key in batch if key.rpartition("/")[2] not in needed]
            removed += await self._place.clear(orphans, older_than_s)
        return removed


def _open(url: str) -> _Place:
    if "://" not in url and url.strip():
        return Folder(Path(url).expanduser().absolute())
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"):
        return Folder(Path(unquote(parts.path)))
    if url == "memory://":
        return Bucket(url, MemoryStore())
    raise SetupError(f"blob_url {url!r} is not known: give a folder, file:///path/of/a/folder, or memory://")


def _place_by_digest(data: bytes) -> str:
    return _place_of(hashlib.sha256(data).hexdigest())


def _place_of(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise InvalidRequest(f"{digest!r} is not a digest: 64 hexadecimal digits, lower case")
    return f"blobs/{digest[:2]}/{digest}"


def _answer(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidRequest(
            f"{key!r} is not a key: at most four parts of letters, digits, '.', '_' and '-' between slashes"
        )
    return f"answers/{key}"
