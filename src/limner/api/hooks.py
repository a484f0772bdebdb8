"""`POST /v1/hooks/...`: vendors call here when an order is done. A call is a hint, answered at once."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import raw
from limner.api.reference import limner_errors
from limner.app import Limner

MAX_CALL = 1 << 20


class Calls:
    """The door."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        app.add_api_route(
            "/v1/hooks/{provider:segment}/{token:key}",
            self.call,
            methods=["POST"],
            status_code=204,
            tags=["Limner"],
            summary="A vendor says that an order is done",
            description=(
                "The address is given to the vendor with the order and known to nobody else. What the body "
                "says is not believed: the vendor is asked. The same call again does nothing."
            ),
            response_class=Response,
            responses=limner_errors(404, 408, 413, 415, 429, 502, 503, 504, 507),
        )

        app.add_api_route(
            "/v1/hooks/{provider:segment}",
            self.tell,
            methods=["POST"],
            status_code=204,
            tags=["Limner"],
            summary="A vendor says that one of an account's orders is done",
            description=(
                "For vendors that are told one address for all orders, in their dashboard: Leonardo. The "
                "call proves itself by `Authorization: Bearer` and the account's `webhook_secret`. What the "
                "body says is not believed: the vendor is asked."
            ),
            response_class=Response,
            responses=limner_errors(404, 408, 413, 415, 429, 502, 503, 504, 507),
        )

    async def tell(self, request: Request, provider: str) -> Response:
        """Answer 204 and nothing else."""
        body = await raw(request, MAX_CALL)
        await self._limner.told(provider, request.headers, body)
        return Response(status_code=204)

    async def call(self, request: Request, provider: str, token: str) -> Response:
        """Answer 204 and nothing else."""
        body = await raw(request, MAX_CALL)
        await self._limner.called(provider, token, request.headers, body)
        return Response(status_code=204)
