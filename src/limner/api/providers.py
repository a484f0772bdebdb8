"""`/v1/providers`: every account, whether it can be used now, and why not; and the providers' switches."""

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.reference import BODY, get, limner_errors, takes
from limner.app import Limner, ProviderStatus
from limner.chat.names import provider_of


class ProviderList(BaseModel):
    """One entry per account."""

    object: Literal["list"] = "list"
    data: list[ProviderStatus]


class SwitchBody(BaseModel):
    """What a provider is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool


class Providers:
    """The door."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

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

        app.add_api_route(
            "/v1/providers/{provider:segment}",
            self.switch,
            methods=["PATCH"],
            tags=["Limner"],
            summary="Switch a provider on or off, in every process on the journal within a second",
            response_model=ProviderList,
            responses=limner_errors(*BODY, 404, 409, 507),
            openapi_extra=takes(SwitchBody),
        )

    async def switch(self, request: Request, provider: str) -> Response:
        """Answer a `ProviderList` of its accounts. One that the settings disable stays off: 409."""
        body, _ = await read(request, SwitchBody, self._limit)
        found = await self._limner.switch(provider_of(provider), enabled=body.enabled)
        return Response(ProviderList(data=found).model_dump_json(), media_type="application/json")

    async def index(self) -> Response:
        """Answer a `ProviderList`. Asks each provider how it is; never a paid call."""
        found = ProviderList(data=await self._limner.providers())
        return Response(found.model_dump_json(), media_type="application/json")
