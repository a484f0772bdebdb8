"""`POST /v1/images/generations`: OpenAI's shape, for unmodified SDKs. The hot path of the HTTP door."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.facts import FACTS
from limner.api.image_answer import Answers, OpenAIImages, Wish
from limner.api.image_body import PictureBody
from limner.api.reference import BODY, EVENTS, IDEMPOTENCY_KEY, answer, openai_errors, post, takes
from limner.app import Limner

_PATH = "/v1/images/generations"


class ImagesBody(PictureBody):
    """OpenAI's request for pictures. Names not listed here are left out, and told in `x-limner-ignored`."""


class Images:
    """The door. `public_url` is how clients reach this server; empty: as the request came."""

    def __init__(self, limner: Limner, *, max_body_bytes: int, public_url: str) -> None:
        self._answers = Answers(limner, public_url)
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        post(
            app,
            _PATH,
            self.generate,
            tags=["OpenAI"],
            summary="Draw pictures",
            description=(
                "OpenAI's images API. With `stream` the answer is `text/event-stream`: "
                "`image_generation.partial_image` (previews, always PNG) and `image_generation.completed`, "
                "or `error`. Facts that OpenAI's body has no place for ride in `x-limner-*` headers."
            ),
            response_model=OpenAIImages,
            responses=answer(200, "The pictures", EVENTS, headers=FACTS)
            | openai_errors(*BODY, 402, 404, 409, 429, 502, 503, 504, 507),
            openapi_extra=takes(ImagesBody, IDEMPOTENCY_KEY),
        )

    async def generate(self, request: Request) -> Response:
        """Draw what was asked and answer in OpenAI's shape."""
        body, unknown = await read(request, ImagesBody, self._limit)
        wish = Wish(stream=bool(body.stream), url=body.wants_url, unused=(*unknown, *body.unused))
        return await self._answers.serve(request, body.order(), wish)
