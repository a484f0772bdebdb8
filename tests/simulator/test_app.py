import asyncio

import aiohttp
import pytest
from pydantic import ValidationError

from limner.core.errors import SetupError
from limner.simulator import app, find
from limner.simulator.app import Simulator
from limner.simulator.vendor import Vendor
from tests.simulator.easel import STATUS, Easel


class Free(Easel):
    """A vendor that needs no key."""

    name = "free"
    key = ""
    further_keys = ()


async def test_it_says_where_its_vendors_are():
    async with Simulator(vendors=[Easel, Free]) as sim:
        assert sim.url.startswith("http://127.0.0.1:")
        assert (sim.base("easel"), sim.key("easel")) == (f"{sim.url}/easel/v1/", "easel-emu")
        assert (sim.base("free"), sim.key("free")) == (f"{sim.url}/free/v1/", "")
        assert {name: type(vendor) for name, vendor in sim.vendors.items()} == {"easel": Easel, "free": Free}


async def test_it_is_all_that_is_installed_unless_told(monkeypatch):
    monkeypatch.setattr(find, "installed", lambda: {"easel": Easel})
    async with Simulator() as sim:
        assert list(sim.vendors) == ["easel"]


async def test_a_vendor_without_a_key_asks_for_none(bare):
    async with Simulator(vendors=[Free]) as sim:
        answer = await bare.post(sim.base("free") + "paint/m1", json={"prompt": "a fox"})
        assert (answer.status, await answer.json()) == (200, {"prompt": "a fox", "endless": False})


async def test_a_fault_for_one_vendor_leaves_the_others_alone(http):
    async with Simulator(vendors=[Easel, Free]) as sim:
        sim.fault("overloaded", "free", times=0)
        statuses = []
        for name in ("easel", "free"):
            async with http.post(sim.base(name) + "paint/m1", json={"prompt": "a fox"}) as answer:
                statuses.append(answer.status)
        assert statuses == [200, STATUS["overloaded"]]
        assert [one.vendor for one in sim.requests()] == ["easel", "free"]
        assert (sim.bill.orders("easel"), sim.bill.orders("free")) == (1, 0)


async def test_clients_that_know_it_by_another_name_are_told_that_name():
    async with Simulator(vendors=[Easel], public_url="http://simulator:8091/") as sim:
        assert sim.base("easel") == "http://simulator:8091/easel/v1/"
        assert (
            sim.vendors["easel"].world.file(b"", "image/png").startswith("http://simulator:8091/easel/files/")
        )


async def test_a_port_in_use_is_named_with_the_way_out():
    async with Simulator(vendors=[]) as sim:
        port = int(sim.url.rpartition(":")[2])
        with pytest.raises(SetupError) as told:
            async with Simulator(vendors=[], port=port):
                pass
    assert str(told.value) == (
        f"port {port} at 127.0.0.1 is in use by another program; choose another, as in --port {port + 1}"
    )


@pytest.mark.parametrize("host", ["256.0.0.1", "::zz"])
async def test_an_impossible_address_is_told(host):
    with pytest.raises(SetupError, match=f"the simulator cannot listen at {host}, port 0"):
        async with Simulator(vendors=[], host=host):
            pass


async def test_an_impossible_port_is_told():
    with pytest.raises(SetupError, match=r"a port is from 0 .any that is free. to 65535, not 70000"):
        async with Simulator(vendors=[], port=70_000):
            pass


async def test_any_host_is_told_as_one_that_can_be_opened(bare):
    async with Simulator(vendors=[], host="0.0.0.0") as sim, bare.get(sim.url + "/__emu") as answer:
        assert (answer.status, sim.url[:17]) == (200, "http://127.0.0.1:")


async def test_without_a_second_loopback_address_the_foreign_host_is_a_port(monkeypatch, bare):
    monkeypatch.setattr(app, "_FOREIGN_HOST", "192.0.2.1")
    async with Simulator(vendors=[Easel]) as sim:
        async with bare.get(sim.vendors["easel"].world.foreign_url(b"1", "image/png")) as answer:
            assert await answer.read() == b"1"
        assert sim.foreign_asks == 1


async def test_it_leaves_at_once_with_orders_in_hand():
    async with Simulator(vendors=[Easel]) as sim:
        sim.fault("hang", times=0)
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer easel-emu"}) as http:
            url = sim.base("easel") + "paint/m1"
            orders = [asyncio.ensure_future(http.post(url, json={"prompt": "a fox"})) for _ in range(20)]
            async with asyncio.timeout(10):
                while len(sim.requests()) < 20:  # noqa: ASYNC110 - the server has no event for a test to await
                    await asyncio.sleep(0.005)
            sim.stop()
            assert {type(end) for end in await asyncio.gather(*orders, return_exceptions=True)} == {
                aiohttp.ServerDisconnectedError
            }


@pytest.mark.parametrize("speed", [0, -1])
def test_a_speed_that_never_ends_is_refused(speed):
    with pytest.raises(ValueError, match="speed must be above 0"):
        Simulator(vendors=[], speed=speed)


async def test_a_fault_that_makes_no_sense_is_refused(sim):
    with pytest.raises(ValueError, match="there is no vendor 'nobody'; there are: easel"):
        sim.fault("slow", "nobody")
    for nonsense in ({"kind": "explode"}, {"kind": "slow", "times": -1}, {"kind": "slow", "seed": "1"}):
        with pytest.raises(ValidationError):
            sim.fault(**nonsense)
    with pytest.raises(ValidationError):
        sim.fault("slow", after_s=-1)


def test_a_vendor_must_say_its_routes_and_its_errors():
    assert Vendor.__abstractmethods__ == {"routes", "error"}
