"""Leonardo: orders at v1 and v2, polling and the list at v1, uploads in two steps. Charged when accepted."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from aiohttp import web
from pydantic import JsonValue

from limner.simulator import leonardo_orders as orders
from limner.simulator.leonardo_orders import Refusal, Wish
from limner.simulator.vendor import ErrorWord, Order, Route, Unreadable, Vendor, route

USER = "5e0f7a6c-1111-4222-8333-944455556666"
NSFW = "(nsfw)"
"""Words in a prompt whose pictures are delivered with the flag set."""

_HOOK = ("Authentication hook unauthorized this request", "access-denied")
_ERRORS: dict[ErrorWord, tuple[int, str, str]] = {
    "no_key": (401, *_HOOK),
    "bad_key": (401, *_HOOK),
    "forbidden": (403, *_HOOK),
    "no_money": (400, "Your API credit balance is not enough for this generation.", "unexpected"),
    "rate_limited": (429, "Too many requests, please try again later.", "unexpected"),
    "server_error": (500, "Service Error", "unexpected"),
    "overloaded": (503, "Service Error", "unexpected"),
}
_SECONDS = 5.0
_CALLS = 3
_UPLOAD_S = 120.0
_MOST_OPEN = 210
_HUGE = 260 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Callback:
    """What an account's dashboard says about calls."""

    address: str
    secret: str


@dataclass(slots=True)
class _Upload:
    extension: str
    dies_at: float
    data: bytes | None = None


@dataclass(slots=True)
class _Job:
    """One generation. `done_at` is by the simulator's clock."""

    id: str
    wish: Wish
    order: Order
    made_at: float
    done_at: float
    seed: int
    source: bytes | None
    urls: list[str] = field(default_factory=list)

    def status(self, now: float) -> str:
        """The vendor's word."""
        if self.order.has("never_ends") or now < self.done_at:
            return "PENDING"
        if self.order.has("unknown_word"):
            return "MARINATING"
        return "FAILED" if self.order.has("job_fails") else "COMPLETE"


class Leonardo(Vendor):
    """Leonardo's production API.

    `wraps` says whether v2 answers with its wrapper, `lists_faults` whether v2 tells a bad field with status
    200 and a list, `most_open` how many unfinished jobs an account may have, `callback` whom it calls when a
    generation is done.
    """

    name = "leonardo"
    base = "/api/rest/"
    key = "0e0c1c52-7a4b-4d0e-9c57-1e0a2d0eaaaa"

    def routes(self) -> Iterable[Route]:
        """Both versions, and the store that pictures are uploaded to."""
        v1 = "/api/rest/v1"
        return [
            route("POST", f"{v1}/generations", self.create_v1, order=True),
            route("POST", "/api/rest/v2/generations", self.create_v2, order=True),
            route("GET", f"{v1}/generations/user/{{user}}", self.listed),
            route("GET", f"{v1}/generations/{{id}}", self.generation),
            route("DELETE", f"{v1}/generations/{{id}}", self.forget),
            route("GET", f"{v1}/me", self.me),
            route("GET", f"{v1}/platformModels", self.models),
            route("POST", f"{v1}/init-image", self.init_image),
            route("POST", "/s3/{id}", self.store, open=True),
        ]

    def reset(self) -> None:
        """No generations, no uploads."""
        self.generations: dict[str, _Job] = {}
        self.uploads: dict[str, _Upload] = {}
        self.wraps, self.lists_faults, self.most_open = True, True, _MOST_OPEN
        self.callback: Callback | None = None
        for task in getattr(self, "calls", ()):
            task.cancel()
        self.calls: set[asyncio.Task[None]] = set()

    def jobs(self) -> list[dict[str, JsonValue]]:
        """Every generation with its state."""
        now = self.world.now()
        return [{"id": one.id, "status": one.status(now)} for one in self.generations.values()]

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """Three fields. A key that is no UUID breaks the vendor's own hook."""
        if word == "bad_key" and not orders.is_uuid(self.key_of(request) or ""):
            return _no(500, "Invalid response from authorization hook")
        status, said, code = _ERRORS[word]
        return _no(status, said, code=code)

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """No such endpoint."""
        return _no(404, "Endpoint not found", code="not-found")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body or a picture in it that cannot be read."""
        return _no(400, why, code="bad-request")

    async def create_v1(self, request: web.Request, order: Order) -> web.Response:
        """A model with a UUID."""
        try:
            job = self._accept(orders.v1(order.fields()), order)
        except Refusal as no:
            return _no(400, no.said, no.path, no.code)
        return web.json_response({"sdGenerationJob": _receipt(job) | {"apiCreditCost": 8}})

    async def create_v2(self, request: web.Request, order: Order) -> web.Response:
        """A model with a slug."""
        try:
            job = self._accept(orders.v2(order.fields()), order)
        except Refusal as no:
            if self.lists_faults and no.code == "VALIDATION_ERROR":
                return web.json_response([{"message": no.said, "extensions": {"code": no.code}}])
            return _no(400, no.said, no.path, no.code)
        receipt = _receipt(job) | {"apiCreditCost": None}
        return web.json_response({"generate": receipt} if self.wraps else receipt)

    def _accept(self, wish: Wish, order: Order) -> _Job:
        """Take an order and charge for it, unless it is going to fail. Raises `Refusal`."""
        if order.has("refused"):
            raise Refusal("content moderation filter: nude", code="unexpected")
        now = self.world.now()
        if sum(one.status(now) == "PENDING" for one in self.generations.values()) >= self.most_open:
            raise web.HTTPTooManyRequests(text=json.dumps({"error": "Too many pending jobs", "path": "$"}))
        seed = self.world.random.randrange(2**31 - 11) if wish.seed is None else wish.seed
        sources = [self._source(one) for one in wish.inputs]
        done_at = now + self.world.seconds(_SECONDS)
        source = sources[0] if sources else None
        job = _Job(self.world.new_id(), wish, order, now, done_at, seed, source)
        if not order.has("lost"):
            self.generations[job.id] = job
        if not order.has("job_fails"):
            order.charge(wish.dollars, wish.count, job.id)
        if self.callback is not None and not order.has("never_ends"):
            # The call goes out whoever has left, so that it has no other owner than this set.
            task = asyncio.get_running_loop().create_task(self._call(job, self.callback))
            self.calls.add(task)
            task.add_done_callback(self._called)
        return job

    def _called(self, task: asyncio.Task[None]) -> None:
        self.calls.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.world.mistaken(f"leonardo calling: {error!r}")

    async def _call(self, job: _Job, callback: Callback) -> None:
        """Tell the one address of the account, a few times; the vendor's keys are in what it tells."""
        await asyncio.sleep(max(0.0, job.done_at - self.world.now()))
        shown = await self._shown(job)
        told = {name: shown[name] for name in ("id", "status", "prompt")} | {
            "images": shown["generated_images"],
            "seed": str(job.seed),
            "apiDollarCost": str(job.wish.dollars),
            "apiKey": {"key": self.key, "webhookCallbackApiKey": callback.secret},
        }
        body = {
            "type": "image_generation.complete",
            "object": "generation",
            "timestamp": int(self.world.now() * 1000),
            "api_version": "v1",
            "data": {"object": told},
        }
        headers = {"authorization": f"Bearer {callback.secret}"}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            for _ in range(_CALLS):
                with suppress(aiohttp.ClientError, TimeoutError):
                    said = await http.post(
                        callback.address, json=body, headers=headers, allow_redirects=False
                    )
                    if said.ok:
                        return
                await self.world.sleep(1.0)

    def _source(self, id: str) -> bytes:  # noqa: A002 - the vendor's word
        upload = self.uploads.get(id)
        if upload is None:
            raise Refusal("invalid init image id")
        if upload.data is None:
            raise Refusal("couldn't access image")
        return upload.data

    async def generation(self, request: web.Request) -> web.Response:
        """How a generation is doing: null for an id nobody knows."""
        job = self.generations.get(request.match_info["id"])
        return web.json_response({"generations_by_pk": None if job is None else await self._shown(job)})

    async def listed(self, request: web.Request) -> web.Response:
        """The user's generations, latest first."""
        if request.match_info["user"] != USER:
            return web.json_response({"generations": []})
        try:
            start, most = int(request.query.get("offset", "0")), int(request.query.get("limit", "10"))
        except ValueError as error:
            raise Unreadable("offset and limit must be whole numbers") from error
        latest = list(self.generations.values())[::-1][start : start + most]
        return web.json_response({"generations": [await self._shown(job) for job in latest]})

    async def forget(self, request: web.Request) -> web.Response:
        """Delete the record; what it cost stays."""
        found = self.generations.pop(request.match_info["id"], None)
        return web.json_response({"delete_generations_by_pk": None if found is None else {"id": found.id}})

    async def me(self, request: web.Request) -> web.Response:
        """Whose key it is."""
        user: dict[str, JsonValue] = {
            "user": {"id": USER, "username": "emu"},
            "apiPaidTokens": 1000,
            "apiSubscriptionTokens": 0,
            "apiConcurrencySlots": 10,
            "apiPlanTokenRenewalDate": None,
        }
        return web.json_response({"user_details": [user]})

    async def models(self, request: web.Request) -> web.Response:
        """The models of v1."""
        shown = [
            {"id": uuid, "name": name, "description": name, "nsfw": False, "featured": False}
            for uuid, name in orders.NAMES.items()
        ]
        return web.json_response({"custom_models": shown})

    async def init_image(self, request: web.Request) -> web.Response:
        """Where a picture may be uploaded to, for a while."""
        wanted = self.order_of(request).fields().get("extension")
        if wanted not in ("png", "jpg", "jpeg", "webp"):
            return _no(400, "invalid file extension")
        id = self.world.new_id()  # noqa: A001 - the vendor's word
        self.uploads[id] = _Upload(str(wanted), self.world.now() + _UPLOAD_S)
        fields = {"Content-Type": f"image/{wanted}", "key": f"uploads/{id}.{wanted}", "Policy": "emu"}
        url = f"{self.world.home}/s3/{id}"
        answer = {"id": id, "key": fields["key"], "url": url, "fields": json.dumps(fields)}
        return web.json_response({"uploadInitImage": answer})

    async def store(self, request: web.Request) -> web.Response:
        """The store: wants its fields back, the file last, and nobody's key."""
        upload = self.uploads.get(request.match_info["id"])
        if upload is None or self.world.now() > upload.dies_at:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        form = await request.post()
        file = form.get("file")
        if list(form)[-1:] != ["file"] or not isinstance(file, web.FileField) or form.get("Policy") != "emu":
            return web.Response(status=400, text="<Error><Code>InvalidArgument</Code></Error>")
        upload.data = file.file.read()
        return web.Response(status=204)

    async def _shown(self, job: _Job) -> dict[str, JsonValue]:
        status = job.status(self.world.now())
        wish = job.wish
        if status == "COMPLETE" and not job.urls:
            job.urls = [await self._picture(job, index) for index in range(_delivered(job))]
        images: list[JsonValue] = [
            {
                "id": f"{job.id[:-2]}{index:02d}",
                "url": url,
                "nsfw": NSFW in wish.prompt,
                "likeCount": 0,
                "motionMP4URL": None,
                "generated_image_variation_generics": [],
            }
            for index, url in enumerate(job.urls)
        ]
        return {
            "id": job.id,
            "status": status,
            "createdAt": datetime.fromtimestamp(job.made_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
            "generated_images": images,
            "modelId": wish.model,
            "prompt": wish.prompt,
            "negativePrompt": wish.negative_prompt,
            "imageHeight": wish.height,
            "imageWidth": wish.width,
            "inferenceSteps": wish.steps,
            "seed": job.seed,
            "public": False,
            "scheduler": "LEONARDO",
            "sdVersion": "SDXL_LIGHTNING",
            "presetStyle": wish.style,
            "guidanceScale": wish.guidance,
            "photoReal": False,
        }

    async def _picture(self, job: _Job, index: int) -> str:
        """The address of a picture, or of what a fault puts in its place."""
        wish, order = job.wish, job.order
        width, height = (64, 64) if order.has("wrong_size") else (wish.width, wish.height)
        data = await self.world.picture(
            self.name,
            wish.prompt,
            width,
            height,
            seed=job.seed,
            index=index,
            format="jpeg",
            source=job.source,
        )
        if order.has("not_an_image"):
            data = b"<html>this is not a picture</html>"
        if order.has("huge"):
            data += bytes(_HUGE)
        if order.has("foreign_url"):
            return self.world.foreign_url(data, "image/jpeg")
        name = f"{wish.prompt[:20].encode().hex()}_{index}.jpg"
        return self.world.file(data, "image/jpeg", 0 if order.has("expired_url") else None, name)


def _delivered(job: _Job) -> int:
    if job.order.has("empty_success"):
        return 0
    return job.wish.count - 1 if job.order.has("fewer_images") else job.wish.count


def _receipt(job: _Job) -> dict[str, JsonValue]:
    return {"generationId": job.id, "cost": {"amount": str(job.wish.dollars), "unit": "DOLLARS"}}


def _no(status: int, said: str, path: str = "$", code: str = "unexpected") -> web.Response:
    return web.json_response({"error": said, "path": path, "code": code}, status=status)
