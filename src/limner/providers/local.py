"""The local engine: our own process, our own order ids; drawing is free and repeatable."""

from typing import Literal

from pydantic import BaseModel

from limner.core.errors import Lost, Rejected
from limner.core.request import GenerateRequest
from limner.providers.base import Call, Done, Health, Outcome, Pending, Provider, Recovery, Ticket

_WAIT_S = 0.25
_WATCHING_S = 0.02
_SHORT_WORDS = 16


class _Order(BaseModel):
    state: Literal["queued", "drawing", "done", "failed", "canceled"]
    step: int
    steps: int
    fraction: float
    images: int
    preview: int
    error: str | None = None


class _Health(BaseModel):
    status: Literal["ok", "loading", "failing"]
    reason: str | None = None
    engine_version: str


class Local(Provider):
    """Limner's engine: takes our id, draws, keeps the pictures for a while. Forgets all when it dies."""

    name = "local"
    base_url = "http://127.0.0.1:50053/"
    recovery = Recovery.NAMED
    needs_key = False
    self_hosted = True

    async def submit(self, call: Call) -> Outcome:
        """Order under our own id; the same id again is the same order."""
        wish = call.request
        first = wish.seed or 0
        order = await self.wire.post(
            "orders",
            into=_Order,
            json={
                "id": call.key,
                "model": call.model,
                "prompt": _text(wish),
                "negative_prompt": wish.negative_prompt or "",
                "width": wish.width,
                "height": wish.height,
                "steps": wish.steps,
                "guidance_scale": wish.guidance_scale,
                "seeds": [first + i for i in range(wish.count)],
                "previews": wish.partial_images > 0,
            },
        )
        ticket: Ticket = {"id": call.key, "count": wish.count, "previews": wish.partial_images > 0}
        return await self._outcome(ticket, order)

    async def poll(self, ticket: Ticket) -> Outcome:
        """How far is it? A restarted engine has forgotten the order: `Lost`."""
        wait = "" if ticket["previews"] else f"?wait={_WAIT_S}&after=1000000000"
        return await self._outcome(ticket, await self.wire.get(f"orders/{ticket['id']}{wait}", into=_Order))

    async def cancel(self, ticket: Ticket) -> None:
        """Stop between two steps."""
        await self.wire.delete(f"orders/{ticket['id']}")

    async def probe(self) -> Health:
        """Ask the engine how it is."""
        health = await self.wire.get("health", into=_Health)
        return Health(ok=health.status != "failing", reason=health.reason or "")

    async def _outcome(self, ticket: Ticket, order: _Order) -> Outcome:
        match order.state:
            case "queued":
                return Pending(ticket, after_s=_WATCHING_S, fraction=0.0)
            case "drawing":
                preview = None
                if ticket["previews"] and order.preview:
                    preview = await self.wire.fetch(f"orders/{ticket['id']}/previews/0")
                return Pending(ticket, _WATCHING_S, order.fraction, order.step, order.steps, preview)
            case "done":
                count = int(str(ticket["count"]))
                images = [await self.wire.fetch(f"orders/{ticket['id']}/images/{i}") for i in range(count)]
                health = await self.wire.get("health", into=_Health)
                return Done(tuple(images), engine=health.engine_version)
            case "failed":
                raise Rejected(f"the engine could not draw it: {order.error}")
            case "canceled":
                raise Lost("the order was cancelled at the engine")


def _text(wish: GenerateRequest) -> str:
    """The prompt with its style; a long prompt gets it in front, where it is not cut off."""
    if wish.style is None:
        return wish.prompt
    style = wish.style.casefold()
    return (
        f"{wish.prompt}, {style}" if len(wish.prompt.split()) <= _SHORT_WORDS else f"{style}, {wish.prompt}"
    )
