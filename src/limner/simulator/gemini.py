"""Google Gemini's stand-in: `generateContent` with pictures, and its many ways to say no.

Besides the common faults a prompt may carry `[[gemini:WORD]]`: a finish reason such as `NO_IMAGE`, `block_`
and a block reason such as `block_SAFETY`, or one of `text_only` `apology` `no_content` `no_parts` `draft`
`two_images` `jpeg` `no_usage` `bad_base64` `per_minute` `per_day` `not_on_tier` `credits_429`.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable
from functools import partial

from aiohttp import web
from pydantic import JsonValue, ValidationError

from limner.simulator import gemini_shapes as shapes
from limner.simulator.gemini_shapes import Ask, Model
from limner.simulator.pictures import Format
from limner.simulator.vendor import ErrorWord, Order, Route, Unreadable, Vendor, route

_DRAWING_S = 2.0
_LOOK_S = 0.02
_HUGE_BYTES = 1 << 33
_KNOB = re.compile(r"\[\[gemini:(\w+)\]\]")
_TYPE = "type.googleapis.com/google.rpc"
_NOT_FOUND = (
    "models/{model} is not found for API version {version}, or is not supported for {method}. Call "
    "ModelService.ListModels to see the list of available models and their supported methods."
)
_QUOTA = "You exceeded your current quota, please check your plan and billing details."
_CREDITS = (
    "Your prepayment credits are depleted. Please go to AI Studio at https://ai.studio/projects to manage "
    "your project and billing."
)
_NO_KEY = "Method doesn't allow unregistered callers (callers without established identity)."
Json = dict[str, JsonValue]


class Gemini(Vendor):
    """The Gemini Developer API, versions `v1` and `v1beta`."""

    name = "gemini"
    base = "/"
    key = "AIza-emu"

    def routes(self) -> Iterable[Route]:
        """Generate, list, look at one."""
        models = "/{version:v1|v1beta}/models"
        return [
            route("POST", models + "/{model:[^:/]+}:{method}", self.generate, order=True),
            route("GET", models, self.listed),
            route("GET", models + "/{model:[^:/]+}", self.one),
        ]

    def key_of(self, request: web.Request) -> str | None:
        """A header of Google's own, or a parameter."""
        return request.headers.get("x-goog-api-key") or request.query.get("key")

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """Google's error body; what is wrong with a key is a 400."""
        match word:
            case "no_key":
                return _error(403, "PERMISSION_DENIED", _NO_KEY)
            case "bad_key":
                return _bad_key()
            case "forbidden":
                return _error(403, "PERMISSION_DENIED", "Permission denied: this key may not use the API.")
            case "no_money":
                return _error(402, "RESOURCE_EXHAUSTED", _CREDITS)
            case "rate_limited":
                return _quota("PerMinutePerProjectPerModel", "10", self.retry_after_s(request))
            case "server_error":
                return _error(500, "INTERNAL", "An internal error has occurred. Please retry.")
            case "overloaded":
                return _error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """Google's page for a path that is none."""
        page = "<title>Error 404 (Not Found)!!1</title>"
        return web.Response(status=404, text=page, content_type="text/html")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A picture that is none."""
        return _invalid("contents", f"Unable to process input image. {why}")

    async def listed(self, request: web.Request) -> web.Response:
        """The models, a page of them."""
        size = request.query.get("pageSize", "50")
        start = request.query.get("pageToken", "0")
        if not (size.isdecimal() and start.isdecimal()):
            return _error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        names = list(shapes.MODELS)
        end = int(start) + (int(size) or 50)
        page: Json = {"models": [_about(name) for name in names[int(start) : end]]}
        return web.json_response(page | ({"nextPageToken": str(end)} if end < len(names) else {}))

    async def one(self, request: web.Request) -> web.Response:
        """One model."""
        name = request.match_info["model"]
        known = name in shapes.MODELS
        return web.json_response(_about(name)) if known else _no_model(request, "generateContent")

    async def generate(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Draw one picture, or say in one of Google's ways why not."""
        model = shapes.MODELS.get(request.match_info["model"])
        if model is None or request.match_info["method"] != "generateContent":
            return _no_model(request, request.match_info["method"])
        try:
            ask = Ask.model_validate_json(order.body)
        except ValidationError as error:
            return _invalid(*shapes.complaint(error))
        wrong = shapes.wrong(ask, model, len(order.body))
        if wrong is not None:
            return _invalid(*wrong)
        knob = _KNOB.search(ask.words)
        return await self._answered(request, order, ask, model, "" if knob is None else knob[1])

    async def _answered(
        self, request: web.Request, order: Order, ask: Ask, model: Model, knob: str
    ) -> web.StreamResponse:
        tokens = shapes.count(ask, model)
        barred = self._barred(knob)
        if barred is not None:
            return barred
        if knob.startswith("block_") or order.has("refused"):
            reason = knob.removeprefix("block_") or "PROHIBITED_CONTENT"
            return self._said(request, tokens.only_read(), promptFeedback={"blockReason": reason})
        await self.world.sleep(_DRAWING_S)
        unpaid = _without(knob, order)
        if unpaid is not None:
            return self._said(request, tokens.only_read(), candidates=[unpaid])
        parts = await self._parts(order, ask, knob)
        if knob == "two_images":
            tokens = tokens.twice()
        shown = [part for part in parts if "inlineData" in part and "thought" not in part]
        order.charge(model.usd(tokens), images=len(shown))
        if order.has("huge"):
            return await _huge(request)
        if order.has("never_ends"):
            await self._until_left(request)
        content: Json = {"role": "model", "parts": [*parts]}
        candidate: Json = {"content": content, "finishReason": "STOP", "index": 0}
        return self._said(request, tokens.told(), candidates=[candidate | _spoilt(knob, order)])

    def _barred(self, knob: str) -> web.Response | None:
        match knob:
            case "per_minute":
                return _quota("PerMinutePerProjectPerModel", "10", 0.8)
            case "per_day":
                return _quota("PerDayPerProjectPerModel", "100", 3600)
            case "not_on_tier":
                return _quota("PerMinutePerProjectPerModel", "0", 26)
            case "credits_429":
                return _error(429, "RESOURCE_EXHAUSTED", _CREDITS)  # how an empty purse was told before 2026
            case _:
                return None

    async def _parts(self, order: Order, ask: Ask, knob: str) -> list[Json]:
        width, height = shapes.pixels(ask)
        if order.has("wrong_size"):
            width, height = width // 2, height // 2
        form: Format = "jpeg" if knob == "jpeg" else "png"
        words, seed = _KNOB.sub("", ask.words), ask.generation_config.seed or 0
        source = _decoded(ask.pictures[0].data) if ask.pictures else None
        draw = partial(self.world.picture, "gemini", words, width, height, seed=seed, format=form)
        pictures = [
            await draw(index=index, source=source) for index in range(2 if knob == "two_images" else 1)
        ]
        if order.has("not_an_image"):
            pictures = [b"this is no picture"]
        parts = [_picture(data, form) for data in pictures]
        if knob == "draft":
            parts.insert(0, _picture(b"a draft nobody should see", "png") | {"thought": True})
        if knob == "bad_base64":
            parts = [{"inlineData": {"mimeType": "image/png", "data": "%%%"}}]
        talks = "TEXT" in ask.generation_config.response_modalities
        return [{"text": "Here is your picture."}, *parts] if talks else parts

    def _said(self, request: web.Request, usage: Json, **said: JsonValue) -> web.Response:
        told: Json = {"modelVersion": request.match_info["model"], "responseId": self.world.new_id()}
        if "[[gemini:no_usage]]" not in self.order_of(request).prompt:
            told["usageMetadata"] = usage
        return web.json_response(said | told)

    async def _until_left(self, request: web.Request) -> None:
        while request.transport is not None and not request.transport.is_closing():
            if self.world.stopped.is_set():
                return
            await asyncio.sleep(_LOOK_S)


def _without(knob: str, order: Order) -> Json | None:
    """A candidate without a picture, for which nothing is charged."""
    match knob:
        case "text_only":
            return _talk("Foxes are red because of pheomelanin.")
        case "apology":
            return _talk("I\u2019m sorry, I can\u2019t help with that picture.")
        case _ if knob.isupper():
            message = "Unable to show the generated image."
            return {"finishReason": knob, "finishMessage": message, "index": 0}
        case _ if order.has("fewer_images") or order.has("job_fails"):
            reason = "NO_IMAGE" if order.has("fewer_images") else "OTHER"
            return {"content": {}, "finishReason": reason, "index": 0}
        case _:
            return None


def _decoded(text: str) -> bytes:
    """Google reads both alphabets of base64; its own SDK writes the one for addresses."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise Unreadable(f"Base64 decoding failed: {error}") from error


def _talk(words: str) -> Json:
    return {"content": {"role": "model", "parts": [{"text": words}]}, "finishReason": "STOP", "index": 0}


def _spoilt(knob: str, order: Order) -> Json:
    """What is wrong with the candidate although it was drawn and charged."""
    if order.has("unknown_word"):
        return {"finishReason": "SPARKLED", "content": {}}
    if order.has("empty_success") or knob == "no_parts":
        return {"content": {}}
    return {"content": None} if knob == "no_content" else {}


def _picture(data: bytes, form: Format) -> Json:
    inline: Json = {"mimeType": f"image/{form}", "data": base64.b64encode(data).decode()}
    return {"inlineData": inline, "thoughtSignature": "c2ln"}


def _about(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 65536,
        "outputTokenLimit": 32768,
        "supportedGenerationMethods": ["generateContent"],
    }


def _error(code: int, status: str, message: str, *details: Json) -> web.Response:
    told: Json = {"code": code, "message": message, "status": status}
    return web.json_response({"error": told | ({"details": [*details]} if details else {})}, status=code)


def _no_model(request: web.Request, method: str) -> web.Response:
    facts = request.match_info
    said = _NOT_FOUND.format(model=facts["model"], version=facts["version"], method=method)
    return _error(404, "NOT_FOUND", said)


def _invalid(field: str, message: str) -> web.Response:
    violation: JsonValue = [{"field": field, "description": message}]
    detail: Json = {"@type": f"{_TYPE}.BadRequest", "fieldViolations": violation}
    return _error(400, "INVALID_ARGUMENT", message, detail)


def _bad_key() -> web.Response:
    detail: Json = {
        "@type": f"{_TYPE}.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return _error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", detail)


def _quota(scope: str, value: str, after_s: float) -> web.Response:
    violation: Json = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_paid_tier_requests",
        "quotaId": f"GenerateRequests{scope}",
        "quotaDimensions": {"location": "global"},
        "quotaValue": value,
    }
    broken: Json = {"@type": f"{_TYPE}.QuotaFailure", "violations": [violation]}
    retry: Json = {"@type": f"{_TYPE}.RetryInfo", "retryDelay": f"{after_s:g}s"}
    return _error(429, "RESOURCE_EXHAUSTED", _QUOTA, broken, retry)


async def _huge(request: web.Request) -> web.StreamResponse:
    """An answer that says it is 8 GiB long; whoever reads on waits for ever."""
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    answer.content_length = _HUGE_BYTES
    await answer.prepare(request)
    await answer.write(b'{"candidates":[{"content":{"parts":[{"inlineData":{"data":"')
    return answer
