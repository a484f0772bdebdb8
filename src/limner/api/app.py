"""`create_app`: every HTTP door over one `Limner`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from limner import __version__
from limner.api.errors import MAX_MESSAGE, Fault, cut, fault_of
from limner.api.facts import FACTS
from limner.api.gallery import Gallery
from limner.api.health import HealthChecks
from limner.api.hooks import Calls
from limner.api.images import Images, ImagesBody
from limner.api.inputs import InputPictures
from limner.api.jobs import Jobs
from limner.api.middleware import Edge
from limner.api.models import Models
from limner.api.pages import Pages
from limner.api.providers import Providers
from limner.api.reconcile import Reconciliation
from limner.api.reference import describe
from limner.api.shapes import respond
from limner.api.usage import Usage
from limner.app import Limner
from limner.core.errors import LimnerError
from limner.core.lost import DecisionBody
from limner.core.request import GenerateRequest

_ABOUT = (
    "Draws pictures from text: OpenAI's images API for existing programs, and Limner's own quotes and jobs."
)


def create_app(
    limner: Limner,
    *,
    max_body_bytes: int = 1 << 20,
    public_url: str = "",
    version: str = __version__,
    cors_origins: Sequence[str] = ("*",),
) -> FastAPI:
    """The HTTP service. Entering its lifespan enters `limner`, leaving it leaves it.

    `public_url` is the address clients use, such as a proxy's; empty: addresses follow the request's Host.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with limner:
            yield

    app = FastAPI(
        title="Limner",
        version=version,
        description=_ABOUT,
        docs_url=None,  # the usual page loads its script from elsewhere; `pages` needs no network
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=list(cors_origins),
                allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=["*"],
                expose_headers=[*FACTS, "etag", "location", "retry-after"],
            ),
            Middleware(Edge, who=limner.who, own_host=urlsplit(public_url).hostname),
        ],
    )

    def document() -> dict[str, Any]:
        return describe(app, GenerateRequest, ImagesBody, DecisionBody)

    app.exception_handler(LimnerError)(_limner_error)
    app.exception_handler(HTTPException)(_routing_error)
    app.exception_handler(RequestValidationError)(_parameter_error)
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    for door in (
        Images(limner, max_body_bytes=max_body_bytes, public_url=public_url),
        Models(limner),
        Providers(limner),
        Usage(limner),
        InputPictures(limner),
        Jobs(limner, max_body_bytes=max_body_bytes),
        Reconciliation(limner, max_body_bytes=max_body_bytes),
        Calls(limner),
        Gallery(limner),
        HealthChecks(limner, version),
        Pages(limner, version=version, public_url=public_url, describe=document),
    ):
        door.mount(app)
    return app


async def _limner_error(request: Request, error: LimnerError) -> Response:
    return respond(fault_of(error), request.url.path)


async def _routing_error(request: Request, error: HTTPException) -> Response:
    """The router knows two: no such address, and not that way."""
    path = request.url.path
    asked = f"{request.method} {cut(path)}"
    if error.status_code == 405:
        allowed = ", ".join(sorted(_allowed(request)))
        said = f"{asked}: not that way; allowed: {allowed}"
        return respond(Fault("method_not_allowed", said, headers={"allow": allowed}), path)
    return respond(Fault("not_found", f"{asked}: nothing is here; GET /docs lists every address"), path)


def _allowed(request: Request) -> set[str]:
    """Every method some route takes at this path."""
    app: FastAPI = request.app
    return {
        method
        for route in app.routes
        if route.matches(request.scope)[0].value
        for method in getattr(route, "methods", None) or ()
    }


async def _parameter_error(request: Request, error: RequestValidationError) -> Response:
    """FastAPI's complaint about a query parameter, in this door's shape."""
    first = error.errors()[0]
    name = cut(str(first["loc"][-1]), 64)
    message = cut(f"{name}: {first['msg']}", MAX_MESSAGE)
    return respond(Fault("invalid_request", message, name), request.url.path)
