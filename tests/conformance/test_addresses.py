"""Where pictures are fetched from, and who gets to see the key."""

import ipaddress

import aiohttp
import pytest

from tests.conformance.scene import end, scene


@pytest.fixture
def sent(monkeypatch):
    """Every request that leaves this process: the host, and all that its headers say."""
    found = []
    request = aiohttp.ClientSession._request

    async def noted(session, method, url, **options):
        said = [*session.headers.values(), *dict(options.get("headers") or {}).values()]
        found.append((str(aiohttp.client.URL(url).host), " ".join(str(one) for one in said), str(url)))
        return await request(session, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", noted)
    return found


async def test_a_picture_is_fetched_without_the_key(vendor, home):
    async with scene(home, vendor) as now:
        job = await now.draw(vendor)
        open_doors = [one for one in now.sim.requests(vendor) if "/files/" in one.path]
        assert end(job) == "succeeded"
        assert [one.path for one in open_doors if one.carried_key or one.status != 200] == []


async def test_an_address_in_a_private_network_is_never_asked(vendor, home, sent):
    async with scene(home, vendor) as now:
        now.sim.fault("foreign_url", vendor)
        job = await now.draw(vendor)
        assert now.sim.foreign_asks == 0
        assert [host for host, _, _ in sent if host != "127.0.0.1"] == []
        assert job.state in ("succeeded", "failed")
        now.check_money(vendor)


async def test_the_key_never_follows_an_address_to_another_host(vendor, home, sent, monkeypatch):
    """The other host is taken for a public one here, so that it is asked."""
    monkeypatch.setattr(ipaddress.IPv4Address, "is_global", True)
    async with scene(home, vendor) as now:
        now.sim.fault("foreign_url", vendor)
        job = await now.draw(vendor)
        key = now.sim.key(vendor)
        elsewhere = [(said, url) for host, said, url in sent if host != "127.0.0.1"]
        assert end(job) == "succeeded"
        assert len(elsewhere) == now.sim.foreign_asks
        assert [url for said, url in elsewhere if key and (key in said or key in url)] == []
        now.check_money(vendor)
