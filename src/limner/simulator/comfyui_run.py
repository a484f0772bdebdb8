"""The simulated ComfyUI at work: one job after the other, told to the sockets as it goes."""

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Literal

from aiohttp import web
from PIL import Image
from pydantic import JsonValue

from limner.simulator import comfyui_graph
from limner.simulator.comfyui_files import Place, place
from limner.simulator.comfyui_graph import Graph, Wanted
from limner.simulator.vendor import Order
from limner.simulator.world import World

Failure = Literal["weights", "memory"]
_LARGEST_PIXELS = 64_000_000
"""More do not fit its GPU."""
_HUGE_BYTES = 300 * 1024 * 1024


@dataclass(slots=True)
class Job:
    """One graph in the queue."""

    number: float
    id: str
    graph: Graph
    extra: dict[str, JsonValue]
    outputs: tuple[str, ...]
    order: Order
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def client(self) -> str | None:
        """Whose socket hears of it; None is everybody's, of little."""
        client = self.extra.get("client_id")
        return client if isinstance(client, str) and client else None

    def listed(self) -> JsonValue:
        """As the queue and the history tell it."""
        return [self.number, self.id, dict(self.graph), self.extra, list(self.outputs)]


@dataclass(slots=True)
class Listener:
    """A connected socket, and whether it wants previews that say whose they are."""

    socket: web.WebSocketResponse
    owned_previews: bool = False


class Failed(Exception):
    """A node raised: what `execution_error` says."""

    def __init__(self, node: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.node, self.kind = node, kind


class Stopped(Exception):
    """The job was interrupted in a node."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self.node = node


class Air:
    """Every socket by its client's name."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}
        self.node: str | None = None
        """Where the running job is."""

    async def tell(self, client: str | None, word: str, **data: JsonValue) -> None:
        """One event, to a client or to all."""
        for listener in self._who(client):
            await _send(listener.socket.send_str, json.dumps({"type": word, "data": data}))

    async def show(self, client: str | None, picture: bytes, owner: dict[str, JsonValue]) -> None:
        """A preview: who asked for it gets its owner's name with it."""
        plain = (1).to_bytes(4) + (1).to_bytes(4) + picture
        head = json.dumps(owner | {"image_type": "image/jpeg"}).encode()
        owned = (4).to_bytes(4) + len(head).to_bytes(4) + head + picture
        for listener in self._who(client):
            known = client is not None and listener.owned_previews
            await _send(listener.socket.send_bytes, owned if known else plain)

    def _who(self, client: str | None) -> list[Listener]:
        if client is None:
            return list(self.listeners.values())
        return [self.listeners[client]] if client in self.listeners else []


async def _send(send: Callable[..., Awaitable[None]], frame: str | bytes) -> None:
    try:
        await send(frame)
    except (ConnectionError, RuntimeError):
        return  # the listener has left; its own handler tidies up


class Run:
    """One job from start to its place in the history."""

    def __init__(
        self, job: Job, world: World, air: Air, files: dict[Place, bytes], cache: dict[str, JsonValue]
    ) -> None:
        self._job, self._world, self._air, self._files, self._cache = job, world, air, files, cache
        self._messages: list[JsonValue] = []
        self._outputs: dict[str, JsonValue] = {}
        self._fresh: dict[str, JsonValue] = {}
        self._states: dict[str, JsonValue] = {}
        """Every node that was begun, as `progress_state` tells it."""
        self._saved = 0

    async def to_end(self, failure: Failure, *, previews: bool) -> dict[str, JsonValue]:
        """The history's entry."""
        job, ok = self._job, False
        await self._note("execution_start")
        cached = [output for output in job.outputs if self._print(output) in self._cache]
        known = [name for one in cached for name in (one, *comfyui_graph.before(job.graph, one))]
        await self._note("execution_cached", nodes=list(dict.fromkeys(known)))
        try:
            for output in job.outputs:
                await self._output(output, failure, previews=previews)
        except Failed as fault:
            await self._note("execution_error", **self._fault(fault))
        except Stopped as stop:
            name = str(job.graph[stop.node]["class_type"])
            await self._note("execution_interrupted", node_id=stop.node, node_type=name, executed=[])
        else:
            ok = True
            job.order.charge("0", self._saved, job.id)
            await self._note("execution_success")
        self._cache.clear()
        self._cache.update(self._fresh)
        return self._entry(ok=ok)

    def _entry(self, *, ok: bool) -> dict[str, JsonValue]:
        word = "exploded" if self._job.order.has("unknown_word") else "success" if ok else "error"
        outputs: dict[str, JsonValue] = {} if self._job.order.has("empty_success") else self._outputs
        meta: dict[str, JsonValue] = {
            name: {"node_id": name, "display_node": name, "parent_node": None, "real_node_id": name}
            for name in outputs
        }
        status: JsonValue = {"status_str": word, "completed": ok, "messages": self._messages}
        return {"prompt": self._job.listed(), "outputs": outputs, "status": status, "meta": meta}

    async def _note(self, word: str, **data: JsonValue) -> None:
        data |= {"prompt_id": self._job.id, "timestamp": int(self._world.now() * 1000)}
        self._messages.append([word, data])
        if self._job.client is not None:
            await self._air.tell(self._job.client, word, **data)

    def _fault(self, fault: Failed) -> dict[str, JsonValue]:
        return {
            "node_id": fault.node,
            "node_type": str(self._job.graph[fault.node]["class_type"]),
            "executed": [],
            "exception_message": f"{fault}\n",
            "exception_type": fault.kind,
            "traceback": ['  File "/srv/comfy/execution.py", line 510, in execute\n'],
            "current_inputs": {},
            "current_outputs": [],
        }

    def _print(self, output: str) -> str:
        """Everything that decides what an output node would save."""
        graph = self._job.graph
        return json.dumps(
            {name: graph[name] for name in (output, *comfyui_graph.before(graph, output))}, sort_keys=True
        )

    async def _output(self, output: str, failure: Failure, *, previews: bool) -> None:
        key = self._print(output)
        images = self._cache.get(key)
        if images is None:
            for node in reversed(comfyui_graph.before(self._job.graph, output)):
                if node not in self._states:
                    await self._node(node, output, failure, previews=previews)
                    await self._state(node, 1, 1)
            await self._enter(output)
            images = await self._save(output)
        self._fresh[key] = images
        self._outputs[output] = {"images": images}
        if self._job.client is not None:
            said: dict[str, JsonValue] = {
                "node": output,
                "display_node": output,
                "output": {"images": images},
            }
            await self._air.tell(self._job.client, "executed", **said, prompt_id=self._job.id)
        await self._state(output, 1, 1)

    async def _state(self, node: str, value: int, most: int) -> None:
        """How far a node is, told with all the nodes before it."""
        self._states[node] = {
            "value": value,
            "max": most,
            "state": "finished" if value == most else "running",
            "node_id": node,
            "prompt_id": self._job.id,
            "display_node_id": node,
            "parent_node_id": None,
            "real_node_id": node,
        }
        if self._job.client is not None:
            states = dict(self._states)
            await self._air.tell(self._job.client, "progress_state", prompt_id=self._job.id, nodes=states)

    async def _enter(self, node: str) -> None:
        self._air.node = node
        await self._state(node, 0, 1)
        if self._job.client is not None:
            said: dict[str, JsonValue] = {"node": node, "display_node": node, "prompt_id": self._job.id}
            await self._air.tell(self._job.client, "executing", **said)
        if self._job.interrupted.is_set():
            raise Stopped(node)

    async def _node(self, node: str, output: str, failure: Failure, *, previews: bool) -> None:
        await self._enter(node)
        order, kind = self._job.order, str(self._job.graph[node]["class_type"])
        if (
            order.has("job_fails")
            and failure == "weights"
            and kind in ("CheckpointLoaderSimple", "UNETLoader")
        ):
            said = "Error while deserializing header: invalid header in /srv/comfy/models/model.safetensors"
            raise Failed(node, "safetensors._safetensors_rust.SafetensorError", said)
        if node not in comfyui_graph.samplers(self._job.graph, output):
            return
        if order.has("job_fails"):
            said = "Allocation on device 0 would exceed allowed memory. (out of memory)\nTIPS: ..."
            raise Failed(node, "torch.OutOfMemoryError", said)
        await self._sample(node, output, previews=previews)

    async def _sample(self, node: str, output: str, *, previews: bool) -> None:
        job, most = self._job, comfyui_graph.steps(self._job.graph, node)
        shown = await self._preview(output) if previews else b""
        tells = min(most, 20)
        for tell in range(1, tells + 1):
            step = most * tell // tells
            await self._pause(node, self._world.seconds(6.0) / tells)
            await self._state(node, step, most)
            await self._air.tell(job.client, "progress", value=step, max=most, prompt_id=job.id, node=node)
            if previews:
                owner: dict[str, JsonValue] = {"node_id": node, "prompt_id": job.id, "display_node_id": node}
                await self._air.show(job.client, shown, owner)
        if job.order.has("never_ends"):
            await self._pause(node, None)

    async def _pause(self, node: str, seconds: float | None) -> None:
        waits = [
            asyncio.ensure_future(event.wait()) for event in (self._job.interrupted, self._world.stopped)
        ]
        done, rest = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in rest:
            one.cancel()
        if done:
            raise Stopped(node)

    async def _preview(self, output: str) -> bytes:
        want = comfyui_graph.wanted(self._job.graph, output)
        return await self._world.picture(
            "comfyui preview", want.prompt, 256, 256, seed=want.seed, format="jpeg"
        )

    async def _save(self, output: str) -> list[JsonValue]:
        """Draw and keep the pictures; returns what the history tells of them."""
        want, order, node = (
            comfyui_graph.wanted(self._job.graph, output),
            self._job.order,
            self._job.graph[output],
        )
        last = output == self._job.outputs[-1]
        count = want.batch - 1 if last and order.has("fewer_images") else want.batch
        kind = "output" if node["class_type"] == "SaveImage" else "temp"
        prefix = str(comfyui_graph.inputs(self._job.graph, output).get("filename_prefix", "ComfyUI_temp"))
        folder, _, stem = prefix.rpartition("/")
        images: list[JsonValue] = []
        for index in range(count):
            data, name = await self._draw(want, index, output), self._free(kind, folder, stem)
            if not order.has("expired_url"):
                self._files[kind, folder, name] = data
            images.append({"filename": name, "subfolder": folder, "type": kind})
        self._saved += count
        return images

    def _free(self, kind: str, folder: str, stem: str) -> str:
        number = 1 + sum(
            place[:2] == (kind, folder) and place[2].startswith(f"{stem}_") for place in self._files
        )
        return f"{stem}_{number:05}_.png"

    async def _draw(self, want: Wanted, index: int, output: str) -> bytes:
        order = self._job.order
        if order.has("not_an_image"):
            return b"<html>not a picture</html>"
        source = None if want.source is None else self._files[place(want.source, "input")]
        try:
            width, height = want.size or Image.open(BytesIO(source or b"")).size
            if order.has("wrong_size"):
                width, height = width // 2, height // 2
            across, down = width // 8 * 8, height // 8 * 8
            if across * down > _LARGEST_PIXELS:
                raise Failed(output, "torch.OutOfMemoryError", "Allocation on device")
            data = await self._world.picture(
                "comfyui", want.prompt, across, down, seed=want.seed, index=index, source=source
            )
        except (ValueError, OSError) as error:
            said = f"cannot identify image file '/srv/comfy/input/{want.source}'"
            raise Failed(want.loader or output, "PIL.UnidentifiedImageError", said) from error
        data = with_text(data, "prompt", json.dumps(self._job.graph))
        return data + bytes(_HUGE_BYTES) if order.has("huge") else data


def with_text(png: bytes, key: str, text: str) -> bytes:
    """The picture with a text chunk behind its header, as the server writes the graph into what it saves."""
    body = b"tEXt" + key.encode() + b"\0" + text.encode("ascii", "replace")
    chunk = (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
    return png[:33] + chunk + png[33:]
