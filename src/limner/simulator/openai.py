"""OpenAI: images and moderation. Answers at once, or as a stream of server-sent events with previews."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Literal

from aiohttp import web
from aiohttp.web_request import FileField
from pydantic import JsonValue

from limner.simulator import openai_moderation as moderation
from limner.simulator import openai_orders as orders
from limner.simulator.openai_chat import chat
from limner.simulator.openai_orders import ENGINES, Fault, Usage, Wish
from limner.simulator.openai_words import Problem, event, moderated, problem, told, undrawn
from limner.simulator.vendor import ErrorWord, Order, Route, Unreadable, Vendor, route

Knob = Literal[
    "moderation_output",  # the picture is drawn and billed, and then withheld
    "billing_hard_limit",  # the older answer to an account without credit, with status 400
    "insufficient_quota",  # another older one, with status 429
    "org_unverified",  # the organization may not use the model
    "model_gone",  # the model was taken out of service
    "image_rate_limit",  # too many pictures a minute, told without headers
    "stream_cut",  # the stream ends after the previews, and the order is billed
    "fewer_previews",  # one at most
    "no_usage",  # the answer does not tell the tokens
]
"""Trouble that this vendor alone can make, asked for by `[[openai:KNOB]]` in a prompt."""

_KNOB = re.compile(r"\[\[openai:(\w+)\]\]")
_VERIFY = (
    "Your organization must be verified to use the model `{}`. Please go to: "
    "https://platform.openai.com/settings/organization/general and click on Verify Organization."
)
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_SLOW_DOWN = "You've exceeded the rate limit, please slow down and try again after 51.84 seconds."
_WHOLE = ("cut_after", "error_after", "malformed", "empty", "slow_body", "wrong_type")
"""Faults that the core plays on a finished body: a stream that meets one is sent in one piece."""
_HUGE = 512 * 1024 * 1024
_LOOK_S = 0.02
_SECONDS = 1.0
_CREATED = 1_776_729_600


@dataclass(frozen=True, slots=True)
class _Job:
    """An order that can be read, on its way."""

    order: Order
    wish: Wish
    inputs: tuple[bytes, ...] = ()

    def turns(self, knob: Knob) -> bool:
        """Whether the prompt asks for this trouble."""
        return knob in _KNOB.findall(self.wish.prompt)

    @property
    def previews(self) -> int:
        """Previews that are sent, and billed."""
        return min(self.wish.partial_images, 1 if self.turns("fewer_previews") else 3)


class OpenAI(Vendor):
    """Strict: unknown fields, values out of range and retired models are refused as the vendor does."""

    name = "openai"
    base = "/v1/"
    key = "sk-emu"
    further_keys = ("sk-emu-unverified",)

    def routes(self) -> Iterable[Route]:
        """The images API, moderation, and the list of models."""
        return [
            route("POST", "/v1/images/generations", self.generate, order=True),
            route("POST", "/v1/images/edits", self.edit, order=True),
            route("POST", "/v1/images/variations", self.vary, order=True),
            route("POST", "/v1/chat/completions", self.chat, order=True),
            route("POST", "/v1/moderations", self.moderate),
            route("GET", "/v1/models", self.models),
            route("GET", "/v1/models/{id}", self.model),
        ]

    async def chat(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Words."""
        return chat(order)

    # -- orders ------------------------------------------------------------------------------------------

    async def generate(self, request: web.Request, order: Order) -> web.StreamResponse:
        """A picture from words."""
        try:
            wish = orders.read(order.fields(), texts=False, day=self._day())
        except Fault as fault:
            return self._refused(fault)
        return await self._taken(request, _Job(order, wish))

    async def edit(self, request: web.Request, order: Order) -> web.StreamResponse:
        """A picture from pictures, words and perhaps a mask, as a form; in JSON it is not simulated."""
        if not request.content_type.startswith("multipart/"):
            return self._refused(Fault("Expected multipart/form-data.", None, None, user=False))
        form = await request.post()
        files = [(name, part.file.read()) for name, part in form.items() if isinstance(part, FileField)]
        texts: dict[str, JsonValue] = {name: text for name, text in form.items() if isinstance(text, str)}
        try:
            wish = orders.read(texts, texts=True, day=self._day())
            return await self._taken(request, _Job(order, wish, orders.read_files(files)))
        except Fault as fault:
            return self._refused(fault)
        except Unreadable:
            return self._refused(orders.broken_file("image"))

    async def vary(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Died with DALL-E 2: no model does it."""
        form = await request.post()
        return self._refused(Fault(f"The model '{form.get('model', 'dall-e-2')}' does not exist.", "model"))

    async def _taken(self, request: web.Request, job: _Job) -> web.StreamResponse:
        barred = self._barred(request, job)
        if barred is not None:
            return self._said(*barred)
        await self.world.sleep(_SECONDS)
        return await (self._streamed(request, job) if job.wish.stream else self._drawn(request, job))

    def _barred(self, request: web.Request, job: _Job) -> tuple[int, Problem] | None:
        """What stands in the way of an order that is well said."""
        if self.key_of(request) == "sk-emu-unverified" or job.turns("org_unverified"):
            return 403, problem(_VERIFY.format(job.wish.model), "invalid_request_error")
        if job.turns("model_gone"):
            return 400, _problem(Fault(f"The model '{job.wish.model}' does not exist.", "model"))
        if job.turns("billing_hard_limit"):
            said = "Billing hard limit has been reached"
            return 400, problem(said, "invalid_request_error", "billing_hard_limit_reached")
        if job.turns("insufficient_quota"):
            return 429, problem(_QUOTA, "insufficient_quota", "insufficient_quota")
        if job.turns("image_rate_limit"):
            return 429, problem(_SLOW_DOWN, "requests", "rate_limit_exceeded")
        why = ["sexual"] if job.order.has("refused") else moderation.undrawn(job.wish.prompt)
        return (400, moderated(why, "input")) if why else None

    async def _drawn(self, request: web.Request, job: _Job) -> web.StreamResponse:
        if job.order.has("never_ends"):
            await self._silence(request)
        if job.order.has("job_fails"):
            return self._said(500, undrawn())
        pictures = await self._pictures(job)
        usage = self._charge(job, previews=0)
        if job.turns("moderation_output"):
            return self._said(400, moderated(["sexual"], "output"))
        if job.order.has("huge"):
            return await self._endless(request)
        data: list[JsonValue] = [{"b64_json": b64encode(picture).decode()} for picture in pictures]
        answer = {"created": int(self.world.now()), **self._echo(job), "data": data}
        if not job.turns("no_usage"):
            answer["usage"] = usage.as_json()
        return web.json_response(answer, headers=self._headers())

    def _charge(self, job: _Job, previews: int) -> Usage:
        usage = orders.usage(job.wish, job.inputs, previews)
        job.order.charge(usage.usd, job.wish.n)
        return usage

    async def _pictures(self, job: _Job) -> list[bytes]:
        count = job.wish.n - (1 if job.order.has("fewer_images") else 0)
        if job.order.has("empty_success"):
            return []
        if job.order.has("not_an_image"):
            return [b"this is no picture"] * count
        seed = self.world.random.getrandbits(31)
        return [await self._picture(job, seed, index) for index in range(count)]

    async def _picture(self, job: _Job, seed: int, index: int) -> bytes:
        width, height = (512, 512) if job.order.has("wrong_size") else job.wish.pixels
        return await self.world.picture(
            self.name,
            _KNOB.sub("", job.wish.prompt),
            width,
            height,
            seed=seed,
            index=index,
            format=job.wish.output_format,
            source=job.inputs[0] if job.inputs else None,
        )

    def _echo(self, job: _Job) -> dict[str, JsonValue]:
        """What the order came to; `auto` is told as what was chosen."""
        width, height = job.wish.pixels
        name = job.wish.safety_identifier or job.wish.user
        return {
            "background": "transparent" if job.wish.background == "transparent" else "opaque",
            "output_format": job.wish.output_format,
            "quality": "splendid" if job.order.has("unknown_word") else job.wish.drawn,
            "size": f"{width}x{height}",
            **({"safety_identifier": name} if name else {}),
        }

    # -- streams -----------------------------------------------------------------------------------------

    async def _streamed(self, request: web.Request, job: _Job) -> web.StreamResponse:
        headers = self._headers() | {"Content-Type": "text/event-stream; charset=utf-8"}
        if job.order.fault is not None and job.order.fault.kind in _WHOLE:
            whole = "".join([one async for one in self._events(request, job)])
            return web.Response(body=whole.encode(), headers=headers)
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        async for one in self._events(request, job):
            try:
                await answer.write(one.encode())
            except ConnectionError:
                continue  # nobody listens any more; the picture is drawn and billed all the same
        return answer

    async def _events(self, request: web.Request, job: _Job) -> AsyncIterator[str]:
        kind = "image_edit" if job.inputs else "image_generation"
        seed = self.world.random.getrandbits(31)
        facts = {"created_at": int(self.world.now()), **self._echo(job)}
        for index in range(job.previews):
            preview = b64encode(await self._picture(job, seed, 100 + index)).decode()
            yield event(f"{kind}.partial_image", {"b64_json": preview, "partial_image_index": index, **facts})
        if job.order.has("never_ends"):
            await self._silence(request)
        if job.order.has("job_fails"):
            yield event("error", {"error": undrawn()})
            return
        pictures = await self._pictures(job)
        usage = self._charge(job, job.previews)
        if job.turns("moderation_output"):
            yield event("error", {"error": moderated(["sexual"], "output")})
            return
        if job.turns("stream_cut"):
            return
        last = f"{kind}.{'splendid' if job.order.has('unknown_word') else 'completed'}"
        for picture in pictures:
            yield event(last, {"b64_json": b64encode(picture).decode(), **facts, "usage": usage.as_json()})

    # -- moderation and models ---------------------------------------------------------------------------

    async def moderate(self, request: web.Request) -> web.Response:
        """Judge a text, several, or parts that belong together. Free."""
        fields = self.order_of(request).fields()
        model = str(fields.get("model") or "omni-moderation-latest")
        try:
            results = moderation.results(fields)
        except Fault as fault:
            return self._refused(fault)
        answer = {"id": f"modr-{self.world.new_id().replace('-', '')}", "model": model, "results": results}
        return web.json_response(answer, headers=self._headers())

    async def models(self, _request: web.Request) -> web.Response:
        """The models that are alive, each with the day on which it ends, if that is known."""
        alive = [_entry(name) for name in ENGINES if self._alive(name)]
        return web.json_response({"object": "list", "data": alive}, headers=self._headers())

    async def model(self, request: web.Request) -> web.Response:
        """One of them."""
        name = request.match_info["id"]
        if not self._alive(name):
            said = f"The model '{name}' does not exist"
            return self._said(404, problem(said, "invalid_request_error", "model_not_found", "model"))
        return web.json_response(_entry(name), headers=self._headers())

    def _alive(self, name: str) -> bool:
        return name in ENGINES and (ENGINES[name].shut or "9999") > self._day()

    def _day(self) -> str:
        return datetime.fromtimestamp(self.world.now(), UTC).date().isoformat()

    # -- answers -----------------------------------------------------------------------------------------

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """What every vendor can say, in this one's words."""
        wait = self.retry_after_s(request)
        answer = self._said(*told(word, self.key_of(request) or "", wait))
        if word == "rate_limited":
            answer.headers["retry-after"] = str(ceil(wait))
            answer.headers["retry-after-ms"] = str(round(wait * 1000))
        return answer

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """A path it does not have."""
        return self._said(
            404, problem(f"Invalid URL ({request.method} {request.path})", "invalid_request_error")
        )

    def wrong_method(self, request: web.Request, allowed: Iterable[str]) -> web.StreamResponse:
        """A path it has, asked by another method."""
        said = f"Not allowed to {request.method} on {request.path}."
        answer = self._said(405, problem(said, "invalid_request_error", "method_not_supported"))
        answer.headers["Allow"] = ", ".join(sorted(allowed))
        return answer

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body that is no JSON object."""
        said = f"We could not parse the JSON body of your request: {why[:200]}"
        return self._said(400, problem(said, "invalid_request_error"))

    def _refused(self, fault: Fault) -> web.Response:
        return self._said(400, _problem(fault))

    def _said(self, status: int, error: Problem) -> web.Response:
        return web.json_response({"error": error}, status=status, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {
            "x-request-id": f"req_{self.world.new_id().replace('-', '')}",
            "openai-organization": "emu",
            "openai-processing-ms": "812",
            "openai-version": "2020-10-01",
        }

    async def _silence(self, request: web.Request) -> None:
        """Say nothing more until the client leaves. Raises `ConnectionError` then."""
        while request.transport is not None and not request.transport.is_closing():
            if self.world.stopped.is_set():
                break
            await asyncio.sleep(_LOOK_S)
        raise ConnectionResetError("nobody waits any more")

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        """A picture that never comes to its end."""
        answer = web.StreamResponse(headers=self._headers() | {"Content-Type": "application/json"})
        answer.content_length = _HUGE
        await answer.prepare(request)
        await answer.write(b'{"created":1,"data":[{"b64_json":"')
        for _ in range(_HUGE // 65536 - 1):
            await answer.write(b"A" * 65536)
        return answer


def _problem(fault: Fault) -> Problem:
    return problem(str(fault), fault.type, fault.code, fault.param)


def _entry(name: str) -> dict[str, JsonValue]:
    end: dict[str, JsonValue] = {"shutdown_date": ENGINES[name].shut} if ENGINES[name].shut else {}
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "system", **end}
