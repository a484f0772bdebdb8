"""`POST /models/{model}`: Hugging Face's text-to-image and image-to-image; the answer is the picture."""

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import idempotency_key, must_be_json, parse, raw
from limner.api.caller import caller
from limner.api.encoded import PICTURE_BODY, is_picture, picture
from limner.api.errors import ModelNotFound, NotDone, cut, invalid
from limner.api.facts import FACTS, facts, ignored
from limner.api.reference import BODY, IDEMPOTENCY_KEY, PICTURES, answer, get, plain_errors, takes
from limner.app import Limner
from limner.core.errors import InvalidRequest
from limner.core.request import MIME, Format, GenerateRequest, Operation

CALLED = {"prompt": "inputs", "steps": "num_inference_steps"}
"""Our field names as Hugging Face's callers know them."""
_PATHS = ("/models/{model:path}", "/hf-inference/models/{model:path}")
_FILE = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
_RAW = (*PICTURES, "application/octet-stream")
_FORMATS: dict[str, Format] = {kind: form for form, kind in MIME.items()} | {"image/jpg": "jpeg"}
_USUAL: Format = "jpeg"
"""What comes when no format is asked for."""


class HuggingFaceSize(BaseModel):
    """Pixels."""

    model_config = ConfigDict(frozen=True)

    width: int
    height: int


class HuggingFaceParameters(BaseModel):
    """What the picture should be like. Names not listed here are left out, and told in `x-limner-ignored`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    target_size: HuggingFaceSize | None = None
    """In place of `width` and `height`."""
    num_inference_steps: int | None = None
    guidance_scale: Annotated[float, Field(ge=0)] | None = None
    """Up to 1 there is no guidance."""
    seed: int | None = None
    scheduler: str | None = None
    prompt: str | None = None
    """Image-to-image: what is to become of the picture."""
    strength: float | None = None
    """Image-to-image: 0 keeps the picture, 1 ignores it."""


class HuggingFaceBody(BaseModel):
    """`inputs` is the prompt, or for image-to-image the picture in base64."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    inputs: str
    parameters: HuggingFaceParameters | None = None
    options: dict[str, JsonValue] | None = None
    """`use_cache` and `wait_for_model`: accepted. A picture is always drawn, and always waited for."""

    @property
    def asked(self) -> HuggingFaceParameters:
        """The parameters, none of them set where there are none."""
        return self.parameters or HuggingFaceParameters()


class HuggingFaceStatus(BaseModel):
    """Whether a model can be asked."""

    id: str
    loaded: bool
    state: Literal["Loadable", "NotLoadable"]
    pipeline_tag: Literal["text-to-image", "image-to-image"]
    providers: tuple[str, ...]
    """Who would draw."""


class HuggingFace:
    """The door."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the routes, under the classic path and under the router's."""
        for path in _PATHS:
            app.add_api_route(
                path,
                self.draw,
                methods=["POST"],
                tags=["Hugging Face"],
                summary="Draw one picture, or change one",
                description=(
                    "The answer is the file, in the format that `Accept` names, else JPEG. A body of "
                    "`image/*` or `application/octet-stream` is a picture to vary."
                ),
                response_class=Response,
                responses=answer(200, "The picture", *PICTURES, headers=FACTS)
                | plain_errors(*BODY, 402, 404, 409, 429, 502, 503, 504, 507),
                openapi_extra=takes(HuggingFaceBody, IDEMPOTENCY_KEY),
            )
            get(
                app,
                path,
                self.status,
                tags=["Hugging Face"],
                summary="Whether a model can be asked",
                response_model=HuggingFaceStatus,
                responses=plain_errors(404),
            )

    async def draw(self, request: Request, model: str) -> Response:
        """Answer the picture's bytes."""
        key = idempotency_key(request)
        body, data, unknown = await _read(request)
        self._known(model)
        order = await self._order(model, body.asked, body.inputs, data, _wanted(request))
        try:
            job = await self._limner.draw(order, key=key, by=caller(request))
        except InvalidRequest as error:
            raise _in_their_words(error) from error
        if job.state != "succeeded":
            raise NotDone(job)
        image = job.images[0]
        told = facts(job) | ignored((*unknown, *(body.asked.model_extra or ())))
        return Response(await self._limner.open(image), 200, told, MIME[image.format])

    async def status(self, model: str) -> Response:
        """Answer a `HuggingFaceStatus`."""
        self._known(model)
        ready = self._limner.set_up()
        meant = [one for one in self._limner.models() if one.known_as(model)]
        able = tuple(dict.fromkeys(one.provider for one in meant if one.provider in ready))
        draws = any("generate" in one.operations for one in meant)
        status = HuggingFaceStatus(
            id=model,
            loaded=bool(able),
            state="Loadable" if able else "NotLoadable",
            pipeline_tag="text-to-image" if draws else "image-to-image",
            providers=able,
        )
        return Response(status.model_dump_json(), media_type="application/json")

    def _known(self, model: str) -> None:
        if not any(one.known_as(model) for one in self._limner.models()):
            raise ModelNotFound(
                f"Model {cut(model)} does not exist here; GET /v1/models lists those that do", "model"
            )

    async def _order(
        self, model: str, asked: HuggingFaceParameters, text: str, data: bytes | None, form: Format
    ) -> GenerateRequest:
        kept = (await self._limner.keep(data)).digest if data is not None else None
        size = asked.target_size or asked
        try:
            return GenerateRequest(
                operation="generate" if kept is None else self._operation(model, asked),
                prompt=(text if kept is None else asked.prompt) or "",
                negative_prompt=asked.negative_prompt or None,
                inputs=() if kept is None else (kept,),
                strength=None if kept is None else asked.strength,
                model=model,
                width=size.width,
                height=size.height,
                steps=asked.num_inference_steps,
                # Without guidance is 0 for some programs and 1 for others; the picture is the same.
                guidance_scale=None if asked.guidance_scale is None else max(1.0, asked.guidance_scale),
                seed=asked.seed,
                format=form,
                options={"scheduler": asked.scheduler} if asked.scheduler else {},
            )
        except ValidationError as error:
            raise invalid(error, CALLED) from error

    def _operation(self, model: str, asked: HuggingFaceParameters) -> Operation:
        """What is meant by a picture, where Hugging Face knows one word for it."""
        if not asked.prompt:
            return "variation"
        able = {what for one in self._limner.models() if one.known_as(model) for what in one.operations}
        return "edit" if "edit" in able and asked.strength is None else "image-to-image"


async def _read(request: Request) -> tuple[HuggingFaceBody, bytes | None, Sequence[str]]:
    """The body, the picture in it, and the names nobody knows."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _RAW:
        must_be_json(request)
    sent = await raw(request, PICTURE_BODY)
    if kind in _RAW or sent.startswith(_FILE):  # their client declares a bare file as JSON
        return HuggingFaceBody(inputs=""), sent, ()
    body, unknown = parse(sent, HuggingFaceBody)
    given = body.asked.prompt is not None or is_picture(body.inputs)
    return body, picture(body.inputs, "inputs") if given else None, unknown


def _wanted(request: Request) -> Format:
    """The format that `Accept` prefers of those there are."""
    best, preferred = 0.0, _USUAL
    for part in request.headers.get("accept", "").split(","):
        name, _, rest = part.partition(";")
        form, weight = _FORMATS.get(name.strip().lower()), _weight(rest)
        if form is not None and weight > best:
            best, preferred = weight, form
    return preferred


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    try:
        return min(1.0, float(value)) if name.strip().lower() == "q" else 1.0
    except ValueError:
        return 0.0


def _in_their_words(error: InvalidRequest) -> InvalidRequest:
    return InvalidRequest(str(error), CALLED.get(error.field or "", error.field))
