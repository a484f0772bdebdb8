"""Pictures inside JSON: base64, with or without the head of a data URL."""

import re

import pybase64

from limner.core.errors import InvalidRequest
from limner.inputs import MAX_INPUT_BYTES

PICTURE_BODY = MAX_INPUT_BYTES * 4 // 3 + (1 << 20)
"""Bytes of a body that holds pictures: one of the largest there are, or several smaller ones."""

_HEAD = re.compile(r"data:[a-z0-9.+/-]{0,100};base64,", re.IGNORECASE)
_PICTURE = re.compile(r"iVBORw0KGgo|/9j/|UklGR")
"""How PNG, JPEG and WebP files begin."""


def picture(text: str, field: str) -> bytes:
    """The file's bytes; whether they are a picture is for `Limner.keep` to say. Raises `InvalidRequest`."""
    head = _HEAD.match(text)
    try:
        return pybase64.b64decode(text[head.end() :] if head else text, validate=True)
    except ValueError as error:
        raise InvalidRequest(f"{field}: is no picture in base64", field) from error


def is_picture(text: str) -> bool:
    """Whether the text begins as a picture in base64 does. No prompt does."""
    head = _HEAD.match(text)
    return _PICTURE.match(text, head.end() if head else 0) is not None
