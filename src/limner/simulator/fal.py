"""fal: a queue, and the same models without it. Charged when the work is done; what fails is not charged."""

import asyncio
import io
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from typing import Literal

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image
from pydantic import JsonValue

from limner.simulator.fal_models import MODELS, BadField, Input, checked, price_usd
from limner.simulator.faults import Kind
from limner.simulator.vendor import ErrorWord, Order, Route, Vendor, route

BLACK = "(black)"
"""Words in a prompt whose every picture is blacked out by the safety checker."""
ONE_BLACK = "(one black)"
"""The same for the first picture only."""

KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"limner simulator: fal").digest())
"""What calls are signed with."""
USER = "limner"
"""Whose orders they are, as its calls say."""

_ERRORS: dict[ErrorWord, tuple[int, str]] = {
    "no_key": (401, "Authentication is required to access this application"),
    "bad_key": (401, "No user found for Key ID and Secret"),
    "forbidden": (403, "Access denied to this application"),
    "no_money": (
        403,
        "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
    ),
    "rate_limited": (429, "Too many concurrent requests, please try again later"),
    "server_error": (500, "Internal Server Error"),
    "overloaded": (503, "The queue is over capacity, please try again later"),
}
_POLICY = "The content could not be processed because it was flagged by a content checker."
_UNHEARD: frozenset[Kind] = frozenset({"cut_after", "error_after", "malformed", "empty"})
_QUEUED_S, _WORK_S = 1.0, 4.0
_JSON = {"Content-Type": "application/json"}
_CALLS = 10
_HUGE = 260 * 1024 * 1024

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]


@dataclass(slots=True)
class _Job:
    """One order. `fault` is the status and body that its result has instead of pictures."""

    id: str
    model: str
    order: Order
    input: Input | None
    fault: tuple[int, JsonValue] | None = None
    state: State = "IN_QUEUE"
    canceled: bool = False
    timer: asyncio.TimerHandle | None = None
    result: dict[str, JsonValue] | None = None
    webhook: str | None = None

    @property
    def app(self) -> str:
        """The first two parts of the path: the queue forgets the rest."""
        return "/".join(self.model.split("/")[:2])


class Fal(Vendor):
    """The queue at `/queue`, the synchronous door at `/run`."""

    name = "fal"
    base = "/queue/"
    key = "fal-emu"

    def routes(self) -> Iterable[Route]:
        """Orders by the model's path, then what became of them."""
        job = "/queue/{app:.+}/requests/{id}"
        return [
            # The vendor's lies at another host and needs no key; who has one may send it there all the same.
            route("GET", "/queue/.well-known/jwks.json", self.keys),
            route("GET", f"{job}/status", self.status),
            route("PUT", f"{job}/cancel", self.cancel),
            route("GET", job, self.result),
            route("POST", "/queue/{model:.+}", self.submit, order=True),
            route("POST", "/run/{model:.+}", self.run, order=True),
        ]

    def reset(self) -> None:
        """An empty queue."""
        for job in getattr(self, "orders", {}).values():
            if job.timer is not None:
                job.timer.cancel()
        self.orders: dict[str, _Job] = {}
        for task in getattr(self, "calls", ()):
            task.cancel()
        self.calls: set[asyncio.Task[None]] = set()

    def jobs(self) -> list[dict[str, JsonValue]]:
        """Every order with its state."""
        return [{"id": one.id, "model": one.model, "status": one.state} for one in self.orders.values()]

    def key_of(self, request: web.Request) -> str | None:
        """fal's own scheme; a bearer token is no key here."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        return key.strip() or None if scheme == "Key" else None

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """One text under `detail`."""
        status, said = _ERRORS[word]
        return _detail(status, said)

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """No such path."""
        return _detail(404, "Path not found")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body that cannot be read."""
        return _detail(422, [{"loc": ["body"], "msg": why, "type": "json_invalid"}])

    async def submit(self, request: web.Request, order: Order) -> web.Response:
        """Put into the queue whatever is sent to a model there is."""
        if request.match_info["model"] not in MODELS:
            return _no_app(request)
        job = self._job(request.match_info["model"], order)
        job.webhook = request.query.get("fal_webhook")
        if not order.has("lost"):
            self.orders[job.id] = job
        if order.fault is not None and order.fault.kind in _UNHEARD:
            self._finish(job)  # nobody will ask: the bill must not wait
        elif not order.has("never_ends"):
            self._after(_QUEUED_S, job, self._start)
        address = f"{self.world.home}/queue/{job.app}/requests/{job.id}"
        addresses = {
            "response_url": address,
            "status_url": f"{address}/status",
            "cancel_url": f"{address}/cancel",
        }
        return web.json_response(
            {"status": "IN_QUEUE", "request_id": job.id, **addresses, "queue_position": 0}
        )

    async def run(self, request: web.Request, order: Order) -> web.Response:
        """Without the queue: the result is the answer."""
        if request.match_info["model"] not in MODELS:
            return _no_app(request)
        job = self._job(request.match_info["model"], order)
        await self.world.sleep(_WORK_S)
        self._finish(job)
        return await self._answer(job)

    async def status(self, request: web.Request) -> web.Response:
        """202 while it waits or works, 200 when it has ended, well or not."""
        job = self._known(request)
        if job is None:
            return _detail(404, "Request not found")
        address = f"{self.world.home}/queue/{job.app}/requests/{job.id}"
        body: dict[str, JsonValue] = {"status": job.state, "request_id": job.id, "response_url": address}
        match job.state:
            case "IN_QUEUE":
                body["queue_position"] = 0
            case "IN_PROGRESS":
                body["logs"] = []
            case "COMPLETED":
                body |= {"logs": [], "metrics": {"inference_time": self.world.seconds(_WORK_S)}}
        if job.state == "COMPLETED" and job.order.has("job_fails"):
            body |= {"error": "Runner disconnected", "error_type": "runner_disconnected"}
        if job.state == "COMPLETED" and job.canceled:
            body |= {"error": "Request was cancelled", "error_type": "request_cancelled"}
        if job.order.has("unknown_word"):
            body["status"] = "PONDERING"
        return web.json_response(body, status=200 if job.state == "COMPLETED" else 202)

    async def result(self, request: web.Request) -> web.Response:
        """The pictures, or the error that the model ended with."""
        job = self._known(request)
        if job is None:
            return _detail(404, "Request not found")
        if job.state != "COMPLETED":
            return _detail(400, "Request is still in progress")
        return await self._answer(job)

    async def cancel(self, request: web.Request) -> web.Response:
        """Out of the queue; what already runs is finished and charged."""
        job = self._known(request)
        if job is None:
            return _detail(404, "Request not found")
        if job.state == "COMPLETED":
            return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
        if job.state == "IN_QUEUE":
            if job.timer is not None:
                job.timer.cancel()
            job.state, job.canceled = "COMPLETED", True
            job.fault = (400, "Request was cancelled")
        return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)

    async def keys(self, request: web.Request) -> web.Response:
        """What its calls' signatures are checked with."""
        x = urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
        return web.json_response({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": x}]})

    def _job(self, model: str, order: Order) -> _Job:
        """An order, with what is going to be wrong with it."""
        job = _Job(self.world.new_id(), model, order, None)
        try:
            job.input = checked(model, order.fields())
            job.input.size()
        except BadField as bad:
            job.fault = (422, bad.detail)
        if order.has("refused"):
            flagged: JsonValue = {
                "loc": ["body", "prompt"],
                "msg": _POLICY,
                "type": "content_policy_violation",
            }
            job.fault = (422, [flagged])
        if order.has("job_fails"):
            job.fault = (500, "Runner disconnected")
        return job

    def _after(self, seconds: float, job: _Job, act: Callable[[_Job], None]) -> None:
        job.timer = asyncio.get_running_loop().call_later(self.world.seconds(seconds), act, job)

    def _start(self, job: _Job) -> None:
        job.state = "IN_PROGRESS"
        self._after(_WORK_S, job, self._finish)

    def _finish(self, job: _Job) -> None:
        """The work is done, and charged unless it failed."""
        job.state = "COMPLETED"
        if job.fault is None and job.input is not None:
            count = _delivered(job) or job.input.count
            job.order.charge(price_usd(job.model, _size(job), count), count, job.id)
        if job.webhook is not None:
            # The call goes out whoever has left, so that it has no other owner than this set.
            task = asyncio.get_running_loop().create_task(self._call(job, job.webhook))
            self.calls.add(task)
            task.add_done_callback(self._called)

    def _called(self, task: asyncio.Task[None]) -> None:
        self.calls.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.world.mistaken(f"fal calling: {error!r}")

    async def _call(self, job: _Job, address: str) -> None:
        """Post the result to the order's webhook, a few times, signed each time anew."""
        failed = job.fault is not None
        payload = {"detail": job.fault[1]} if job.fault is not None else await self._drawn(job)
        told = {
            "request_id": job.id,
            "gateway_request_id": job.id,
            "status": "ERROR" if failed else "OK",
            "payload": payload,
        }
        body = dumps(told).encode()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            for _ in range(_CALLS):
                headers = _JSON | sign(job.id, str(int(self.world.now())), body)
                with suppress(aiohttp.ClientError, TimeoutError):
                    if (await http.post(address, data=body, headers=headers, allow_redirects=False)).ok:
                        return
                await self.world.sleep(1.0)

    def _known(self, request: web.Request) -> _Job | None:
        """The order of an address that was given out; one put together with the model's path is none."""
        job = self.orders.get(request.match_info["id"])
        return job if job is not None and job.app == request.match_info["app"] else None

    async def _answer(self, job: _Job) -> web.Response:
        if job.fault is not None:
            status, detail = job.fault
            return _detail(status, detail, "runner_disconnected" if status == 500 else None)
        if job.result is None:
            job.result = await self._drawn(job)
        return web.json_response(job.result)

    async def _drawn(self, job: _Job) -> dict[str, JsonValue]:
        wanted = job.input
        assert wanted is not None  # noqa: S101 - without one there is a fault
        seed = self.world.random.randrange(2**32) if wanted.seed is None else wanted.seed
        black = [_black(wanted, index) for index in range(wanted.count)]
        width, height = _size(job)
        images: list[JsonValue] = [
            {
                "url": await self._picture(job, seed, index),
                "width": width,
                "height": height,
                "content_type": f"image/{wanted.output_format}",
            }
            for index in range(_delivered(job))
        ]
        return {
            "images": images,
            "timings": {"inference": self.world.seconds(_WORK_S)},
            "seed": seed,
            "has_nsfw_concepts": [*black],
            "prompt": wanted.prompt,
        }

    async def _picture(self, job: _Job, seed: int, index: int) -> str:
        """The address of a picture, or of what a fault puts in its place."""
        wanted, order = job.input, job.order
        assert wanted is not None  # noqa: S101 - as in _drawn
        form = wanted.output_format
        data = await self.world.picture(
            self.name, wanted.prompt, *_size(job), seed=seed, index=index, format=form, source=wanted.source()
        )
        if _black(wanted, index):
            data = await asyncio.to_thread(_blackened, _size(job), form)
        if order.has("not_an_image"):
            data = b"<html>this is not a picture</html>"
        if order.has("huge"):
            data += bytes(_HUGE)
        if wanted.sync_mode:
            return f"data:image/{form};base64,{b64encode(data).decode()}"
        if order.has("foreign_url"):
            return self.world.foreign_url(data, f"image/{form}")
        ttl_s = 0 if order.has("expired_url") else None
        return self.world.file(data, f"image/{form}", ttl_s, f"{index}.{form}")


def sign(request_id: str, at: str, body: bytes, key: Ed25519PrivateKey = KEY) -> dict[str, str]:
    """The headers of a call; `at` is Unix seconds in whole."""
    text = "\n".join((request_id, USER, at, sha256(body).hexdigest()))
    return {
        "X-Fal-Webhook-Request-Id": request_id,
        "X-Fal-Webhook-User-Id": USER,
        "X-Fal-Webhook-Timestamp": at,
        "X-Fal-Webhook-Signature": key.sign(text.encode()).hex(),
    }


def _black(wanted: Input, index: int) -> bool:
    flagged = BLACK in wanted.prompt or (ONE_BLACK in wanted.prompt and index == 0)
    return flagged and wanted.enable_safety_checker


def _blackened(size: tuple[int, int], form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, form.upper())
    return file.getvalue()


def _size(job: _Job) -> tuple[int, int]:
    if job.input is None or job.order.has("wrong_size"):
        return 64, 64
    return job.input.size()


def _delivered(job: _Job) -> int:
    if job.input is None or job.order.has("empty_success"):
        return 0
    return job.input.count - 1 if job.order.has("fewer_images") else job.input.count


def _no_app(request: web.Request) -> web.Response:
    return _detail(404, f"Application '{request.match_info['model']}' not found")


def _detail(status: int, said: JsonValue, kind: str | None = None) -> web.Response:
    """An error; what the model itself says has a type, in the body and in a header."""
    if kind is None:
        return web.json_response({"detail": said}, status=status)
    headers = {"X-Fal-Error-Type": kind, "X-Fal-Retryable": "false"}
    return web.json_response({"detail": said, "error_type": kind}, status=status, headers=headers)
