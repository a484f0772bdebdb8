"""The ComfyUI stand-in, asked by a plain HTTP and WebSocket client that knows nothing of Limner."""

import asyncio
import io
import json

import aiohttp
import pytest
from PIL import Image

from limner.simulator.app import Simulator
from limner.simulator.comfyui import ComfyUI

ID = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
FLAGS = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
PLAIN = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 2, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "easel/job"}},
}
FLUX = {
    "10": {
        "class_type": "UNETLoader",
        "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"},
    },
    "11": {
        "class_type": "DualCLIPLoader",
        "inputs": {
            "clip_name1": "clip_l.safetensors",
            "clip_name2": "t5xxl_fp16.safetensors",
            "type": "flux",
        },
    },
    "12": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
    "20": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["11", 0], "text": "a red fox"}},
    "21": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["20", 0], "guidance": 3.5}},
    "30": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1000, "height": 64, "batch_size": 1}},
    "41": {"class_type": "RandomNoise", "inputs": {"noise_seed": 42}},
    "42": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "43": {
        "class_type": "BasicScheduler",
        "inputs": {"model": ["10", 0], "scheduler": "simple", "steps": 4, "denoise": 1.0},
    },
    "44": {"class_type": "BasicGuider", "inputs": {"model": ["10", 0], "conditioning": ["21", 0]}},
    "40": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {
            "noise": ["41", 0],
            "guider": ["44", 0],
            "sampler": ["42", 0],
            "sigmas": ["43", 0],
            "latent_image": ["30", 0],
        },
    },
    "50": {"class_type": "VAEDecode", "inputs": {"samples": ["40", 0], "vae": ["12", 0]}},
    "60": {"class_type": "SaveImage", "inputs": {"images": ["50", 0], "filename_prefix": "easel/fox"}},
}


class Client:
    """Says what a person with curl would."""

    def __init__(self, http, base):
        self.http, self.base = http, base

    async def post(self, path, body):
        async with self.http.post(self.base + path, json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text

    async def get(self, path):
        async with self.http.get(self.base + path) as answer:
            data = await answer.read()
            return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data

    def socket(self, client=""):
        return self.http.ws_connect(f"{self.base}ws?clientId={client}")

    async def order(self, graph=PLAIN, **more):
        return await self.post("prompt", {"prompt": graph, "prompt_id": ID} | more)

    async def ended(self, order=ID):
        while True:
            _, history = await self.get(f"history/{order}")
            if history:
                return history[order]
            await asyncio.sleep(0.01)


@pytest.fixture
async def sim():
    async with Simulator(vendors=[ComfyUI]) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def comfy(sim):
    async with aiohttp.ClientSession() as http:
        yield Client(http, sim.base("comfyui"))


async def heard(socket, order=ID):
    """Every frame until the end marker of an order: texts as tables, previews as bytes."""
    frames = []
    async for message in socket:
        frames.append(message.data if message.type is aiohttp.WSMsgType.BINARY else json.loads(message.data))
        if frames[-1] == {"type": "executing", "data": {"node": None, "prompt_id": order}}:
            return frames
    raise AssertionError("the socket closed before the end")


def words(frames):
    """Their types, without repeats."""
    found = ["binary" if isinstance(one, bytes) else one["type"] for one in frames]
    return [word for place, word in enumerate(found) if place == 0 or word != found[place - 1]]


async def test_a_job_is_told_to_its_own_socket_in_the_servers_order(comfy):
    async with comfy.socket("me") as mine, comfy.socket("other") as other:
        first = await mine.receive_json()
        assert first == {
            "type": "status",
            "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"},
        }
        assert (await comfy.order(FLUX, client_id="me"))[0] == 200
        frames = await heard(mine)
        assert await comfy.get(f"history/{ID}") != (200, {})
        await other.close()
        assert {json.loads(one.data)["type"] for one in [item async for item in other]} <= {"status"}
    told = words(
        [one for one in frames if isinstance(one, bytes) or one["type"] not in ("status", "progress_state")]
    )
    assert told[:3] == ["execution_start", "execution_cached", "executing"]
    assert told[3:5] == ["progress", "binary"]
    assert told[-4:] == ["executing", "executed", "execution_success", "executing"]
    steps = [one["data"] for one in frames if not isinstance(one, bytes) and one["type"] == "progress"]
    assert steps[-1] == {"value": 4, "max": 4, "prompt_id": ID, "node": "40"}


async def test_a_job_without_steps_sounds_as_it_does_at_the_real_server(comfy):
    async with comfy.socket("me") as mine:
        await mine.send_json(FLAGS)
        assert [(await mine.receive_json())["type"] for _ in range(2)] == ["status", "feature_flags"]
        await comfy.order(client_id="me")
        frames = await heard(mine)
    assert [one["type"] for one in frames] == [
        "status",
        "status",
        "execution_start",
        "execution_cached",
        "progress_state",
        "executing",
        "progress_state",
        "progress_state",
        "executing",
        "executed",
        "progress_state",
        "execution_success",
        "status",
        "executing",
    ]
    assert [sorted(one["data"]["nodes"]) for one in frames if one["type"] == "progress_state"] == [
        ["1"],
        ["1"],
        ["1", "2"],
        ["1", "2"],
    ]


async def test_previews_name_their_owner_only_for_who_says_so_first(comfy):
    async with comfy.socket("me") as mine, comfy.socket("plain") as plain:
        await mine.send_json(FLAGS)
        await plain.send_json({"type": "hello"})
        await plain.send_json(FLAGS)  # too late: it is not the first
        await comfy.order(FLUX, client_id="me")
        frames = await heard(mine)
        await comfy.order(
            FLUX | {"41": {"class_type": "RandomNoise", "inputs": {"noise_seed": 43}}},
            client_id="plain",
            prompt_id=OTHER,
        )
        others = await heard(plain, OTHER)
    assert next(one for one in frames if not isinstance(one, bytes) and one["type"] == "feature_flags")[
        "data"
    ] == {
        "supports_preview_metadata": True,
        "max_upload_size": 104857600,
    }
    frame = next(one for one in frames if isinstance(one, bytes))
    length = int.from_bytes(frame[4:8])
    owner = json.loads(frame[8 : 8 + length])
    assert (frame[:4], owner["prompt_id"], owner["node_id"]) == ((4).to_bytes(4), ID, "40")
    assert (
        Image.open(io.BytesIO(frame[8 + length :])).format
        == owner["image_type"].removeprefix("image/").upper()
    )
    frame = next(one for one in others if isinstance(one, bytes))
    assert (frame[:8], Image.open(io.BytesIO(frame[8:])).format) == ((1).to_bytes(4) * 2, "JPEG")


async def test_a_job_without_a_client_is_told_to_everybody_but_not_its_end(comfy):
    async with comfy.socket("me") as mine:
        await comfy.order(FLUX)
        await comfy.ended()
        await comfy.order(client_id="me", prompt_id=OTHER)
        frames = await heard(mine, OTHER)
    foreign = [one for one in frames if isinstance(one, bytes) or one["data"].get("prompt_id") == ID]
    assert words(foreign)[:2] == ["progress", "binary"]
    assert {"executing", "executed", "execution_success"} & set(words(foreign)) == set()
    assert next(one for one in foreign if isinstance(one, bytes))[:4] == (1).to_bytes(4)


async def test_a_socket_that_comes_back_hears_the_node_without_whose_it_is(sim, comfy):
    sim.fault("never_ends")
    async with comfy.socket("me") as first:
        await comfy.order(FLUX, client_id="me")
        async for message in first:
            if message.type is aiohttp.WSMsgType.BINARY:
                break
        async with comfy.socket("me") as second:
            assert (await second.receive_json())["type"] == "status"
            assert await second.receive_json() == {"type": "executing", "data": {"node": "40"}}
            await comfy.post("interrupt", {"prompt_id": ID})
            assert words(await heard(second))[-1] == "executing"
    assert (await comfy.ended())["status"]["messages"][-1][0] == "execution_interrupted"


async def test_pictures_have_the_size_asked_for_and_carry_the_graph(comfy):
    await comfy.order(FLUX)
    entry = await comfy.ended()
    assert entry["outputs"] == {
        "60": {"images": [{"filename": "fox_00001_.png", "subfolder": "easel", "type": "output"}]}
    }
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("success", True)
    _, data = await comfy.get("view?filename=fox_00001_.png&subfolder=easel&type=output")
    picture = Image.open(io.BytesIO(data))
    assert (picture.size, json.loads(picture.text["prompt"])) == ((1000, 64), FLUX)


async def test_the_same_graph_again_hands_out_the_same_files(comfy):
    await comfy.order()
    first = (await comfy.ended())["outputs"]
    await comfy.order(prompt_id=OTHER)
    again = await comfy.ended(OTHER)
    assert (
        again["outputs"]
        == first
        == {
            "2": {
                "images": [
                    {"filename": f"job_0000{n}_.png", "subfolder": "easel", "type": "output"} for n in (1, 2)
                ]
            }
        }
    )
    assert sorted(again["status"]["messages"][1][1]["nodes"]) == ["1", "2"]


async def test_what_waits_can_be_taken_out_and_leaves_no_trace(sim, comfy):
    sim.fault("never_ends")
    await comfy.order(FLUX)
    await comfy.order(prompt_id=OTHER)
    _, queue = await comfy.get("queue")
    assert [[one[1] for one in queue[name]] for name in ("queue_running", "queue_pending")] == [[ID], [OTHER]]
    assert queue["queue_pending"][0][2:] == [PLAIN, {}, ["2"]]
    assert await comfy.get("prompt") == (200, {"exec_info": {"queue_remaining": 2}})
    assert await comfy.post("queue", {"delete": [OTHER, "unknown"]}) == (200, "")
    assert await comfy.post("interrupt", {"prompt_id": OTHER}) == (200, "")
    _, queue = await comfy.get("queue")
    assert ([one[1] for one in queue["queue_running"]], queue["queue_pending"]) == ([ID], [])
    assert await comfy.get(f"history/{OTHER}") == (200, {})


async def test_an_order_may_jump_the_queue(sim, comfy):
    sim.fault("never_ends")
    await comfy.order(FLUX)
    await comfy.order(prompt_id=OTHER)
    third = ID.replace("1", "3")
    _, placed = await comfy.order(prompt_id=third, front=True)
    _, queue = await comfy.get("queue")
    assert (placed["number"], [one[1] for one in queue["queue_pending"]]) == (-2, [third, OTHER])


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "no_prompt"),
        ({"prompt": {}}, "prompt_no_outputs"),
        ({"prompt": {"nodes": [], "links": []}}, "invalid_prompt"),
        ({"prompt": {"1": {"class_type": "NoSuchNode", "inputs": {}}}}, "missing_node_type"),
        ({"prompt": PLAIN, "prompt_id": "job-1"}, "invalid_prompt_id"),
        ({"prompt": {"2": PLAIN["2"]}}, "prompt_outputs_failed_validation"),
    ],
)
async def test_what_is_no_graph_is_refused_by_its_type(comfy, body, word):
    status, said = await comfy.post("prompt", body)
    assert (status, said["error"]["type"]) == (400, word)


@pytest.mark.parametrize(
    ("change", "word", "details"),
    [
        ({"width": 99999}, "value_bigger_than_max", "width"),
        ({"width": 0}, "value_smaller_than_min", "width"),
        ({"width": None}, "invalid_input_type", "width, None, int() argument must be"),
        ({"width": [1]}, "bad_linked_input", "width"),
        ({"width": ["7", 0]}, "exception_during_inner_validation", "'7'"),
    ],
)
async def test_a_bad_value_is_told_at_its_node(comfy, change, word, details):
    graph = PLAIN | {"1": {"class_type": "EmptyImage", "inputs": PLAIN["1"]["inputs"] | change}}
    status, said = await comfy.order(graph)
    (fault,) = said["node_errors"]["1"]["errors"]
    assert (status, fault["type"], said["node_errors"]["1"]["dependent_outputs"]) == (400, word, ["2"])
    assert fault["details"].startswith(details)


async def test_a_missing_input_and_a_missing_model_are_told(sim, comfy):
    sim.vendors["comfyui"].models["vae"] = ()
    graph = FLUX | {"30": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 64}}}
    _, said = await comfy.order(graph)
    faults = {name: one["errors"][0]["details"] for name, one in said["node_errors"].items()}
    assert faults == {"12": "vae_name: 'ae.safetensors' not in []", "30": "batch_size"}


@pytest.mark.parametrize(
    "node",
    [
        {"class_type": ["x"], "inputs": {}},
        {"class_type": "EmptyImage", "inputs": []},
        PLAIN["1"] | {"inputs": PLAIN["1"]["inputs"] | {"width": 1e300, "height": True, "color": {}}},
        PLAIN["1"] | {"inputs": PLAIN["1"]["inputs"] | {"width": ["1", "x"]}},
        PLAIN["1"] | {"inputs": PLAIN["1"]["inputs"] | {"width": [["1"], 0]}},
        PLAIN["1"] | {"inputs": PLAIN["1"]["inputs"] | {"width": ["2", 0]}},
    ],
)
async def test_nonsense_in_a_node_is_refused_and_nothing_breaks(comfy, node):
    assert (await comfy.order(PLAIN | {"1": node}))[0] == 400


async def test_a_number_may_be_written_as_text(comfy):
    node = PLAIN["1"] | {"inputs": PLAIN["1"]["inputs"] | {"width": "64", "height": 48.0}}
    await comfy.order(PLAIN | {"1": node})
    assert (await comfy.ended())["status"]["status_str"] == "success"


@pytest.mark.parametrize("body", [b"{nope", b'{"prompt": [1]}'])
async def test_a_body_that_makes_no_sense_brings_the_handler_down(comfy, body):
    async with comfy.http.post(comfy.base + "prompt", data=body) as answer:
        assert (answer.status, await answer.text()) == (
            500,
            "500 Internal Server Error\n\nServer got itself in trouble",
        )


async def test_older_servers_take_any_id_and_have_no_jobs(sim, comfy):
    server = sim.vendors["comfyui"]
    server.strict_ids = server.jobs_api = False
    assert (await comfy.order(prompt_id="job-1"))[0] == 200
    await comfy.ended("job-1")
    assert await comfy.get("api/jobs/job-1") == (404, b"")


async def test_newer_servers_know_jobs_and_stop_them(sim, comfy):
    sim.fault("never_ends")
    await comfy.order(FLUX)
    await comfy.order(prompt_id=OTHER)
    assert await comfy.get(f"api/jobs/{OTHER}") == (200, {"id": OTHER, "status": "pending"})
    assert await comfy.post(f"api/jobs/{ID}/cancel", {}) == (200, {"cancelled": True})
    await comfy.ended(OTHER)
    assert await comfy.get("api/jobs") == (
        200,
        {"jobs": [{"id": ID, "status": "cancelled"}, {"id": OTHER, "status": "completed"}]},
    )
    assert await comfy.get("api/jobs/unknown") == (404, {"error": "Job not found"})


async def test_a_taken_name_gets_a_number_unless_it_is_overwritten(comfy):
    async def upload(data, **fields):
        form = aiohttp.FormData({"subfolder": "easel"} | fields)
        form.add_field("image", data, filename="in.png")
        async with comfy.http.post(comfy.base + "api/upload/image", data=form) as answer:
            return (await answer.json())["name"]

    assert await upload(b"one") == "in.png"
    assert await upload(b"two") == "in (1).png"
    assert await upload(b"one") == "in.png"
    assert await upload(b"three", overwrite="true") == "in.png"
    assert await comfy.get("view?filename=in.png&subfolder=easel&type=input") == (200, b"three")
    async with comfy.http.post(comfy.base + "upload/image", data={"subfolder": "easel"}) as answer:
        assert (answer.status, await answer.read()) == (400, b"")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("?filename=gone.png", 404),
        ("?filename=../x.png", 400),
        ("?filename=x.png&type=secret", 400),
        ("?filename=x.png&subfolder=../..", 403),
    ],
)
async def test_a_file_that_is_not_there_or_not_for_you(comfy, query, status):
    assert await comfy.get(f"view{query}") == (status, b"")


async def test_the_server_tells_of_itself(comfy):
    _, info = await comfy.get("object_info/EmptyImage")
    kind, limits = info["EmptyImage"]["input"]["required"]["width"]
    assert (kind, limits["default"], limits["min"], limits["max"]) == ("INT", 512, 1, 16384)
    assert await comfy.get("object_info/NoSuchNode") == (200, {})
    assert await comfy.get("models/vae") == (200, ["ae.safetensors"])
    assert (await comfy.get("models/unknown"))[0] == 404
    assert (await comfy.get("nowhere"))[0] == 404
    assert (await comfy.get("system_stats"))[1]["system"]["comfyui_version"] == "0.38.0"


async def test_the_history_can_be_forgotten_and_does_not_outlive_a_restart(sim, comfy):
    for order in (ID, OTHER):
        await comfy.order(prompt_id=order)
        await comfy.ended(order)
    await comfy.post("history", {"delete": [ID]})
    assert list((await comfy.get("history"))[1]) == [OTHER]
    assert (await comfy.get("history?max_items=1"))[0] == 200
    sim.vendors["comfyui"].restart()
    assert await comfy.get("history") == (200, {})
    assert (await comfy.get("view?filename=job_00001_.png&subfolder=easel"))[0] == 200
