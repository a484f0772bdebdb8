"""What every request goes through: the journal, the key, the fault; then the vendor's handler."""

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from limner.simulator.journal import Asked, texts
from limner.simulator.play import gone, play
from limner.simulator.vendor import ORDER, ErrorWord, Order, Route, Vendor, route
from limner.simulator.world import File

log = logging.getLogger("limner.simulator")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def door(vendor: Vendor, way: Route) -> Handler:
    """The handler that aiohttp is given for a route."""

    async def through(request: web.Request) -> web.StreamResponse:
        order = await _received(vendor, request)
        barred = _barred(vendor, way, request)
        response = await play(vendor, way, request, order) if barred is None else barred
        if response is None:
            return _cut(request)
        order.asked.status = response.status
        return response

    return _guarded(vendor, through)


def astray(vendor: Vendor, error: web.HTTPException) -> Handler:
    """The handler for a path or a method that the vendor does not have."""

    async def answer(request: web.Request) -> web.StreamResponse:
        order = await _received(vendor, request)
        if isinstance(error, web.HTTPMethodNotAllowed):
            response = vendor.wrong_method(request, error.allowed_methods)
        else:
            response = vendor.not_found(request)
        order.asked.status = response.status
        return response

    return _guarded(vendor, answer)


def files(vendor: Vendor) -> Route:
    """The open door behind `World.file`."""

    async def give(request: web.Request) -> web.Response:
        return given(vendor.world.lookup(request.match_info["id"]))

    return route("GET", "/files/{id}/{name}", give, open=True)


def given(file: File | None) -> web.Response:
    """The answer with a file, 404 where there is none."""
    if file is None:
        return web.Response(status=404, text="there is no such file, or its time is over")
    return web.Response(body=file.data, headers={"Content-Type": file.mime})


def _guarded(vendor: Vendor, handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return web.json_response(
                {"error": "the body has more bytes than the simulator reads"}, status=413
            )
        except Exception as error:  # the outermost edge: a vendor's mistake is told, and is no end
            if isinstance(error, ConnectionError) and gone(request):
                return web.Response()  # the client left in the middle; nobody reads this
            log.exception("the simulated vendor %s made a mistake at %s", vendor.name, request.path)
            vendor.world.mistaken(f"{vendor.name} {request.method} {request.path}: {error!r}")
            return web.json_response({"error": "the simulator made a mistake; its log says more"}, status=500)

    return answer


async def _received(vendor: Vendor, request: web.Request) -> Order:
    """Read and journal a request."""
    try:
        raw = await request.read() if request.can_read_body else b""
    except web.HTTPRequestEntityTooLarge:
        _noted(vendor, request, b"").status = 413
        raise
    text = "\n".join([*request.query.values(), texts(raw)])
    order = Order(vendor.world, _noted(vendor, request, raw), body=raw, prompt=text)
    request[ORDER] = order
    return order


def _noted(vendor: Vendor, request: web.Request, raw: bytes) -> Asked:
    return vendor.world.note(request.method, request.path, raw, request.query, request.headers)


def _barred(vendor: Vendor, way: Route, request: web.Request) -> web.StreamResponse | None:
    if way.open:
        carried = vendor.order_of(request).asked.carried_key
        return web.Response(status=403, text="a key was sent where none is needed") if carried else None
    word = key_state(vendor, vendor.key_of(request), order=way.order) if vendor.key else None
    return None if word is None else vendor.error(word, request)


def key_state(vendor: Vendor, key: str | None, *, order: bool) -> ErrorWord | None:
    """What is wrong with a key, None when it opens the door. Without credit, looking is still free."""
    states: dict[str | None, ErrorWord | None] = {
        None: "no_key",
        vendor.key: None,
        f"{vendor.key}-nocredit": "no_money" if order else None,
        f"{vendor.key}-limited": "rate_limited" if order else None,
        f"{vendor.key}-forbidden": "forbidden",
    }
    return None if key in vendor.further_keys else states.get(key, "bad_key")


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # has nowhere to go
