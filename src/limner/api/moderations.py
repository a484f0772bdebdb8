"""`POST /v1/moderations`: OpenAI's judgement, through an account there; without one, nothing is judged."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.facts import ignored
from limner.api.reference import BODY, answer, openai_errors, takes
from limner.app import Limner
from limner.moderating import Judged, Moderation


class Moderations:
    """The door."""

    def __init__(self, limner: Limner, *, max_upload_bytes: int) -> None:
        self._limner = limner
        self._limit = max_upload_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        app.add_api_route(
            "/v1/moderations",
            self.moderate,
            methods=["POST"],
            tags=["OpenAI"],
            summary="Ask OpenAI's moderation about text and pictures",
            description=(
                "Goes to OpenAI through an account that is set up here, where it costs nothing, and answers "
                "what came. Without an account it is 503: nothing else here judges, and nothing pretends to."
            ),
            response_model=Moderation,
            responses=answer(200, "The judgement", headers=("x-limner-ignored", "x-request-id"))
            | openai_errors(*BODY, 429, 502, 503, 504),
            openapi_extra=takes(Judged),
        )

    async def moderate(self, request: Request) -> Response:
        """Answer a `Moderation`."""
        body, unknown = await read(request, Judged, self._limit)
        found = await self._limner.moderate(body)
        return Response(found.model_dump_json(exclude_unset=True), 200, ignored(unknown), "application/json")
