"""Prompts: read them, shorten them, styles, templates and tests of them, and what each user keeps."""

import re
from typing import Annotated

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.caller import caller
from limner.api.reference import BODY, answer, get, limner_errors, takes
from limner.app import Limner
from limner.core.errors import NotFound
from limner.core.prompting import SlugPattern
from limner.core.request import clean_negative
from limner.core.shelf import (
    ExperimentResult,
    NewExperiment,
    NewTemplate,
    PictureVerdict,
    Preferences,
    RewriteCount,
    Template,
)
from limner.prompts.analyse import Analysis
from limner.prompts.check import PromptCheck
from limner.prompts.styles import Style, styles

_TAG = "Prompts"
_NAME = re.compile(SlugPattern)
_REF = re.compile(rf"{SlugPattern}(@[1-9][0-9]{{0,5}})?")


class PromptWords(BaseModel):
    """A prompt to be read: at most 10,000 characters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[str, AfterValidator(clean_negative)]


class PromptToShorten(PromptWords):
    """A prompt to be shortened. Without `force` only where it is longer than 3,000 characters."""

    force: bool = False


class RewriteMetrics(BaseModel):
    """How rewriting went since this journal was begun."""

    data: tuple[RewriteCount, ...]


class LanguageModel(BaseModel):
    """The language model that rewrites prompts and chats."""

    model: str
    provider: str
    address: str
    available: bool
    reason: str | None
    """Why it cannot be asked."""


class StyleList(BaseModel):
    """By name."""

    data: tuple[Style, ...]


class TemplateList(BaseModel):
    """By name, or the versions of one, the newest first."""

    data: list[Template]


class ExperimentList(BaseModel):
    """Newest first."""

    data: list[ExperimentResult]


class Erased(BaseModel):
    """What is gone."""

    erased: int
    """Verdicts on pictures."""


class Prompts:
    """The door. `limit` bounds a body, in bytes."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        self._mount_words(app)
        self._mount_templates(app)
        self._mount_tests(app)
        self._mount_preferences(app)

    def _mount_words(self, app: FastAPI) -> None:
        app.add_api_route(
            "/v1/prompts/analyze",
            self.analyze,
            methods=["POST"],
            tags=[_TAG],
            summary="Say what a prompt says about itself; nobody is asked",
            response_model=Analysis,
            responses=limner_errors(*BODY),
            openapi_extra=takes(PromptWords),
        )
        app.add_api_route(
            "/v1/prompts/optimize",
            self.optimize,
            methods=["POST"],
            tags=[_TAG],
            summary="Shorten a long prompt by the language model; one that is away leaves it as it is",
            response_model=PromptCheck,
            responses=limner_errors(*BODY, 507),
            openapi_extra=takes(PromptToShorten),
        )
        for path, endpoint, summary, model in (
            ("/v1/prompts/metrics", self.metrics, "How rewriting went", RewriteMetrics),
            ("/v1/language", self.language, "Who rewrites, and whether it can be asked", LanguageModel),
            ("/v1/styles", self.styles, "Limner's own styles, for `prompting.style_preset`", StyleList),
        ):
            get(
                app,
                path,
                endpoint,
                tags=[_TAG],
                summary=summary,
                response_model=model,
                responses=limner_errors(507),
            )

    def _mount_templates(self, app: FastAPI) -> None:
        app.add_api_route(
            "/v1/templates",
            self.add_template,
            methods=["POST"],
            status_code=201,
            tags=[_TAG],
            summary="Keep a template, or a new version of one; earlier versions stay",
            response_model=Template,
            responses=answer(201, "Kept") | limner_errors(*BODY, 507),
            openapi_extra=takes(NewTemplate),
        )
        for path, endpoint, summary, model, statuses in (
            ("/v1/templates", self.templates, "The newest version of each template", TemplateList, (507,)),
            ("/v1/templates/{ref}", self.template, "A template", Template, (404, 507)),
            ("/v1/templates/{name}/versions", self.versions, "All versions", TemplateList, (404, 507)),
        ):
            get(
                app,
                path,
                endpoint,
                tags=[_TAG],
                summary=summary,
                response_model=model,
                responses=limner_errors(*statuses),
            )

    def _mount_tests(self, app: FastAPI) -> None:
        app.add_api_route(
            "/v1/experiments",
            self.begin,
            methods=["POST"],
            status_code=201,
            tags=[_TAG],
            summary="Begin a test of templates",
            response_model=ExperimentResult,
            responses=answer(201, "Begun") | limner_errors(*BODY, 409, 507),
            openapi_extra=takes(NewExperiment),
        )
        get(
            app,
            "/v1/experiments",
            self.tests,
            tags=[_TAG],
            summary="All tests with their results",
            response_model=ExperimentList,
            responses=limner_errors(507),
        )
        get(
            app,
            "/v1/experiments/{name}",
            self.test,
            tags=[_TAG],
            summary="A test with its results",
            response_model=ExperimentResult,
            responses=limner_errors(404, 507),
        )
        app.add_api_route(
            "/v1/experiments/{name}/end",
            self.end,
            methods=["POST"],
            tags=[_TAG],
            summary="End a test: jobs get its first template from now on",
            response_model=ExperimentResult,
            responses=limner_errors(404, 507),
        )

    def _mount_preferences(self, app: FastAPI) -> None:
        path = "/v1/preferences"
        get(
            app,
            path,
            self.preferences,
            summary="All that is known of what the caller keeps, and what follows",
            tags=[_TAG],
            response_model=Preferences,
            responses=limner_errors(507),
        )
        app.add_api_route(
            path,
            self.judge,
            methods=["POST"],
            tags=[_TAG],
            response_model=Preferences,
            summary="Note that a picture is kept or deleted; the file stays as it is",
            responses=limner_errors(*BODY, 404, 507),
            openapi_extra=takes(PictureVerdict),
        )
        app.add_api_route(
            path,
            self.forget,
            methods=["DELETE"],
            tags=[_TAG],
            summary="Erase all of it",
            response_model=Erased,
            responses=limner_errors(507),
        )

    # -- words -------------------------------------------------------------------------------------------

    async def analyze(self, request: Request) -> Response:
        """Answer an `Analysis`."""
        asked, _ = await read(request, PromptWords, self._limit)
        return _json(self._limner.prompt_stats(asked.prompt))

    async def optimize(self, request: Request) -> Response:
        """Answer a `PromptCheck`."""
        asked, _ = await read(request, PromptToShorten, self._limit)
        return _json(await self._limner.check_prompt(asked.prompt, force=asked.force))

    async def metrics(self) -> Response:
        """Answer `RewriteMetrics`."""
        return _json(RewriteMetrics(data=tuple(await self._limner.prompt_metrics())))

    async def language(self) -> Response:
        """Answer a `LanguageModel`."""
        model = self._limner.language
        reason = await model.probe()
        return _json(
            LanguageModel(
                model=model.name,
                provider=model.provider,
                address=model.address,
                available=reason is None,
                reason=reason,
            )
        )

    async def styles(self) -> Response:
        """Answer a `StyleList`."""
        return _json(StyleList(data=styles()))

    # -- templates ---------------------------------------------------------------------------------------

    async def add_template(self, request: Request) -> Response:
        """Answer the `Template` as it is kept."""
        new, _ = await read(request, NewTemplate, self._limit)
        return _json(await self._limner.shelf.add_template(new, caller(request)), 201)

    async def templates(self) -> Response:
        """Answer a `TemplateList`."""
        return _json(TemplateList(data=await self._limner.shelf.templates()))

    async def template(self, ref: str) -> Response:
        """Answer the `Template` called `name` or `name@version`."""
        return _json(await self._limner.shelf.template(_known(_REF, ref)))

    async def versions(self, name: str) -> Response:
        """Answer a `TemplateList`."""
        return _json(TemplateList(data=await self._limner.shelf.versions(_known(_NAME, name))))

    # -- tests -------------------------------------------------------------------------------------------

    async def begin(self, request: Request) -> Response:
        """Answer the `ExperimentResult`, which is empty yet."""
        new, _ = await read(request, NewExperiment, self._limit)
        return _json(await self._limner.shelf.begin(new, caller(request)), 201)

    async def tests(self) -> Response:
        """Answer an `ExperimentList`."""
        return _json(ExperimentList(data=await self._limner.shelf.tests()))

    async def test(self, name: str) -> Response:
        """Answer an `ExperimentResult`."""
        return _json(await self._limner.shelf.test(_known(_NAME, name)))

    async def end(self, name: str) -> Response:
        """Answer the `ExperimentResult` as it ended."""
        return _json(await self._limner.shelf.end(_known(_NAME, name)))

    # -- preferences -------------------------------------------------------------------------------------

    async def preferences(self, request: Request) -> Response:
        """Answer the caller's `Preferences`."""
        return _json(await self._limner.shelf.preferences(caller(request)))

    async def judge(self, request: Request) -> Response:
        """Answer the caller's `Preferences` as they are now."""
        said, _ = await read(request, PictureVerdict, self._limit)
        return _json(await self._limner.judge(said.image, said.verdict, by=caller(request)))

    async def forget(self, request: Request) -> Response:
        """Answer what was `Erased`."""
        return _json(Erased(erased=await self._limner.shelf.forget(caller(request))))


def _known(pattern: re.Pattern[str], name: str) -> str:
    """Raises `NotFound` for what can be no name."""
    if not pattern.fullmatch(name):
        raise NotFound("nothing goes by that name here")
    return name


def _json(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")
