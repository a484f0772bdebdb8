"""ComfyUI as it answers on the wire: queue, history, socket, uploads, files. No account, no price."""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from aiohttp import WSMsgType, web
from pydantic import JsonValue

from limner.simulator import comfyui_graph, comfyui_nodes
from limner.simulator.comfyui_files import Folders, place
from limner.simulator.comfyui_run import Air, Failure, Job, Listener, Run
from limner.simulator.vendor import ErrorWord, Order, Route, Vendor, route
from limner.simulator.world import World

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FOREIGN = "00000000-0000-4000-8000-000000000000"


class ComfyUI(Vendor):
    """A server with a few checkpoints. What a test may set is public; `reset` sets it back."""

    name = "comfyui"
    base = "/"
    key = ""

    def __init__(self, world: World) -> None:
        self._worker: asyncio.Task[None] | None = None
        self.folders = Folders()
        super().__init__(world)

    def reset(self) -> None:
        """A server just started, with nothing in its folders but its models."""
        self.strict_ids = True
        """Newer servers take no prompt_id but a lower-case UUID."""
        self.jobs_api = True
        """Newer servers have /api/jobs."""
        self.missing_node: Literal["invalid_prompt", "missing_node_type"] = "missing_node_type"
        self.previews = True
        self.drops_sockets = False
        """A socket is closed as soon as it is open."""
        self.foreign_job = False
        """Somebody else's job, ordered without a client's name, is told to everybody."""
        self.failure: Failure = "weights"
        """How a job fails that is to fail."""
        self.models: dict[str, tuple[str, ...]] = dict(comfyui_nodes.MODELS)
        self.folders.files.clear()
        self.freed = 0
        """How often memory was asked back."""
        self.restart()

    def restart(self) -> None:
        """The server dies and comes back: files stay, the queue and the history are gone."""
        if self._worker is not None and not self._worker.get_loop().is_closed():
            self._worker.cancel()
        self._worker = None
        self._pending: list[Job] = []
        self._running: Job | None = None
        self._history: dict[str, dict[str, JsonValue]] = {}
        self._cache: dict[str, JsonValue] = {}
        self._air = Air()
        self._number = 0

    def routes(self) -> Iterable[Route]:
        """Each as it is and below /api."""
        for prefix in ("", "/api"):
            yield route("POST", f"{prefix}/prompt", self.order, order=True)
            yield route("GET", f"{prefix}/prompt", self.remaining)
            yield route("GET", f"{prefix}/history", self.history)
            yield route("POST", f"{prefix}/history", self.forget)
            yield route("GET", f"{prefix}/history/{{id}}", self.entry)
            yield route("GET", f"{prefix}/queue", self.queue)
            yield route("POST", f"{prefix}/queue", self.unqueue)
            yield route("POST", f"{prefix}/interrupt", self.interrupt)
            yield route("GET", f"{prefix}/view", self.folders.view)
            yield route("POST", f"{prefix}/upload/image", self.folders.upload)
            yield route("GET", f"{prefix}/object_info", self.object_info)
            yield route("GET", f"{prefix}/object_info/{{name}}", self.object_info)
            yield route("GET", f"{prefix}/models/{{folder}}", self.model_names)
            yield route("GET", f"{prefix}/system_stats", self.stats)
            yield route("POST", f"{prefix}/free", self.free)
            yield route("GET", f"{prefix}/features", self.features)
            yield route("GET", f"{prefix}/ws", self.listen)
        yield route("GET", "/api/jobs", self.job_list)
        yield route("GET", "/api/jobs/{id}", self.job)
        yield route("POST", "/api/jobs/{id}/cancel", self.job_cancel)

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """It has no accounts and no limits: these are the words of a proxy in front of it."""
        match word:
            case "no_key" | "bad_key":
                return web.Response(status=401, text="Unauthorized", headers={"WWW-Authenticate": "Bearer"})
            case "forbidden":
                return web.Response(status=403, text="Forbidden")
            case "no_money":
                return web.Response(status=402, text="Payment Required")
            case "rate_limited":
                headers = {"Retry-After": str(max(1, round(self.retry_after_s(request))))}
                return web.Response(status=429, text="Too Many Requests", headers=headers)
            case "server_error":
                return web.Response(
                    status=500, text="500 Internal Server Error\n\nServer got itself in trouble"
                )
            case "overloaded":
                return web.Response(status=503, text="Service Unavailable")

    def not_found(self, request: web.Request) -> web.StreamResponse:
        """Plain text, as its web server writes it."""
        return web.Response(status=404, text="404: Not Found")

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body that is no JSON brings its handler down."""
        return self.error("server_error", request)

    def jobs(self) -> list[dict[str, JsonValue]]:
        """Every job it knows, with its state."""
        return [{"id": name, "status": state} for name, state in self._states().items()]

    # -- orders ------------------------------------------------------------------------------------------

    async def order(self, request: web.Request, order: Order) -> web.StreamResponse:
        """POST /prompt."""
        body = order.fields()
        if "prompt" not in body:
            return _declined(
                {
                    "type": "no_prompt",
                    "message": "No prompt provided",
                    "details": "No prompt provided",
                    "extra_info": {},
                }
            )
        identity = str(body.get("prompt_id") or self.world.new_id())
        if self.strict_ids and not _UUID.fullmatch(identity):
            said = "prompt_id must be a valid UUID"
            return _declined({"type": "invalid_prompt_id", "message": said, "details": "", "extra_info": {}})
        checked = comfyui_graph.check(body["prompt"], self.models, self._is_input, self.missing_node)
        if checked.error is not None:
            return _declined(checked.error, checked.node_errors)
        extra = dict(_table(body.get("extra_data")))
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        number, self._number = (-self._number if body.get("front") else self._number), self._number + 1
        job = Job(number, identity, _graph(body["prompt"]), extra, checked.outputs, order)
        await self._enqueue(job)
        return web.json_response(
            {"prompt_id": identity, "number": number, "node_errors": checked.node_errors}
        )

    async def _enqueue(self, job: Job) -> None:
        if job.order.has("lost"):
            return  # the server is restarted before the job's turn
        self._pending.append(job)
        self._pending.sort(key=lambda one: one.number)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())
        await self._status()

    async def _work(self) -> None:
        try:
            while self._pending and not self.world.stopped.is_set():
                await self._one(self._pending.pop(0))
        except Exception as error:  # noqa: BLE001 - a mistake here must reach the test that caused it
            self.world.mistaken(f"comfyui at work: {error!r}")

    async def _one(self, job: Job) -> None:
        self._running = job
        await self._status()
        if self.foreign_job:
            said: dict[str, JsonValue] = {"value": 7, "max": 9, "prompt_id": _FOREIGN, "node": "3"}
            await self._air.tell(None, "progress", **said)
            await self._air.show(None, b"\xff\xd8\xffsomebody else's", {"prompt_id": _FOREIGN})
        entry = await Run(job, self.world, self._air, self.folders.files, self._cache).to_end(
            self.failure, previews=self.previews
        )
        self._history[job.id] = entry
        self._running, self._air.node = None, None
        await self._status()
        if job.client is not None:
            await self._air.tell(job.client, "executing", node=None, prompt_id=job.id)

    async def _status(self, client: str | None = None, **more: JsonValue) -> None:
        await self._air.tell(client, "status", status=self._remaining(), **more)

    def _remaining(self) -> JsonValue:
        return {"exec_info": {"queue_remaining": len(self._pending) + (self._running is not None)}}

    def _is_input(self, name: str) -> bool:
        return place(name, "input") in self.folders.files

    # -- asking ------------------------------------------------------------------------------------------

    async def remaining(self, request: web.Request) -> web.Response:
        """GET /prompt."""
        return web.json_response(self._remaining())

    async def history(self, request: web.Request) -> web.Response:
        """GET /history."""
        most = request.query.get("max_items", "")
        names = list(self._history)[-int(most) if most.isdecimal() else None :]
        return web.json_response({name: self._history[name] for name in names})

    async def entry(self, request: web.Request) -> web.Response:
        """GET /history/{id}: empty for what has not ended."""
        name = request.match_info["id"]
        return web.json_response({name: self._history[name]} if name in self._history else {})

    async def forget(self, request: web.Request) -> web.Response:
        """POST /history."""
        body = self.order_of(request).fields()
        if body.get("clear"):
            self._history.clear()
        for name in _names(body):
            self._history.pop(name, None)
        return web.Response()

    async def queue(self, request: web.Request) -> web.Response:
        """GET /queue."""
        running = [] if self._running is None else [self._running.listed()]
        return web.json_response(
            {"queue_running": running, "queue_pending": [one.listed() for one in self._pending]}
        )

    async def unqueue(self, request: web.Request) -> web.Response:
        """POST /queue: what waits; a running job is not touched, an unknown one is no error."""
        body = self.order_of(request).fields()
        gone = _names(body)
        self._pending = [one for one in self._pending if one.id not in gone and not body.get("clear")]
        await self._status()
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        """POST /interrupt: the job that is named if it runs; whatever runs when none is named."""
        order, running = self.order_of(request), self._running
        body = order.fields() if order.body else {}
        if running is not None and body.get("prompt_id", running.id) == running.id:
            running.interrupted.set()
        return web.Response()

    async def free(self, request: web.Request) -> web.Response:
        """POST /free."""
        body = self.order_of(request).fields()
        self.freed += bool(body.get("free_memory"))
        return web.Response()

    async def features(self, request: web.Request) -> web.Response:
        """GET /features."""
        return web.json_response(_FEATURES)

    async def stats(self, request: web.Request) -> web.Response:
        """GET /system_stats."""
        return web.json_response(_STATS)

    async def object_info(self, request: web.Request) -> web.Response:
        """GET /object_info, of one class or all."""
        only = request.match_info.get("name")
        names = comfyui_nodes.NODES if only is None else [only]
        found: dict[str, JsonValue] = {}
        for name in names:
            found |= comfyui_nodes.described(name, self.models)
        return web.json_response(found)

    async def model_names(self, request: web.Request) -> web.Response:
        """GET /models/{folder}."""
        folder = request.match_info["folder"]
        if folder not in self.models:
            return web.Response(status=404)
        return web.json_response(list(self.models[folder]))

    # -- the socket --------------------------------------------------------------------------------------

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """GET /ws: one socket a client; a second one takes its place."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.drops_sockets:
            await socket.close()
            return socket
        client = request.query.get("clientId") or self.world.new_id().replace("-", "")
        air, listener = self._air, Listener(socket)
        air.listeners[client] = listener
        await self._status(client, sid=client)
        if self._running is not None and self._running.client == client and air.node is not None:
            await air.tell(client, "executing", node=air.node)  # after a break, without saying whose it is
        first = True
        async for message in socket:
            if message.type == WSMsgType.TEXT and first:
                await self._flags(client, listener, message.data)
            first = False
        if air.listeners.get(client) is listener:
            del air.listeners[client]
        return socket

    async def _flags(self, client: str, listener: Listener, text: str) -> None:
        """Only a client's first message may say what it understands."""
        try:
            said = _table(json.loads(text))
        except ValueError:
            return
        if said.get("type") == "feature_flags":
            listener.owned_previews = _table(said.get("data")).get("supports_preview_metadata") is True
            await self._air.tell(client, "feature_flags", **_FEATURES)

    # -- the newer jobs ----------------------------------------------------------------------------------

    def _states(self) -> dict[str, str]:
        ended = {name: _word(entry) for name, entry in self._history.items()}
        running = {} if self._running is None else {self._running.id: "in_progress"}
        return ended | running | {one.id: "pending" for one in self._pending}

    async def job_list(self, request: web.Request) -> web.Response:
        """GET /api/jobs."""
        if not self.jobs_api:
            return web.Response(status=404)
        return web.json_response({"jobs": self.jobs()})

    async def job(self, request: web.Request) -> web.Response:
        """GET /api/jobs/{id}."""
        state = self._states().get(request.match_info["id"]) if self.jobs_api else None
        if state is None:
            return (
                web.json_response({"error": "Job not found"}, status=404)
                if self.jobs_api
                else web.Response(status=404)
            )
        return web.json_response({"id": request.match_info["id"], "status": state})

    async def job_cancel(self, request: web.Request) -> web.Response:
        """POST /api/jobs/{id}/cancel, waiting or running."""
        name = request.match_info["id"]
        if not self.jobs_api or name not in self._states():
            return web.json_response({"error": "Job not found"}, status=404)
        self._pending = [one for one in self._pending if one.id != name]
        if self._running is not None and self._running.id == name:
            self._running.interrupted.set()
        return web.json_response({"cancelled": True})


_FEATURES: dict[str, JsonValue] = {"supports_preview_metadata": True, "max_upload_size": 104857600}
_STATS: JsonValue = {
    "system": {
        "os": "posix",
        "ram_total": 34359738368,
        "ram_free": 17179869184,
        "comfyui_version": "0.38.0",
        "python_version": "3.12.8",
        "pytorch_version": "2.9.0",
        "argv": ["/srv/comfy/main.py", "--preview-method", "auto"],
    },
    "devices": [
        {
            "name": "cuda:0 simulated",
            "type": "cuda",
            "index": 0,
            "vram_total": 25769803776,
            "vram_free": 21474836480,
            "torch_vram_total": 0,
            "torch_vram_free": 0,
        }
    ],
}


def _declined(
    error: dict[str, JsonValue], node_errors: Mapping[str, JsonValue] | None = None
) -> web.Response:
    return web.json_response({"error": error, "node_errors": dict(node_errors or {})}, status=400)


def _table(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _names(body: Mapping[str, JsonValue]) -> set[str]:
    """The ids under `delete`."""
    wanted = body.get("delete")
    return {str(one) for one in wanted} if isinstance(wanted, list) else set()


def _graph(value: JsonValue) -> comfyui_graph.Graph:
    return {name: _table(node) for name, node in _table(value).items()}


def _word(entry: Mapping[str, JsonValue]) -> str:
    status = _table(entry.get("status"))
    if status.get("completed"):
        return "completed"
    return "cancelled" if "execution_interrupted" in str(status.get("messages")) else "failed"
