"""An object store through obstore. Today memory, for tests and trials; S3 and its like fit the same calls."""

import asyncio
import time
from collections.abc import Callable

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from limner.core.errors import SetupError, StorageError


class Bucket:
    """Objects by key. An object store shows an object whole or not at all, and keeps what it confirmed."""

    def __init__(self, name: str, store: ObjectStore) -> None:
        self.name = name
        self._store = store

    def __str__(self) -> str:
        return self.name

    async def write(self, key: str, data: bytes, *, synced: bool = True) -> None:
        """Write or replace; what is confirmed is always synced."""
        try:
            await obstore.put_async(self._store, key, data)
        except (BaseError, OSError) as error:
            raise self._refused("write to", error) from error

    async def add(self, name: Callable[[bytes], str], data: bytes, *, synced: bool) -> str:
        """Write under the key that `name` gives the bytes, and return it: an object is never half there, and
        writing it again makes it young."""
        key = await asyncio.to_thread(name, data)
        await self.write(key, data)
        return key

    async def secure(self, key: str, size: int) -> bool:
        """What was confirmed is kept: only look whether it is there in full length."""
        try:
            return (await obstore.head_async(self._store, key))["size"] == size
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise self._refused("read", error) from error

    async def read(self, key: str) -> bytes | None:
        """The bytes, None when there is no such object."""
        try:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._refused("read", error) from error

    async def part(self, key: str, start: int, size: int) -> bytes | None:
        """`size` bytes from `start`, fewer at the end; None when there is no such object."""
        whole = await self.read(key)
        return None if whole is None else whole[start : start + size]

    async def remove(self, key: str) -> None:
        """Remove the object if it is there."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise self._refused("remove from", error) from error

    async def show(self, key: str, shown: str) -> bool:
        """Objects have one name: nothing to do. False when there is no such object."""
        try:
            await obstore.head_async(self._store, key)
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise self._refused("read", error) from error
        return True

    async def old(self, prefix: str, older_than_s: float) -> list[str]:
        """Keys under `prefix` of objects written more than `older_than_s` ago."""
        before = time.time() - older_than_s
        try:
            found = await obstore.list(self._store, prefix).collect_async()
        except (BaseError, OSError) as error:
            raise self._refused("list", error) from error
        return sorted(meta["path"] for meta in found if meta["last_modified"].timestamp() <= before)

    async def clear(self, keys: list[str], older_than_s: float) -> int:
        """Remove those of the objects that are still that old; how many."""
        old = set(keys).intersection(await self.old("blobs", older_than_s))
        for key in old:
            await self.remove(key)
        return len(old)

    async def probe(self) -> None:
        """Write a small object and remove it again. Raises `SetupError`."""
        try:
            await self.write("probe", b"limner")
            await self.remove("probe")
        except StorageError as error:
            raise SetupError(str(error)) from error

    def _refused(self, verb: str, error: Exception) -> StorageError:
        reason = str(error).partition("\n")[0]  # the rest is the debug form of a Rust value
        return StorageError(f"cannot {verb} the picture store {self.name} ({reason}): check blob_url")
