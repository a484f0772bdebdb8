"""Which providers are switched off while Limner runs. The table `provider_configs` is the truth."""

import asyncio
import logging
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from limner.core.errors import StorageError
from limner.core.ids import uuid7
from limner.store.connections import Connections
from limner.store.schema import provider_configs

_log = logging.getLogger(__name__)
_EVERY_S = 0.5


class Switches:
    """What the table says, as of half a second ago: other processes, and people with SQL, change it too."""

    def __init__(self, database: Connections) -> None:
        self._database = database
        self._off: frozenset[str] = frozenset()

    def off(self, provider: str) -> bool:
        """The provider may not be asked for pictures."""
        return provider in self._off

    async def look(self) -> None:
        """Read the table."""
        self._off = await self._database.read(_read)

    async def work(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.look()
            except StorageError as error:
                _log.warning("cannot see which providers are switched off: %s", error)

    async def turn(self, provider: str, title: str, *, enabled: bool) -> None:
        """Switch a provider on or off, here at once and everywhere within a second."""

        def act(connection: Connection) -> None:
            change = update(provider_configs).where(provider_configs.c.provider == provider)
            found = connection.execute(change.values(is_enabled=enabled, updated_at=datetime.now(UTC)))
            if found.rowcount == 0:
                values = {"id": uuid7(), "provider": provider, "name": title, "is_enabled": enabled}
                connection.execute(insert(provider_configs).values(values))

        await self._database.write(act)
        await self.look()


def _read(connection: Connection) -> frozenset[str]:
    off = select(provider_configs.c.provider).where(provider_configs.c.is_enabled.is_(False))
    return frozenset(connection.execute(off).scalars())
