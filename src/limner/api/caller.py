"""Who asks over HTTP: the key in the request, and the doors that need none."""

import re
from base64 import b64decode
from collections.abc import Iterable

from starlette.requests import Request

from limner.core.usage import LOCAL_USER

OPEN = re.compile(
    r"/(|docs|openapi\.json|healthz|readyz|metrics|health|unified/health|unified/prompt-validator/health"
    r"|health-check/.*|chat|generate-image|storage/.*|v1/hooks/.*|v1/images/[^/]*[0-9][^/]*/(file|thumbnail))"
).fullmatch
"""Paths no key is asked for at the door: health, the reference, picture files (their addresses cannot be
guessed), what vendors call with their own token, and the two doors that look for a key in the body, too."""


def key_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key in `Authorization: Bearer KEY` or `x-api-key: KEY`, or as the password of HTTP Basic
    authentication, whose user may be any; None without one."""
    given = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, key = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() == "bearer" and key.strip():
                return key.strip()
            if scheme.lower() == "basic" and (password := _password(key)):
                return password
        elif name == b"x-api-key":
            given = value.decode("latin-1").strip()
    return given or None


def _password(pair: str) -> str:
    """The password in base64 of `user:password`, empty where there is none to be read."""
    try:
        return b64decode(pair.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def caller(request: Request) -> str:
    """Whose request it is, as the door found out."""
    found: str = request.scope.get("state", {}).get("by", LOCAL_USER)
    return found
