"""Faults around a vendor's handler: before it, after it, in its body."""

import asyncio
import json
import logging

from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from limner.core.errors import InvalidRequest
from limner.simulator.faults import Fault
from limner.simulator.vendor import Order, Route, Unreadable, Vendor

log = logging.getLogger("limner.simulator")

_PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_LOOK_S = 0.02
_DRIPS = 20


async def play(vendor: Vendor, way: Route, request: web.Request, order: Order) -> web.StreamResponse | None:
    """The answer with the fault it meets; None is a connection to be closed without one."""
    try:
        fault = vendor.world.fault(request.path, order.prompt, order=way.order)
    except InvalidRequest as error:
        return web.json_response({"error": str(error)}, status=400)
    if fault is None:
        return await _answered(vendor, way, request, order)
    order.fault, order.asked.fault = fault, fault.kind
    return await _faulty(fault, vendor, way, request, order)


async def _faulty(
    fault: Fault, vendor: Vendor, way: Route, request: web.Request, order: Order
) -> web.StreamResponse | None:
    match fault.kind:
        case "hang":
            await _client_gone(vendor, request)
            return None
        case "cut_before":
            return None
        case "error_before":
            return vendor.error("server_error", request)
        case "html_502":
            return web.Response(status=502, text=_PROXY_PAGE, content_type="text/html")
        case "rate_limited" | "no_money" | "bad_key" | "overloaded":
            return vendor.error(fault.kind, request)
        case "slow":
            await _wait(vendor, fault.after_s)
        case _:
            pass  # played after the handler, or by it
    return await _spoilt(fault, vendor, request, await _answered(vendor, way, request, order))


async def _spoilt(
    fault: Fault, vendor: Vendor, request: web.Request, response: web.StreamResponse
) -> web.StreamResponse | None:
    match fault.kind:
        case "cut_after":
            return None
        case "error_after":
            return vendor.error("server_error", request)
        case "malformed":
            body = _body(response)
            return None if body is None else _with_body(response, body[: len(body) // 2])
        case "empty":
            return web.Response(headers={"Content-Type": response.content_type})
        case "slow_body":
            return await _dripped(vendor, request, response, fault.after_s)
        case "wrong_type":
            body = _body(response)
            return (
                response
                if body is None
                else web.Response(status=response.status, body=body, content_type="text/plain")
            )
        case _:
            return response


async def _answered(vendor: Vendor, way: Route, request: web.Request, order: Order) -> web.StreamResponse:
    try:
        if request.content_type.startswith("multipart/"):
            await _form(request, order.body)
        return await (way.handler(request, order) if way.order else way.handler(request))
    except web.HTTPException as said:
        return web.Response(status=said.status, body=said.body, headers=said.headers)
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError, Unreadable, RecursionError) as error:
        return vendor.unreadable(request, str(error))


async def _form(request: web.Request, raw: bytes) -> None:
    """Let the handler read a multipart body: aiohttp parses one only from the stream, which is at its end."""
    _rewind(request, raw)
    try:
        await request.post()
    except (ValueError, LookupError, RuntimeError, AssertionError, HttpProcessingError) as error:
        raise Unreadable(f"the multipart body is broken: {error}") from error
    _rewind(request, raw)


def _rewind(request: web.Request, raw: bytes) -> None:
    loop = asyncio.get_running_loop()
    again = StreamReader(BaseProtocol(loop), limit=len(raw) + 1, loop=loop)
    again.feed_data(raw)
    again.feed_eof()
    request._payload = again  # noqa: SLF001 - aiohttp parses a multipart body only from the stream


def _body(response: web.StreamResponse) -> bytes | None:
    """The body of an answer that has not begun to be sent."""
    if isinstance(response, web.Response) and not response.prepared and isinstance(response.body, bytes):
        return response.body
    return None


def _with_body(response: web.StreamResponse, body: bytes) -> web.Response:
    headers = response.headers.copy()
    headers.popall("Content-Length", None)
    return web.Response(status=response.status, headers=headers, body=body)


async def _dripped(
    vendor: Vendor, request: web.Request, response: web.StreamResponse, after_s: float
) -> web.StreamResponse:
    body = _body(response)
    if not body:
        return response
    slow = web.StreamResponse(status=response.status, headers=response.headers)
    slow.content_length = len(body)
    piece = -(-len(body) // _DRIPS)
    await slow.prepare(request)
    for start in range(0, len(body), piece):
        await _wait(vendor, after_s / _DRIPS)
        await slow.write(body[start : start + piece])
    await slow.write_eof()
    return slow


async def _wait(vendor: Vendor, seconds: float) -> None:
    """Real seconds, less when the simulator stops."""
    try:
        await asyncio.wait_for(vendor.world.stopped.wait(), seconds)
    except TimeoutError:
        return


async def _client_gone(vendor: Vendor, request: web.Request) -> None:
    while not (gone(request) or vendor.world.stopped.is_set()):
        await _wait(vendor, _LOOK_S)


def gone(request: web.Request) -> bool:
    """Whether the client has closed the connection."""
    return request.transport is None or request.transport.is_closing()
