"""`create_app`: every HTTP door over one `Limner`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from limner import __version__
from limner.api.chat import Chat
from limner.api.chat_shapes import ChatBody
from limner.api.errors import MAX_MESSAGE, Fault, cut, fault_of, findings
from limner.api.facts import FACTS
from limner.api.gallery import Gallery
from limner.api.health import HealthChecks
from limner.api.hooks import Calls
from limner.api.huggingface import HuggingFace, HuggingFaceBody
from limner.api.image_edits import EditsBody, EditWords, ImageEdits
from limner.api.image_health import ImageHealth
from limner.api.image_variations import ImageVariations, VariationWords
from limner.api.images import Images, ImagesBody
from limner.api.inputs import InputPictures
from limner.api.jobs import Jobs
from limner.api.middleware import Edge
from limner.api.models import Models
from limner.api.moderations import Moderations
from limner.api.pages import Pages
from limner.api.projects import ProjectBody, ProjectDoor
from limner.api.prompts import Prompts, PromptToShorten, PromptWords
from limner.api.providers import Providers, SwitchBody
from limner.api.reconcile import Reconciliation
from limner.api.reference import describe
from limner.api.shapes import lists_findings, respond
from limner.api.two_phase import TwoPhase
from limner.api.two_phase_shapes import PressBody
from limner.api.unified import Unified
from limner.api.unified_info import UnifiedInfo
from limner.api.unified_prompts import UnifiedPrompts
from limner.api.unified_words import BatchOrder, PromptBody, QuickOrder, UnifiedOrder
from limner.api.usage import Usage
from limner.api.webui import Webui
from limner.api.webui_bodies import WEBUI_BODIES
from limner.api.webui_lists import WebuiLists
from limner.api.webui_places import Places
from limner.app import Limner
from limner.core.errors import LimnerError
from limner.core.lost import DecisionBody
from limner.core.request import GenerateRequest
from limner.core.shelf import NewExperiment, NewTemplate, PictureVerdict
from limner.moderating import Judged

_ABOUT = (
    "Draws pictures from text: OpenAI's images API for existing programs, and Limner's own quotes and jobs."
)

_ASKED_ALL_DAY = frozenset(
    {
        "/v1/images/generations",
        "/v1/jobs",
        "/v1/jobs/{job_id:key}",
        "/unified/generate",
        "/generate-image",
        "/models/{model:path}",
        "/sdapi/v1/txt2img",
        "/sdapi/v1/progress",
    }
)


class Door(Protocol):
    """What answers at paths of its own."""

    def mount(self, app: FastAPI, /) -> None:
        """Add the routes."""
        ...


def create_app(
    limner: Limner,
    *,
    max_body_bytes: int = 1 << 20,
    max_upload_bytes: int = 50 << 20,
    public_url: str = "",
    version: str = __version__,
    cors_origins: Sequence[str] = ("*",),
    doors: Sequence[Door] = (),
) -> FastAPI:
    """The HTTP service. Entering its lifespan enters `limner`, leaving it leaves it.

    `public_url` is the address clients use, such as a proxy's; empty: addresses follow the request's Host.
    `doors` are mounted besides this package's own.
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
                expose_headers=[*FACTS, "etag", "location", "mcp-session-id", "retry-after"],
            ),
            Middleware(Edge, who=limner.who, own_host=urlsplit(public_url).hostname),
        ],
    )

    def document() -> dict[str, Any]:
        return describe(
            app,
            GenerateRequest,
            ImagesBody,
            EditsBody,
            EditWords,
            VariationWords,
            Judged,
            PressBody,
            ChatBody,
            DecisionBody,
            PromptWords,
            PromptToShorten,
            NewTemplate,
            NewExperiment,
            PictureVerdict,
            HuggingFaceBody,
            *WEBUI_BODIES,
            SwitchBody,
            UnifiedOrder,
            QuickOrder,
            BatchOrder,
            PromptBody,
            ProjectBody,
        )

    app.exception_handler(LimnerError)(_limner_error)
    app.exception_handler(HTTPException)(_routing_error)
    app.exception_handler(RequestValidationError)(_parameter_error)
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    places = Places()
    own: tuple[Door, ...] = (
        Images(limner, max_body_bytes=max_body_bytes, public_url=public_url),
        ImageEdits(limner, max_upload_bytes=max_upload_bytes, public_url=public_url),
        ImageVariations(limner, max_upload_bytes=max_upload_bytes, public_url=public_url),
        Moderations(limner, max_upload_bytes=max_upload_bytes),
        HuggingFace(limner),
        Webui(limner, places, max_body_bytes=max_body_bytes),
        WebuiLists(limner, places, max_body_bytes=max_body_bytes),
        Models(limner),
        Providers(limner, max_body_bytes=max_body_bytes),
        Unified(limner, max_body_bytes=max_body_bytes),
        UnifiedInfo(limner),
        UnifiedPrompts(limner, max_body_bytes=max_body_bytes),
        ProjectDoor(limner, max_body_bytes=max_body_bytes),
        Usage(limner),
        InputPictures(limner),
        Prompts(limner, max_body_bytes=max_body_bytes),
        Jobs(limner, max_body_bytes=max_body_bytes),
        Reconciliation(limner, max_body_bytes=max_body_bytes),
        Calls(limner),
        Gallery(limner),
        Chat(limner, max_body_bytes=max_body_bytes),
        TwoPhase(limner, max_body_bytes=max_body_bytes, public_url=public_url),
        ImageHealth(limner),
        HealthChecks(limner, version),
        Pages(limner, version=version, public_url=public_url, describe=document),
    )
    for door in (*own, *doors):
        door.mount(app)
    # Routes are tried one after the other, which for the last of them costs more than its answer.
    app.router.routes.sort(key=lambda route: getattr(route, "path", "") not in _ASKED_ALL_DAY)
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
    if lists_findings(request.url.path):
        return respond(fault_of(findings(error.errors())), request.url.path)
    first = error.errors()[0]
    name = cut(str(first["loc"][-1]), 64)
    message = cut(f"{name}: {first['msg']}", MAX_MESSAGE)
    return respond(Fault("invalid_request", message, name), request.url.path)
