import io

import aiohttp
import pytest

from limner.simulator.app import MAX_BODY_BYTES

PAINT = {"prompt": "a fox"}


async def paint(http, sim, key, path="paint/m1"):
    headers = {} if key is None else {"Authorization": key}
    async with http.post(sim.base("easel") + path, json=PAINT, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("key", "status", "word"),
    [
        (None, 401, "no_key"),
        ("Basic ZWFzZWwtZW11", 401, "no_key"),
        ("Bearer", 401, "no_key"),
        ("Bearer wrong", 401, "bad_key"),
        ("Bearer easel-emu-forbidden", 403, "forbidden"),
        ("Bearer easel-emu-nocredit", 402, "no_money"),
        ("Bearer easel-emu-limited", 429, "rate_limited"),
    ],
)
async def test_a_key_opens_the_door_or_says_why_not(sim, bare, key, status, word):
    assert await paint(bare, sim, key) == (status, {"error": word})
    assert sim.bill.lines == []


@pytest.mark.parametrize("key", ["Bearer easel-emu", "bearer  easel-emu", "Bearer easel-emu-unverified"])
async def test_a_good_key_opens_the_door(sim, bare, key):
    assert await paint(bare, sim, key) == (200, {"prompt": "a fox", "endless": False})


@pytest.mark.parametrize(
    ("state", "status"), [("", 200), ("-nocredit", 200), ("-limited", 200), ("-forbidden", 403)]
)
async def test_looking_costs_nothing_so_an_empty_account_may(sim, bare, state, status):
    headers = {"Authorization": f"Bearer easel-emu{state}"}
    async with bare.get(sim.base("easel") + "jobs/1", headers=headers) as answer:
        assert answer.status == status


async def test_a_barred_order_leaves_the_fault_for_the_next(sim, bare, http):
    sim.fault("overloaded")
    assert (await paint(bare, sim, None))[0] == 401
    assert (await paint(http, sim, "Bearer easel-emu"))[0] == 503


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": "Bearer whatever"}, ""),
        ({"x-key": "whatever"}, ""),
        ({"X-Goog-Api-Key": "whatever"}, ""),
        ({"Key": "whatever"}, ""),
        ({"X-Other": "the key is easel-emu"}, ""),
        ({}, "?sign=easel-emu"),
    ],
)
@pytest.mark.parametrize("where", ["cdn", "file"])
async def test_an_open_door_refuses_whoever_brings_a_key(sim, bare, headers, query, where):
    world = sim.vendors["easel"].world
    url = f"{sim.url}/easel/cdn/a.png" if where == "cdn" else world.file(b"a file", "image/png")
    async with bare.get(url + query, headers=headers) as answer:
        assert (answer.status, await answer.text()) == (403, "a key was sent where none is needed")
    async with bare.get(url, headers={"Cookie": "a=b"}) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", b"a file")
    assert [one.carried_key for one in sim.requests("easel")] == [True, False]


async def test_an_unknown_path_and_a_wrong_method_are_the_vendors_to_answer(sim, http):
    async with http.get(f"{sim.url}/easel/v2/paint") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "no such path: /easel/v2/paint"})
    async with http.get(sim.base("easel") + "paint/m1") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert await answer.json() == {"error": "method not allowed"}
    assert [(one.path, one.status) for one in sim.requests("easel")] == [
        ("/easel/v2/paint", 404),
        ("/easel/v1/paint/m1", 405),
    ]
    async with http.get(f"{sim.url}/nobody/v1") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000])
async def test_a_body_that_cannot_be_read_is_the_vendors_to_refuse(sim, http, body):
    async with http.post(sim.base("easel") + "paint/m1", data=body) as answer:
        assert (answer.status, await answer.json()) == (
            400,
            {"error": "cannot read the request: the body must be a JSON object"},
        )


@pytest.mark.parametrize(
    ("boundary", "body"),
    [
        ("; boundary=x", b"--y\r\nnonsense"),
        ("; boundary=x", b""),
        ("", b"--x"),
        ("; boundary=x", b"--x\r\nno header\r\n\r\n1\r\n--x--"),
        ("; boundary=x", b"--x\r\nContent-Transfer-Encoding: odd\r\n\r\n1\r\n--x--"),
    ],
)
async def test_a_broken_multipart_body_is_the_vendors_to_refuse(sim, http, boundary, body):
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    async with http.post(sim.base("easel") + "form", data=body, headers=headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith(
            "cannot read the request: the multipart body is broken"
        )


async def test_a_body_above_the_limit_is_refused(sim, http):
    try:
        body = io.BytesIO(bytes(MAX_BODY_BYTES + 1))
        async with http.post(sim.base("easel") + "paint/m1", data=body) as answer:
            assert answer.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the answer came before all was sent
    assert [(one.status, one.body) for one in sim.requests()] == [(413, None)]


async def test_an_answer_that_is_raised_is_an_answer(sim, http):
    async with http.post(sim.base("easel") + "conflict") as answer:
        assert (answer.status, await answer.text()) == (409, "being painted")


@pytest.mark.parametrize(("body", "error"), [(b"", "RuntimeError"), (b"1", "ConnectionResetError")])
async def test_a_vendors_mistake_is_told_and_is_no_end(sim, http, caplog, body, error):
    async with http.post(sim.base("easel") + "clumsy", data=body) as answer:
        assert answer.status == 500
        assert await answer.json() == {"error": "the simulator made a mistake; its log says more"}
    assert sim.mistakes == [f"easel POST /easel/v1/clumsy: {error}('dropped the brush')"]
    assert "the simulated vendor easel made a mistake at /easel/v1/clumsy" in caplog.text
    sim.reset()
