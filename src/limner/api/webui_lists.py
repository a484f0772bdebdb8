"""`/sdapi/v1`: what programs ask a Stable Diffusion web UI about itself, and its options."""

import os
from collections.abc import Sequence

from fastapi import FastAPI
from pydantic import BaseModel, JsonValue, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import read
from limner.api.caller import caller
from limner.api.encoded import PICTURE_BODY, picture
from limner.api.facts import ignored
from limner.api.reference import BODY, Endpoint, get, takes, webui_errors
from limner.api.webui import known
from limner.api.webui_answers import (
    WebuiMemory,
    WebuiModel,
    WebuiPngInfo,
    WebuiSampler,
    WebuiScheduler,
    WebuiStyle,
    WebuiTold,
    WebuiUpscaler,
    png_info,
)
from limner.api.webui_bodies import WebuiOptions, WebuiPicture
from limner.api.webui_places import Places
from limner.app import Limner
from limner.catalog.model import Model
from limner.core.errors import InvalidRequest, LimnerError
from limner.core.request import GenerateRequest, Operation
from limner.imaging import metadata
from limner.imaging.sniff import InvalidImage

_API = "/sdapi/v1"
_SAMPLERS = ("Euler a", "Euler", "DPM++ 2M", "DPM++ SDE", "Heun", "DDIM", "UniPC")
_SCHEDULERS = ("Uniform", "Karras", "Exponential", "SGM Uniform")
_CONSTANT: dict[str, JsonValue] = {
    "loras": [],
    "sd-vae": [],
    "hypernetworks": [],
    "face-restorers": [],
    "realesrgan-models": [],
    "latent-upscale-modes": [],
    "embeddings": {"loaded": {}, "skipped": {}},
    "scripts": {"txt2img": [], "img2img": []},
    "cmd-flags": {"api": True},
}
"""What there is none of here."""


class WebuiLists:
    """The door. `places` are its callers'."""

    def __init__(self, limner: Limner, places: Places, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._places = places
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        lists: dict[str, tuple[Endpoint, object, str]] = {
            "options": (self.options, WebuiTold, "The model of orders that name none"),
            "sd-models": (self.models, list[WebuiModel], "List the models that can be asked"),
            "samplers": (self.samplers, list[WebuiSampler], "List the samplers that some model takes"),
            "schedulers": (
                self.schedulers,
                list[WebuiScheduler],
                "List the schedulers that some model takes",
            ),
            "upscalers": (self.upscalers, list[WebuiUpscaler], "List the models that enlarge"),
            "prompt-styles": (self.styles, list[WebuiStyle], "List the styles that some model knows"),
            "memory": (self.memory, WebuiMemory, "The machine's memory"),
        }
        for name, (endpoint, shape, summary) in lists.items():
            _list(app, name, endpoint, shape, summary)
        for name, content in _CONSTANT.items():
            shape = list[JsonValue] if isinstance(content, list) else dict[str, JsonValue]
            _list(app, name, _says(content), shape, "There are none here")
        app.add_api_route(
            f"{_API}/options",
            self.choose,
            methods=["POST"],
            tags=["Web UI"],
            summary="Choose the model of the caller's orders that name none",
            description="Each caller has a choice of its own. Other options are left out, and told so.",
            response_model=None,
            responses=webui_errors(*BODY, 404),
            openapi_extra=takes(WebuiOptions),
        )
        app.add_api_route(
            f"{_API}/png-info",
            self.inspect,
            methods=["POST"],
            tags=["Web UI"],
            summary="What a picture says about how it was made",
            response_model=WebuiPngInfo,
            responses=webui_errors(*BODY),
            openapi_extra=takes(WebuiPicture),
        )
        app.add_api_route(
            f"{_API}/refresh-checkpoints",
            _says({}),
            methods=["POST"],
            tags=["Web UI"],
            summary="Nothing to do: the catalog is read at the start",
            response_model=dict[str, JsonValue],
            responses=webui_errors(),
        )

    async def options(self, request: Request) -> Response:
        """Answer a `WebuiTold`."""
        name = self._places.of(caller(request)).chosen or await self._usual()
        return _json(WebuiTold(sd_model_checkpoint=name))

    async def choose(self, request: Request) -> Response:
        """Answer null. What others have chosen stays as it is."""
        body, _ = await read(request, WebuiOptions, self._limit)
        if "sd_model_checkpoint" in body.model_fields_set:
            name = body.sd_model_checkpoint
            self._places.of(caller(request)).chosen = known(self._limner, name) if name else None
        told = [name for name in body.model_extra or () if name not in WebuiTold.model_fields]
        return Response("null", headers=ignored(told), media_type="application/json")

    async def models(self) -> Response:
        """Answer each model once, however many serve it."""
        names = {one.id: one for one in reversed(self._able("generate"))}
        shown = [
            WebuiModel(title=name, model_name=name, filename=f"{one.provider}/{one.ref or name}")
            for name, one in reversed(names.items())
        ]
        return _json(shown)

    async def samplers(self) -> Response:
        """Answer `Automatic`, and the usual ones if a model here takes any."""
        names = ("Automatic", *(_SAMPLERS if self._takes("sampler_name") else ()))
        return _json([WebuiSampler(name=name) for name in names])

    async def schedulers(self) -> Response:
        """Answer `automatic`, and the usual ones if a model here takes any."""
        names = ("Automatic", *(_SCHEDULERS if self._takes("scheduler") else ()))
        return _json([WebuiScheduler(name=name.lower().replace(" ", "_"), label=name) for name in names])

    async def upscalers(self) -> Response:
        """Answer `None`, and the models that enlarge."""
        able = dict.fromkeys(one.id for one in self._able("upscale"))
        return _json(
            [WebuiUpscaler(name="None"), *(WebuiUpscaler(name=name, model_name=name) for name in able)]
        )

    async def styles(self) -> Response:
        """Answer every style once."""
        names = dict.fromkeys(style for one in self._able("generate") for style in one.styles)
        return _json([WebuiStyle(name=name) for name in names])

    async def memory(self) -> Response:
        """Answer a `WebuiMemory`."""
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
        ram = {"free": free, "used": total - free, "total": total}
        return _json(WebuiMemory(ram=ram, cuda={"error": "unavailable"}))

    async def inspect(self, request: Request) -> Response:
        """Answer a `WebuiPngInfo`."""
        body, _ = await read(request, WebuiPicture, PICTURE_BODY)
        try:
            found = metadata.read(picture(body.image, "image"))
        except InvalidImage as error:
            raise InvalidRequest(f"image: cannot be read: {error}", "image") from error
        return _json(png_info(found))

    async def _usual(self) -> str:
        """Who would draw for an order that names no model."""
        try:
            return (await self._limner.estimate(GenerateRequest(prompt="a picture"))).model
        except LimnerError:
            return ""

    def _able(self, what: Operation) -> list[Model]:
        ready = self._limner.set_up()
        return [
            one
            for one in self._limner.models()
            if one.provider in ready and what in one.operations and one.retired is None and not one.open
        ]

    def _takes(self, option: str) -> bool:
        return any(option in one.options for one in self._able("generate"))


def _list(app: FastAPI, name: str, endpoint: Endpoint, shape: object, summary: str) -> None:
    get(
        app,
        f"{_API}/{name}",
        endpoint,
        tags=["Web UI"],
        summary=summary,
        response_model=shape,
        responses=webui_errors(),
    )


def _says(content: JsonValue) -> Endpoint:
    """An endpoint that always answers the same."""
    data = TypeAdapter[JsonValue](JsonValue).dump_json(content)

    async def constant() -> Response:
        return Response(data, media_type="application/json")

    return constant


def _json(body: BaseModel | Sequence[BaseModel]) -> Response:
    if isinstance(body, BaseModel):
        return Response(body.model_dump_json(), media_type="application/json")
    items = ",".join(one.model_dump_json() for one in body)
    return Response(f"[{items}]", media_type="application/json")
