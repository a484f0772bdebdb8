"""Stability AI's v2beta: multipart orders, answered with the picture itself or with JSON around it."""

import asyncio
import io
import json
from base64 import b64encode
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Literal, cast

from aiohttp import web
from PIL import Image, ImageFilter
from pydantic import JsonValue

from limner.simulator.pictures import Format
from limner.simulator.vendor import ErrorWord, Order, Route, Vendor, route

FILTERED = "(content filtered)"
"""Words in a prompt that let the picture be drawn and then blurred, which is answered with 200."""

Service = Literal["core", "ultra", "sd3", "fast", "conservative"]

_RATIOS = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1120),
    "5:4": (1120, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
_STYLES = (
    *("3d-model", "analog-film", "anime", "cinematic", "comic-book", "digital-art", "enhance", "fantasy-art"),
    *("isometric", "line-art", "low-poly", "modeling-compound", "neon-punk", "origami", "photographic"),
    *("pixel-art", "tile-texture"),
)
_SD3 = ("sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash")
_MODES = ("text-to-image", "image-to-image")
_FIELDS: dict[Service, str] = {
    "core": "prompt negative_prompt aspect_ratio seed output_format style_preset",
    "ultra": "prompt negative_prompt aspect_ratio seed output_format image strength",
    "sd3": "prompt negative_prompt aspect_ratio seed output_format model mode cfg_scale image strength",
    "fast": "output_format image",
    "conservative": "prompt negative_prompt seed output_format image creativity",
}
_CREDITS = {
    "core": "3",
    "ultra": "8",
    "fast": "2",
    "conservative": "40",
    "sd3.5-large": "6.5",
    "sd3.5-large-turbo": "4",
    "sd3.5-medium": "3.5",
    "sd3.5-flash": "2.5",
}
_SECONDS: dict[Service, float] = {"core": 4.0, "ultra": 9.0, "sd3": 6.0, "fast": 1.0, "conservative": 6.0}
_NO_CREDITS = (
    "You lack sufficient credits to make this request. Please purchase more credits at "
    "https://platform.stability.ai/account/credits and try again."
)
_ERRORS: dict[ErrorWord, tuple[int, str, str]] = {
    "no_key": (401, "unauthorized", "authorization: missing authorization header"),
    "bad_key": (401, "unauthorized", "authorization: invalid or missing header value"),
    "forbidden": (403, "permission_denied", "You lack the necessary permissions to perform this action."),
    "no_money": (402, "payment_required", _NO_CREDITS),
    "rate_limited": (429, "rate_limit_exceeded", "You have exceeded 150 requests within 10 seconds."),
    "server_error": (500, "internal_error", "An unexpected server error has occurred."),
    "overloaded": (503, "service_unavailable", "The service is overloaded, please try again later."),
}
_MODERATED = (
    "Your request was flagged by our content moderation system, as a result your request was denied and you "
    "were not charged."
)
_LARGEST_BODY = 10 * 1024 * 1024
_WINDOW_S, _WINDOW_REQUESTS, _BLOCKED_S = 10.0, 150, 60.0
_MOST_SEED = 4294967294
_HUGE = 260 * 1024 * 1024


class _Invalid(Exception):
    """What is wrong with an order, in the vendor's words."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """An order that was found good."""

    fields: dict[str, str]
    prompt: str
    size: tuple[int, int]
    seed: int
    format: Format
    image: bytes | None
    enlarges: bool
    usd: Decimal
    seconds: float


class Stability(Vendor):
    """Core, Ultra and SD 3.5, and the two upscalers that answer at once."""

    name = "stability"
    base = "/"
    key = "sk-stability-emu"

    def routes(self) -> Iterable[Route]:
        """Three ways to generate, two to enlarge, the balance."""
        return [
            route("POST", "/v2beta/stable-image/generate/{service:core|ultra|sd3}", self.draw, order=True),
            route("POST", "/v2beta/stable-image/upscale/{service:fast|conservative}", self.draw, order=True),
            route("GET", "/v1/user/balance", self.balance),
        ]

    def reset(self) -> None:
        """Nobody has asked yet."""
        self.recent: deque[float] = deque()
        self.blocked_until = 0.0
        self.taken: list[dict[str, JsonValue]] = []

    def jobs(self) -> list[dict[str, JsonValue]]:
        """The fields of every order that was found good."""
        return self.taken

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """The vendor's body of three fields."""
        refusal = self._no(*_ERRORS[word])
        if word == "rate_limited":
            refusal.headers["Retry-After"] = str(ceil(self.retry_after_s(request)))
        return refusal

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """No such service."""
        return self._no(404, "not_found", "The requested resource was not found.")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body or a picture in it that cannot be read."""
        return self._no(400, "bad_request", why)

    async def balance(self, request: web.Request) -> web.Response:
        """The credits that are left."""
        poor = (self.key_of(request) or "").endswith("-nocredit")
        return web.json_response({"credits": 0.0 if poor else 123.4})

    async def draw(self, request: web.Request, order: Order) -> web.Response:
        """One picture, charged for when it is drawn."""
        if self._too_many():
            return self._no(*_ERRORS["rate_limited"])
        if request.content_type != "multipart/form-data":
            return self._no(400, "bad_request", "content-type: must be multipart/form-data")
        if len(order.body) > _LARGEST_BODY:
            return self._no(413, "payload_too_large", "body: payload cannot be larger than 10MiB in size")
        try:
            wish = await _wish(request)
        except _Invalid as error:
            return self._no(400, "bad_request", str(error))
        self.taken.append({"path": request.path, **wish.fields})
        if order.has("refused"):
            return self._no(403, "content_moderation", _MODERATED)
        await self.world.sleep(wish.seconds)
        data = await self._picture(order, wish)
        order.charge(wish.usd)
        if order.has("never_ends"):
            await self.world.stopped.wait()
        return _answer(request, order, wish, data, self.world.new_id())

    async def _picture(self, order: Order, wish: _Wish) -> bytes:
        """The picture, or what a fault puts in its place."""
        width, height = (64, 64) if order.has("wrong_size") else wish.size
        if wish.enlarges and wish.image is not None:
            data = await asyncio.to_thread(_enlarged, wish.image, (width, height), wish.format)
        else:
            data = await self.world.picture(
                self.name, wish.prompt, width, height, seed=wish.seed, format=wish.format, source=wish.image
            )
        if order.has("empty_success") or order.has("fewer_images"):
            return b""
        if order.has("not_an_image"):
            return b"this is not a picture"
        if order.has("huge"):
            return data + bytes(_HUGE)
        return _blurred(data, wish.format) if FILTERED in wish.prompt else data

    def _too_many(self) -> bool:
        """More than 150 requests in 10 seconds block the account for a minute."""
        now = self.world.now()
        while self.recent and self.recent[0] <= now - _WINDOW_S:
            self.recent.popleft()
        self.recent.append(now)
        if len(self.recent) > _WINDOW_REQUESTS:
            self.blocked_until = now + _BLOCKED_S
        return now < self.blocked_until

    def _no(self, status: int, name: str, said: str) -> web.Response:
        body = {"id": self.world.new_id().replace("-", ""), "name": name, "errors": [said]}
        return web.json_response(body, status=status)


async def _wish(request: web.Request) -> _Wish:
    """What an order asks for. Raises `_Invalid`."""
    service = cast("Service", request.match_info["service"])  # the route lets no other in
    try:
        form = await request.post()
    except ValueError as error:
        raise _Invalid(f"body: cannot be parsed: {error}") from error
    for name in form:
        if name not in _FIELDS[service].split():
            raise _Invalid(f"{name}: unexpected field")
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    file = form.get("image")
    image = file.file.read() if isinstance(file, web.FileField) else None
    model = _one_of(fields, "model", _SD3, "sd3.5-large") if service == "sd3" else service
    if len(fields.get("prompt", "")) > 10_000 or len(fields.get("negative_prompt", "")) > 10_000:
        raise _Invalid("prompt: cannot exceed 10000 characters")
    if service != "fast" and not fields.get("prompt"):
        raise _Invalid("prompt: required")
    formats = ("png", "jpeg") if service == "sd3" else ("png", "jpeg", "webp")
    seed = int(_number(fields, "seed", 0, _MOST_SEED))
    _number(fields, "cfg_scale", 1, 10)
    _number(fields, "creativity", 0.2, 0.5)
    _one_of(fields, "style_preset", _STYLES, "")
    return _Wish(
        fields=fields,
        prompt=fields.get("prompt", service),
        size=_size(service, fields, image),
        seed=seed or _MOST_SEED // 3,
        format=cast("Format", _one_of(fields, "output_format", formats, "png")),  # one of its words
        image=image,
        enlarges=service in ("fast", "conservative"),
        usd=Decimal(_CREDITS[model]) / 100,
        seconds=_SECONDS[service],
    )


def _size(service: Service, fields: dict[str, str], image: bytes | None) -> tuple[int, int]:
    """Pixels of the picture to come; also says what is wrong with shape, image and strength."""
    shape = _RATIOS[_one_of(fields, "aspect_ratio", tuple(_RATIOS), "1:1")]
    editing = _one_of(fields, "mode", _MODES, "text-to-image") == "image-to-image"
    match service:
        case "fast" | "conservative":
            width, height = _pixels(image)
            factor = 4.0 if service == "fast" else (4_194_304 / (width * height)) ** 0.5
            return round(width * factor), round(height * factor)
        case "sd3" if editing != (image is not None):
            raise _Invalid("image: required when mode is image-to-image, not allowed otherwise")
        case "sd3" if editing and "aspect_ratio" in fields:
            raise _Invalid("aspect_ratio: not allowed when mode is image-to-image")
        case _ if image is None:
            return shape
        case _:
            if "strength" not in fields:
                raise _Invalid("strength: required when image is provided")
            _number(fields, "strength", 0, 1)
            return _pixels(image)


def _pixels(image: bytes | None) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(image or b"")) as picture:
            picture.load()
            size = picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _Invalid("image: required, and must be a png, jpeg or webp") from error
    if min(size) < 32 or size[0] * size[1] > 9_437_184:
        raise _Invalid("image: must have at least 32 pixels a side and at most 9,437,184 in all")
    return size


def _one_of(fields: dict[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = fields.get(name, default)
    if name in fields and value not in allowed:
        raise _Invalid(f"{name}: must be one of {', '.join(allowed)}")
    return value


def _number(fields: dict[str, str], name: str, low: float, high: float) -> float:
    """The number in a field, 0 when it was not sent."""
    if name not in fields:
        return 0.0
    try:
        value = float(fields[name])
    except ValueError:
        raise _Invalid(f"{name}: must be a number") from None
    if not low <= value <= high:
        raise _Invalid(f"{name}: must be between {low} and {high}")
    return value


def _enlarged(image: bytes, size: tuple[int, int], format: Format) -> bytes:  # noqa: A002 - the vendor's word
    picture = Image.open(io.BytesIO(image)).convert("RGB").resize(size)
    return _saved(picture, format)


def _blurred(data: bytes, format: Format) -> bytes:  # noqa: A002 - as above
    return _saved(Image.open(io.BytesIO(data)).filter(ImageFilter.GaussianBlur(40)), format)


def _saved(picture: Image.Image, format: Format) -> bytes:  # noqa: A002 - as above
    file = io.BytesIO()
    picture.save(file, format, compress_level=1)
    return file.getvalue()


def _answer(request: web.Request, order: Order, wish: _Wish, data: bytes, name: str) -> web.Response:
    """The picture as it is, or as base64 in JSON, whichever was asked for."""
    reason = "CONTENT_FILTERED" if FILTERED in wish.prompt else "SUCCESS"
    reason = "PONDERING" if order.has("unknown_word") else reason
    headers = {"x-request-id": name}
    if request.headers.get("Accept", "").startswith("application/json"):
        body = {"image": b64encode(data).decode(), "finish_reason": reason, "seed": wish.seed}
        headers["Content-Type"] = f"application/json; type=image/{wish.format}"
        return web.Response(body=json.dumps(body).encode(), headers=headers)
    headers |= {"Content-Type": f"image/{wish.format}", "finish-reason": reason, "seed": str(wish.seed)}
    return web.Response(body=data, headers=headers)
