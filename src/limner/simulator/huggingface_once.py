"""Hugging Face's partners that answer at once: itself, fal, Together and Nscale."""

from base64 import b64encode
from collections.abc import Iterable

from aiohttp import web
from pydantic import JsonValue, ValidationError

from limner.simulator import huggingface_desk as desk
from limner.simulator import huggingface_orders as orders
from limner.simulator.huggingface_orders import SERVED, Served, size_of, steps_of
from limner.simulator.vendor import Order, Route, route


class AtOnce:
    """One call, one picture."""

    def __init__(self, shared: desk.Desk) -> None:
        self.desk = shared
        self.cold: dict[str, int] = {}
        """By model, how many more times hf-inference says that it is still being loaded."""

    def routes(self) -> Iterable[Route]:
        """Below the router."""
        return [
            route("POST", "/router/hf-inference/models/{model:.+}", self.inference, order=True),
            route("POST", "/router/fal-ai/{model:.+}", self.fal, order=True),
            route("POST", "/router/together/v1/images/generations", self.together, order=True),
            route("POST", "/router/nscale/v1/images/generations", self.nscale, order=True),
        ]

    async def inference(self, request: web.Request, order: Order) -> web.StreamResponse:
        """hf-inference: the bytes, JPEG whatever was wished for."""
        model, fields = request.match_info["model"], order.fields()
        served = desk.found("hf-inference", model)
        if served is None:
            return _not_served(model)
        if self.cold.get(model, 0) > 0:
            self.cold[model] -= 1
            body = {"error": f"Model {model} is currently loading", "estimated_time": 20.0}
            return web.json_response(body, status=503)
        try:
            wish = orders.Inference.model_validate(fields).wish
        except ValidationError as fault:
            return desk.error(400, [f"`{where}`: {what}" for where, what, _ in desk.faults(fault)])
        await self.desk.work(served)
        data = await self.desk.drawn(served, wish, order, "jpeg")
        if order.has("refused"):
            data = desk.black(wish)
        desk.charge(served, wish, order)
        return web.Response(body=b"" if desk.empty(order) else data, content_type="image/jpeg")

    async def fal(self, request: web.Request, order: Order) -> web.StreamResponse:
        """fal: an address; a picture that its checker blackened is charged like any other."""
        served = desk.found("fal-ai", request.match_info["model"])
        if served is None:
            return web.json_response({"detail": "Application not found"}, status=404)
        try:
            wish = orders.Fal.model_validate(order.fields())
        except ValidationError as fault:
            return _fal_faults(desk.faults(fault))
        if steps_of(wish) > served.steps:
            what = f"Input should be less than or equal to {served.steps}"
            return _fal_faults([("num_inference_steps", what, "less_than_equal")])
        await self.desk.work(served)
        data = await self.desk.drawn(served, wish, order, wish.output_format)
        if order.has("refused"):
            data = desk.black(wish)
        desk.charge(served, wish, order)
        return web.json_response(self._fal_answer(wish, order, data))

    def _fal_answer(self, wish: orders.Fal, order: Order, data: bytes) -> JsonValue:
        mime, (width, height) = f"image/{wish.output_format}", size_of(wish)
        url = self.desk.address(data, mime, order)
        one: JsonValue = {"url": url, "width": width, "height": height, "content_type": mime}
        return {
            "images": [] if desk.empty(order) else [one],
            "timings": {"inference": 0.4},
            "seed": 0 if wish.seed is None else wish.seed,
            "has_nsfw_concepts": [] if desk.empty(order) else [order.has("refused")],
            "prompt": wish.prompt,
        }

    async def together(self, _request: web.Request, order: Order) -> web.StreamResponse:
        """Together: base64 or addresses, in items without a type."""
        fields = order.fields()
        served = desk.found("together", fields.get("model"))
        if served is None:
            why = f"Unable to access model {fields.get('model')}."
            return _openai_error(404, why, "model_not_available")
        try:
            wish = orders.Together.model_validate(fields)
        except ValidationError as fault:
            return _openai_error(400, desk.said(fault))
        if steps_of(wish) > served.steps:
            return _openai_error(400, f"steps must be between 1 and {served.steps}")
        if order.has("refused"):
            return _openai_error(422, "NSFW content detected in the prompt")
        return await self._encoded(served, wish, order)

    async def nscale(self, _request: web.Request, order: Order) -> web.StreamResponse:
        """Nscale: base64, in OpenAI's shape."""
        fields = order.fields()
        served = desk.found("nscale", fields.get("model"))
        if served is None:
            return _openai_error(404, f"model {fields.get('model')} not found")
        try:
            wish = orders.Nscale.model_validate(fields)
        except ValidationError as fault:
            return _openai_error(422, desk.said(fault))
        if order.has("refused"):
            return _openai_error(400, "the prompt was flagged by moderation")
        return await self._encoded(served, wish, order)

    async def _encoded(
        self, served: Served, wish: orders.Together | orders.Nscale, order: Order
    ) -> web.Response:
        await self.desk.work(served)
        data = await self.desk.drawn(served, wish, order, "png")
        desk.charge(served, wish, order)
        one: dict[str, JsonValue] = {"index": 0}
        if wish.response_format == "url":
            one["url"] = self.desk.address(data, "image/png", order)
        else:
            one["b64_json"] = b64encode(data).decode()
        items = [] if desk.empty(order) else [one]
        return web.json_response({"id": self.desk.world.new_id(), "object": "list", "data": items})


def _not_served(model: str) -> web.Response:
    if any(one.model == model for one in SERVED):
        return desk.error(400, "Model not supported by provider hf-inference")
    return desk.error(404, f"Model {model} does not exist")


def _fal_faults(faults: list[tuple[str, str, str]]) -> web.Response:
    detail = [{"loc": ["body", *where.split(".")], "msg": what, "type": kind} for where, what, kind in faults]
    return web.json_response({"detail": detail}, status=422)


def _openai_error(status: int, message: str, code: str | None = None) -> web.Response:
    what = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": what}, status=status)
