"""What becomes of a prediction at the simulated Replicate: it starts, works, ends, is charged and told."""

import asyncio
import logging
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hmac import digest
from json import dumps
from typing import Literal

import aiohttp
from pydantic import JsonValue

from limner.simulator.pictures import Format
from limner.simulator.replicate_models import Hosted
from limner.simulator.vendor import Order, Unreadable
from limner.simulator.world import World

log = logging.getLogger("limner.simulator")

WAITS = "(waits in the queue)"
"""Words in a prompt: the prediction never starts, as when no machine is free."""
EARLY = "(shown before the end)"
"""Words in a prompt: the prediction shows its output while it still works."""
AS_OBJECT = "(as an object)"
"""Words in a prompt: the output is an object that holds the links."""

Status = Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]
Event = Literal["start", "output", "logs", "completed"]

SECRET = "whsec_" + b64encode(b"limner simulator: secret").decode()
KEPT_S = 3600.0
OPEN: frozenset[Status] = frozenset({"starting", "processing"})
EVENTS: tuple[Event, ...] = ("start", "output", "logs", "completed")
_TRIES = 3
_COLD_S = {True: 0.2, False: 3.0}
_HUGE = 260 * 1024 * 1024
_NSFW = "NSFW content detected. Try running it again, or try a different prompt."
_CRASH = "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 44.39 GiB total capacity)"


@dataclass(slots=True)
class Prediction:
    """One order as it goes. Times are Unix seconds by the simulator's clock."""

    id: str
    model: Hosted
    input: dict[str, JsonValue]
    order: Order
    created_at: float
    source: bytes | None = None
    deadline_at: float | None = None
    webhook: str | None = None
    events: tuple[str, ...] = EVENTS
    status: Status = "starting"
    output: JsonValue = None
    error: str | None = None
    logs: str = ""
    started_at: float | None = None
    completed_at: float | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def prompt(self) -> str:
        """The words, empty when the model needs none."""
        return str(self.input.get("prompt", ""))


class Studio:
    """Where predictions are worked on, whoever listens."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.work: set[asyncio.Task[None]] = set()

    def clear(self) -> None:
        """Leave everything as it is."""
        for task in self.work:
            task.cancel()
        self.work.clear()

    def start(self, made: Prediction) -> None:
        """Begin."""
        # A prediction goes on whoever has left, so that it has no other owner than this set.
        task = asyncio.get_running_loop().create_task(self._work(made))
        self.work.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self.work.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.world.mistaken(f"replicate at work: {error!r}")

    async def _work(self, made: Prediction) -> None:
        """From `starting` to an end, unless somebody stops it."""
        await self.world.sleep(_COLD_S[made.model.official])
        if made.status != "starting" or WAITS in made.prompt:
            return
        made.status, made.started_at = "processing", self.world.now()
        made.logs = f"Using seed: {made.input.get('seed', 42)}\n"
        await self._tell(made, "start")
        if made.order.has("never_ends"):
            return
        made.logs += " 50%|#####     | 14/28\n"
        await self.world.sleep(made.model.seconds)
        if EARLY in made.prompt:
            made.output = "https://replicate.delivery/not-yet.png"
            await self.world.sleep(made.model.seconds)
        try:
            drawn: list[bytes] | str = _trouble(made.order) or await self._drawn(made)
        except Unreadable as error:
            drawn = str(error)
        if made.status == "processing":
            self._end(made, drawn)
            await self._tell(made, "completed")

    def _end(self, made: Prediction, drawn: list[bytes] | str) -> None:
        """The last status by the pictures or the error, and the charge: failing is free at an official model,
        and takes time at others."""
        made.completed_at = self.world.now()
        if isinstance(drawn, str):
            made.status, made.error, made.output = "failed", drawn, None
            if not made.model.official:
                self._charge(made, 0)
        else:
            made.status = "succeeded"
            made.logs += "100%|##########| 28/28\n"
            made.output = self._output(made, [self._link(made, n, one) for n, one in enumerate(drawn)])
            self._charge(made, made.model.count(self._fields(made)))
        made.ended.set()

    def _charge(self, made: Prediction, images: int) -> None:
        made.order.charge(made.model.price(self._fields(made), self._seconds(made)), images, made.id)

    async def _drawn(self, made: Prediction) -> list[bytes]:
        fields = self._fields(made)
        count = made.model.count(fields)
        width, height = (64, 64) if made.order.has("wrong_size") else made.model.size(fields, made.source)
        if made.order.has("empty_success"):
            return []
        if made.order.has("not_an_image"):
            return [b"this is not a picture"] * count
        if made.order.has("huge"):
            return [bytes(_HUGE)]
        seed = fields.get("seed")
        return [
            await self.world.picture(
                f"replicate: {made.model.name}",
                made.prompt,
                width,
                height,
                seed=seed if isinstance(seed, int) else 42,
                index=index,
                format=_format(fields),
                source=made.source,
            )
            for index in range(count - 1 if made.order.has("fewer_images") else count)
        ]

    def _link(self, made: Prediction, index: int, data: bytes) -> str:
        form = _format(self._fields(made))
        if made.order.has("foreign_url"):
            return self.world.foreign_url(data, f"image/{form}")
        ttl_s = 0.0 if made.order.has("expired_url") else KEPT_S
        return self.world.file(data, f"image/{form}", ttl_s, f"out-{index}.{form}")

    def _output(self, made: Prediction, links: list[str]) -> JsonValue:
        if AS_OBJECT in made.prompt:
            return {"images": [*links], "count": len(links)}
        if made.model.output == "list":
            return [*links]
        return links[0] if links else None

    def _fields(self, made: Prediction) -> dict[str, JsonValue]:
        return made.model.filled(made.input)

    def _seconds(self, made: Prediction) -> float:
        """By the size asked for, also where the picture takes its input's."""
        fields = self._fields(made)
        return made.model.work_s(fields, made.model.size(fields, None))

    async def _tell(self, made: Prediction, event: Event) -> None:
        """Post the prediction to its webhook, signed; the last event is tried more than once."""
        if made.webhook is None or event not in made.events:
            return
        body = dumps(self.shown(made)).encode()
        name, at = f"msg_{self.world.new_id()}", str(int(self.world.now()))
        signature = sign(name, at, body)
        headers = {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": signature}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            for _ in range(_TRIES if event == "completed" else 1):
                try:
                    answer = await http.post(made.webhook, data=body, headers=headers, allow_redirects=False)
                except (aiohttp.ClientError, TimeoutError) as error:
                    log.warning("webhook of prediction %s: %s", made.id, error)
                else:
                    if answer.ok:
                        return
                await self.world.sleep(1.0)

    async def stop(self, made: Prediction) -> None:
        """Cancel: what has begun is charged, what is over stays as it is."""
        if made.status not in OPEN:
            return
        if made.status == "processing":
            self._charge(made, 0)
        made.status, made.completed_at, made.output = "canceled", self.world.now(), None
        made.ended.set()
        await self._tell(made, "completed")

    def shown(self, made: Prediction) -> dict[str, JsonValue]:
        """The prediction as the vendor tells it; an hour after its end little of it is left."""
        late = made.deadline_at is not None and self.world.now() >= made.deadline_at
        if late and made.status in OPEN:
            self._late(made)
        gone = made.completed_at is not None and self.world.now() >= made.completed_at + KEPT_S
        word = "pondering" if made.order.has("unknown_word") and made.status not in OPEN else made.status
        address = f"{self.world.home}/v1/predictions/{made.id}"
        shown: dict[str, JsonValue] = {
            "id": made.id,
            "model": made.model.name,
            "version": "hidden" if made.model.official else made.model.version,
            "input": {} if gone else made.input,
            "logs": "" if gone else made.logs,
            "output": None if gone else made.output,
            "data_removed": gone,
            "error": made.error,
            "status": word,
            "created_at": time_text(made.created_at),
            "source": "api",
            "urls": {
                "get": address,
                "cancel": f"{address}/cancel",
                "web": f"https://replicate.com/p/{made.id}",
            },
        }
        if made.started_at is not None:
            shown["started_at"] = time_text(made.started_at)
        if made.completed_at is not None:
            shown["completed_at"] = time_text(made.completed_at)
            shown["metrics"] = self._metrics(made)
        return shown

    def _late(self, made: Prediction) -> None:
        """Its `Cancel-After` is over: free while it waited, charged when it worked."""
        if made.status == "processing":
            self._charge(made, 0)
        made.status = "aborted" if made.status == "starting" else "canceled"
        made.completed_at = made.deadline_at
        made.ended.set()

    def _metrics(self, made: Prediction) -> dict[str, JsonValue]:
        if made.started_at is None:
            return {}
        seconds = self._seconds(made)
        metrics: dict[str, JsonValue] = {"predict_time": seconds, "total_time": seconds + 0.25}
        if made.model.official and made.status == "succeeded":
            metrics["image_count"] = made.model.count(self._fields(made))
        return metrics


def _trouble(order: Order) -> str | None:
    if order.has("refused"):
        return _NSFW
    return _CRASH if order.has("job_fails") else None


def sign(name: str, at: str, body: bytes) -> str:
    """The `webhook-signature` of a message by its id and Unix second."""
    key = b64decode(SECRET.removeprefix("whsec_"))
    return "v1," + b64encode(digest(key, f"{name}.{at}.".encode() + body, "sha256")).decode()


def _format(fields: dict[str, JsonValue]) -> Format:
    match fields.get("output_format"):
        case "jpg":
            return "jpeg"
        case "webp":
            return "webp"
        case _:
            return "png"


def time_text(at: float) -> str:
    """As the vendor writes moments."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
