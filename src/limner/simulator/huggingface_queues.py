"""Hugging Face's partners that queue: Replicate, WaveSpeed and Z.ai."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web
from pydantic import JsonValue, ValidationError

from limner.simulator import huggingface_desk as desk
from limner.simulator import huggingface_orders as orders
from limner.simulator.huggingface_orders import Served, Wish
from limner.simulator.vendor import Order, Route, route

_WAIT = re.compile(r"wait(=([1-9]|[1-9][0-9]))?")
_NSFW = "NSFW content detected. Try running it again, or try a different prompt."
_WAVESPEED = "/router/wavespeed/api/v3"
_ZAI = "/router/zai-org/api/paas/v4"
PATIENCE_S = 60.0


@dataclass(slots=True)
class Task:
    """An order under way."""

    id: str
    served: Served
    wish: Wish
    order: Order
    ready_at: float
    link: str = ""


class Queues:
    """Orders are charged when they are taken, unless they fail."""

    def __init__(self, shared: desk.Desk) -> None:
        self.desk = shared
        self.tasks: dict[str, Task] = {}
        self.patience_s = PATIENCE_S
        """How long Replicate holds an answer."""

    def routes(self) -> Iterable[Route]:
        """Below the router."""
        return [
            route("POST", "/router/replicate/v1/models/{model:.+}/predictions", self.replicate, order=True),
            route("GET", "/router/replicate/v1/predictions/{id}", self.prediction),
            route("POST", _WAVESPEED + "/{model:.+}", self.wavespeed, order=True),
            route("GET", _WAVESPEED + "/predictions/{id}/result", self.waved),
            route("POST", _ZAI + "/async/images/generations", self.zai, order=True),
            route("GET", _ZAI + "/async-result/{id}", self.zai_result),
        ]

    async def replicate(self, request: web.Request, order: Order) -> web.StreamResponse:
        """Replicate: holds the answer as long as it is asked to, and gives what there is then."""
        served = desk.found("replicate", request.match_info["model"])
        if served is None:
            return _problem(404, "The requested resource could not be found.")
        try:
            wish = orders.Replicate.model_validate(order.fields().get("input"))
        except ValidationError as fault:
            said = [f"- input.{where}: {what}\n" for where, what, _ in desk.faults(fault)]
            return _problem(422, "".join(said))
        task = self._queued(served, wish, order)
        held = _WAIT.fullmatch(request.headers.get("Prefer", ""))
        if held and not order.has("never_ends"):
            left_s = task.ready_at - self.desk.world.now()
            await asyncio.sleep(max(0.0, min(left_s, self.patience_s)))
        return web.json_response(await self._prediction(task), status=201)

    async def prediction(self, request: web.Request) -> web.StreamResponse:
        """How it is."""
        task = self.tasks.get(request.match_info["id"])
        if task is None:
            return _problem(404, "The requested resource could not be found.")
        return web.json_response(await self._prediction(task))

    async def _prediction(self, task: Task) -> JsonValue:
        status = self._status(task, waiting="processing", done="succeeded", failed="failed")
        refused = task.order.has("refused")
        return {
            "id": task.id,
            "model": task.served.id,
            "version": "hidden",
            "input": {"prompt": task.wish.prompt},
            "logs": "",
            "output": await self._outputs(task) if status == "succeeded" else None,
            "error": (_NSFW if refused else "CUDA out of memory") if status == "failed" else None,
            "status": status,
            "urls": {"get": f"https://api.replicate.com/v1/predictions/{task.id}"},
        }

    async def wavespeed(self, request: web.Request, order: Order) -> web.StreamResponse:
        """WaveSpeed: a task, with its address at the partner's own host."""
        served = desk.found("wavespeed", request.match_info["model"])
        if served is None:
            return _wavespeed_error(404, "product not found")
        try:
            wish = orders.Sides.model_validate(order.fields())
        except ValidationError as fault:
            return _wavespeed_error(400, desk.said(fault))
        task = self._queued(served, wish, order)
        data = await self._waved(task, "created")
        return web.json_response({"code": 200, "message": "success", "data": data})

    async def waved(self, request: web.Request) -> web.StreamResponse:
        """How it is."""
        task = self.tasks.get(request.match_info["id"])
        if task is None:
            return _wavespeed_error(404, "task not found")
        data = await self._waved(task, "processing")
        return web.json_response({"code": 200, "message": "success", "data": data})

    async def _waved(self, task: Task, waiting: str) -> JsonValue:
        status = self._status(task, waiting=waiting, done="completed", failed="failed")
        why = "content flagged as potentially sensitive" if task.order.has("refused") else "out of memory"
        return {
            "id": task.id,
            "model": task.served.id,
            "outputs": await self._outputs(task) if status == "completed" else [],
            "urls": {"get": f"https://api.wavespeed.ai/api/v3/predictions/{task.id}/result"},
            "status": status,
            "error": why if status == "failed" else "",
        }

    async def zai(self, _request: web.Request, order: Order) -> web.StreamResponse:
        """Z.ai: a task under an id."""
        fields = order.fields()
        served = desk.found("zai-org", fields.get("model"))
        if served is None:
            return _zai_error("1211", "Unknown Model, please check the model code.")
        try:
            wish = orders.Zai.model_validate(fields)
        except ValidationError as fault:
            return _zai_error("1210", desk.said(fault))
        task = self._queued(served, wish, order)
        status = self._status(task, waiting="PROCESSING", done="SUCCESS", failed="FAIL")
        return web.json_response({"model": task.served.id, "id": task.id, "task_status": status})

    async def zai_result(self, request: web.Request) -> web.StreamResponse:
        """How it is."""
        task = self.tasks.get(request.match_info["id"])
        if task is None:
            return web.json_response({"error": {"code": "1215", "message": "task not found"}}, status=404)
        status = self._status(task, waiting="PROCESSING", done="SUCCESS", failed="FAIL")
        body: dict[str, JsonValue] = {"model": task.served.id, "request_id": task.id, "task_status": status}
        if status == "SUCCESS":
            body["image_result"] = [{"url": link} for link in await self._outputs(task)]
        if status == "FAIL":
            code, why = ("1301", "unsafe content") if task.order.has("refused") else ("500", "internal error")
            body["error"] = {"code": code, "message": why}
        return web.json_response(body)

    def _queued(self, served: Served, wish: Wish, order: Order) -> Task:
        """Take it, and charge it unless it is to fail."""
        ready_at = self.desk.world.now() + self.desk.world.seconds(served.seconds)
        task = Task(self.desk.world.new_id(), served, wish, order, ready_at)
        if not (order.has("job_fails") or order.has("refused")):
            desk.charge(served, wish, order, task.id)
        if not order.has("lost"):
            self.tasks[task.id] = task
        return task

    def _status(self, task: Task, *, waiting: str, done: str, failed: str) -> str:
        if task.order.has("unknown_word"):
            return "reticulating"
        if task.order.has("never_ends") or self.desk.world.now() < task.ready_at:
            return waiting
        return failed if task.order.has("job_fails") or task.order.has("refused") else done

    async def _outputs(self, task: Task) -> list[JsonValue]:
        if desk.empty(task.order):
            return []
        if not task.link:
            data = await self.desk.drawn(task.served, task.wish, task.order, "png")
            task.link = self.desk.address(data, "image/png", task.order)
        return [task.link]


def _problem(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail, "status": status}, status=status)


def _wavespeed_error(status: int, message: str) -> web.Response:
    return web.json_response({"code": status, "message": message, "data": {}}, status=status)


def _zai_error(code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=400)
