"""`/sdapi/v1`: what programs order from a Stable Diffusion web UI, for Open WebUI and others."""

import asyncio
from collections.abc import Sequence
from io import BytesIO

import orjson
import pybase64
from fastapi import FastAPI
from PIL import ImageChops
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import idempotency_key, read
from limner.api.caller import caller
from limner.api.encoded import PICTURE_BODY, picture
from limner.api.errors import ModelNotFound, NotDone, cut
from limner.api.facts import FACTS, facts, ignored
from limner.api.reference import BODY, IDEMPOTENCY_KEY, Answer, answer, get, takes, webui_errors
from limner.api.webui_answers import WebuiEnlarged, WebuiImages, WebuiProgress, images, progress
from limner.api.webui_bodies import CALLED, WebuiDraw, WebuiEnlarge, WebuiPaint
from limner.api.webui_places import Place, Places
from limner.app import Limner
from limner.core.errors import InvalidRequest, NotFound
from limner.core.events import Ended, Progress
from limner.core.job import Job
from limner.core.quote import Note
from limner.core.request import GenerateRequest
from limner.imaging.decode import decode
from limner.imaging.sniff import InvalidImage

_API = "/sdapi/v1"
_NOT_ECHOED = {"init_images", "mask", "alwayson_scripts"}
_HALF = 128


class Webui:
    """The door. `places` are its callers', shared with the door of its lists and options."""

    def __init__(self, limner: Limner, places: Places, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._places = places
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(
            f"{_API}/txt2img",
            self.txt2img,
            methods=["POST"],
            tags=["Web UI"],
            summary="Draw pictures from text",
            response_model=WebuiImages,
            responses=_ordering("The pictures"),
            openapi_extra=takes(WebuiDraw, IDEMPOTENCY_KEY),
        )
        app.add_api_route(
            f"{_API}/img2img",
            self.img2img,
            methods=["POST"],
            tags=["Web UI"],
            summary="Paint over a picture, or where a mask says",
            response_model=WebuiImages,
            responses=_ordering("The pictures"),
            openapi_extra=takes(WebuiPaint, IDEMPOTENCY_KEY),
        )
        app.add_api_route(
            f"{_API}/extra-single-image",
            self.enlarge,
            methods=["POST"],
            tags=["Web UI"],
            summary="Enlarge a picture",
            response_model=WebuiEnlarged,
            responses=_ordering("The picture"),
            openapi_extra=takes(WebuiEnlarge, IDEMPOTENCY_KEY),
        )
        get(
            app,
            f"{_API}/progress",
            self.progress,
            tags=["Web UI"],
            summary="How far the caller's oldest order is",
            response_model=WebuiProgress,
            responses=webui_errors(400),
        )
        for word in ("interrupt", "skip"):
            app.add_api_route(
                f"{_API}/{word}",
                self.interrupt,
                methods=["POST"],
                tags=["Web UI"],
                summary="Stop all that is being drawn for the caller here",
                description="Each of those orders then answers 409, unless its pictures had come by then.",
                response_model=dict[str, str],
                responses=webui_errors(507),
            )

    async def txt2img(self, request: Request) -> Response:
        """Answer a `WebuiImages`."""
        body, _ = await read(request, WebuiDraw, self._limit)
        order, notes = body.order(self._model(request, body))
        return await self._drawn(request, body, order, notes)

    async def img2img(self, request: Request) -> Response:
        """Answer a `WebuiImages`."""
        body, _ = await read(request, WebuiPaint, PICTURE_BODY)
        model = self._model(request, body)
        if not body.init_images:
            raise NotFound("Init image not found")
        if len(body.init_images) > 1:
            raise InvalidRequest("init_images: one picture at a time", "init_images")
        source = await self._limner.keep(picture(body.init_images[0], "init_images"))
        mask = None
        if body.mask:
            cut_out = await asyncio.to_thread(
                _stencil, picture(body.mask, "mask"), inverted=bool(body.inpainting_mask_invert)
            )
            mask = (await self._limner.keep(cut_out)).digest
        order, notes = body.painting(model, source.digest, mask)
        return await self._drawn(request, body, order, notes)

    async def enlarge(self, request: Request) -> Response:
        """Answer a `WebuiEnlarged`."""
        body, _ = await read(request, WebuiEnlarge, PICTURE_BODY)
        source = await self._limner.keep(picture(body.image, "image"))
        able = [one.id for one in self._limner.models() if "upscale" in one.operations]
        job = await self._done(request, body.order(source.digest, able))
        first = job.images[0]
        data = pybase64.b64encode(await self._limner.open(first)).decode()
        said = f"<p>{first.width}x{first.height}</p>"
        return Response(
            orjson.dumps({"html_info": said, "image": data}),
            headers=facts(job) | ignored(body.unused),
            media_type="application/json",
        )

    async def progress(self, request: Request, *, skip_current_image: bool = False) -> Response:
        """Answer a `WebuiProgress`."""
        now = progress(self._place(request), picture=not skip_current_image)
        return Response(now.model_dump_json(), media_type="application/json")

    async def interrupt(self, request: Request) -> Response:
        """Answer an empty object."""
        for work in tuple(self._place(request).works):
            work.interrupted = True
            await self._limner.cancel(work.job.id)
        return Response("{}", media_type="application/json")

    def _place(self, request: Request) -> Place:
        return self._places.of(caller(request))

    def _model(self, request: Request, body: WebuiDraw) -> str | None:
        """What this order names, else what the caller has chosen. A name nobody knows is refused: another
        model must not draw in its place."""
        named = body.checkpoint
        return known(self._limner, named) if named else self._place(request).chosen

    async def _drawn(
        self, request: Request, body: WebuiDraw, order: GenerateRequest, notes: Sequence[Note]
    ) -> Response:
        job = await self._done(request, order)
        shown = () if body.send_images is False else job.images
        data = [await self._limner.open(image) for image in shown]
        asked: dict[str, JsonValue] = body.model_dump(
            mode="json", include=set(type(body).model_fields) - _NOT_ECHOED, exclude_none=True
        )
        return Response(
            images(job, data, asked, notes), 200, facts(job, notes) | ignored(body.unused), "application/json"
        )

    async def _done(self, request: Request, order: GenerateRequest) -> Job:
        """The job in its end, its progress told to who asks meanwhile."""
        key, by = idempotency_key(request), caller(request)
        try:
            seen = await self._watched(order) if key is None else order  # the same key, the same order
            job = await self._limner.generate(seen, key=key, by=by)
        except InvalidRequest as error:
            field = CALLED.get(error.field or "", error.field)
            raise InvalidRequest(str(error), field) from error
        with self._places.of(by).working(job) as work:
            async with self._limner.watch(job.id) as messages:
                async for message in messages:
                    if isinstance(message, Progress):
                        work.progress = message
                    elif isinstance(message, Ended):
                        job = message.job
        if job.state != "succeeded":
            raise NotDone(job)
        return job

    async def _watched(self, order: GenerateRequest) -> GenerateRequest:
        """With previews on the way, where nobody who may be asked takes money for them."""
        quote = await self._limner.estimate(order)
        free = quote.route and all(offer.price_usd == 0 for offer in quote.route)
        return order.model_copy(update={"partial_images": 1}) if free else order


def known(limner: Limner, title: str) -> str:
    """The model that a checkpoint's title means; a hash or ending behind it is not looked at.

    Raises `ModelNotFound`.
    """
    for name in (title, title.partition(" [")[0], title.partition(".safetensors")[0]):
        if any(one.known_as(name) for one in limner.models()):
            return name
    said = f"sd_model_checkpoint: no model is called {cut(title, 80)!r}; GET {_API}/sd-models lists them"
    raise ModelNotFound(said, "sd_model_checkpoint")


def _stencil(data: bytes, *, inverted: bool) -> bytes:
    """A mask as Limner reads them: a PNG that is transparent where to paint. Raises `InvalidRequest`."""
    try:
        given = decode(data)
    except InvalidImage as error:
        raise InvalidRequest(f"mask: the picture cannot be read: {error}", "mask") from error
    clear = given.mode == "RGBA" and given.getchannel("A").getextrema() != (255, 255)
    painted = given.getchannel("A") if clear else given.convert("L")
    painted = painted.point(lambda value: 255 if value > _HALF else 0)
    kept = painted if inverted else ImageChops.invert(painted)
    stencil = given.convert("RGB")
    stencil.putalpha(kept)
    out = BytesIO()
    stencil.save(out, "PNG")
    return out.getvalue()


def _ordering(what: str) -> Answer:
    errors = webui_errors(*BODY, 402, 404, 409, 429, 502, 503, 504, 507)
    return answer(200, what, headers=FACTS) | errors
