"""The files of a provider that is installed as a package of its own, and what pip would write beside them."""

from pathlib import Path

PROVIDER = '''
"""Charcoal: a queue; a finished picture has an address."""

from typing import Literal

from pydantic import BaseModel

from limner.core.errors import Refused
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket


class _Job(BaseModel):
    id: str
    state: Literal["waiting", "done", "declined"]
    url: str = ""
    cost: str = "0"


class Charcoal(Provider):
    name = "charcoal"
    base_url = "https://api.charcoal.example/v1/"
    recovery = Recovery.TICKETED
    key_env = ("CHARCOAL_API_KEY",)

    async def submit(self, call: Call) -> Outcome:
        width, height = call.request.size or (0, 0)
        fields = {"text": call.request.prompt, "width": width, "height": height, "seed": call.request.seed}
        return self._outcome(await self.wire.post(f"draw/{call.model}", into=_Job, json=fields))

    async def poll(self, ticket: Ticket) -> Outcome:
        return self._outcome(await self.wire.get(f"jobs/{ticket['id']}", into=_Job))

    def _outcome(self, job: _Job) -> Outcome:
        match job.state:
            case "waiting":
                return Pending({"id": job.id}, after_s=0.01)
            case "done":
                return Done(links=(job.url,), cost_usd=job.cost)
            case "declined":
                raise Refused("charcoal does not draw this")
'''

VENDOR = '''
"""Charcoal's stand-in."""

from aiohttp import web

from limner.simulator.vendor import Order, Vendor, route


class Charcoal(Vendor):
    name = "charcoal"
    base = "/v1/"
    key = "charcoal-emu"

    def routes(self):
        return [
            route("POST", "/v1/draw/{model}", self.draw, order=True),
            route("GET", "/v1/jobs/{id}", self.job),
        ]

    def reset(self):
        self.waiting = {}

    def error(self, word, request):
        return web.json_response({"error": word}, status={"no_key": 401, "bad_key": 401}.get(word, 503))

    async def draw(self, request: web.Request, order: Order):
        fields = order.fields()
        if order.has("refused"):
            return web.json_response({"id": "none", "state": "declined"})
        size = fields["width"], fields["height"]
        data = await self.world.picture(self.name, fields["text"], *size, seed=fields["seed"])
        order.charge("0.02")
        id = self.world.new_id()
        self.waiting[id] = self.world.file(data, "image/png")
        return web.json_response({"id": id, "state": "waiting"})

    async def job(self, request: web.Request):
        id = request.match_info["id"]
        answer = {"id": id, "state": "done", "url": self.waiting[id], "cost": "0.02"}
        return web.json_response(answer)
'''

CATALOG = """
[provider]
title = "Charcoal Cloud"
description = "Draws in black and white."
website = "https://charcoal.example/docs"

[[models]]
id = "charcoal-1"
name = "Charcoal 1"
description = "A soft pencil."
ref = "soft-1"
tier = "standard"
sizes = { default = [256, 256], max_side = 1024 }

[models.price]
usd = "0.02"
unit = "image"
source = "https://charcoal.example/prices"
read_on = 2026-11-20
"""

ENTRY_POINTS = """
[limner.providers]
charcoal = charcoal.provider:Charcoal

[limner.simulators]
charcoal = charcoal.simulator:Charcoal
"""


def install(site: Path) -> None:
    """Write the package and its metadata into a folder that is searched for modules."""
    files = {
        "charcoal/__init__.py": "",
        "charcoal/provider.py": PROVIDER,
        "charcoal/simulator.py": VENDOR,
        "charcoal/charcoal.toml": CATALOG,
        "charcoal-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: charcoal\nVersion: 1.0\n",
        "charcoal-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text.lstrip("\n"))
