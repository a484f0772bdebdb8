"""Replicate: predictions that start, work and end by themselves; pictures at addresses that live an hour."""

import asyncio
import io
import re
from base64 import b32encode, b64decode
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from math import ceil
from typing import cast
from uuid import UUID

import jsonschema_rs
from aiohttp import web
from PIL import Image
from pydantic import JsonValue

from limner.simulator.replicate_models import MODELS, Hosted
from limner.simulator.replicate_work import EVENTS, SECRET, Prediction, Studio, time_text
from limner.simulator.vendor import ErrorWord, Order, Route, Unreadable, Vendor, route
from limner.simulator.world import World

_EVERY_S = 10.0
_PAGE = 100
_WAIT = re.compile(r"^wait(?:=([1-9]|[1-9][0-9]))?$")
_SPAN = re.compile(r"^(\d+)([smh])$")
_SPAN_S = {"s": 1, "m": 60, "h": 3600}
_NO_VERSION = "The specified version does not exist (or perhaps you don't have permission to use it?)"
_NOT_FOUND = "The requested resource could not be found."
_CREDIT = (
    "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to "
    "purchase credit. Once you purchase credit, please wait a few minutes before trying again."
)
_POOR = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute "
    "with a burst of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~{}s."
)


class Replicate(Vendor):
    """Official models by name, community models by version; accounts, files, webhooks."""

    name = "replicate"
    base = "/"
    key = "r8_emu"
    further_keys = ("r8_emu-poor",)
    """Lets in an account with little credit: one order every ten seconds."""

    def __init__(self, world: World) -> None:
        self.studio = Studio(world)
        super().__init__(world)

    def routes(self) -> Iterable[Route]:
        """The order, what may be asked about it, models, account, files."""
        return [
            route("POST", "/v1/predictions", self.create, order=True),
            route("POST", "/v1/models/{owner}/{name}/predictions", self.create, order=True),
            route("GET", "/v1/predictions", self.predictions),
            route("GET", "/v1/predictions/{id}", self.prediction),
            route("POST", "/v1/predictions/{id}/cancel", self.cancel),
            route("GET", "/v1/models/{owner}/{name}", self.described),
            route("GET", "/v1/models/{owner}/{name}/versions", self.versions),
            route("GET", "/v1/models/{owner}/{name}/versions/{version}", self.one_version),
            route("GET", "/v1/account", self.account),
            route("GET", "/v1/webhooks/default/secret", self.secret),
            route("POST", "/v1/files", self.upload),
        ]

    def reset(self) -> None:
        """No predictions, no files, no order yet."""
        self.studio.clear()
        self.all: dict[str, Prediction] = {}
        self.uploads: dict[str, bytes] = {}
        self.next_order_at = 0.0

    def jobs(self) -> list[dict[str, JsonValue]]:
        """Every prediction, oldest first."""
        return [self.studio.shown(one) for one in self.all.values()]

    def key_of(self, request: web.Request) -> str | None:
        """The bearer token; the older scheme is `Token`."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() in ("bearer", "token") else None

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """A problem in JSON."""
        match word:
            case "no_key":
                return _problem(401, "You did not pass an authentication token", "Unauthenticated")
            case "bad_key":
                return _problem(401, "You did not pass a valid authentication token", "Unauthenticated")
            case "forbidden":
                return _problem(403, "You do not have permission to perform this action.", "Forbidden")
            case "no_money":
                return _problem(402, _CREDIT, "Insufficient credit")
            case "rate_limited":
                seconds = ceil(self.retry_after_s(request))
                return _problem(429, f"Request was throttled. Your rate limit resets in ~{seconds}s.")
            case "server_error":
                return _problem(500, "Internal server error")
            case "overloaded":
                return _problem(503, "Service temporarily unavailable, try again later.")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """No such thing."""
        return _problem(404, _NOT_FOUND)

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body that is no JSON, a picture that is none."""
        return _problem(400, why, "Bad request")

    # -- orders ------------------------------------------------------------------------------------------

    async def create(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Take the order; `Prefer: wait` holds the answer for a while."""
        throttled = self._throttled(request)
        if throttled is not None:
            return throttled
        fields = order.fields()
        model = self._called(request, fields)
        if isinstance(model, web.Response):
            return model
        given = fields.get("input")
        faults = _faults(model, given)
        if faults is not None:
            return faults
        made = self._made(request, order, model, cast("dict[str, JsonValue]", given))  # `_faults` saw to it
        self._settle(made, fields)
        if not order.has("lost"):
            self.all[made.id] = made
        self.studio.start(made)
        await self._held(request, made)
        return web.json_response(self.studio.shown(made), status=201)

    def _throttled(self, request: web.Request) -> web.Response | None:
        if self.key_of(request) != self.further_keys[0]:
            return None
        wait_s = ceil(self.next_order_at - self.world.now())
        if wait_s > 0:
            return _problem(429, _POOR.format(wait_s), retry_after=wait_s)
        self.next_order_at = self.world.now() + _EVERY_S
        return None

    def _called(self, request: web.Request, fields: dict[str, JsonValue]) -> Hosted | web.Response:
        """The model that an order names by its path, or by `version`."""
        if "owner" in request.match_info:
            found = _hosted(request)
            return found if found is not None and found.official else _problem(404, _NOT_FOUND)
        version = str(fields.get("version", ""))
        for model in MODELS:
            names = (model.name,) if model.official else (model.version, f"{model.name}:{model.version}")
            if version in names:
                return model
        return _problem(422, _NO_VERSION, "Invalid version or not permitted")

    def _made(
        self, request: web.Request, order: Order, model: Hosted, given: dict[str, JsonValue]
    ) -> Prediction:
        now = self.world.now()
        name = b32encode(UUID(self.world.new_id()).bytes).decode().rstrip("=").lower()
        span = _SPAN.match(request.headers.get("Cancel-After", ""))
        deadline_at = None if span is None else now + int(span[1]) * _SPAN_S[span[2]]
        source = self._picture(given.get(model.image))
        return Prediction(name, model, given, order, now, source, deadline_at)

    def _settle(self, made: Prediction, fields: dict[str, JsonValue]) -> None:
        webhook, wanted = fields.get("webhook"), fields.get("webhook_events_filter")
        made.webhook = webhook if isinstance(webhook, str) else None
        made.events = tuple(str(one) for one in wanted) if isinstance(wanted, list) else EVENTS

    def _picture(self, value: JsonValue) -> bytes | None:
        """The first input picture. Raises `Unreadable` when it is none."""
        link = value[0] if isinstance(value, list) and value else value
        if not isinstance(link, str):
            return None
        head, _, text = link.partition(";base64,")
        try:
            data = b64decode(text) if head.startswith("data:") else self.uploads.get(link, b"")
            Image.open(io.BytesIO(data)).verify()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise Unreadable(f"cannot identify image file at {link[:40]}") from error
        return data

    async def _held(self, request: web.Request, made: Prediction) -> None:
        wanted = _WAIT.match(request.headers.get("Prefer", ""))
        if wanted is not None:
            seconds = min(float(wanted[1] or 60), 60.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(made.ended.wait(), seconds)

    # -- questions ---------------------------------------------------------------------------------------

    async def prediction(self, request: web.Request) -> web.StreamResponse:
        """How far it is."""
        found = self.all.get(request.match_info["id"])
        return self.not_found(request) if found is None else web.json_response(self.studio.shown(found))

    async def predictions(self, request: web.Request) -> web.StreamResponse:
        """All of them, newest first, a hundred a page."""
        cursor = request.query.get("cursor", "0")
        start = int(cursor) if cursor.isdecimal() else 0
        newest = [*reversed(self.all.values())]
        more = len(newest) > start + _PAGE
        return web.json_response(
            {
                "next": f"{self.world.home}/v1/predictions?cursor={start + _PAGE}" if more else None,
                "previous": None,
                "results": [self.studio.shown(one) for one in newest[start : start + _PAGE]],
            }
        )

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Stop it: what has begun is charged, what is over stays as it is."""
        found = self.all.get(request.match_info["id"])
        if found is None:
            return self.not_found(request)
        await self.studio.stop(found)
        return web.json_response(self.studio.shown(found))

    async def described(self, request: web.Request) -> web.StreamResponse:
        """A model with the schema of its newest version."""
        found = _hosted(request)
        return self.not_found(request) if found is None else web.json_response(_described(found))

    async def versions(self, request: web.Request) -> web.StreamResponse:
        """Official models have no list of versions."""
        found = _hosted(request)
        if found is None or found.official:
            return self.not_found(request)
        return web.json_response({"next": None, "previous": None, "results": [_version(found)]})

    async def one_version(self, request: web.Request) -> web.StreamResponse:
        """One version of a community model."""
        found = _hosted(request)
        if found is None or found.official or found.version != request.match_info["version"]:
            return self.not_found(request)
        return web.json_response(_version(found))

    async def account(self, request: web.Request) -> web.StreamResponse:
        """Whose key it is."""
        return web.json_response({"type": "user", "username": "limner", "name": "Limner", "github_url": None})

    async def secret(self, request: web.Request) -> web.StreamResponse:
        """What webhooks are signed with."""
        return web.json_response({"key": SECRET})

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """Keep an input file."""
        try:
            content = (await request.post()).get("content")
        except ValueError as error:
            raise Unreadable(f"Multipart form parse error - {error}") from error
        if not isinstance(content, web.FileField):
            return _problem(422, "- content is required\n", "Input validation failed")
        data, name = content.file.read(), self.world.new_id()
        address = f"{self.world.home}/v1/files/{name}"
        self.uploads[address] = data
        shown = {
            "id": name,
            "name": content.filename,
            "content_type": content.content_type,
            "size": len(data),
            "etag": name,
            "checksums": {"sha256": sha256(data).hexdigest()},
            "metadata": {},
            "created_at": time_text(self.world.now()),
            "expires_at": time_text(self.world.now() + 86400),
            "urls": {"get": address},
        }
        return web.json_response(shown, status=201)


def _problem(
    status: int, detail: str, title: str | None = None, *, retry_after: int | None = None
) -> web.Response:
    body = {"title": title, "detail": detail, "status": status, "retry_after": retry_after}
    return web.json_response(
        {name: value for name, value in body.items() if value is not None}, status=status
    )


def _hosted(request: web.Request) -> Hosted | None:
    name = f"{request.match_info['owner']}/{request.match_info['name']}"
    return next((model for model in MODELS if model.name == name), None)


def _faults(model: Hosted, given: JsonValue) -> web.Response | None:
    """What is wrong with an input by the model's schema."""
    found = []
    for fault in jsonschema_rs.validator_for(model.schema).iter_errors(given):
        path = ".".join(["input", *(str(part) for part in fault.instance_path)])
        kind = str(fault.schema_path[-1]) if fault.schema_path else "type"
        found.append({"type": kind, "field": path, "description": fault.message})
    if not found:
        return None
    detail = "".join(f"- {one['field']}: {one['description']}\n" for one in found)
    body = {"title": "Input validation failed", "detail": detail, "status": 422, "invalid_fields": found}
    return web.json_response(body, status=422)


def _described(model: Hosted) -> dict[str, JsonValue]:
    owner, _, name = model.name.partition("/")
    return {
        "url": f"https://replicate.com/{model.name}",
        "owner": owner,
        "name": name,
        "description": f"{name}, simulated",
        "visibility": "public",
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 1,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": _version(model),
    }


def _version(model: Hosted) -> dict[str, JsonValue]:
    output: JsonValue = {"type": "array"} if model.output == "list" else {"type": "string", "format": "uri"}
    return {
        "id": "hidden" if model.official else model.version,
        "created_at": "2026-01-01T00:00:00.000Z",
        "cog_version": "0.16.0",
        "openapi_schema": {"components": {"schemas": {"Input": model.schema, "Output": output}}},
    }
