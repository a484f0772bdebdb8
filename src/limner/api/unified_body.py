"""Reading what clients of the unified API send: whatever is wrong with it is 422, with a list of findings."""

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from starlette.requests import Request

from limner.api.body import read
from limner.api.errors import findings, unprocessable
from limner.core.errors import InvalidRequest

Body = TypeVar("Body", bound=BaseModel)


class _Anything(BaseModel):
    """Any JSON object."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue]


async def read_object(request: Request, limit: int) -> dict[str, JsonValue]:
    """The body as it came. Raises `Unprocessable`, and as `read` for one too large, late or not JSON."""
    try:
        body, _ = await read(request, _Anything, limit)
    except InvalidRequest as error:
        raise unprocessable(error.field, str(error)) from error
    return body.__pydantic_extra__


def as_model(values: dict[str, JsonValue], into: type[Body]) -> Body:
    """The body as `into`, strictly typed. Raises `Unprocessable`."""
    try:
        return into.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise findings(error.errors(include_url=False, include_input=False), "body") from error


def from_query(request: Request, into: type[Body]) -> Body:
    """The query as `into`: everything there is text. Raises `Unprocessable`."""
    try:
        return into.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise findings(error.errors(include_url=False, include_input=False), "query") from error


def unknown(values: dict[str, JsonValue], into: type[BaseModel]) -> tuple[str, ...]:
    """Names in the body that `into` does not know."""
    return tuple(name for name in values if name not in into.model_fields)
