"""Ollama: its own API and the one in OpenAI's shapes. Which version it plays decides whether it draws."""

import io
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from hashlib import sha256

from aiohttp import web
from PIL import Image

from limner.simulator.language import Heard
from limner.simulator.language import speak as speak_as_told
from limner.simulator.ollama_chat import heard, offered, spoken_lines, spoken_whole
from limner.simulator.ollama_models import (
    MODELS,
    Drawing,
    Installed,
    Wrong,
    numbers,
    source_of,
    tagged,
    thinking,
)
from limner.simulator.ollama_shapes import (
    Asked,
    Chat,
    Generate,
    Line,
    OpenAIChat,
    OpenAIImage,
    Options,
    chat_lines,
    completion_lines,
    joined,
    last_said,
    openai_completion,
    openai_events,
    openai_said,
    said,
)
from limner.simulator.ollama_words import Speech, speak
from limner.simulator.openai_chat import completion, events
from limner.simulator.vendor import ErrorWord, Order, Route, Vendor, route

_AFTER = frozenset({"cut_after", "error_after", "malformed", "empty", "slow_body", "wrong_type"})
"""Faults that the core plays on a whole answer, so that there must be one."""
_FIRST, _EDITS, _LAST = (0, 14, 0), (0, 15, 0), (0, 32, 5)
_HUGE = 70 * 1024 * 1024
_ERRORS: dict[ErrorWord, tuple[int, str]] = {
    "no_key": (401, "unauthorized"),
    "bad_key": (401, "unauthorized"),
    "forbidden": (403, "this model is disabled for your account"),
    "no_money": (403, "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"),
    "rate_limited": (429, "you've reached your usage limit, please try again later"),
    "server_error": (500, "mlx runner failed: exit status 255"),
    "overloaded": (503, "server busy, please try again.  maximum pending requests exceeded"),
}


class Ollama(Vendor):
    """One server. Set `version`, or POST it to `/ollama/__emu/version`, to have an older or a newer one."""

    name = "ollama"
    base = "/"
    key = ""

    def reset(self) -> None:
        """The last version that draws, with three image and two text models."""
        self.version = "0.32.5"
        self.installed = dict(MODELS)

    def routes(self) -> Iterable[Route]:
        """Its own paths, OpenAI's, and the switch for its version."""
        return (
            route("GET", "/", self.running),
            route("HEAD", "/", self.running),
            route("GET", "/api/version", self.told_version),
            route("GET", "/api/tags", self.tags),
            route("GET", "/api/ps", self.loaded),
            route("POST", "/api/show", self.show),
            route("POST", "/api/pull", self.pull),
            route("POST", "/api/generate", self.generate, order=True),
            route("POST", "/api/chat", self.chat, order=True),
            route("GET", "/v1/models", self.openai_models),
            route("POST", "/v1/chat/completions", self.openai_chat, order=True),
            route("POST", "/v1/images/generations", self.openai_image, order=True),
            route("POST", "/v1/images/edits", self.openai_image, order=True),
            route("POST", "/__emu/version", self.set_version),
        )

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """One text; in OpenAI's shape below `/v1`."""
        status, text = _ERRORS[word]
        headers = {"Retry-After": f"{self.retry_after_s(request):.0f}"} if word == "rate_limited" else {}
        if "/v1/" in request.path:
            return openai_said(status, text)
        body = {"error": text} | ({"signin_url": "https://ollama.com/connect"} if status == 401 else {})
        return web.json_response(body, status=status, headers=headers)

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """A text."""
        return web.Response(status=404, text="404 page not found")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body that is no JSON object."""
        _, field, *_ = [*why.splitlines(), "", ""]  # pydantic's second line names it
        text = f"json: cannot unmarshal into Go struct field {field}" if field else why
        if not self.order_of(request).body:
            text = "missing request body"
        return openai_said(400, text) if "/v1/" in request.path else said(400, text)

    @property
    def draws(self) -> bool:
        """Whether this version has image models that work."""
        return _FIRST <= numbers(self.version) <= _LAST

    # -- what it is

    async def running(self, _request: web.Request) -> web.Response:
        """For eyes."""
        return web.Response(text="Ollama is running")

    async def told_version(self, _request: web.Request) -> web.Response:
        """The version that is played."""
        return web.json_response({"version": self.version})

    async def set_version(self, request: web.Request) -> web.Response:
        """Play another version from now on; no part of Ollama."""
        self.version = str(self.order_of(request).fields().get("version", ""))
        return await self.told_version(request)

    async def tags(self, _request: web.Request) -> web.Response:
        """What is installed. The image capability is told by versions that no longer draw, too."""
        return web.json_response({"models": [self._listed(name) for name in self.installed]})

    async def loaded(self, _request: web.Request) -> web.Response:
        """One text model is in memory."""
        name = "gpt-oss:20b"
        more = {"expires_at": self._stamp(), "size_vram": 13_793_441_244, "context_length": 8192}
        models = [self._listed(name) | more] if name in self.installed else []
        return web.json_response({"models": models})

    async def show(self, request: web.Request) -> web.Response:
        """What one model can do."""
        asked = Asked.model_validate(self.order_of(request).fields())
        try:
            name, model = self._model(asked.model)
        except Wrong as wrong:
            return said(wrong.status, str(wrong))
        about = {"details": self._listed(name)["details"], "capabilities": list(model.abilities)}
        return web.json_response(about | {"template": "{{ .Prompt }}", "model_info": {}})

    async def pull(self, request: web.Request) -> web.Response:
        """Installed at once, in three lines."""
        asked = Asked.model_validate(self.order_of(request).fields())
        name = tagged(asked.model)
        self.installed.setdefault(name, MODELS.get(name, Installed(("completion",))))
        lines = [{"status": "pulling manifest"}, {"status": "downloading", "total": 9, "completed": 9}]
        lines.append({"status": "success"})
        if not asked.stream:
            return web.json_response(lines[-1])
        body = "".join(json.dumps(line) + "\n" for line in lines)
        return web.Response(text=body, content_type="application/x-ndjson")

    def _listed(self, name: str) -> Line:
        model = self.installed[name]
        family = name.partition(":")[0].rpartition("/")[2]
        return {
            "name": name,
            "model": name,
            "modified_at": "2026-01-20T10:00:00Z",
            "size": model.size_bytes,
            "digest": sha256(name.encode()).hexdigest(),
            "details": {
                "parent_model": "",
                "format": "safetensors" if "image" in model.abilities else "gguf",
                "family": family,
                "families": [family],
                "parameter_size": "20.9B",
                "quantization_level": "MXFP4",
            },
            "capabilities": list(model.abilities),
        }

    def _model(self, asked: str) -> tuple[str, Installed]:
        """The model by its whole name. Raises `Wrong`."""
        if not asked:
            raise Wrong(400, "model is required")
        name = tagged(asked)
        if name not in self.installed:
            raise Wrong(404, f"model '{asked}' not found")
        return name, self.installed[name]

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self.world.now(), UTC).isoformat().replace("+00:00", "Z")

    # -- pictures

    async def generate(self, request: web.Request, order: Order) -> web.StreamResponse:
        """A picture from an image model, raw completion from another."""
        asked = Generate.model_validate(order.fields())
        try:
            name, model = self._model(asked.model)
            if "image" in model.abilities:
                lines = self._drawn(self._drawing(asked, model), asked.model, order)
            else:
                speech = self._speech(asked, asked.prompt, name, model)
                lines = _each(completion_lines(self._head(asked.model), speech))
        except Wrong as wrong:
            return said(wrong.status, str(wrong))
        return await self._answer(request, order, lines, streamed=asked.stream)

    def _drawing(self, asked: Generate, model: Installed) -> Drawing:
        """What is to be drawn. Raises `Wrong` as the server would."""
        if not self.draws:
            raise Wrong(400, "image generation models are not currently supported")
        if max(asked.width, asked.height) > 4096:
            raise Wrong(400, "width and height must be <= 4096")
        klein = "vision" in model.abilities
        source = source_of(asked.images)
        if source is not None and (not klein or numbers(self.version) < _EDITS):
            raise Wrong(400, "this model does not take images")
        width, height = asked.width, asked.height
        if source is not None and not (width and height):
            width, height = Image.open(io.BytesIO(source)).size
        width, height = width or 1024, height or 1024
        if klein:
            width, height = max(16, width // 16 * 16), max(16, height // 16 * 16)
        seed = asked.options.seed or self.world.random.getrandbits(31)
        return Drawing(asked.prompt, width, height, asked.steps or model.steps, seed, source)

    async def _drawn(self, drawing: Drawing, model: str, order: Order) -> AsyncIterator[Line]:
        """The lines of an answer, the last with the picture."""
        head = self._head(model) | {"response": ""}
        if not drawing.prompt:
            yield head | {"done": True, "done_reason": "load"}
            return
        for step in range(1, drawing.steps + 1):
            await self.world.sleep(0.1)
            yield head | {"done": False, "completed": step, "total": drawing.steps}
            if step * 2 >= drawing.steps and order.has("job_fails"):
                yield {"error": "image runner failed: out of memory"}
                return
            if step * 2 >= drawing.steps and order.has("never_ends"):
                await self.world.stopped.wait()
        ended = head | {"done": True, "done_reason": "pondered" if order.has("unknown_word") else "stop"}
        if not (order.has("empty_success") or order.has("fewer_images")):
            ended["image"] = b64encode(await self._picture(drawing, order)).decode()
            order.charge("0", 1)
        yield ended | {"total_duration": 11_200_000_000, "load_duration": 2_100_000}

    async def _picture(self, drawing: Drawing, order: Order) -> bytes:
        if order.has("not_an_image"):
            return b"<html>no picture here</html>"
        if order.has("huge"):
            return b"\x89PNG\r\n\x1a\n" + bytes(_HUGE)
        size = (drawing.width, drawing.height)
        if order.has("wrong_size"):
            size = (max(16, size[0] // 2), max(16, size[1] // 2))
        return await self.world.picture(
            self.name,
            drawing.prompt,
            *size,
            seed=drawing.seed,
            source=drawing.source,
        )

    async def _answer(
        self,
        request: web.Request,
        order: Order,
        lines: AsyncIterator[Line],
        *,
        streamed: bool,
    ) -> web.StreamResponse:
        """Line by line, or whole: the last line of a picture, all words of a text together."""
        if not streamed:
            whole = [line async for line in lines]
            return web.json_response(joined(whole), status=500 if "error" in whole[-1] else 200)
        if order.fault is not None and order.fault.kind in _AFTER:
            body = "".join([json.dumps(line) + "\n" async for line in lines])
            return web.Response(text=body, content_type="application/x-ndjson")
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        async for line in lines:
            await answer.write(json.dumps(line).encode() + b"\n")
        await answer.write_eof()
        return answer

    def _head(self, model: str) -> Line:
        return {"model": model, "created_at": self._stamp()}

    # -- words

    async def chat(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Words from a text model; no words at all only load it."""
        asked = Chat.model_validate(order.fields())
        try:
            name, model = self._model(asked.model)
            if "completion" not in model.abilities:
                raise Wrong(400, f'"{name.removesuffix(":latest")}" does not support chat')
            speech = self._speech(asked, last_said(asked.messages), name, model)
        except Wrong as wrong:
            return said(wrong.status, str(wrong))
        spoken = speak_as_told(heard(asked), offered(asked.tools), order)
        if spoken is not None and not asked.stream:
            return web.json_response(spoken_whole(self._head(asked.model), spoken))
        head = self._head(asked.model)
        lines = _each(chat_lines(head, speech) if spoken is None else spoken_lines(head, spoken))
        return await self._answer(request, order, lines, streamed=asked.stream)

    @staticmethod
    def _speech(asked: Asked, words: str, name: str, model: Installed) -> Speech:
        """Raises `Wrong`."""
        if not words:
            return Speech("", "", "load", 0)
        return speak(
            words,
            shape=asked.format,
            thinks=thinking(asked.think, name, model),
            most=asked.options.num_predict,
        )

    # -- OpenAI's shapes

    async def openai_models(self, _request: web.Request) -> web.Response:
        """The installed models."""
        models = [
            {"id": name, "object": "model", "created": 1_768_900_000, "owned_by": "library"}
            for name in self.installed
        ]
        return web.json_response({"object": "list", "data": models})

    async def openai_chat(self, _request: web.Request, order: Order) -> web.StreamResponse:
        """Words in OpenAI's shape; a stream is server-sent events."""
        asked = OpenAIChat.model_validate(order.fields())
        try:
            self._model(asked.model)
        except Wrong as wrong:
            return openai_said(wrong.status, str(wrong))
        shape = asked.response_format.shape if asked.response_format else None
        speech = speak(last_said(asked.messages), shape=shape, most=asked.max_tokens)
        head: Line = {"id": f"chatcmpl-{self.world.random.randrange(1000)}", "created": int(self.world.now())}
        head |= {"model": asked.model, "system_fingerprint": "fp_ollama"}
        told = [Heard(one.role, one.text) for one in asked.messages]
        spoken = speak_as_told(told, offered(asked.tools), order)
        if spoken is not None:
            return events(head, spoken) if asked.stream else web.json_response(completion(head, spoken))
        if asked.stream:
            return openai_events(head, speech)
        return web.json_response(openai_completion(head, speech))

    async def openai_image(self, request: web.Request, order: Order) -> web.StreamResponse:
        """A picture in OpenAI's shape. What fails on the way is an empty answer with status 200."""
        if not self.draws:
            return self.not_found(request)
        asked = OpenAIImage.model_validate(order.fields())
        if not asked.prompt:
            return openai_said(400, "prompt is required")
        size = re.fullmatch(r"(\d{1,4})x(\d{1,4})", asked.size)
        wanted = Generate(
            model=asked.model,
            prompt=asked.prompt,
            width=int(size[1]) if size else 1024,
            height=int(size[2]) if size else 1024,
            images=[asked.image.rpartition("base64,")[2]] if asked.image else [],
            options=Options(seed=asked.seed),
        )
        try:
            _, model = self._model(asked.model)
            drawing = self._drawing(wanted, model)
        except Wrong as wrong:
            return openai_said(wrong.status, str(wrong))
        last = [line async for line in self._drawn(drawing, asked.model, order)][-1]
        if "image" not in last:
            return web.Response(status=200)
        return web.json_response({"created": int(self.world.now()), "data": [{"b64_json": last["image"]}]})


async def _each(lines: Iterable[Line]) -> AsyncIterator[Line]:
    for line in lines:
        yield line
