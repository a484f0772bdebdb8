import pytest

from limner.simulator import world as module
from limner.simulator.app import Simulator
from limner.simulator.faults import Schedule
from limner.simulator.pictures import Drawing, draw
from limner.simulator.world import File, Shelf, Stage, Unreadable, World
from tests.simulator.easel import Easel


def stage(**options):
    return Stage(**({"seed": 7, "schedule": Schedule(), "speed": 20.0} | options))


async def get(http, url):
    async with http.get(url) as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_a_file_dies_when_its_time_is_over(sim, bare):
    world = sim.vendors["easel"].world
    brief = world.file(b"1", "image/webp", ttl_s=600, name="a.webp")
    lasting = world.file(b"2", "image/png")
    assert brief.startswith(f"{sim.url}/easel/files/")
    assert brief.endswith("/a.webp")
    assert await get(bare, brief) == (200, "image/webp", b"1")
    sim.advance(601)
    assert (await get(bare, brief))[0] == 404
    assert await get(bare, lasting) == (200, "image/png", b"2")
    sim.reset()
    assert (await get(bare, lasting))[0] == 404


async def test_the_foreign_host_answers_and_counts(sim, bare):
    url = sim.vendors["easel"].world.foreign_url(b"1", "image/png")
    assert sim.url.split(":")[:2] != url.split(":")[:2]
    assert sim.foreign_asks == 0
    assert await get(bare, url) == (200, "image/png", b"1")
    assert (await get(bare, url.rsplit("/", 2)[0] + "/other/picture"))[0] == 404
    assert (await get(bare, url.rsplit("/", 2)[0] + "/"))[0] == 404
    assert sim.foreign_asks == 3
    assert sim.requests() == []


async def test_the_twin_is_the_same_simulator_on_another_port(sim, http):
    twin = sim.vendors["easel"].world.twin_url
    assert twin != sim.url
    assert (await get(http, f"{twin}/easel/v1/jobs/1"))[0] == 200
    assert [one.path for one in sim.requests()] == ["/easel/v1/jobs/1"]


def test_the_oldest_files_make_room(monkeypatch):
    monkeypatch.setattr(module, "_FILES_BYTES", 10)
    shelf = Shelf()
    for name in "abc":
        shelf.put(name, File(bytes(5), "image/png", None))
    assert [shelf.get(name, 0) is not None for name in "abc"] == [False, True, True]
    shelf.put("d", File(bytes(50), "image/png", None))
    assert [shelf.get(name, 0) is not None for name in "bcd"] == [False, False, True]
    shelf.clear()
    shelf.put("e", File(bytes(10), "image/png", None))
    assert shelf.get("e", 0) is not None


def test_work_is_done_faster_and_never_takes_long():
    world = World(stage(speed=10.0), "easel")
    assert [world.seconds(typical) for typical in (0, 1, 600)] == [0, 0.1, 0.3]


async def test_sleep_is_divided_by_the_speed_and_never_long(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    world = World(stage(speed=10.0), "easel")
    for seconds in (0, 5, 600):
        await world.sleep(seconds)
    assert slept == [0, 0.5, 1.0]


def test_ids_follow_the_seed_and_differ_between_vendors():
    def ids(seed, vendor):
        world = World(stage(seed=seed), vendor)
        return [world.new_id() for _ in range(3)]

    assert ids(7, "a") == ids(7, "a")
    assert len({*ids(7, "a"), *ids(7, "b"), *ids(8, "a")}) == 9


def test_without_a_seed_no_two_stages_are_alike():
    assert stage(seed=None).seed != stage(seed=None).seed


async def test_a_picture_is_drawn_as_asked_and_without_markers():
    world = World(stage(), "easel")
    picture = await world.picture("easel", "a fox [[emu:slow]]", 64, 48, seed=3, index=1, format="webp")
    assert picture == draw(Drawing("easel", "a fox", 64, 48, 3, 1), "webp")


async def test_a_picture_that_cannot_be_drawn_is_the_requests_fault():
    with pytest.raises(Unreadable, match="the source is no picture"):
        await World(stage(), "easel").picture("easel", "a fox", 64, 48, source=b"none")


@pytest.mark.parametrize("usd", ["", "free", "-0.01", "nan", "inf"])
def test_a_charge_is_an_amount(usd):
    world = World(stage(), "easel")
    with pytest.raises(ValueError, match="is no amount of dollars"):
        world.charge(usd)


async def test_a_charge_has_an_id_of_its_own_unless_it_is_given_one():
    async with Simulator(vendors=[Easel]) as sim:
        world = sim.vendors["easel"].world
        lines = [world.charge("0.10"), world.charge("0", 0, "mine")]
        assert [(line.images, line.id == "mine") for line in lines] == [(1, False), (0, True)]
        assert sim.bill.lines == lines
