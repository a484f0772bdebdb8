"""ComfyUI: a node-graph server of one's own. The catalog says which graph draws a model's pictures."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from urllib.parse import urlencode

from pydantic import JsonValue, ValidationError

from limner.core.errors import Lost, ProviderError, Rejected, Unavailable
from limner.core.shapes import extension, media_type
from limner.providers import comfyui_graph
from limner.providers.answers import readable
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket
from limner.providers.comfyui_answers import Declined, Entry, History, Queue, Queued, Uploaded
from limner.providers.comfyui_socket import WITH_OWNER, Held, hear
from limner.wire import Part, by_status

_LISTEN_S = 1.0
_DEAF_S = 0.5
_FREE: JsonValue = {"unload_models": True, "free_memory": True}


class ComfyUI(Provider):
    """One queue, first come first served; knows an order until it is restarted. Free, no moderation."""

    name = "comfyui"
    base_url = "http://127.0.0.1:8188/"
    recovery = Recovery.NAMED
    concurrency = 1  # one after the other: what waits, waits in our line
    url_env = ("COMFYUI_URL",)
    probe_path = "system_stats"
    needs_key = False
    self_hosted = True

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """400 says in `node_errors` which input of which node is at fault."""
        declined = readable(body, Declined) if status == 400 else None
        return by_status(status, headers, body) if declined is None else Rejected(declined.reason)

    async def submit(self, call: Call) -> Outcome:
        """Queue the graph under our id. The same id again draws the same pictures, and costs nothing."""
        flow = comfyui_graph.workflow(call)
        image = await self._upload(call.inputs[0]) if call.inputs else None
        mask = None if call.mask is None else await self._upload(call.mask)
        graph = comfyui_graph.written(call, flow, image, mask)
        order: JsonValue = {"prompt": graph, "prompt_id": call.uuid, "client_id": _client(call.uuid)}
        queued = await self.wire.post("prompt", into=Queued, json=order)
        ticket = _ticket(call, queued.prompt_id)
        if queued.node_errors:
            # What is right of a graph is queued all the same: half an order is none.
            await self.cancel(ticket)
            raise Rejected(queued.reason)
        return Pending(ticket, after_s=0.0, fraction=0.0)

    async def poll(self, ticket: Ticket) -> Outcome:
        """The history is the truth; the socket only tells how far it is."""
        held = Held.model_validate(ticket)
        entry = await self._entry(held.id)
        if entry is None and await self._queued(held.id):
            return await self._listen(ticket, held)
        entry = entry or await self._entry(held.id)  # it may have ended between the two questions
        if entry is None:
            raise Lost(f"ComfyUI no longer knows the order {held.id}: restarted, or removed from its queue")
        return await self._collect(entry, held)

    async def find(self, call: Call) -> Ticket | None:
        """By our own id; a server that was restarted has forgotten it."""
        there = await self._queued(call.uuid) or await self._entry(call.uuid)
        return _ticket(call, call.uuid) if there else None

    async def cancel(self, ticket: Ticket) -> None:
        """Out of the queue, or stopped if it is ours that runs; never anybody else's."""
        await self.wire.send("POST", "queue", json={"delete": [ticket["id"]]})
        await self.wire.send("POST", "interrupt", json={"prompt_id": ticket["id"]})

    async def _upload(self, data: bytes) -> str:
        mime = media_type(data)
        name = f"{sha256(data).hexdigest()}.{extension(mime)}"
        form = [Part("image", data, name, mime), Part("subfolder", "limner"), Part("overwrite", "true")]
        file = (await self.wire.send("POST", "upload/image", form=form)).read(Uploaded)
        return f"{file.subfolder}/{file.name}".lstrip("/")

    async def _entry(self, order: str) -> Entry | None:
        return (await self.wire.get(f"history/{order}", into=History)).root.get(order)

    async def _queued(self, order: str) -> bool:
        return (await self.wire.get("queue", into=Queue)).holds(order)

    async def _collect(self, entry: Entry, held: Held) -> Done:
        try:
            pictures = entry.pictures(held.outputs)
        except Unavailable:
            await self.wire.send("POST", "free", json=_FREE)  # the GPU is full: the next try finds it empty
            raise
        files = [await self.wire.fetch(f"view?{urlencode(one.model_dump())}") for one in pictures]
        return Done(tuple(files))

    async def _listen(self, ticket: Ticket, held: Held) -> Pending:
        """For a moment, to what the socket tells; without a socket the order goes on all the same."""
        heard = Pending(ticket, after_s=0.0)
        path = f"ws?{urlencode({'clientId': _client(held.id)})}"
        try:
            async with asyncio.timeout(_LISTEN_S), self.wire.socket(path) as socket:
                if held.previews:
                    await socket.send_json(WITH_OWNER)
                async for message in socket:
                    heard, ended = hear(heard, message.data, held)
                    if ended:
                        return heard
        except TimeoutError:
            return heard
        except (Unavailable, ValidationError):
            pass  # a proxy without sockets, or an event no version we know sends: neither is the order's end
        return replace(heard, after_s=_DEAF_S)


def _client(order: str) -> str:
    """Events of an order that names its client go to that client alone."""
    return f"limner-{order}"


def _ticket(call: Call, order: str) -> Ticket:
    outputs = comfyui_graph.workflow(call).outputs(call.request.count)
    return {"id": order, "outputs": list(outputs), "previews": call.request.partial_images > 0}
