"""A server of one's own that copies OpenAI's images API: lenient, free, and it answers with addresses."""

from base64 import b64encode
from collections.abc import Iterable

from aiohttp import web
from aiohttp.web_request import FileField
from pydantic import JsonValue

from limner.simulator.openai_chat import chat
from limner.simulator.vendor import ErrorWord, Order, Route, Vendor, route

_MODELS = ("sd-turbo", "flux-1-schnell", "qwen-image")
_MISSING = "no-such-model"
_TTL_S = 3600.0
_HUGE = 512 * 1024 * 1024


class OpenAICompatible(Vendor):
    """Takes any name but `no-such-model`, with a key or without, and passes over fields it does not know."""

    name = "openai-compatible"
    base = "/v1/"
    key = ""
    any_model = _MODELS[0]

    def routes(self) -> Iterable[Route]:
        """Drawing, editing, and the list of models."""
        return [
            route("POST", "/v1/images/generations", self.generate, order=True),
            route("POST", "/v1/images/edits", self.edit, order=True),
            route("POST", "/v1/chat/completions", self.chat, order=True),
            route("GET", "/v1/models", self.models),
        ]

    async def generate(self, request: web.Request, order: Order) -> web.StreamResponse:
        """A picture from words."""
        return await self._drawn(request, order, order.fields(), None)

    async def edit(self, request: web.Request, order: Order) -> web.StreamResponse:
        """A picture from a picture."""
        form = await request.post()
        texts: dict[str, JsonValue] = {name: text for name, text in form.items() if isinstance(text, str)}
        files = [form.get(name) for name in ("image", "image[]")]
        inputs = [one.file.read() for one in files if isinstance(one, FileField)]
        if not inputs:
            return self._said(400, "image is required")
        return await self._drawn(request, order, texts, inputs[0])

    async def chat(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Words."""
        return chat(order)

    async def models(self, request: web.Request) -> web.Response:
        """What is installed."""
        data = [{"id": name, "object": "model"} for name in _MODELS]
        return web.json_response({"object": "list", "data": data})

    async def _drawn(
        self, request: web.Request, order: Order, fields: dict[str, JsonValue], source: bytes | None
    ) -> web.StreamResponse:
        prompt = str(fields.get("prompt") or "")
        model = str(fields.get("model") or _MODELS[0])
        sides = str(fields.get("size") or "512x512").split("x")
        count = str(fields.get("n") or 1)
        if model == _MISSING:
            return self._said(404, f"model {model!r} not found")
        if not prompt:
            return self._said(400, "prompt is required")
        if len(sides) != 2 or not all(side.isdecimal() and 8 <= int(side) <= 4096 for side in sides):
            return self._said(400, "size must be WIDTHxHEIGHT")
        if not (count.isdecimal() and 1 <= int(count) <= 10):
            return self._said(400, "n must be 1 to 10")
        if order.has("refused"):
            return self._said(400, "the prompt is not allowed here", "content_policy_violation")
        if order.has("job_fails"):
            return self._said(500, "CUDA out of memory")
        size = (512, 512) if order.has("wrong_size") else (int(sides[0]), int(sides[1]))
        pictures = await self._pictures(order, prompt, size, int(count), source)
        order.charge("0", len(pictures))
        if order.has("huge"):
            return await self._endless(request)
        whole = str(fields.get("response_format") or "url") == "b64_json"
        data: list[JsonValue] = [
            {"b64_json": b64encode(picture).decode()} if whole else {"url": self._address(order, picture)}
            for picture in pictures
        ]
        return web.json_response({"created": int(self.world.now()), "data": data})

    async def _pictures(
        self, order: Order, prompt: str, size: tuple[int, int], count: int, source: bytes | None
    ) -> list[bytes]:
        await self.world.sleep(self.world.seconds(5.0))
        if order.has("empty_success"):
            return []
        if order.has("fewer_images"):
            count -= 1
        if order.has("not_an_image"):
            return [b"this is no picture"] * count
        seed = self.world.random.getrandbits(31)
        return [
            await self.world.picture(self.name, prompt, *size, seed=seed, index=index, source=source)
            for index in range(count)
        ]

    def _address(self, order: Order, picture: bytes) -> str:
        if order.has("foreign_url"):
            return self.world.foreign_url(picture, "image/png")
        return self.world.file(picture, "image/png", 0.0 if order.has("expired_url") else _TTL_S, "1.png")

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.content_length = _HUGE
        await answer.prepare(request)
        for _ in range(_HUGE // 65536):
            await answer.write(b"A" * 65536)
        return answer

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """Bodies as LocalAI writes them."""
        match word:
            case "no_key" | "bad_key":
                return self._said(401, "An authentication key is required")
            case "forbidden" | "no_money":
                return self._said(403, "the key may not draw")
            case "rate_limited":
                answer = self._said(429, "too many requests")
                answer.headers["Retry-After"] = str(max(1, round(self.retry_after_s(request))))
                return answer
            case "server_error":
                return self._said(500, "rpc error: code = Unknown desc = the backend stopped")
            case "overloaded":
                return self._said(503, "the server is busy")

    def _said(self, status: int, message: str, code: str | int | None = None) -> web.Response:
        problem = {"code": status if code is None else code, "message": message, "type": ""}
        return web.json_response({"error": problem}, status=status)
