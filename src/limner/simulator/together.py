"""Together AI's stand-in: one POST for all models, no edits endpoint, answers by base64 or address.

Besides the common faults a prompt may carry `[[together:WORD]]`: `no_type` `nulls` `as_url` `mixed` `black`
`bad_base64` `gone_400` `timeout_524` `overloaded_529`.
"""

import asyncio
import base64
import binascii
import io
import re
from collections.abc import Iterable
from decimal import ROUND_UP, Decimal
from math import ceil

from aiohttp import web
from PIL import Image
from pydantic import JsonValue

from limner.simulator.pictures import Format
from limner.simulator.together_shapes import MODELS, Ask, wrong
from limner.simulator.vendor import ErrorWord, Order, Route, Unreadable, Vendor, route

_DRAWING_S = 1.0
_LOOK_S = 0.02
_LINK_S = 3600.0
_HUGE_BYTES = 1 << 33
_MICRO = Decimal("0.000001")
_KNOB = re.compile(r"\[\[together:(\w+)\]\]")
_LIMITS = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "59", "x-ratelimit-reset": "1"}
_BAD_KEY = (
    "Invalid API key provided. You can find your API key at https://api.together.xyz/settings/api-keys."
)
_GONE = (
    "Unable to access model {}. Please visit https://api.together.ai/models to view the list of supported "
    "models."
)
Json = dict[str, JsonValue]


class Together(Vendor):
    """Images only; ids are case-sensitive, and fields nobody knows are ignored."""

    name = "together"
    base = "/v1/"
    key = "tgp_v1_emu"

    def routes(self) -> Iterable[Route]:
        """Draw, and list the models."""
        return [
            route("POST", "/v1/images/generations", self.draw, order=True),
            route("GET", "/v1/models", self.listed),
        ]

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """Together's error body."""
        match word:
            case "no_key" | "bad_key":
                return _error(401, _BAD_KEY, code="invalid_api_key")
            case "forbidden":
                return _error(403, "Your account tier may not use this model.")
            case "no_money":
                said = "Credit limit exceeded, please navigate to your billing settings to add credits."
                return _error(402, said, "credit_limit")
            case "rate_limited":
                return self._rate_limited(request)
            case "server_error":
                return _error(500, "Internal server error", "server_error")
            case "overloaded":
                said = "The server is currently overloaded with requests. Please try again later."
                return _error(503, said, "service_unavailable")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """Together's answer to a path it does not have."""
        return _error(404, f"Unknown request URL: {request.method} {request.path}", code="unknown_url")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body that does not fit the schema."""
        return _error(422, why[:500])

    async def listed(self, request: web.Request) -> web.Response:
        """A bare array of the models."""
        return web.json_response([_about(name) for name in MODELS], headers=_LIMITS)

    async def draw(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Draw `n` pictures: all of them, or none."""
        ask = Ask.model_validate_json(order.body)
        found = _KNOB.search(ask.prompt)
        knob = "" if found is None else found[1]
        if ask.model not in MODELS or knob == "gone_400":
            return _error(
                400 if knob else 404, _GONE.format(ask.model), param="model", code="model_not_available"
            )
        mistake = wrong(ask)
        if mistake is not None:
            return _error(400, mistake[1], param=mistake[0])
        if order.has("refused"):
            return _error(422, "NSFW content detected in the prompt or the image.")
        down = _down(knob)
        return await self._drawn(request, order, ask, knob) if down is None else down

    async def _drawn(self, request: web.Request, order: Order, ask: Ask, knob: str) -> web.StreamResponse:
        pictures = await self._pictures(ask, knob, small=order.has("wrong_size"))
        await self.world.sleep(_DRAWING_S)
        usd = ask.n * MODELS[ask.model].price(*ask.size, ask.steps)
        order.charge(usd.quantize(_MICRO, ROUND_UP), images=ask.n)
        if order.has("huge"):
            return await _huge(request)
        if order.has("never_ends"):
            await self._until_left(request)
        if order.has("fewer_images"):
            pictures = pictures[1:]
        if order.has("not_an_image"):
            pictures = [b"this is no picture"] * ask.n
        items = [self._item(order, ask, knob, at, picture) for at, picture in enumerate(pictures)]
        told: Json = {"id": self.world.new_id(), "model": ask.model, "object": "list"}
        told["data"] = [] if order.has("empty_success") else [*items]
        return web.json_response(told, headers=_LIMITS)

    async def _pictures(self, ask: Ask, knob: str, *, small: bool) -> list[bytes]:
        width, height = (side // 2 for side in ask.size) if small else ask.size
        if knob == "black":
            return [_black(width, height)] * ask.n
        words, source = _KNOB.sub("", ask.words), _source(ask.source)
        seed = self.world.random.getrandbits(31) if ask.seed is None else ask.seed
        form = _format(ask)
        return [
            await self.world.picture(
                "together", words, width, height, seed=seed, index=index, format=form, source=source
            )
            for index in range(ask.n)
        ]

    def _item(self, order: Order, ask: Ask, knob: str, index: int, picture: bytes) -> Json:
        if order.has("unknown_word"):
            return {"index": index, "type": "hologram"}
        mixed = knob == "mixed" and index == 0
        linked = mixed or knob == "as_url" or order.has("expired_url") or order.has("foreign_url")
        if ask.response_format == "url" or linked:
            url = self._url(order, picture, f"image/{_format(ask)}")
            item: Json = {"index": index, "type": "url", "url": url, "timings": {"inference": 0.62}}
            return item | ({"b64_json": None} if knob == "nulls" else {})
        text = "%%%" if knob == "bad_base64" else base64.b64encode(picture).decode()
        inline: Json = {"index": index, "b64_json": text}
        if knob == "nulls":
            inline["url"] = None
        return inline if knob == "no_type" else inline | {"type": "b64_json"}

    def _url(self, order: Order, picture: bytes, mime: str) -> str:
        if order.has("foreign_url"):
            return self.world.foreign_url(picture, mime)
        return self.world.file(picture, mime, ttl_s=0.0 if order.has("expired_url") else _LINK_S)

    def _rate_limited(self, request: web.Request) -> web.Response:
        said = "You have reached the rate limit specific to this model. Please slow down and try again."
        after = {"retry-after": str(ceil(self.retry_after_s(request)))}
        return _error(429, said, "model_rate_limit", headers=_LIMITS | {"x-ratelimit-remaining": "0"} | after)

    async def _until_left(self, request: web.Request) -> None:
        while request.transport is not None and not request.transport.is_closing():
            if self.world.stopped.is_set():
                return
            await asyncio.sleep(_LOOK_S)


def _error(
    status: int,
    message: str,
    kind: str = "invalid_request_error",
    *,
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    told: Json = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"id": "oFdQ1aB-2j9RxE", "error": told}, status=status, headers=headers)


def _down(knob: str) -> web.Response | None:
    match knob:
        case "timeout_524":
            return web.Response(
                status=524, text="<html>524: A timeout occurred</html>", content_type="text/html"
            )
        case "overloaded_529":
            return web.Response(
                status=529, text="<html>529: Site is overloaded</html>", content_type="text/html"
            )
        case _:
            return None


def _about(name: str) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": 1795132800,
        "type": "image",
        "display_name": name.partition("/")[2],
        "organization": name.partition("/")[0],
        "pricing": {"hourly": 0, "input": 0, "output": 0, "base": 0, "finetune": 0},
    }


def _format(ask: Ask) -> Format:
    """FLUX.2 listens to `output_format`; the others send what they like, which is a PNG here."""
    return "jpeg" if MODELS[ask.model].upsamples and ask.output_format == "jpeg" else "png"


def _source(text: str | None) -> bytes | None:
    """The bytes of a data URL. Other addresses are not asked: the stand-in stays on its machine."""
    if text is None or not text.startswith("data:"):
        return None
    try:
        return base64.b64decode(text.partition(",")[2], validate=True)
    except binascii.Error as error:
        raise Unreadable(f"image_url is not base64: {error}") from error


def _black(width: int, height: int) -> bytes:
    """What Stable Diffusion's own checker leaves of a picture it does not like; the status stays 200."""
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return out.getvalue()


async def _huge(request: web.Request) -> web.StreamResponse:
    """An answer that says it is 8 GiB long; whoever reads on waits for ever."""
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    answer.content_length = _HUGE_BYTES
    await answer.prepare(request)
    await answer.write(b'{"data":[{"b64_json":"')
    return answer
