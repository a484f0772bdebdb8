"""Who is asking: callers known by the keys the settings hold."""

import hmac
from collections.abc import Mapping

from limner.core.errors import NoEntry
from limner.core.usage import LOCAL_USER


class Keys:
    """Names and their keys. Without any, everybody is the one local user and no door asks."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = {name: key.encode() for name, key in keys.items()}

    @property
    def asked(self) -> bool:
        """Does a caller need a key?"""
        return bool(self._keys)

    def who(self, key: str | None) -> str:
        """The name that goes with the key. Raises `NoEntry`."""
        if not self._keys:
            return LOCAL_USER
        if not key:
            raise NoEntry("this server asks for a key: send it as Authorization: Bearer KEY")
        given = key.encode("utf-8", "surrogateescape")
        # All are compared, each in constant time: how long it takes tells nothing about which was close.
        names = [name for name, known in self._keys.items() if hmac.compare_digest(known, given)]
        if not names:
            raise NoEntry("the key is not one of this server's; ask its owner for one")
        return names[0]
