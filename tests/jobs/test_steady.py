import pytest

from limner.core.errors import Conflict, StorageError
from limner.jobs.steady import steadily


async def test_a_write_is_repeated_until_the_storage_takes_it():
    tries = []

    async def act():
        tries.append(1)
        if len(tries) < 4:
            raise StorageError("full")
        return "done"

    assert (await steadily(act, "end"), len(tries)) == ("done", 4)


async def test_what_is_not_the_storages_fault_is_not_repeated():
    async def act():
        raise Conflict("no")

    with pytest.raises(Conflict, match="no"):
        await steadily(act, "end")
