"""Vendors that call when an order is done. A call is a hint: it ends a wait, and proves nothing."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from limner.providers.base import Provider

_TOKEN_BYTES = 24


class Hooks:
    """Orders that wait here for their vendor. `public_url` is where vendors reach this service, empty when
    they cannot; `signed` are the secrets by which they sign their calls, by account."""

    def __init__(self, public_url: str = "", signed: Mapping[str, str] | None = None) -> None:
        self._public_url = public_url.rstrip("/")
        self._signed = dict(signed or {})
        self._waiting: dict[str, asyncio.Event] = {}

    def token(self, provider: Provider) -> str | None:
        """A new order's own word in the address its vendor is to call; None when it is not to call."""
        if not provider.webhooks or not self._reachable_from(provider):
            return None
        return secrets.token_hex(_TOKEN_BYTES)

    def address(self, provider: str, token: str | None) -> str | None:
        """Where the vendor calls."""
        return None if token is None else f"{self._public_url}/v1/hooks/{provider}/{token}"

    def secret(self, account: str) -> str | None:
        """What the account's vendor signs with, None where nobody has told."""
        return self._signed.get(account)

    def expected(self, provider: Provider, account: str, token: str | None) -> bool:
        """Will the vendor call about an order: by its own token, or as it does about all of the account's?"""
        return token is not None or (provider.standing_calls and account in self._signed)

    @contextmanager
    def listening(self, attempt_id: str, *, expected: bool) -> Iterator[asyncio.Event | None]:
        """Within the block: what is set when the order's vendor has called; None where it will not."""
        if not expected:
            yield None
            return
        called = self._waiting[attempt_id] = asyncio.Event()
        try:
            yield called
        finally:
            del self._waiting[attempt_id]

    def called(self, attempt_id: str) -> None:
        """The vendor has called about the order: whoever waits for it here looks now."""
        if attempt_id in self._waiting:
            self._waiting[attempt_id].set()

    def _reachable_from(self, provider: Provider) -> bool:
        """Vendors call by https alone; a stand-in on this machine also without."""
        if self._public_url.startswith("https://"):
            return True
        here = urlsplit(self._public_url).hostname
        return here in ("127.0.0.1", "localhost") and provider.wire.host in ("127.0.0.1", "localhost")
