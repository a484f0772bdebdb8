"""Is it alive, and can it serve? Neither calls a paid endpoint; the first touches nothing at all."""

from typing import Literal

import orjson
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import Response

from limner.api.reference import get, limner_errors, unified_errors
from limner.app import Limner


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"]
    version: str


class Readiness(BaseModel):
    """Whether orders are taken now, and if not, every reason."""

    ready: bool
    reasons: list[str]


class Service(BaseModel):
    """Whether orders are taken now, in the words of the unified API."""

    status: Literal["healthy", "unhealthy"]
    service: Literal["Limner"] = "Limner"
    version: str
    detail: str | None = None
    """Every reason, where there are any."""


class HealthChecks:
    """The door."""

    def __init__(self, limner: Limner, version: str) -> None:
        self._limner = limner
        self._version = version
        self._alive = orjson.dumps({"status": "ok", "version": version})

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        get(
            app,
            "/healthz",
            self.alive,
            tags=["Health"],
            summary="Is the process alive?",
            response_model=Alive,
            responses=limner_errors(),
        )
        get(
            app,
            "/readyz",
            self.ready,
            tags=["Health"],
            summary="Can it serve now?",
            response_model=Readiness,
            responses={503: {"description": "Not now", "model": Readiness}} | limner_errors(),
        )

        get(
            app,
            "/health",
            self.service,
            tags=["Health"],
            summary="Can it serve now?",
            response_model=Service,
            response_model_exclude_none=True,
            responses={503: {"description": "Not now", "model": Service}} | unified_errors(),
        )

    async def service(self) -> Response:
        """Answer `Service`: 200, or 503 with reasons."""
        reasons = await self._limner.ready()
        said = Service(
            status="unhealthy" if reasons else "healthy",
            version=self._version,
            detail="; ".join(reasons) or None,
        )
        body = said.model_dump_json(exclude_none=True)
        return Response(body, 503 if reasons else 200, media_type="application/json")

    async def alive(self) -> Response:
        """Answer `Alive`."""
        return Response(self._alive, media_type="application/json")

    async def ready(self) -> Response:
        """Answer `Readiness`: 200, or 503 with reasons."""
        reasons = await self._limner.ready()
        status = 503 if reasons else 200
        return Response(
            orjson.dumps({"ready": not reasons, "reasons": reasons}), status, media_type="application/json"
        )
