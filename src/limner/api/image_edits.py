"""`POST /v1/images/edits`: pictures worked on by words, as OpenAI's clients send them: a form, or JSON."""

from typing import Annotated, Literal, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.errors import invalid
from limner.api.facts import FACTS
from limner.api.image_answer import Answers, OpenAIImages, Wish
from limner.api.image_body import CALLED, PictureBody
from limner.api.image_inputs import FILES, Named, PictureRef, Pictures, Sent, order_of
from limner.api.multipart import Form, is_form, read_form
from limner.api.reference import BODY, EVENTS, IDEMPOTENCY_KEY, answer, openai_errors, takes
from limner.app import Limner
from limner.core.request import Operation

_PICTURES: dict[str, object] = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "PNG, JPEG or WebP, at most 16; `image[]` is the same.",
}
_MASK: dict[str, object] = {
    "type": "string",
    "format": "binary",
    "description": "PNG, transparent where to paint anew.",
}
Words = TypeVar("Words", bound=BaseModel)


class EditWords(PictureBody):
    """What an edit says besides its pictures."""

    response_format: Literal["url", "b64_json"] | None = None
    """Default: `b64_json`, whatever the model."""
    input_fidelity: Literal["auto", "high", "low"] | None = None
    """Accepted and told as ignored: models here have no such setting, or one of their own."""
    strength: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """Limner's own, where the picture is painted over: 0 keeps it, 1 ignores it."""

    @property
    def wants_url(self) -> bool:
        """Answer with addresses instead of bytes?"""
        return self.response_format == "url"

    @property
    def unused(self) -> tuple[str, ...]:
        """Accepted names that change nothing here."""
        told = ("input_fidelity",) if self.input_fidelity in ("high", "low") else ()
        return (*super().unused, *told)


class EditsBody(EditWords):
    """An edit as JSON: its pictures are named."""

    images: list[PictureRef]
    mask: PictureRef | None = None


class ImageEdits:
    """The door. Forms, and JSON with pictures inside, have at most `max_upload_bytes`."""

    def __init__(self, limner: Limner, *, max_upload_bytes: int, public_url: str) -> None:
        self._limner = limner
        self._answers = Answers(limner, public_url)
        self._limit = max_upload_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the route."""
        extra = takes(EditsBody, IDEMPOTENCY_KEY)
        extra["requestBody"]["content"]["multipart/form-data"] = form_of(
            EditWords, image=_PICTURES, mask=_MASK
        )
        app.add_api_route(
            "/v1/images/edits",
            self.edit,
            methods=["POST"],
            tags=["OpenAI"],
            summary="Work on pictures by words",
            description=(
                "With a mask, what it leaves transparent is painted anew; without one the picture follows "
                "the words, or is painted over where the model can only do that, as `x-limner-notes` tells. "
                "With `stream` the events are `image_edit.partial_image` and `image_edit.completed`."
            ),
            response_model=OpenAIImages,
            responses=answer(200, "The pictures", EVENTS, headers=FACTS)
            | openai_errors(*BODY, 402, 404, 409, 429, 502, 503, 504, 507),
            openapi_extra=extra,
        )

    async def edit(self, request: Request) -> Response:
        """Draw what was asked and answer in OpenAI's shape."""
        words, unknown, pictures = await self._read(request)
        wanted: tuple[Operation, ...] = ("inpaint",) if pictures.masked else ("edit", "image-to-image")
        order, bent = await order_of(self._limner, words, pictures, *wanted, strength=words.strength)
        unused = (*unknown, *words.unused)
        wish = Wish("image_edit", bool(words.stream), words.wants_url, unused, bent)
        return await self._answers.serve(request, order, wish)

    async def _read(self, request: Request) -> tuple[EditWords, tuple[str, ...], Pictures]:
        """What is said, names that nobody reads, and the pictures."""
        if is_form(request):
            form = await read_form(request, self._limit)
            return *words_of(form, EditWords), Sent(form)
        body, unknown = await read(request, EditsBody, self._limit)
        return body, unknown, Named(body.images, body.mask, self._answers.base(request))


def words_of(form: Form, into: type[Words]) -> tuple[Words, tuple[str, ...]]:
    """A form's text fields, and the names of all its parts that nobody reads. Raises `InvalidRequest`."""
    try:
        words = into.model_validate_strings(dict(form.texts))
    except ValidationError as error:
        raise invalid(error, CALLED) from error
    read = (*into.model_fields, *FILES)
    names = dict.fromkeys((*form.texts, *(one.name for one in form.files)))
    return words, tuple(name for name in names if name not in read)


def form_of(words: type[BaseModel], **files: dict[str, object]) -> dict[str, object]:
    """A form's description in OpenAPI: the fields of `words`, and `files` of which `image` is needed."""
    pictures = {"type": "object", "required": ["image"], "properties": files}
    return {"schema": {"allOf": [{"$ref": f"#/components/schemas/{words.__name__}Input"}, pictures]}}
