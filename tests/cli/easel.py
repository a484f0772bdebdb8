"""A vendor for the command line's tests: draws one colour; the prompt says how it ends."""

import io
from typing import Any

from PIL import Image

from limner.catalog.model import Model, Sizes, Steps
from limner.core.errors import Lost, Rejected
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket
from limner.wire import Wire

MODEL = Model(
    id="sketch",
    name="Sketch",
    description="Draws one colour.",
    provider="easel",
    ref="sketch-1",
    tier="fast",
    sizes=Sizes(default=(64, 64), max_side=512),
    steps=Steps(default=4, max=50, fast=2, standard=4, quality=8, ultra=16),
    max_count=10,
    styles=("flat",),
)


class Easel(Provider):
    """`rejected` in the prompt is refused, `slow` never ends by itself; all else is drawn at once."""

    name = "easel"
    base_url = "http://127.0.0.1:9/"
    recovery = Recovery.TICKETED
    needs_key = False
    cancelled = False

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        Easel.cancelled = False

    async def submit(self, call: Call) -> Outcome:
        if "rejected" in call.request.prompt:
            raise Rejected("easel: draws no such thing")
        if "slow" in call.request.prompt:
            return Pending({"id": "1"}, after_s=0.01, fraction=0.5, step=2, steps=4)
        seed = call.request.seed or 0
        seeds = tuple(seed + index for index in range(call.request.count))
        return Done(tuple(picture(call.request.size or (64, 64), one) for one in seeds), seeds)

    async def poll(self, ticket: Ticket) -> Outcome:
        if Easel.cancelled:
            raise Lost("easel: was cancelled")
        return Pending(ticket, after_s=0.01, fraction=0.5, step=2, steps=4)

    async def cancel(self, ticket: Ticket) -> None:
        Easel.cancelled = True


def picture(size: tuple[int, int], seed: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (seed % 256, seed // 256 % 256, 7)).save(file, "PNG")
    return file.getvalue()


INSTALLED: dict[str, Any] = {"providers": {"easel": Easel}, "models": [MODEL]}
