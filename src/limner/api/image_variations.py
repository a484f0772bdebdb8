"""`POST /v1/images/variations`: another picture like the one that is sent."""

from dataclasses import replace

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from limner.api.facts import FACTS
from limner.api.image_answer import Answers, OpenAIImages, Wish
from limner.api.image_body import PictureBody
from limner.api.image_edits import form_of, words_of
from limner.api.image_inputs import Sent, order_of
from limner.api.multipart import read_form
from limner.api.reference import BODY, IDEMPOTENCY_KEY, answer, openai_errors
from limner.app import Limner

_WORDS = "a variation of this picture"
"""What is said to models that need words."""
_PICTURE: dict[str, object] = {
    "type": "string",
    "format": "binary",
    "description": "A PNG, JPEG or WebP file.",
}


class VariationWords(PictureBody):
    """What is said besides the picture. OpenAI's door knows no prompt; one that is given is used."""

    prompt: str = ""

    @property
    def wants_url(self) -> bool:
        """As at OpenAI, where this door belongs to dall-e-2: addresses, unless another model is named."""
        if self.response_format is None and self.model is None:
            return True
        return super().wants_url


class ImageVariations:
    """The door."""

    def __init__(self, limner: Limner, *, max_upload_bytes: int, public_url: str) -> None:
        self._limner = limner
        self._answers = Answers(limner, public_url)
        self._limit = max_upload_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        content = {"multipart/form-data": form_of(VariationWords, image=_PICTURE)}
        app.add_api_route(
            "/v1/images/variations",
            self.vary,
            methods=["POST"],
            tags=["OpenAI"],
            summary="Draw variations of a picture",
            description=(
                "Where no model draws variations, the picture is painted over or edited by words instead, "
                "which `x-limner-notes` tells."
            ),
            response_model=OpenAIImages,
            responses=answer(200, "The pictures", headers=FACTS)
            | openai_errors(*BODY, 402, 404, 409, 429, 502, 503, 504, 507),
            openapi_extra={
                "requestBody": {"required": True, "content": content},
                "parameters": [IDEMPOTENCY_KEY],
            },
        )

    async def vary(self, request: Request) -> Response:
        """Draw what was asked and answer in OpenAI's shape."""
        form = await read_form(request, self._limit)
        words, unknown = words_of(form, VariationWords)
        spoken = words.model_copy(update={"prompt": words.prompt or _WORDS, "stream": None})
        unmasked = replace(form, files=tuple(one for one in form.files if one.name != "mask"))
        order, bent = await order_of(
            self._limner, spoken, Sent(unmasked), "variation", "image-to-image", "edit"
        )
        if order.operation == "variation":
            order = order.model_copy(update={"prompt": words.prompt})
        unread = [name for name, sent in (("mask", form.of("mask")), ("stream", words.stream)) if sent]
        wish = Wish(url=spoken.wants_url, unused=(*unknown, *unread, *words.unused), notes=bent)
        return await self._answers.serve(request, order, wish)
