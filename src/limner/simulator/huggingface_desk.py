"""What all of Hugging Face's simulated partners share: pictures, addresses, charges, the words for faults."""

import asyncio
import io

from aiohttp import web
from PIL import Image
from pydantic import JsonValue, ValidationError

from limner.simulator.huggingface_orders import SERVED, Partner, Served, Wish, size_of
from limner.simulator.pictures import Format
from limner.simulator.vendor import Order
from limner.simulator.world import World

_KEPT_S = 3600.0
_HUGE_BYTES = 300 * 1024 * 1024


class Desk:
    """Draws and keeps pictures for the partners."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def work(self, served: Served) -> None:
        """Take as long as the model does."""
        await asyncio.sleep(self.world.seconds(served.seconds))

    async def drawn(self, served: Served, wish: Wish, order: Order, kind: Format) -> bytes:
        """The picture, or what a fault makes of it."""
        if order.has("not_an_image"):
            return b"<html>this is no picture</html>"
        width, height = size_of(wish)
        if order.has("wrong_size"):
            width, height = max(1, width // 2), max(1, height // 2)
        by = f"huggingface {served.partner}"
        data = await self.world.picture(by, wish.prompt, width, height, seed=wish.seed or 0, format=kind)
        return data + bytes(_HUGE_BYTES) if order.has("huge") else data

    def address(self, data: bytes, mime: str, order: Order) -> str:
        """Where a picture is to be fetched without the token."""
        if order.has("foreign_url"):
            return self.world.foreign_url(data, mime)
        return self.world.file(data, mime, 0.0 if order.has("expired_url") else _KEPT_S)


def found(partner: Partner, name: JsonValue) -> Served | None:
    """The model that a partner calls so."""
    return next((one for one in SERVED if one.partner == partner and one.id == name), None)


def charge(served: Served, wish: Wish, order: Order, id_: str | None = None) -> None:
    """Write one picture on the bill."""
    order.charge(served.price(*size_of(wish)), id=id_)


def empty(order: Order) -> bool:
    """Whether the answer is to hold no picture: of one, one less is none."""
    return order.has("empty_success") or order.has("fewer_images")


def black(wish: Wish) -> bytes:
    """What a safety checker leaves of a picture."""
    file = io.BytesIO()
    Image.new("RGB", size_of(wish)).save(file, "JPEG")
    return file.getvalue()


def faults(fault: ValidationError) -> list[tuple[str, str, str]]:
    """Where, what is said and its type, of each."""
    return [
        (".".join(str(part) for part in one["loc"]), one["msg"], one["type"])
        for one in fault.errors(include_url=False, include_context=False)
    ]


def said(fault: ValidationError) -> str:
    """The first of them as text."""
    where, what, _ = faults(fault)[0]
    return f"{where}: {what}"


def error(status: int, what: JsonValue, headers: dict[str, str] | None = None) -> web.Response:
    """The shape that the router and most partners use."""
    return web.json_response({"error": what}, status=status, headers=headers)
