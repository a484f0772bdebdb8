"""How vendors' answers are read: pictures that come as text, errors in many words, counts that may be odd."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

import orjson
import pybase64
from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    Field,
    JsonValue,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from limner.wire import retry_after_s

M = TypeVar("M", bound=BaseModel)
SHOWN = 200
"""Characters of a vendor's words that people get to see."""
_TOLD = ("error", "title", "detail", "message", "msg", "type", "code")


def _decoded(told: object) -> object:
    if not isinstance(told, str):
        return told
    text = told.partition(",")[2] if told.startswith("data:") else told
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:  # some break it into lines
        return pybase64.b64decode(text, validate="\n" not in text)


def _none_if_odd(told: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(told)
    except ValidationError:
        return None


Encoded = Annotated[bytes, BeforeValidator(_decoded)]
"""A field with a picture as base64, alone or behind the head of a data URL. What it shows is seen later."""
IfReadable = Annotated[M | None, WrapValidator(_none_if_odd)]
"""A field beside the picture, such as a count. An odd one is None, and never costs us what was bought."""


class Trouble(BaseModel):
    """An error as OpenAI writes it, and those who copy its API."""

    message: str = Field(validation_alias=AliasPath("error", "message"))
    type: str | None = Field(None, validation_alias=AliasPath("error", "type"))
    code: str | None = Field(None, validation_alias=AliasPath("error", "code"))

    @property
    def said(self) -> str:
        """For people."""
        return ": ".join(filter(None, (self.code or self.type, self.message[:SHOWN])))


class _Wait(BaseModel):
    retry_after: float = Field(ge=0, le=3600)


def readable(body: bytes | str, into: type[M]) -> M | None:
    """What an error says, or what is told beside the pictures; None when the words are not the vendor's, such
    as a proxy's page."""
    try:
        return into.model_validate_json(body)
    except ValidationError:
        return None


def wait_s(body: bytes, headers: Mapping[str, str], default: float = 1.0) -> float:
    """Seconds to stay away, for vendors that say it in the body, and in the header only at times."""
    wait = readable(body, _Wait)
    return retry_after_s(headers, default) if wait is None else wait.retry_after


def words(body: bytes) -> str:
    """What an error says, whoever wrote it: the vendor, one behind it, or a proxy between."""
    try:
        return told_in(orjson.loads(body))
    except orjson.JSONDecodeError:
        return body[:SHOWN].decode("utf-8", "replace")


def told_in(said: JsonValue) -> str:
    """The texts that an error, or a list of them, holds under one of the usual names."""
    match said:
        case dict():
            return " ".join(filter(None, (told_in(said[name]) for name in _TOLD if name in said)))
        case list():
            return "; ".join(told_in(one) for one in said)
        case None:
            return ""
        case _:
            return str(said)
