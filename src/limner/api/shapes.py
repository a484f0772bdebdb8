"""One fault, said in the shape of the door that was asked: what its clients know how to read."""

from collections.abc import Callable, Mapping

import orjson
from pydantic import BaseModel, JsonValue
from starlette.responses import Response

from limner.api.errors import Fault

Shape = Callable[[Fault], dict[str, JsonValue]]


class OpenAIErrorInfo(BaseModel):
    """The inside of OpenAI's error object."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """OpenAI's error object: what its SDKs turn into exceptions."""

    error: OpenAIErrorInfo


class LimnerErrorInfo(BaseModel):
    """`code` is stable and made for programs, `message` for people."""

    code: str
    message: str
    field: str | None = None
    """The name at fault as the caller wrote it; absent when it is the request as a whole."""
    details: dict[str, str] | None = None
    """Candidate to reason, when nothing could serve; absent otherwise."""


class LimnerErrorBody(BaseModel):
    """Error of Limner's own endpoints."""

    error: LimnerErrorInfo


class DetailBody(BaseModel):
    """Error of the unified endpoints."""

    detail: str | list[dict[str, JsonValue]]


class PlainErrorBody(BaseModel):
    """Error of the doors whose clients read one sentence."""

    error: str


class WebuiErrorBody(BaseModel):
    """Error as AUTOMATIC1111's web UI writes it: `detail` is for people, `error` a stable word."""

    error: str
    detail: str
    body: str
    errors: str


def openai_shape(fault: Fault) -> dict[str, JsonValue]:
    """`{"error": {message, type, param, code}}`."""
    rule = fault.rule
    return {"error": {"message": fault.message, "type": rule.kind, "param": fault.field, "code": rule.word}}


def limner_shape(fault: Fault) -> dict[str, JsonValue]:
    """`{"error": {code, message, field?, details?}}`."""
    inside: dict[str, JsonValue] = {"code": fault.code, "message": fault.message}
    if fault.field is not None:
        inside["field"] = fault.field
    if fault.details:
        inside["details"] = dict(fault.details)
    return {"error": inside}


def unified_shape(fault: Fault) -> dict[str, JsonValue]:
    """`{"detail": sentence}`, or what is wrong with each field."""
    if not fault.findings:
        return {"detail": fault.message}
    return {"detail": [{"type": f.kind, "loc": [*f.loc], "msg": f.message} for f in fault.findings]}


def two_phase_shape(fault: Fault) -> dict[str, JsonValue]:
    """`{"success": false, "error": sentence, "code"}`."""
    code = "UNAUTHORIZED" if fault.code == "no_entry" else fault.code.upper()
    return {"success": False, "error": fault.message, "code": code}


def plain_shape(fault: Fault) -> dict[str, JsonValue]:
    """`{"error": sentence}`."""
    return {"error": fault.message}


def webui_shape(fault: Fault) -> dict[str, JsonValue]:
    """`{"error", "detail", "body", "errors"}`, as AUTOMATIC1111's web UI answers."""
    return {"error": fault.code, "detail": fault.message, "body": "", "errors": fault.message}


def rpc_shape(fault: Fault) -> dict[str, JsonValue]:
    """JSON-RPC's error without a request's id, as the Model Context Protocol answers."""
    return {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": fault.message}}


_SHAPES: Mapping[str, Shape] = {
    "/mcp": rpc_shape,
    "/v1/images": openai_shape,
    "/v1/models": openai_shape,
    "/v1/moderations": openai_shape,
    "/unified": unified_shape,
    "/projects": unified_shape,
    "/storage": unified_shape,
    "/health": unified_shape,
    "/chat": two_phase_shape,
    "/generate-image": two_phase_shape,
    "/health-check": two_phase_shape,
    "/models": plain_shape,
    "/hf-inference": plain_shape,
    "/sdapi": webui_shape,
}
"""By the beginning of the path, up to a slash."""


def shape_of(path: str) -> Shape:
    """How the door at `path` says what went wrong."""
    first = path.split("/", 3)
    return _SHAPES.get("/".join(first[:3])) or _SHAPES.get("/".join(first[:2])) or limner_shape


def lists_findings(path: str) -> bool:
    """The door's clients read what is wrong with each field, as 422."""
    return shape_of(path) is unified_shape


def respond(fault: Fault, path: str) -> Response:
    """The answer in the shape of the door that `path` belongs to."""
    rule = fault.rule
    headers = dict(fault.headers)
    if rule.status in (408, 409, 429) or rule.status >= 500:
        # OpenAI's SDKs send such answers' requests again unless told: a picture must not be bought twice.
        headers["x-should-retry"] = "true" if rule.again else "false"
    return Response(orjson.dumps(shape_of(path)(fault)), rule.status, headers, "application/json")
