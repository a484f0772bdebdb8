"""`GET /v1/providers`: every account, whether it can be used now, and why not."""

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import Response

from limner.api.reference import get, limner_errors
from limner.app import Limner, ProviderStatus


class ProviderList(BaseModel):
    """One entry per account."""

    object: Literal["list"] = "list"
    data: list[ProviderStatus]


class Providers:
    """The door."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        get(
            app,
            "/v1/providers",
            self.index,
            tags=["Limner"],
            summary="List the providers' accounts, and why one cannot be used",
            response_model=ProviderList,
            responses=limner_errors(),
        )

    async def index(self) -> Response:
        """Answer a `ProviderList`. Asks each provider how it is; never a paid call."""
        found = ProviderList(data=await self._limner.providers())
        return Response(found.model_dump_json(), media_type="application/json")
