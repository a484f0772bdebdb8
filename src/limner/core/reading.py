"""From plain values to a request, with findings that people can act on."""

from collections.abc import Mapping

from pydantic import ValidationError

from limner.core.errors import InvalidRequest
from limner.core.request import GenerateRequest, RequestFields


def as_request(request: GenerateRequest | str, fields: RequestFields) -> GenerateRequest:
    """The request meant by a prompt or a request and keyword arguments. Raises `InvalidRequest`."""
    if isinstance(request, GenerateRequest) and not fields:
        return request
    given = {"prompt": request} if isinstance(request, str) else request.model_dump()
    return read_request(given | dict(fields))


def read_request(values: Mapping[str, object]) -> GenerateRequest:
    """A request from plain values. Raises `InvalidRequest` naming the first field at fault."""
    try:
        return GenerateRequest.model_validate(dict(values))
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: ValidationError) -> InvalidRequest:
    """Pydantic's findings as one sentence of ours; long input is never echoed."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    said = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{field} {said}" if field else said, field)
