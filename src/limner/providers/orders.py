"""What vendors' orders are made of: fields that are set, sizes as shapes, pictures as text and as files."""

from collections.abc import Collection, Mapping
from typing import TypeVar

import pybase64
from pydantic import JsonValue

from limner.core.request import GenerateRequest
from limner.core.shapes import extension, media_type, nearest_ratio
from limner.wire import Part

K = TypeVar("K", bound=str)
V = TypeVar("V")
Fields = dict[str, JsonValue]


def given(fields: Mapping[K, V | None]) -> dict[K, V]:
    """The fields that are set; what is None is not sent, and so left to the vendor."""
    return {name: value for name, value in fields.items() if value is not None}


def shape(request: GenerateRequest, ratios: Collection[str]) -> Fields:
    """Width and height; for a model that has a list of ratios the nearest of those instead."""
    width, height = request.size or (1024, 1024)
    if ratios:
        return {"aspect_ratio": nearest_ratio(width, height, ratios)}
    return {"width": width, "height": height}


def base64(picture: bytes) -> str:
    """The picture as text."""
    return pybase64.b64encode_as_string(picture)


def data_url(picture: bytes) -> str:
    """The picture as an address that holds it."""
    return f"data:{media_type(picture)};base64,{base64(picture)}"


def file(name: str, picture: bytes) -> Part:
    """A form's field with the picture. Vendors want its type, some a file name that goes with it as well."""
    mime = media_type(picture)
    return Part(name, picture, f"picture.{extension(mime)}", mime)
