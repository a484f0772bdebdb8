"""Orders whose outcome is unknown, and jobs that ask: list, ask the vendors, decide."""

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.reference import BODY, get, limner_errors, takes
from limner.app import Limner
from limner.core.job import Job
from limner.core.lost import DecisionBody, LostOrder, Reconciled


class LostOrders(BaseModel):
    """Oldest first."""

    data: tuple[LostOrder, ...]


class Reconciliation:
    """The door."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(
            "/v1/jobs/{job_id:key}/decide",
            self.decide,
            methods=["POST"],
            tags=["Jobs"],
            summary="Say what is to follow where a job asks, or where an order of it is lost; once",
            response_model=Job,
            responses=limner_errors(*BODY, 404, 409, 507),
            openapi_extra=takes(DecisionBody),
        )
        get(
            app,
            "/v1/reconcile",
            self.lost,
            tags=["Jobs"],
            summary="List the orders whose outcome is unknown; each counts as charged",
            response_model=LostOrders,
            responses=limner_errors(507),
        )
        app.add_api_route(
            "/v1/reconcile",
            self.ask,
            methods=["POST"],
            tags=["Jobs"],
            summary="Ask the vendors about all of them, and take what is found; buys nothing by itself",
            response_model=Reconciled,
            responses=limner_errors(507),
        )

    async def decide(self, request: Request, job_id: str) -> Response:
        """Answer the `Job` as it stands after the decision."""
        said, _ = await read(request, DecisionBody, self._limit)
        picture = None if said.picture is None else await self._limner.kept(said.picture)
        return _json(await self._limner.decide(job_id, said.decision, by=said.by, picture=picture))

    async def lost(self) -> Response:
        """Answer `LostOrders`."""
        return _json(LostOrders(data=await self._limner.lost()))

    async def ask(self) -> Response:
        """Answer `Reconciled`."""
        return _json(await self._limner.reconcile())


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
