"""Pictures that a model names: by id, address or digest, or the file itself as base64."""

import binascii
import re

import pybase64

from limner.core.errors import InvalidRequest
from limner.mcp.answers import SCHEME
from limner.mcp.verbs import Verbs

_NAME = re.compile(r"[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATA_URL = re.compile(r"data:image/[a-z+.-]{1,20};base64,")


async def named(limner: Verbs, given: str, field: str) -> str:
    """The id or digest of the picture; one that is handed over is stored first. Raises `InvalidRequest`."""
    name = given.removeprefix(SCHEME)
    if _NAME.fullmatch(name):
        return name
    if name != given or given.startswith(("http:", "https:", "file:", "/")):
        raise InvalidRequest(
            f"{field}: {given[:80]!r} cannot be opened; give a picture's id, its digest or its base64", field
        )
    head = _DATA_URL.match(given)
    try:
        data = pybase64.b64decode(given[head.end() if head else 0 :], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(
            f"{field}: is no picture's id, no digest and not valid base64; the tool search finds ids", field
        ) from None
    return (await limner.keep(data)).digest
