"""AUTOMATIC1111's web UI as it answers on the wire, or Forge: one blocking call at a time, no price."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from io import BytesIO

from aiohttp import web
from PIL import Image
from pydantic import JsonValue, ValidationError

from limner.simulator.a1111_words import LARGEST_PIXELS, Draw, Enlarge, Task, decoded, either, invalid
from limner.simulator.vendor import ErrorWord, Order, Route, Unreadable, Vendor, route
from limner.simulator.world import World

_HUGE_BYTES = 300 * 1024 * 1024
_SAMPLERS = ("DPM++ 2M", "DPM++ SDE", "Euler a", "Euler", "Heun", "DDIM", "UniPC")
_SCHEDULERS = ("automatic", "uniform", "karras", "exponential", "sgm_uniform")
_UPSCALERS = ("None", "Lanczos", "Nearest", "ESRGAN_4x", "R-ESRGAN 4x+")


class A1111(Vendor):
    """A server with four checkpoints. What a test may set is public; `reset` sets it back."""

    name = "a1111"
    base = "/"
    key = "painter:easel"

    def __init__(self, world: World) -> None:
        self._lock = asyncio.Lock()
        super().__init__(world)

    def reset(self) -> None:
        """As if just started."""
        self.forge = False
        """Forge writes its errors in another shape, and draws FLUX."""
        self.api = True
        """Started with --api."""
        self.grids = True
        """A grid comes before the pictures when there are several."""
        self.stuck = False
        """Draws with the checkpoint that is loaded, whatever it is told."""
        self.endless = False
        """Draws until it is interrupted."""
        self.checkpoints = {
            "dreamshaper_8": "879db523c3",
            "flux1-dev-fp8": "",
            "sd_xl_base_1.0": "31e35c80fc",
            "v1-5-pruned-emaonly": "6ce0161689",
        }
        """Hash by name; a hash is empty before the first use."""
        self.loaded = "v1-5-pruned-emaonly"
        self._tasks: list[Task] = []
        self._ended: set[str] = set()

    def routes(self) -> Iterable[Route]:
        """The API and the page's own progress."""
        api = "/sdapi/v1"
        return [
            route("POST", f"{api}/txt2img", self.draw, order=True),
            route("POST", f"{api}/img2img", self.draw, order=True),
            route("POST", f"{api}/extra-single-image", self.enlarge, order=True),
            route("GET", f"{api}/progress", self.progress),
            route("POST", f"{api}/interrupt", self.interrupt),
            route("POST", f"{api}/skip", self.interrupt),
            route("GET", f"{api}/options", self.options),
            route("POST", f"{api}/options", self.set_options),
            route("GET", f"{api}/sd-models", self.models),
            route("GET", f"{api}/samplers", self.samplers),
            route("GET", f"{api}/schedulers", self.schedulers),
            route("GET", f"{api}/upscalers", self.upscalers),
            route("GET", f"{api}/memory", self.memory),
            route("POST", "/internal/progress", self.task_progress),
            route("GET", "/internal/pending-tasks", self.pending),
        ]

    def key_of(self, request: web.Request) -> str | None:
        """HTTP basic: `user:password`."""
        scheme, _, said = request.headers.get("Authorization", "").partition(" ")
        try:
            return b64decode(said, validate=True).decode() if scheme.lower() == "basic" else None
        except ValueError:
            return None

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """Its own 401 and 500; it has no credit and no limits, those are a proxy's."""
        match word:
            case "no_key" | "bad_key":
                response = self._said(401, "Incorrect username or password")
                response.headers["WWW-Authenticate"] = "Basic"
                return response
            case "forbidden":
                return web.Response(status=403, text="Forbidden")
            case "no_money":
                return web.Response(status=402, text="Payment Required")
            case "rate_limited":
                headers = {"Retry-After": str(max(1, round(self.retry_after_s(request))))}
                return web.Response(status=429, text="Too Many Requests", headers=headers)
            case "server_error":
                return self._broken("RuntimeError", "CUDA error: an illegal memory access was encountered")
            case "overloaded":
                return web.Response(status=503, text="Service Unavailable")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """Also what every path of the API says when the server was started without it."""
        return web.json_response({"detail": "Not Found"}, status=404)

    def wrong_method(self, request: web.Request, allowed: Iterable[str]) -> web.StreamResponse:
        """As its framework says it."""
        return web.json_response({"detail": "Method Not Allowed"}, status=405)

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """As its framework says it."""
        fault: JsonValue = {"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}
        return web.json_response({"detail": [fault]}, status=422)

    def jobs(self) -> list[dict[str, JsonValue]]:
        """What is drawn or waits."""
        return [{"id": task.id, "step": task.step, "steps": task.steps} for task in self._tasks]

    # -- orders ------------------------------------------------------------------------------------------

    async def draw(self, request: web.Request, order: Order) -> web.StreamResponse:
        """POST txt2img, img2img."""
        if not self.api:
            return self.not_found(request)
        try:
            wish = Draw.model_validate(order.fields())
        except ValidationError as error:
            return invalid(error)
        if request.path.endswith("/img2img") and wish.init_images is None:
            return self._said(404, "Init image not found")
        if wish.sampler_name not in (None, *_SAMPLERS):
            return self._said(400, "Sampler not found")
        try:
            source = decoded(wish.init_images[0]) if wish.init_images else None
            if wish.mask:
                decoded(wish.mask)
        except Unreadable:
            return self._said(500, "Invalid encoded image")
        return await self._queued(wish, order, source)

    async def _queued(self, wish: Draw, order: Order, source: bytes | None) -> web.StreamResponse:
        """One at a time, in the order they came; who leaves is drawn for all the same."""
        task = Task(wish.force_task_id or f"task({self.world.new_id()})", wish.steps)
        self._tasks.append(task)
        try:
            async with self._lock:
                return await self._drawn(wish, order, source, task)
        finally:
            self._tasks.remove(task)
            self._ended.add(task.id)

    async def _drawn(self, wish: Draw, order: Order, source: bytes | None, task: Task) -> web.StreamResponse:
        before = self.loaded
        wanted = str(wish.override_settings.get("sd_model_checkpoint", "")).partition(".safetensors")[0]
        if wanted in self.checkpoints and not self.stuck:
            self.loaded = wanted  # a name it does not know is ignored without a word
        if order.has("job_fails") or wish.width * wish.height > LARGEST_PIXELS:
            return self._full()
        await self._work(task)
        seed = self.world.random.getrandbits(32) if wish.seed == -1 else wish.seed
        count = wish.batch_size * wish.n_iter
        seeds = [seed + index for index in range(count)]
        images = [await self._picture(wish, order, one, source) for one in seeds]
        order.charge("0", len(images), task.id)
        answer = self._answer(wish, order, images, seeds)
        if wish.override_settings_restore_afterwards:
            self.loaded = before
        return answer

    async def _work(self, task: Task) -> None:
        """Take the steps; an interrupt ends it with what there is."""
        total = self.world.seconds(5.0)
        for step in range(1, 6):
            if not task.interrupted.is_set():
                await either(task.interrupted, self.world.stopped, total / 5)
                task.step = task.steps * step // 5
        if self.endless:
            await either(task.interrupted, self.world.stopped, None)

    async def _picture(self, wish: Draw, order: Order, seed: int, source: bytes | None) -> bytes:
        if order.has("not_an_image"):
            return b"<html>not a picture</html>"
        width, height = wish.width // 8 * 8, wish.height // 8 * 8
        if order.has("wrong_size"):
            width, height = width // 2, height // 2
        return await self.world.picture(self.loaded, wish.prompt, width, height, seed=seed, source=source)

    def _answer(self, wish: Draw, order: Order, images: list[bytes], seeds: list[int]) -> web.Response:
        if order.has("fewer_images"):
            images, seeds = images[:-1], seeds[:-1]
        if order.has("empty_success") or not wish.send_images:
            images = []
        grid = [images[0]] if self.grids and len(images) > 1 else []
        info: JsonValue = {
            "prompt": wish.prompt,
            "seed": seeds[0] if seeds else -1,
            "all_seeds": list(seeds),
            "width": wish.width,
            "height": wish.height,
            "sampler_name": wish.sampler_name or "Euler",
            "cfg_scale": wish.cfg_scale,
            "steps": wish.steps,
            "batch_size": wish.batch_size,
            "sd_model_name": self.loaded,
            "sd_model_hash": self.checkpoints[self.loaded] or None,
            "index_of_first_image": len(grid),
            "infotexts": [f"{wish.prompt}\nSteps: {wish.steps}, Seed: {one}" for one in seeds],
        }
        text = "unreadable" if order.has("unknown_word") else json.dumps(info)
        parameters = wish.model_dump(exclude={"init_images", "mask"})
        encoded: JsonValue = [b64encode(one).decode() for one in (*grid, *images)]
        body = json.dumps({"images": encoded, "parameters": parameters, "info": text}).encode()
        padding = b" " * _HUGE_BYTES if order.has("huge") else b""
        return web.Response(body=body + padding, content_type="application/json")

    async def enlarge(self, request: web.Request, order: Order) -> web.StreamResponse:
        """POST extra-single-image."""
        if not self.api:
            return self.not_found(request)
        try:
            wish = Enlarge.model_validate(order.fields())
        except ValidationError as error:
            return invalid(error)
        if wish.upscaler_1 not in _UPSCALERS:
            return self._broken("AssertionError", f"could not find upscaler named {wish.upscaler_1}")
        try:
            source = decoded(wish.image)
        except Unreadable:
            return self._said(500, "Invalid encoded image")
        width, height = (round(side * wish.upscaling_resize) for side in Image.open(BytesIO(source)).size)
        if order.has("job_fails") or width * height > LARGEST_PIXELS:
            return self._full()
        async with self._lock:
            data = await self.world.picture("a1111 extras", wish.upscaler_1, width, height, source=source)
        order.charge("0", 1)
        shown = b"<html>" if order.has("not_an_image") else b"" if order.has("empty_success") else data
        return web.json_response({"html_info": "", "image": b64encode(shown).decode()})

    # -- asking ------------------------------------------------------------------------------------------

    async def progress(self, request: web.Request) -> web.Response:
        """GET progress: of whatever is drawn now, whoever asked for it."""
        task = self._tasks[0] if self._tasks else None
        state: JsonValue = {
            "skipped": False,
            "interrupted": task is not None and task.interrupted.is_set(),
            "stopping_generation": False,
            "job": "" if task is None else task.id,
            "job_count": len(self._tasks),
            "job_timestamp": "20261120120000",
            "job_no": 0,
            "sampling_step": 0 if task is None else task.step,
            "sampling_steps": 0 if task is None else task.steps,
        }
        done = 0.0 if task is None else task.step / max(1, task.steps)
        return self._told(
            {"progress": done, "eta_relative": 0.0, "state": state, "current_image": None, "textinfo": None}
        )

    async def interrupt(self, request: web.Request) -> web.Response:
        """POST interrupt: whatever is drawn now."""
        if self._tasks:
            self._tasks[0].interrupted.set()
        return self._told({})

    async def options(self, request: web.Request) -> web.Response:
        """GET options."""
        return self._told({"sd_model_checkpoint": self._title(self.loaded), "return_grid": self.grids})

    async def set_options(self, request: web.Request) -> web.Response:
        """POST options: for everybody."""
        wanted = str(self.order_of(request).fields().get("sd_model_checkpoint", self.loaded))
        name = wanted.partition(".safetensors")[0]
        if name not in self.checkpoints:
            return self._broken("RuntimeError", f"model {wanted!r} not found")
        self.loaded = name
        return self._told(None)

    async def models(self, request: web.Request) -> web.Response:
        """GET sd-models."""
        return self._told(
            [
                {
                    "title": self._title(name),
                    "model_name": name,
                    "hash": digest or None,
                    "sha256": None,
                    "filename": f"/srv/webui/models/Stable-diffusion/{name}.safetensors",
                    "config": None,
                }
                for name, digest in self.checkpoints.items()
            ]
        )

    def _title(self, name: str) -> str:
        digest = self.checkpoints[name]
        return f"{name}.safetensors [{digest}]" if digest else f"{name}.safetensors"

    async def samplers(self, request: web.Request) -> web.Response:
        """GET samplers."""
        return self._told([{"name": name, "aliases": [], "options": {}} for name in _SAMPLERS])

    async def schedulers(self, request: web.Request) -> web.Response:
        """GET schedulers."""
        return self._told([{"name": name, "label": name.title()} for name in _SCHEDULERS])

    async def upscalers(self, request: web.Request) -> web.Response:
        """GET upscalers."""
        return self._told([{"name": name, "model_name": None, "scale": 4} for name in _UPSCALERS])

    async def memory(self, request: web.Request) -> web.Response:
        """GET memory."""
        return self._told({"ram": {"free": 1, "used": 1, "total": 2}, "cuda": {"error": "unavailable"}})

    async def task_progress(self, request: web.Request) -> web.Response:
        """POST /internal/progress: of one task."""
        wanted = self.order_of(request).fields().get("id_task")
        found = next((task for task in self._tasks if task.id == wanted), None)
        active = found is not None and found is self._tasks[0]
        return web.json_response(
            {
                "active": active,
                "queued": found is not None and not active,
                "completed": wanted in self._ended,
                "progress": None if found is None else found.step / max(1, found.steps),
                "eta": None,
                "live_preview": None,
                "textinfo": "Waiting..." if found is not None and not active else None,
            }
        )

    async def pending(self, request: web.Request) -> web.Response:
        """GET /internal/pending-tasks."""
        names: JsonValue = [task.id for task in self._tasks[1:]]
        return web.json_response({"size": max(0, len(self._tasks) - 1), "tasks": names})

    def _told(self, value: JsonValue) -> web.Response:
        return (
            web.json_response(value) if self.api else web.json_response({"detail": "Not Found"}, status=404)
        )

    def _said(self, status: int, detail: str) -> web.Response:
        if self.forge:
            return web.json_response({"detail": detail}, status=status)
        body = {"error": "HTTPException", "detail": detail, "body": "", "errors": ""}
        return web.json_response(body, status=status)

    def _full(self) -> web.Response:
        return self._broken("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB")

    def _broken(self, error: str, errors: str) -> web.Response:
        return web.json_response({"error": error, "detail": "", "body": "", "errors": errors}, status=500)
