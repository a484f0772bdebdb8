"""One more provider, installed as a package of its own: files are added, and no list is edited."""

import sys
from decimal import Decimal

import httpx
import pytest

from limner.api.app import create_app
from limner.app import Limner
from limner.cli import provider_pages
from limner.cli.simulate import simulated
from limner.config import Settings
from limner.providers import find as providers
from limner.simulator import find as simulators
from limner.simulator.app import Simulator
from tests.conformance.charcoal import install
from tests.conformance.scene import end, look


@pytest.fixture
def shipped():
    return set(providers.installed())


@pytest.fixture(autouse=True)
def _charcoal(shipped, tmp_path, monkeypatch):
    site = tmp_path / "site"
    install(site)
    monkeypatch.syspath_prepend(site)
    yield
    for module in [name for name in sys.modules if name.partition(".")[0] == "charcoal"]:
        del sys.modules[module]


def test_it_is_found_beside_those_that_are_shipped(shipped):
    assert set(providers.installed()) - shipped == {"charcoal"}
    assert "charcoal" in simulators.installed()


def test_it_has_a_page_and_a_line_in_the_docs(tmp_path):
    pages = provider_pages.pages(tmp_path)
    assert "| [Charcoal Cloud](charcoal.md) | `charcoal` | 1 | a key in `CHARCOAL_API_KEY` |" in (
        pages[tmp_path / "providers" / "index.md"].splitlines()
    )
    page = pages[tmp_path / "providers" / "charcoal.md"]
    assert "Draws in black and white." in page
    assert (
        "| `charcoal-1`<br>Charcoal 1 | `soft-1` | standard | generate | 256x256 | $0.02 per image | "
        "2026-11-20, https://charcoal.example/prices |" in page.splitlines()
    )


async def test_a_picture_is_drawn_by_it_over_the_simulator_and_every_door_knows_it(home):
    async with Simulator(speed=500.0) as sim:
        settings = simulated(Settings(home=home, disabled_providers=("local",)), sim)
        limner = Limner(settings)
        app = create_app(limner)
        async with app.router.lifespan_context(app):
            job = await limner.draw("a red fox", provider="charcoal")
            picture = look(await limner.open(job.images[0]))
            named = await limner.estimate(job.request.model_copy(update={"model": "charcoal/charcoal-1"}))
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
                listed = (await http.get("/v1/models")).json()["data"]
                one = (await http.get("/v1/models/charcoal-1")).json()
                drawn = await http.post(
                    "/v1/images/generations", json={"model": "charcoal-1", "prompt": "a red fox"}
                )
            status = [
                (one.available, one.models, one.title)
                for one in await limner.providers()
                if one.name == "charcoal"
            ]
    assert (end(job), job.receipt.cost_usd, picture.size) == ("succeeded", Decimal("0.02"), (256, 256))
    assert (named.provider, named.model, named.price_usd) == ("charcoal", "charcoal-1", Decimal("0.02"))
    assert [model["providers"] for model in listed if model["id"] == "charcoal-1"] == [["charcoal"]]
    assert (one["owned_by"], one["offers"][0]["ref"]) == ("charcoal", "soft-1")
    assert (drawn.status_code, drawn.headers["x-limner-provider"]) == (200, "charcoal")
    assert status == [(True, 1, "Charcoal Cloud")]
    assert (sim.bill.usd(), sim.bill.orders("charcoal"), sim.mistakes) == (Decimal("0.04"), 2, [])
