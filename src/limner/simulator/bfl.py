"""Black Forest Labs: an order queues a task, which only its own region's address knows."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from urllib.parse import urlsplit

from aiohttp import web
from PIL import Image
from pydantic import JsonValue, ValidationError

from limner.simulator.bfl_orders import ENDPOINTS, Size, Wish
from limner.simulator.vendor import ErrorWord, Order, Route, Vendor, route

_ACTIVE = {"flux-kontext-max": 6}
_MOST_ACTIVE = 24
_SAMPLE_S = 600.0
_HUGE_BYTES = 300 * 1024 * 1024


@dataclass(slots=True)
class _Task:
    id: str
    endpoint: str
    order: Order
    wish: Wish
    size: Size
    source: bytes | None
    mask: bytes | None
    seed: int
    started_at: float
    ready_at: float
    sample: str = ""


class Bfl(Vendor):
    """Polling lives on another port, so that a client that makes up the address itself finds no task."""

    name = "bfl"
    base = "/"
    key = "bfl-emu"

    def reset(self) -> None:
        """Forget the tasks."""
        self.tasks: dict[str, _Task] = {}

    def routes(self) -> Iterable[Route]:
        """Orders, the result of one, and the credit that is left."""
        return [
            route("POST", "/v1/{endpoint}", self.submit, order=True),
            route("GET", "/v1/get_result", self.result),
            route("GET", "/v1/credits", self.credits),
        ]

    def key_of(self, request: web.Request) -> str | None:
        """A header of its own."""
        return request.headers.get("x-key")

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """Mostly FastAPI's shape."""
        match word:
            case "no_key" | "bad_key":
                return _detail(403, "Not authenticated")
            case "forbidden":
                return _detail(403, "Your API key may not use this endpoint")
            case "no_money":
                return _detail(402, "Insufficient credits. Add credits to your account to go on.")
            case "rate_limited":
                return self._busy("too many requests", self.retry_after_s(request))
            case "server_error":
                return _detail(500, "Internal Server Error")
            case "overloaded":
                return _detail(503, "Service temporarily unavailable")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """FastAPI's own."""
        return _detail(404, "Not Found")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """FastAPI's own."""
        return _detail(422, [{"loc": ["body"], "msg": why[:200], "type": "json_invalid"}])

    def jobs(self) -> list[dict[str, JsonValue]]:
        """Every task there is."""
        return [
            {"id": one.id, "endpoint": one.endpoint, "status": self._status(one)}
            for one in self.tasks.values()
        ]

    async def credits(self, _request: web.Request) -> web.Response:
        """What is left; never less for being looked at."""
        return web.json_response({"credits": 1000.0})

    async def submit(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Queue a task. It is charged when it is taken, unless it is one that fails."""
        name = request.match_info["endpoint"]
        endpoint = ENDPOINTS.get(name)
        if endpoint is None:
            return _detail(404, "Not Found")
        if self._active(name) >= _ACTIVE.get(name, _MOST_ACTIVE):
            return self._busy(f"more than {_ACTIVE.get(name, _MOST_ACTIVE)} active tasks", 5.0)
        fields = order.fields()
        try:
            wish = endpoint.wish.model_validate(fields)
            pictures = [_picture(text) for text in wish.pictures]
            mask = None if wish.mask_sent is None else _picture(wish.mask_sent)
        except ValidationError as fault:
            return _detail(422, _faults(fault))
        except ValueError as fault:
            return _detail(400, str(fault))
        given = _size(pictures[0]) if pictures else None
        if mask and _size(mask) != given:
            return _detail(400, "mask and image are not of one size")
        size = wish.drawn(given)
        seed = self.world.random.getrandbits(32) if wish.seed is None else wish.seed
        now = self.world.now()
        ready_at = now + self.world.seconds(endpoint.seconds)
        source = pictures[0] if pictures else None
        task = _Task(self.world.new_id(), name, order, wish, size, source, mask, seed, now, ready_at)
        return self._accepted(task, endpoint.credits(size, edit=source is not None))

    def _accepted(self, task: _Task, cost: Decimal) -> web.Response:
        if not task.order.has("job_fails"):
            task.order.charge(cost / 100, id=task.id)
        if not task.order.has("lost"):
            self.tasks[task.id] = task
        width, height = task.size
        return web.json_response(
            {
                "id": task.id,
                "polling_url": f"{self.world.twin_url}/{self.name}/v1/get_result?id={task.id}",
                "cost": float(cost),
                "input_mp": 0.0,
                "output_mp": round(width * height / 1_000_000, 2),
            }
        )

    async def result(self, request: web.Request) -> web.StreamResponse:
        """How a task is; the global address knows none."""
        id_ = request.query.get("id", "")
        elsewhere = request.host != urlsplit(self.world.twin_url).netloc
        task = None if elsewhere else self.tasks.get(id_)
        if task is None:
            return web.json_response({"id": id_, "status": "Task not found"}, status=404)
        status = self._status(task)
        result = await self._result(task) if status == "Ready" else None
        details = {"Moderation Reasons": ["Sensitive"]} if status.endswith("Moderated") else None
        body = {"id": task.id, "status": status, "result": result, "progress": None, "details": details}
        return web.json_response(body)

    def _status(self, task: _Task) -> str:
        if task.order.has("never_ends") or self.world.now() < task.ready_at:
            return "Reticulating Splines" if task.order.has("unknown_word") else "Pending"
        if task.order.has("refused"):
            # What moderation costs is not published; here it costs what a picture does.
            return "Request Moderated" if task.wish.safety_tolerance == 0 else "Content Moderated"
        return "Error" if task.order.has("job_fails") else "Ready"

    def _active(self, endpoint: str) -> int:
        """Tasks under way: at an endpoint with a limit of its own, at all others together."""
        waiting = [
            task for task in self.tasks.values() if self._status(task) in ("Pending", "Reticulating Splines")
        ]
        return sum(task.endpoint == endpoint or endpoint not in _ACTIVE for task in waiting)

    async def _result(self, task: _Task) -> JsonValue:
        if task.order.has("empty_success") or task.order.has("fewer_images"):
            return None
        task.sample = task.sample or await self._drawn(task)
        return {
            "sample": task.sample,
            "prompt": task.wish.prompt,
            "seed": task.seed,
            "start_time": task.started_at,
            "end_time": task.ready_at,
            "duration": round(task.ready_at - task.started_at, 3),
        }

    async def _drawn(self, task: _Task) -> str:
        """Address of the picture, which lives for ten minutes."""
        order, kind = task.order, task.wish.output_format
        width, height = task.size
        if order.has("wrong_size"):
            width, height = max(1, width // 2), max(1, height // 2)
        by = f"{self.name} {task.endpoint}"
        source = None if task.mask else task.source
        data = await self.world.picture(
            by, task.wish.prompt, width, height, seed=task.seed, format=kind, source=source
        )
        if task.mask and task.source:
            data = await asyncio.to_thread(_filled, task.source, data, task.mask, kind)
        if order.has("not_an_image"):
            data = b"<html>this is no picture</html>"
        if order.has("huge"):
            data += bytes(_HUGE_BYTES)
        if order.has("foreign_url"):
            return self.world.foreign_url(data, f"image/{kind}")
        ttl_s = 0.0 if order.has("expired_url") else _SAMPLE_S
        return self.world.file(data, f"image/{kind}", ttl_s, f"sample.{kind}")

    def _busy(self, why: str, after_s: float) -> web.Response:
        body = {"error": "rate_limit_exceeded", "message": why, "retry_after": after_s}
        return web.json_response(body, status=429)


def _detail(status: int, detail: JsonValue) -> web.Response:
    return web.json_response({"detail": detail}, status=status)


def _faults(fault: ValidationError) -> JsonValue:
    return [
        {"loc": ["body", *(str(part) for part in one["loc"])], "msg": one["msg"], "type": one["type"]}
        for one in fault.errors(include_url=False, include_context=False)
    ]


def _picture(text: str) -> bytes:
    """A picture from base64 or a data URL. Raises `ValueError` for what is none."""
    try:
        data = b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
        Image.open(BytesIO(data)).load()
    except (binascii.Error, OSError, Image.DecompressionBombError) as fault:
        raise ValueError("an input image is neither base64 nor a picture") from fault
    return data


def _size(data: bytes) -> Size:
    with Image.open(BytesIO(data)) as picture:
        return picture.size


def _filled(source: bytes, painted: bytes, mask: bytes, kind: str) -> bytes:
    """The source, painted anew where the mask is white."""
    with Image.open(BytesIO(source)) as below, Image.open(BytesIO(painted)) as above:
        keep = below.convert("RGB").resize(above.size)
        with Image.open(BytesIO(mask)) as white:
            whole = Image.composite(above.convert("RGB"), keep, white.convert("L").resize(above.size))
    out = BytesIO()
    whole.save(out, kind.upper())
    return out.getvalue()
