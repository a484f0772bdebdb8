"""How routes are mounted and documented: one OpenAPI document with every status an endpoint can give."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import Response
from starlette.routing import Route

from limner.api.shapes import DetailBody, LimnerErrorBody, OpenAIError, PlainErrorBody, WebuiErrorBody

Answer = dict[int | str, dict[str, Any]]
Endpoint = Callable[..., Awaitable[Response]]

MEANING = {
    304: "Unchanged since the given ETag",
    400: "The request cannot be accepted; `field` or `param` names what is at fault",
    401: "The server asks for a key, and none or a wrong one was sent",
    402: "Dearer than the caller or a budget allows, or bought only once a person has agreed",
    404: "No such thing",
    408: "The body did not arrive in time: 30 seconds, 120 for a form with files",
    409: "The Idempotency-Key was used before with another request, or the job is past the act asked for",
    413: "The body is larger than the server reads",
    415: "The body is not declared as JSON, or not as the form that is taken here",
    421: "Asked for under a foreign name on the loopback address",
    422: "A field has a wrong type or is out of range; `detail` lists what is wrong and where",
    429: "Too many requests; `Retry-After` says when to come back",
    431: "The address and the headers are longer than 64 KiB together",
    500: "A fault of Limner's own; the log tells more under the answer's `x-request-id`",
    502: "A vendor refused Limner's key or gave an answer that cannot be read",
    503: "Nothing can serve now",
    504: "A vendor took the order and did not answer in time",
    507: "The disk or the database refuses to write",
}
EVENTS = "text/event-stream"
PICTURES = ("image/png", "image/jpeg", "image/webp")
ANYWHERE = (401, 421, 431, 500)
BODY = (400, 408, 413, 415)
"""What any endpoint that reads a body can answer."""

IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body give the first answer again and buy nothing; another body is 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class _Key(StringConvertor):
    """An id of ours always has a digit, so that `/v1/images/generations` is no picture."""

    regex = "(?=[^/]*[0-9])[A-Za-z0-9_-]{1,64}"


class _Segment(StringConvertor):
    """A plain name inside a path: no dots in front, no separators, nothing invisible."""

    regex = "[A-Za-z0-9][A-Za-z0-9._-]{0,199}"


register_url_convertor("key", _Key())
register_url_convertor("segment", _Segment())


def post(app: FastAPI, path: str, endpoint: Endpoint, **documented: Any) -> None:  # noqa: ANN401 - FastAPI's own
    """Mount a POST that reads its request by hand: a plain route serves, FastAPI's behind it documents. What
    FastAPI does for an endpoint would cost its time and change nothing."""
    app.router.routes.append(Route(path, endpoint, methods=["POST"]))
    app.add_api_route(path, endpoint, methods=["POST"], **documented)


def get(app: FastAPI, path: str, endpoint: Endpoint, **documented: Any) -> None:  # noqa: ANN401 - FastAPI's own
    """Mount a GET, and the HEAD that every GET implies."""
    app.add_api_route(path, endpoint, methods=["GET"], **documented)
    app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)


def openai_errors(*statuses: int) -> Answer:
    """OpenAI-shaped answers for `statuses`, and those that any endpoint can give."""
    return _errors((*statuses, *ANYWHERE), OpenAIError)


def limner_errors(*statuses: int) -> Answer:
    """Limner-shaped answers for `statuses`, and those that any endpoint can give."""
    return _errors((*statuses, *ANYWHERE), LimnerErrorBody)


def plain_errors(*statuses: int) -> Answer:
    """Answers of one sentence for `statuses`, and those that any endpoint can give."""
    return _errors((*statuses, *ANYWHERE), PlainErrorBody)


def webui_errors(*statuses: int) -> Answer:
    """Answers as the web UI writes them for `statuses`, and those that any endpoint can give."""
    return _errors((*statuses, *ANYWHERE), WebuiErrorBody)


def unified_errors(*statuses: int) -> Answer:
    """Answers of the unified API's shape for `statuses`, and those that any endpoint can give."""
    return _errors((*statuses, *ANYWHERE), DetailBody)


def takes(model: type[BaseModel], *parameters: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of an endpoint that reads its body by hand."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}Input"}
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "parameters": list(parameters),
    }


def answer(status: int, description: str, *kinds: str, headers: Iterable[str] = ()) -> Answer:
    """An answer with contents of other `kinds` than JSON, or with headers worth knowing."""
    told: dict[str, Any] = {"description": description}
    if kinds:
        told["content"] = {kind: _content(kind) for kind in kinds}
    if headers:
        told["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
    return {status: told}


def _content(kind: str) -> dict[str, Any]:
    """A file, or what each event of a stream looks like."""
    if kind != EVENTS:
        return {"schema": {"type": "string", "format": "binary"}}
    data = {"type": "string", "contentMediaType": "application/json"}
    fields = {"event": {"type": "string"}, "data": data, "id": {"type": "string"}}
    return {"itemSchema": {"type": "object", "required": ["data"], "properties": fields}}


def describe(app: FastAPI, *bodies: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI document, with the bodies read by hand and without the 422 that FastAPI assumes."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        _, inputs = models_json_schema(
            [(body, "validation") for body in bodies], ref_template="#/components/schemas/{model}Input"
        )
        schemas = document["components"]["schemas"]
        schemas |= {f"{name}Input": schema for name, schema in inputs["$defs"].items()}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]
        app.openapi_schema = document
    return app.openapi_schema


def _errors(statuses: Iterable[int], shape: type[BaseModel]) -> Answer:
    return {status: {"description": MEANING[status], "model": shape} for status in statuses}
