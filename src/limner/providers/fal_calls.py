"""fal's calls: the keys it signs them with, and whether a call is signed by one of them."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256

from pydantic import BaseModel, JsonValue

from limner.core.errors import Malformed

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
