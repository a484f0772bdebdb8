"""Prompts before they are ordered: are they short enough, and what do they say about themselves?"""

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from limner.api.reference import BODY, get, takes, unified_errors
from limner.api.unified_body import as_model, read_object
from limner.api.unified_words import PromptBody, check_length
from limner.app import Limner
from limner.core.errors import Unavailable
from limner.prompts.analyse import Analysis
from limner.prompts.check import PromptCheck


class ValidatorHealth(BaseModel):
    """Whether the language model that shortens prompts can be asked."""

    available: bool
    service: Literal["Ollama Prompt Validator"] = "Ollama Prompt Validator"
    url: str
    status: Literal["healthy", "unavailable", "error"]


class UnifiedPrompts:
    """The door."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(
            "/unified/validate-prompt",
            self.validate,
            methods=["POST"],
            tags=["Unified"],
            summary="Is the prompt short enough, and what would it be? Orders nothing",
            response_model=PromptCheck,
            responses=unified_errors(*BODY, 422, 503, 507),
            openapi_extra=takes(PromptBody),
        )
        app.add_api_route(
            "/unified/prompt-stats",
            self.stats,
            methods=["POST"],
            tags=["Unified"],
            summary="Count and analyse a prompt",
            response_model=Analysis,
            responses=unified_errors(*BODY, 422),
            openapi_extra=takes(PromptBody),
        )
        get(
            app,
            "/unified/prompt-validator/health",
            self.health,
            tags=["Unified"],
            summary="Can the language model be asked?",
            response_model=ValidatorHealth,
            responses=unified_errors(),
        )

    async def validate(self, request: Request) -> Response:
        """Answer a `PromptCheck`. Raises `Unavailable` where the language model is needed and away."""
        body = await self._body(request)
        found = await self._limner.check_prompt(body.prompt, body.force_optimize)
        if found.down:
            raise Unavailable(f"the prompt optimiser is not there: {found.error_message}")
        return _json(found)

    async def stats(self, request: Request) -> Response:
        """Answer an `Analysis`, which holds the seven counts."""
        body = await self._body(request)
        return _json(self._limner.prompt_stats(body.prompt))

    async def health(self) -> Response:
        """Answer `ValidatorHealth`, always with 200."""
        language = self._limner.language
        away = await language.probe()
        status: Literal["healthy", "unavailable"] = "healthy" if away is None else "unavailable"
        return _json(ValidatorHealth(available=away is None, url=language.address, status=status))

    async def _body(self, request: Request) -> PromptBody:
        body = as_model(await read_object(request, self._limit), PromptBody)
        check_length(body.prompt)
        return body


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
