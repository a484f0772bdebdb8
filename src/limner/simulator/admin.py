"""The side door: journal, bill, faults and clock of a running simulator. It needs no key."""

import html
from collections.abc import Mapping
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from limner.simulator.faults import KINDS, Fault
from limner.simulator.vendor import Vendor
from limner.simulator.world import Stage


class _Clock(BaseModel):
    model_config = ConfigDict(extra="forbid")

    advance_s: Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]


class Admin:
    """One method for each door."""

    def __init__(self, stage: Stage, vendors: Mapping[str, Vendor]) -> None:
        self._stage = stage
        self._vendors = vendors

    def routes(self) -> list[web.RouteDef]:
        """Where each door is."""
        return [
            web.get("/", self.page),
            web.get("/__emu", self.overview),
            web.get("/__emu/journal", self.journal),
            web.get("/__emu/requests", self.journal),
            web.get("/__emu/bill", self.bill),
            web.get("/__emu/charges", self.bill),
            web.get("/__emu/jobs", self.jobs),
            web.get("/__emu/clock", self.clock),
            web.post("/__emu/clock", self.advance),
            web.post("/__emu/reset", self.reset),
            *(
                way(path, handler)
                for path in ("/__emu/faults", "/__emu/script")
                for way, handler in (
                    (web.get, self.faults),
                    (web.post, self.add_fault),
                    (web.delete, self.clear_faults),
                )
            ),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """``GET /``: for people."""
        rows = "".join(_row(vendor, self._stage.url) for vendor in self._vendors.values())
        kinds = "".join(f"<dt>{kind}<dd>{text}" for kind, text in KINDS.items())
        return web.Response(text=_PAGE.format(rows=rows, kinds=kinds), content_type="text/html")

    async def overview(self, request: web.Request) -> web.Response:
        """``GET /__emu``."""
        stage = self._stage
        return web.json_response(
            {
                "url": stage.url,
                "seed": stage.seed,
                "foreign": {"url": stage.foreign_url, "asks": stage.foreign_asks},
                "mistakes": stage.mistakes,
                "faults": KINDS,
                "vendors": [_card(vendor, stage.url) for vendor in self._vendors.values()],
            }
        )

    async def journal(self, request: web.Request) -> web.Response:
        """``GET /__emu/journal`` and ``/requests``; `?vendor=` and `?path=` choose."""
        found = self._stage.journal.read(request.query.get("vendor"), request.query.get("path"))
        return web.json_response({"requests": [asked.as_json() for asked in found]})

    async def bill(self, request: web.Request) -> web.Response:
        """``GET /__emu/bill`` and ``/charges``; `?vendor=` chooses."""
        return web.json_response(self._stage.bill.as_json(request.query.get("vendor")))

    async def jobs(self, request: web.Request) -> web.Response:
        """``GET /__emu/jobs``; `?vendor=` chooses."""
        wanted = request.query.get("vendor")
        return web.json_response(
            {"jobs": {name: one.jobs() for name, one in self._vendors.items() if wanted in (None, name)}}
        )

    async def faults(self, request: web.Request) -> web.Response:
        """``GET /__emu/faults``: what has not been played out."""
        left: list[JsonValue] = [fault.model_dump(by_alias=True) for fault in self._stage.script.left()]
        return web.json_response({"faults": left})

    async def add_fault(self, request: web.Request) -> web.Response:
        """``POST /__emu/faults``: one more. 400 names what is wrong with it."""
        try:
            fault = Fault.model_validate_json(await request.read())
        except ValidationError as error:
            return _bad(error)
        if fault.vendor not in (None, *self._vendors):
            return _refused(f"there is no vendor {fault.vendor!r}; there are: {', '.join(self._vendors)}")
        self._stage.script.add(fault)
        return web.json_response(fault.model_dump(by_alias=True), status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """``DELETE /__emu/faults``."""
        self._stage.script.clear()
        return web.json_response({"faults": []})

    async def clock(self, request: web.Request) -> web.Response:
        """``GET /__emu/clock``."""
        return web.json_response({"now": self._stage.now(), "offset_s": self._stage.offset_s})

    async def advance(self, request: web.Request) -> web.Response:
        """``POST /__emu/clock``: let `advance_s` seconds pass at once."""
        try:
            self._stage.advance(_Clock.model_validate_json(await request.read()).advance_s)
        except ValidationError as error:
            return _bad(error)
        return await self.clock(request)

    async def reset(self, request: web.Request) -> web.Response:
        """``POST /__emu/reset``: as if just started."""
        reset(self._stage, self._vendors)
        return web.json_response({"reset": True})


def reset(stage: Stage, vendors: Mapping[str, Vendor]) -> None:
    """Forget all, at the stage and at each vendor."""
    stage.reset()
    for vendor in vendors.values():
        vendor.reset()


def _card(vendor: Vendor, url: str) -> dict[str, JsonValue]:
    return {
        "name": vendor.name,
        "base_url": f"{url}/{vendor.name}{vendor.base}",
        "key": vendor.key,
        "routes": [f"{route.method} /{vendor.name}{route.path}" for route in vendor.routes()],
    }


def _row(vendor: Vendor, url: str) -> str:
    cells = (vendor.name, f"{url}/{vendor.name}{vendor.base}", vendor.key or "none needed")
    return "<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in cells)


def _bad(error: ValidationError) -> web.Response:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return _refused(f"{where}: {first['msg']}")


def _refused(why: str) -> web.Response:
    return web.json_response({"error": why}, status=400)


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Limner's simulator</title>
<style>body{{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}}
td,th{{text-align:left;padding:.2rem 1rem .2rem 0}}dt{{font-family:monospace;font-weight:bold}}</style>
<h1>Limner's simulator</h1>
<p>Stand-ins of image vendors: they speak the vendors' wire formats, draw placeholder pictures, keep a bill
in play money and fail on demand. Nothing leaves this machine and nothing costs anything.</p>
<table><tr><th>vendor<th>base address<th>key{rows}</table>
<p>See <a href="/__emu">all routes</a>, <a href="/__emu/journal">the journal</a>,
<a href="/__emu/bill">the bill</a>, <a href="/__emu/faults">the faults that wait</a>.</p>
<h2>Faults</h2>
<p>Write <code>[[emu:KIND]]</code> or <code>[[emu:VENDOR:KIND]]</code> into a prompt, or POST
<code>{{"fault": "KIND", "vendor": "VENDOR", "times": 1}}</code> to <code>/__emu/faults</code>.</p>
<dl>{kinds}</dl></html>"""
