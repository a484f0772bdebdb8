"""Runware's stand-in: what its client proves is not repeated here, but what a client in a hurry does."""

import uuid

import aiohttp
import pytest

from limner.simulator.app import Simulator
from limner.simulator.runware import Runware


@pytest.fixture
async def sim():
    async with Simulator(vendors=[Runware]) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


def task(**fields):
    return {
        "taskType": "imageInference",
        "taskUUID": str(uuid.uuid4()),
        "model": "runware:100@1",
        "positivePrompt": "a red fox",
        "width": 512,
        "height": 512,
    } | fields


async def post(sim, http, body, key="runware-emu"):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with http.post(f"{sim.url}/runware/v1", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("fields", "code", "parameter"),
    [
        ({"width": 130}, "invalidWidth", "width"),
        ({"height": 4096}, "invalidHeight", "height"),
        ({"positivePrompt": "a"}, "invalidPositivePrompt", "positivePrompt"),
        ({"positivePrompt": "a" * 3001}, "invalidPositivePrompt", "positivePrompt"),
        ({"numberResults": 21}, "invalidNumberResults", "numberResults"),
        ({"CFGScale": 51}, "invalidCFGScale", "CFGScale"),
        ({"outputFormat": "jpg"}, "invalidOutputFormat", "outputFormat"),
        ({"taskUUID": "1"}, "invalidTaskUUID", "taskUUID"),
        ({"negativePrompt": "rain"}, "unsupportedParameter", "negativePrompt"),
        ({"strength": 0.5}, "missingSeedImage", ["strength", "maskImage", "seedImage"]),
        ({"tint": "red"}, "unknownParameter", "tint"),
        ({"model": "gone:1@1"}, "invalidModel", "model"),
        ({"taskType": "imageDream"}, "invalidTaskType", "taskType"),
        ({"model": "runware:400@1", "seedImage": "x"}, "unknownParameter", "seedImage"),
    ],
)
async def test_what_the_vendor_does_not_take_is_refused_by_name(sim, http, fields, code, parameter):
    status, said = await post(sim, http, [task(**fields)])
    (error,) = said["errors"]
    assert (status, error["code"], error["parameter"]) == (400, code, parameter)
    assert sim.bill.orders() == 0


@pytest.mark.parametrize("body", [{}, [], [1], "text", None, {"taskType": "ping"}])
async def test_a_body_that_is_no_list_of_tasks_is_refused(sim, http, body):
    status, said = await post(sim, http, body)
    assert (status, said["errors"][0]["code"]) == (400, "invalidRequestBody")


async def test_one_task_may_fail_beside_another(sim, http):
    good, bad = task(), task(width=1)
    status, said = await post(sim, http, [good, bad])
    assert (status, len(said["data"]), said["errors"][0]["taskUUID"]) == (200, 1, bad["taskUUID"])


async def test_a_cost_is_told_only_to_who_asks_and_charged_to_all(sim, http):
    _, said = await post(sim, http, [task()])
    assert "cost" not in said["data"][0]
    _, said = await post(sim, http, [task(includeCost=True, numberResults=2)])
    assert [one["cost"] for one in said["data"]] == [0.0006, 0.0006]
    assert str(sim.bill.usd()) == "0.001800"


async def test_a_name_is_good_for_one_task(sim, http):
    asked = task()
    await post(sim, http, [asked])
    status, said = await post(sim, http, [asked])
    assert (status, said["errors"][0]["code"], sim.bill.orders()) == (400, "conflictTaskUUID", 1)


async def test_a_picture_lives_as_long_as_was_asked(sim, http):
    _, said = await post(sim, http, [task(ttl=60)])
    address = said["data"][0]["imageURL"]
    assert (await http.get(address)).status == 200
    sim.advance(61)
    assert (await http.get(address)).status == 404


async def test_the_key_may_come_as_a_task(sim, http):
    key = {"taskType": "authentication", "apiKey": "runware-emu"}
    status, said = await post(sim, http, [key, task()], key="")
    assert (status, len(said["data"])) == (200, 1)
    status, said = await post(sim, http, [key | {"apiKey": "wrong"}, task()], key="")
    assert (status, said["errors"][0]["code"]) == (401, "invalidApiKey")
    status, said = await post(sim, http, [task()], key="")
    assert (status, said["errors"][0]["code"]) == (401, "missingApiKey")
    assert "wrong" not in str(sim.requests())
    assert "runware-emu" not in str(sim.requests())


async def greet(socket, **more):
    await socket.send_json([{"taskType": "authentication", "apiKey": "runware-emu"} | more])
    return (await socket.receive_json())["data"][0]["connectionSessionUUID"]


async def test_results_come_one_to_a_frame_and_tasks_do_not_wait_for_each_other(sim, http):
    first, second = task(numberResults=2), task()
    async with http.ws_connect(f"{sim.url}/runware/v1") as socket:
        await greet(socket)
        await socket.send_json([first])
        await socket.send_json([{"taskType": "ping", "ping": True}])
        await socket.send_json([second])
        frames = [await socket.receive_json() for _ in range(4)]
    assert {"taskType": "ping", "pong": True} in [frame["data"][0] for frame in frames[:2]]
    names = sorted(frame["data"][0].get("taskUUID", "") for frame in frames)
    assert names == sorted(["", first["taskUUID"], first["taskUUID"], second["taskUUID"]])


async def test_who_comes_back_is_given_what_was_finished_meanwhile(sim, http):
    sim.fault("cut_after")
    asked = task()
    async with http.ws_connect(f"{sim.url}/runware/v1") as socket:
        session = await greet(socket)
        await socket.send_json([asked])
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    async with http.ws_connect(f"{sim.url}/runware/v1") as socket:
        assert await greet(socket, connectionSessionUUID=session) == session
        frame = await socket.receive_json()
    assert (frame["data"][0]["taskUUID"], sim.bill.orders()) == (asked["taskUUID"], 1)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("error_before", "internalServerError"),
        ("rate_limited", "rateLimitExceeded"),
        ("no_money", "insufficientCredits"),
        ("overloaded", "noAvailableServer"),
        ("job_fails", "inferenceError"),
    ],
)
async def test_a_fault_comes_as_a_frame(sim, http, fault, code):
    sim.fault(fault)
    asked = task()
    async with http.ws_connect(f"{sim.url}/runware/v1") as socket:
        await greet(socket)
        await socket.send_json([asked])
        (error,) = (await socket.receive_json())["errors"]
    assert (error["code"], error["taskUUID"], sim.bill.orders()) == (code, asked["taskUUID"], 0)


async def test_nonsense_does_not_end_a_connection(sim, http):
    async with http.ws_connect(f"{sim.url}/runware/v1") as socket:
        await greet(socket)
        for text in ("{", "[]", '[{"taskType": 1}]', "[[emu:no_such]]"):
            await socket.send_str(text)
            assert "errors" in await socket.receive_json()
        await socket.send_json([task(positivePrompt="x [[emu:no_such]]")])
        assert "no_such" in (await socket.receive_json())["errors"][0]["message"]
