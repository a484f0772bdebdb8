"""Each fault as a client meets it, and what is on the bill after it."""

import asyncio
from decimal import Decimal

import aiohttp
import pytest

from limner.simulator.app import Simulator
from limner.simulator.faults import Schedule
from tests.simulator.easel import Easel

FULL = b'{"prompt": "a fox", "endless": false}'
CUT = "cut"
PATIENCE_S = 10


async def paint(http, sim, prompt="a fox"):
    """Status, kind and body of an order's answer; `CUT` when the connection was closed instead."""
    try:
        async with http.post(sim.base("easel") + "paint/m1", json={"prompt": prompt}) as answer:
            return answer.status, answer.content_type, await answer.read()
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionResetError):
        return CUT


async def until(there):
    async with asyncio.timeout(PATIENCE_S):
        while not there():  # noqa: ASYNC110 - the server has no event for a test to await
            await asyncio.sleep(0.005)


async def leave(http, sim):
    """Order, and close the connection as soon as the order has arrived."""
    order = asyncio.ensure_future(paint(http, sim))
    await until(sim.requests)
    order.cancel()
    with pytest.raises(asyncio.CancelledError):
        await order


JSON = "application/json"
AFTER = [
    ("slow", (200, JSON, FULL), True),
    ("cut_before", CUT, False),
    ("cut_after", CUT, True),
    ("error_before", (500, JSON, b'{"error": "server_error"}'), False),
    ("error_after", (500, JSON, b'{"error": "server_error"}'), True),
    ("rate_limited", (429, JSON, b'{"error": "rate_limited"}'), False),
    ("no_money", (402, JSON, b'{"error": "no_money"}'), False),
    ("bad_key", (401, JSON, b'{"error": "bad_key"}'), False),
    ("overloaded", (503, JSON, b'{"error": "overloaded"}'), False),
    ("malformed", (200, JSON, FULL[: len(FULL) // 2]), True),
    ("empty", (200, JSON, b""), True),
    ("slow_body", (200, JSON, FULL), True),
    ("wrong_type", (200, "text/plain", FULL), True),
    ("never_ends", (200, JSON, FULL.replace(b"false", b"true")), True),
]


@pytest.mark.parametrize(("kind", "answer", "billed"), AFTER, ids=[kind for kind, *_ in AFTER])
async def test_a_fault_is_met_once_and_billed_as_it_says(sim, http, kind, answer, billed):
    sim.fault(kind, "easel", after_s=0)
    assert await paint(http, sim) == answer
    assert sim.bill.usd() == (Decimal("0.04") if billed else 0)
    assert await paint(http, sim) == (200, JSON, FULL)
    first, second = sim.requests("easel")
    status = None if answer is CUT else answer[0]
    assert (first.fault, first.status, first.images) == (kind, status, int(billed))
    assert (second.fault, second.status, second.images) == (None, 200, 1)


async def test_a_proxy_page_is_html_and_free(sim, http):
    sim.fault("html_502")
    status, kind, body = await paint(http, sim)
    assert (status, kind, body[:6], sim.bill.lines) == (502, "text/html", b"<html>", [])


async def test_a_hang_never_answers_and_bills_nothing_when_the_client_leaves(sim, http):
    sim.fault("hang")
    await leave(http, sim)
    assert await paint(http, sim) == (200, JSON, FULL)
    assert [(one.fault, one.status, one.images) for one in sim.requests()] == [
        ("hang", None, 0),
        (None, 200, 1),
    ]


async def test_a_hang_ends_when_the_simulator_stops(sim, http):
    sim.fault("hang")
    order = asyncio.ensure_future(paint(http, sim))
    await until(sim.requests)
    sim.stop()
    assert await order == CUT


async def test_a_client_that_leaves_while_it_is_slow_is_billed(sim, http):
    sim.fault("slow", after_s=0.2)
    await leave(http, sim)
    await until(sim.bill.orders)
    assert sim.bill.usd() == Decimal("0.04")


async def test_a_body_that_drips_comes_in_pieces_and_the_client_may_leave(sim, http):
    sim.fault("slow_body", after_s=20)
    async with http.post(sim.base("easel") + "paint/m1", json={"prompt": "a fox"}) as answer:
        first = await answer.content.readany()
        answer.close()
    assert FULL.startswith(first)
    assert 0 < len(first) < len(FULL)
    assert await paint(http, sim) == (200, JSON, FULL)


async def test_a_stream_is_cut_before_its_end(sim, http):
    sim.fault("cut_after")
    with pytest.raises(aiohttp.ClientPayloadError):
        async with http.post(sim.base("easel") + "stream") as answer:
            await answer.read()
    assert sim.bill.orders() == 1


@pytest.mark.parametrize("kind", ["malformed", "wrong_type", "slow_body"])
async def test_what_cannot_be_done_to_a_stream_is_done_by_cutting_or_not_at_all(sim, http, kind):
    sim.fault(kind)
    try:
        async with http.post(sim.base("easel") + "stream") as answer:
            body = await answer.read()
    except aiohttp.ClientPayloadError:
        body = CUT
    assert body == (CUT if kind == "malformed" else b"data: 1\n\n")


async def test_a_marker_in_json_asks_for_a_fault_each_time(sim, http):
    for _ in range(2):
        assert await paint(http, sim, "a fox [[emu:easel:cut_after]]") == CUT
    assert await paint(http, sim, "a fox [[emu:other:cut_after]]") != CUT
    assert sim.bill.orders() == 3


async def test_a_marker_in_json_is_seen_however_it_is_escaped(sim, http):
    body = b'{"prompt": "\\u005b\\u005bemu:overloaded\\u005d\\u005d"}'
    async with http.post(sim.base("easel") + "paint/m1", data=body) as answer:
        assert answer.status == 503


async def test_a_marker_in_a_multipart_body_asks_for_a_fault(sim, http):
    async def send(prompt):
        form = aiohttp.FormData({"prompt": prompt})
        form.add_field("image", b"\x89PNG" * 30_000, filename="a.png", content_type="image/png")
        async with http.post(sim.base("easel") + "form", data=form) as answer:
            return answer.status, await answer.json()

    assert await send("a fox [[emu:error_after]]") == (500, {"error": "server_error"})
    assert await send("a fox") == (200, {"prompt": "a fox", "bytes": 120_000})
    assert (sim.bill.usd(), sim.bill.images()) == (Decimal("0.04"), 4)


async def test_a_marker_in_a_query_asks_for_a_fault(sim, http):
    url = sim.base("easel") + "paint/m1"
    async with http.post(url, params={"q": "[[emu:overloaded]]"}, json={"prompt": ""}) as answer:
        assert answer.status == 503


async def test_an_unknown_marker_is_refused_before_the_order(sim, http):
    status, _, body = await paint(http, sim, "[[emu:explode]]")
    assert (status, body[:38]) == (400, b'{"error": "there is no fault \'explode\'')
    assert sim.bill.lines == []


async def test_a_fault_that_names_a_path_meets_what_is_no_order(sim, http):
    sim.fault("lost", path="/jobs/7")
    sim.fault("error_before", path="/cdn/")

    async def get(address):
        async with aiohttp.request(
            "GET", address, headers=dict(http.headers) if "jobs" in address else {}
        ) as one:
            return one.status, await one.read()

    base = sim.base("easel")
    assert await get(base + "jobs/6") == (200, b'{"id": "6", "state": "painting"}')
    assert await get(base + "jobs/7") == (200, b'{"id": "7", "state": "lost"}')
    assert await get(f"{sim.url}/easel/cdn/a.png") == (500, b'{"error": "server_error"}')
    assert await get(f"{sim.url}/easel/cdn/a.png") == (200, b"a file")


async def test_how_long_to_stay_away_is_the_faults(sim, http):
    sim.fault("rate_limited", after_s=3)
    async with http.post(sim.base("easel") + "paint/m1", json={"prompt": "a"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")


async def met(seed):
    schedule = Schedule.parse("easel:error_before=0.3,*:overloaded=0.3")
    async with (
        Simulator(vendors=[Easel], seed=seed, schedule=schedule) as sim,
        aiohttp.ClientSession(headers={"Authorization": "Bearer easel-emu"}) as http,
    ):
        first = [(await paint(http, sim))[0] for _ in range(30)]
        sim.reset()
        again = [(await paint(http, sim))[0] for _ in range(30)]
    return first, again


async def test_the_same_seed_meets_the_same_faults_by_chance_and_again_after_a_reset():
    (first, again), (other, _) = await met(7), await met(8)
    assert first == again != other
    assert await met(7) == (first, again)
    assert set(first) == {200, 500, 503}


async def test_a_message_of_a_websocket_is_an_order(sim, http):
    async with http.ws_connect(sim.base("easel") + "ws") as socket:
        said = []
        for text in ('{"p": "a fox"}', '{"p": "[[emu:refused]]"}', "[[emu:explode]]"):
            await socket.send_str(text)
            said.append(await socket.receive_str())
    assert said == ["done", "declined", "there is no fault 'e"]
    assert [(one.method, one.fault) for one in sim.requests(path="/ws")] == [
        ("GET", None),
        ("WS", None),
        ("WS", "refused"),
        ("WS", None),
    ]
    assert sim.bill.usd() == Decimal("0.06")
