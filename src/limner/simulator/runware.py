"""Runware: lists of tasks over one address, by POST and by WebSocket; tasks are named by the client."""

import asyncio
import io
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohttp import web
from PIL import Image
from pydantic import JsonValue

from limner.simulator.journal import parsed
from limner.simulator.pictures import Format
from limner.simulator.runware_socket import SocketVendor
from limner.simulator.runware_tasks import (
    ERRORS,
    Complaint,
    Inference,
    Offer,
    Output,
    Task,
    Upscale,
    check,
    costs,
    key_in,
    offer,
    read,
    tasks_in,
)
from limner.simulator.vendor import ErrorWord, Order, Route, route

_FORMATS: dict[str, tuple[Format, str]] = {
    "JPG": ("jpeg", "image/jpeg"),
    "PNG": ("png", "image/png"),
    "WEBP": ("webp", "image/webp"),
}
_HUGE = 70 * 1024 * 1024
_LARGEST = 16384


@dataclass(slots=True)
class Job:
    """One accepted task. `items` are its results, the first ready at `ready_at`, each `pace_s` later."""

    task: Task
    ready_at: float
    pace_s: float
    items: list[Task] = field(default_factory=list)
    gone: bool = False
    endless: bool = False


@dataclass(slots=True)
class Drawn:
    """A finished picture, which later tasks may name by its id."""

    data: bytes
    mime: str


class Runware(SocketVendor):
    """Accepting is charging: there is no cancel, and abandoned work is billed. Failed tasks are not."""

    name = "runware"
    base = "/v1/"
    key = "runware-emu"
    further_keys = ("runware-emu-nocredit",)

    acknowledge: bool
    """Whether the answer to an asynchronous order names the task; else it is empty, as it also may be."""
    third_party: bool
    """Whether the account may use other vendors' models."""

    def reset(self) -> None:
        """No tasks, pictures or sessions."""
        self.acknowledge = self.third_party = True
        self._jobs: dict[str, Job] = {}
        self._pictures: dict[str, Drawn] = {}
        self._sessions = {}

    def routes(self) -> Iterable[Route]:
        """One path for everything."""
        return (
            route("POST", "/v1", self.post, order=True),
            route("GET", "/v1", self.socket, open=True),
        )

    def jobs(self) -> list[dict[str, JsonValue]]:
        """The tasks as they were accepted, the oldest first."""
        return [job.task for job in self._jobs.values()]

    def key_of(self, request: web.Request) -> str | None:
        """The bearer token, or an authentication task in front of the others."""
        return super().key_of(request) or key_in(self.order_of(request).body)

    def error(self, word: ErrorWord, request: web.Request) -> web.Response:
        """The error once for the request, with the first task's id."""
        status, frame = self.fault(word, self.order_of(request).body)
        headers = {"Retry-After": f"{self.retry_after_s(request):.0f}"} if status == 429 else None
        return web.json_response(frame, status=status, headers=headers)

    def unreadable(self, request: web.Request, why: str) -> web.StreamResponse:
        """A body that is no list of tasks."""
        return web.json_response({"errors": [{"code": "invalidRequestBody", "message": why}]}, status=400)

    def fault(self, word: ErrorWord, body: bytes) -> tuple[int, Task]:
        """Status and frame, with the first task's id."""
        status, code, message = ERRORS[word]
        known = parsed(body)
        first = known[0] if isinstance(known, list) and known and isinstance(known[0], dict) else {}
        return status, {"errors": [Complaint(code, message).about(first)]}

    async def post(self, request: web.Request, order: Order) -> web.Response:
        """Do every task; results and errors come together."""
        if (self.key_of(request) or "").endswith("-nocredit") and costs(order.body):
            return self.error("no_money", request)
        data, errors, status = list[JsonValue](), list[JsonValue](), 200
        for task in tasks_in(order.body):
            try:
                data += await self.do(task, order)
            except Complaint as complaint:
                errors.append(complaint.about(task))
                status = complaint.status
        answer: Task = {"data": data} | ({"errors": errors} if errors else {})
        return web.json_response(answer, status=status if errors and not data else 200)

    async def do(self, task: Task, order: Order) -> list[Task]:
        """The results of one task. Raises `Complaint`."""
        named = {name: task[name] for name in ("taskType", "taskUUID") if name in task}
        match task.get("taskType"):
            case "authentication":
                return []
            case "ping":
                return [{"taskType": "ping", "pong": True}]
            case "imageInference":
                return await self._accept(read(task, Inference), task, order)
            case "upscale":
                return await self._accept(read(task, Upscale), task, order)
            case "getResponse":
                return self._so_far(self._job(task))
            case "getTaskDetails":
                job = self._job(task)
                return [named | {"request": [job.task], "response": {"data": [*self._so_far(job)]}}]
            case "accountManagement":
                return [
                    named
                    | {
                        "operation": "getDetails",
                        "organizationUUID": "3f0c1f0e-7a34-4a08-9f0e-0d3f6a0f4c11",
                        "organizationName": "Emulated",
                        "balance": {"amount": 25.0, "currency": "USD"},
                    },
                ]
            case "imageUpload":
                data = self._given(str(task.get("image", "")))
                url = self._keep(name := self.world.new_id(), Drawn(data, "image/png"), None)
                return [named | {"imageUUID": name, "imageURL": url}]
            case kind:
                raise Complaint("invalidTaskType", f"Unknown task type '{kind}'.", parameter="taskType")

    def _job(self, task: Task) -> Job:
        job = self._jobs.get(str(task.get("taskUUID")))
        if job is None or job.gone:
            raise Complaint("taskFailedOrNotFound", "The task failed or could not be found.", 404)
        return job

    async def _accept(self, asked: Output, task: Task, order: Order) -> list[Task]:
        """Take the task in: charge it, make its results, and give them now or when they are asked for."""
        if asked.task_uuid in self._jobs:
            raise Complaint("conflictTaskUUID", "Task UUID already used.")
        model = offer(asked.model)
        if model.task != asked.task_type:
            raise Complaint("invalidModel", f"'{asked.model}' does not take this task.", parameter="model")
        if asked.model.startswith("bfl:") and not self.third_party:
            raise Complaint("thirdPartyInsufficientCredits", "This model requires a paid invoice.")
        if isinstance(asked, Inference):
            check(asked, model)
        source = self._source(asked)
        work_s = self.world.seconds(2.0)
        self._jobs[asked.task_uuid] = job = Job(task, self.world.now() + work_s, work_s / 4)
        job.gone, job.endless = order.has("lost"), order.has("never_ends")
        job.items = await self._results(asked, model, order, source)
        if asked.delivery_method == "async":
            ack: Task = {"taskType": asked.task_type, "taskUUID": asked.task_uuid}
            return [ack] if self.acknowledge else []
        if job.endless:
            await self.world.stopped.wait()
        await asyncio.sleep(work_s)
        return _at_once(job.items)

    def _so_far(self, job: Job) -> list[Task]:
        """What is finished, and that the rest is being worked on."""
        now = self.world.now()
        ready = (
            []
            if job.endless
            else [item for at, item in enumerate(job.items) if now >= job.ready_at + at * job.pace_s]
        )
        if ready and len(ready) == len(job.items):
            return ready
        working: Task = {name: job.task[name] for name in ("taskType", "taskUUID")} | {"status": "processing"}
        return [*ready, working]

    async def _results(self, asked: Output, model: Offer, order: Order, source: bytes | None) -> list[Task]:
        count = asked.number_results if isinstance(asked, Inference) else 1
        failed = self._failure(order)
        made = (
            []
            if failed
            else [
                await self._result(asked, model, order, source, index)
                for index in range(max(1, count - 1) if order.has("fewer_images") else count)
            ]
        )
        if failed is None and len(made) < count:
            failed = {"code": "inferenceError", "message": "The result could not be produced."}
        if failed is not None:
            about: Task = {"taskType": asked.task_type, "taskUUID": asked.task_uuid}
            made.append(about | {"status": "error", "error": failed})
        return made

    @staticmethod
    def _failure(order: Order) -> Task | None:
        if order.has("refused"):
            return {
                "code": "invalidProviderContent",
                "message": "The prompt was flagged by the content policy.",
            }
        if order.has("job_fails"):
            return {"code": "inferenceError", "message": "The inference failed."}
        return None

    async def _result(
        self,
        asked: Output,
        model: Offer,
        order: Order,
        source: bytes | None,
        index: int,
    ) -> Task:
        """One picture, charged."""
        name = self.world.new_id()
        drawn, seed = await self._draw(asked, order, source, index)
        width, height = (asked.width, asked.height) if isinstance(asked, Inference) else (1024, 1024)
        price = model.price(width, height, asked.steps if isinstance(asked, Inference) else None)
        order.charge(price, 1, name)
        item: Task = {"taskType": asked.task_type, "taskUUID": asked.task_uuid, "status": "success"}
        if order.has("unknown_word"):
            item["status"] = "pondering"
        if not order.has("empty_success"):
            item |= {"imageUUID": name, **self._delivered(asked, name, drawn, order)}
        if seed is not None:
            item["seed"] = seed
        return item | ({"cost": float(price)} if asked.include_cost else {})

    async def _draw(
        self,
        asked: Output,
        order: Order,
        source: bytes | None,
        index: int,
    ) -> tuple[Drawn, int | None]:
        kind, mime = _FORMATS[asked.output_format]
        if order.has("not_an_image"):
            return Drawn(b"<html>no picture here</html>", mime), None
        if order.has("huge"):
            return Drawn(b"\x89PNG\r\n\x1a\n" + bytes(_HUGE), mime), None
        if isinstance(asked, Inference):
            first = asked.seed if asked.seed is not None else self.world.random.getrandbits(40)
            size, text, seed = (asked.width, asked.height), asked.positive_prompt, first + index
        else:
            factor = asked.upscale_factor if isinstance(asked, Upscale) else 1
            width, height = _size(source or b"")
            size, text, seed = (width * factor, height * factor), f"upscaled {factor} times", None
        if order.has("wrong_size"):
            size = (size[0] // 2, size[1] // 2)
        data = await self.world.picture(
            self.name,
            text,
            *size,
            seed=seed or 0,
            index=index,
            format=kind,
            source=source,
        )
        return Drawn(data, mime), seed

    def _source(self, asked: Output) -> bytes | None:
        """The picture the task starts from. Raises `Complaint`."""
        given = [asked.inputs.image, asked.inputs.seed_image, *asked.inputs.reference_images]
        if isinstance(asked, Inference):
            given += [asked.seed_image, *asked.reference_images]
            for mask in filter(None, (asked.mask_image, asked.inputs.mask_image)):
                self._given(mask)
        elif asked.inputs.image is None:
            raise Complaint("missingInputsImage", "Missing required parameter 'inputs.image'.")
        found = [self._given(one) for one in given if one is not None]
        if isinstance(asked, Upscale) and max(_size(found[0])) * asked.upscale_factor > _LARGEST:
            raise Complaint(
                "invalidUpscaleFactor", "The result would be too large.", parameter="upscaleFactor"
            )
        return found[0] if found else None

    def _given(self, text: str) -> bytes:
        """A picture by id, data URI or base64. Raises `Complaint`."""
        if text in self._pictures:
            return self._pictures[text].data
        try:
            data = b64decode(text.partition("base64,")[2] or text, validate=True)
            Image.open(io.BytesIO(data)).load()
        except (ValueError, OSError) as error:
            raise Complaint("invalidImage", "The image could not be read.", parameter="image") from error
        return data

    def _delivered(self, asked: Output, name: str, drawn: Drawn, order: Order) -> Task:
        match asked.output_type:
            case "base64Data":
                return {"imageBase64Data": b64encode(drawn.data).decode()}
            case "dataURI":
                return {"imageDataURI": f"data:{drawn.mime};base64,{b64encode(drawn.data).decode()}"}
            case "URL":
                if order.has("foreign_url"):
                    return {"imageURL": self.world.foreign_url(drawn.data, drawn.mime)}
                return {"imageURL": self._keep(name, drawn, 0.0 if order.has("expired_url") else asked.ttl)}

    def _keep(self, name: str, drawn: Drawn, ttl_s: float | None) -> str:
        self._pictures[name] = drawn
        ending = drawn.mime.rpartition("/")[2]
        return self.world.file(drawn.data, drawn.mime, ttl_s, f"{name}.{ending}")


def _size(picture: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(picture)).size


def _at_once(items: list[Task]) -> list[Task]:
    """Results as an order that waits for them gets them: none has a status but one that failed."""
    if all(item["status"] == "error" for item in items):
        said = items[0]["error"]
        raise Complaint(
            said["code"],
            said["message"],
            400 if said["code"] == "invalidProviderContent" else 500,
        )
    return [
        item
        if item["status"] == "error"
        else {name: value for name, value in item.items() if name != "status"}
        for item in items
    ]
