"""fal's calls: the keys it signs them with, and whether a call is signed by one of them."""

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from time import monotonic
from typing import Annotated

from pydantic import BaseModel, Field, JsonValue

from limner.core.errors import Malformed, Rejected, Unavailable
from limner.providers.answers import readable
from limner.providers.base import Ticket
from limner.wire import Wire

_KEYS = ".well-known/jwks.json"
_FALS_KEYS = f"https://rest.fal.ai/{_KEYS}"
_KEPT_S, _AGAIN_S = 86_400.0, 60.0
_FARTHEST_S = 300.0
_SIGNED = ("x-fal-webhook-request-id", "x-fal-webhook-user-id", "x-fal-webhook-timestamp")
_SIGNATURE = "x-fal-webhook-signature"
_KEY_BYTES = 32


class _Key(BaseModel):
    kty: JsonValue = None
    crv: JsonValue = "Ed25519"  # fal's description names `kty` and `x` alone
    x: JsonValue = None


class KeySet(BaseModel):
    """The vendor's public keys as it publishes them, among them perhaps keys of other kinds."""

    keys: tuple[_Key, ...]

    def usable(self) -> tuple[bytes, ...]:
        """The Ed25519 keys. Raises `Malformed` when there are none."""
        found = tuple(key for one in self.keys if (key := _raw(one)) is not None)
        if not found:
            raise Malformed("the key set has no Ed25519 key")
        return found


class _Call(BaseModel):
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Keys:
    """The vendor's public keys: kept for a day, and asked for again when none fits: it may have new ones."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._keys: tuple[bytes, ...] = ()
        self._asked_at = 0.0
        self._asking = asyncio.Lock()

    async def fit(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Has one of them signed the call? Raises `ProviderError` when they cannot be had."""
        if signed(headers, body, await self._had(_KEPT_S)):
            return True
        return signed(headers, body, await self._had(_AGAIN_S))

    async def _had(self, oldest_s: float) -> tuple[bytes, ...]:
        """Asked for when ours are older."""
        async with self._asking:  # calls that come at once ask once
            if not self._keys or monotonic() - self._asked_at > oldest_s:
                address = _FALS_KEYS if _is_fal(self._wire.host) else _KEYS
                try:
                    self._keys = (await self._wire.get(address, into=KeySet)).usable()
                except Rejected as error:  # the caller, who is told of it, is not at fault
                    raise Unavailable(f"the keys cannot be had: {error}") from error
                self._asked_at = monotonic()
            return self._keys


def ticket_of(model: str, body: bytes) -> Ticket | None:
    """The order that a call names: the queue keeps it under the first two parts of the model's path."""
    call = readable(body, _Call)
    if call is None:
        return None
    address = f"{'/'.join(model.split('/')[:2])}/requests/{call.request_id}"
    return {"status": f"{address}/status", "result": address, "cancel": f"{address}/cancel"}


def _is_fal(host: str) -> bool:
    """Whether it is the vendor itself, not a stand-in or somebody's proxy."""
    return host == "fal.run" or host.endswith(".fal.run")


def fresh(headers: Mapping[str, str], now: float) -> bool:
    """Whether a call has all that is signed, and was signed within 5 minutes of `now` in Unix seconds."""
    sent = headers.get(_SIGNED[2], "")
    if not all(headers.get(name) for name in (*_SIGNED, _SIGNATURE)):
        return False
    return sent.isdecimal() and len(sent) <= 12 and abs(now - int(sent)) <= _FARTHEST_S


def message(headers: Mapping[str, str], body: bytes) -> bytes:
    """What is signed: three headers and the body's digest, a line each."""
    lines = [*(headers.get(name, "") for name in _SIGNED), sha256(body).hexdigest()]
    return "\n".join(lines).encode("utf-8", "replace")


def signed(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes]) -> bool:
    """Whether one of the keys has signed the call. Its age is not looked at."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only who gets calls waits for it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

    try:
        signature = bytes.fromhex(headers.get(_SIGNATURE, ""))
    except ValueError:
        return False
    text = message(headers, body)
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
        except (InvalidSignature, ValueError):  # another key's, or a key that is no point of the curve
            continue
        return True
    return False


def _raw(key: _Key) -> bytes | None:
    """The key's bytes, None for a key of another kind."""
    if key.kty != "OKP" or key.crv != "Ed25519" or not isinstance(key.x, str):
        return None
    try:
        raw = urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4))
    except ValueError:
        return None
    return raw if len(raw) == _KEY_BYTES else None
