"""ComfyUI against its stand-in."""

import asyncio
import io
import json
from dataclasses import replace

import pytest
from PIL import Image

from limner.core.errors import Lost, Malformed, RateLimited, Rejected, TimedOut, Unauthorized, Unavailable
from limner.providers.base import Done, Health, Pending, Recovery
from limner.providers.comfyui import ComfyUI
from limner.providers.comfyui_answers import plain
from limner.simulator import comfyui as vendor
from limner.simulator.app import Simulator
from limner.wire import Wire, session
from tests.providers.wiring import at, call, finish

CALL = call("comfyui", seed=5)
TICKET = {"id": CALL.uuid, "outputs": ["60"], "previews": False}
PATHS = {
    "C:\\Users\\A B\\x.safetensors is bad": "x.safetensors is bad",
    "in '/home/me/x.bin': no": "in 'x.bin': no",
}


@pytest.fixture
async def sim():
    async with Simulator(vendors=[vendor.ComfyUI]) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def comfy(sim):
    async with at(sim, ComfyUI) as provider:
        yield provider


def server(sim):
    return sim.vendors["comfyui"]


def picture(width=96, height=64, kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, kind)
    return file.getvalue()


def size(data):
    return Image.open(io.BytesIO(data)).size


async def running(comfy, ticket):
    """Until the order is drawn and has been heard of."""
    outcome = Pending(ticket)
    while outcome.step is None:
        outcome = await comfy.poll(ticket)
    return outcome


async def test_an_order_is_queued_under_our_own_id_and_its_picture_fetched(sim, comfy):
    placed = await comfy.submit(CALL)
    assert placed == Pending(TICKET, 0.0, 0.0)
    done = await finish(comfy, placed)
    assert ([size(image) for image in done.images], done.links, done.seeds) == ([(1024, 1024)], (), ())
    (order,) = sim.requests(path="/prompt")
    assert (order.body["prompt_id"], order.body["client_id"]) == (CALL.uuid, f"limner-{CALL.uuid}")
    assert sorted(order.body) == ["client_id", "prompt", "prompt_id"]
    assert (sim.bill.orders(), sim.bill.usd()) == (1, 0)


async def test_several_pictures_come_in_the_order_of_their_seeds(comfy):
    three = await finish(comfy, await comfy.submit(call("comfyui", seed=5, count=3, width=256, height=256)))
    second = await finish(comfy, await comfy.submit(call("comfyui", key="b", seed=6, width=256, height=256)))
    first, *_ = (Image.open(io.BytesIO(data)).tobytes() for data in second.images)
    assert [Image.open(io.BytesIO(data)).tobytes() == first for data in three.images] == [False, True, False]


async def test_progress_and_our_own_previews_are_told_while_it_draws(sim, comfy):
    server(sim).foreign_job = True
    told = await running(comfy, (await comfy.submit(call("comfyui", partial_images=2))).ticket)
    assert (told.fraction, told.step, told.steps) == (1.0, 20, 20)
    assert size(told.preview) == (256, 256)


async def test_nobody_sees_previews_who_asked_for_none(sim, comfy):
    server(sim).foreign_job = True
    assert (await running(comfy, (await comfy.submit(CALL)).ticket)).preview is None


async def test_without_a_socket_the_order_is_drawn_all_the_same(sim, comfy):
    server(sim).drops_sockets = True
    placed = await comfy.submit(CALL)
    assert await comfy.poll(placed.ticket) == Pending(placed.ticket, 0.5)
    assert isinstance(await finish(comfy, placed), Done)
    sim.fault("overloaded", path="/ws")
    placed = await comfy.submit(call("comfyui", key="b"))
    assert await comfy.poll(placed.ticket) == Pending(placed.ticket, 0.5)


@pytest.mark.parametrize("operation", ["image-to-image", "variation", "inpaint"])
async def test_pictures_are_uploaded_under_the_name_of_their_digest(sim, comfy, operation):
    mask = picture(kind="WEBP") if operation == "inpaint" else None
    order = call("comfyui", operation=operation, inputs=(picture(),), mask=mask, width=512, height=256)
    done = await finish(comfy, await comfy.submit(order))
    assert size(done.images[0]) == (512, 256)
    uploads = [name for kind, folder, name in server(sim).folders.files if kind == "input"]
    assert [name.rpartition(".")[2] for name in uploads] == (["png", "webp"] if mask else ["png"])
    assert len(uploads[0]) == 64 + len(".png")
    sent = sim.requests(path="/prompt")[0].body["prompt"]
    assert sent["31"]["inputs"]["image"] == f"limner/{uploads[0]}"


async def test_what_is_no_picture_fails_at_the_node_that_reads_it(comfy):
    order = call("comfyui", operation="variation", inputs=(b"not a picture",))
    placed = await comfy.submit(order)
    with pytest.raises(Rejected, match=r"^LoadImage: cannot identify image file '[0-9a-f]{64}\.bin'$"):
        await finish(comfy, placed)


@pytest.mark.parametrize("prompt", ['"quoted"\r\n\\n {"10": 1}', "🦊" * 5000, "x" * 10_000])
async def test_any_prompt_arrives_as_it_was_written(sim, comfy, prompt):
    await comfy.submit(call("comfyui", prompt, width=257, height=2000, seed=2**63 - 1))
    (job,) = server(sim).jobs()
    queue = await comfy.wire.send("GET", "queue")
    graph = json.loads(queue.body)["queue_running"][0][2]
    assert job["status"] == "in_progress"
    assert (graph["20"]["inputs"]["text"], graph["40"]["inputs"]["seed"]) == (prompt, 2**63 - 1)
    assert (graph["30"]["inputs"]["width"], graph["30"]["inputs"]["height"]) == (256, 2000)


async def test_the_same_order_again_is_drawn_from_memory_and_costs_nothing(comfy):
    first = await finish(comfy, await comfy.submit(CALL))
    again = await finish(comfy, await comfy.submit(CALL))
    assert first == again


async def test_another_order_for_the_same_picture_has_a_file_of_its_own(sim, comfy):
    for key in "ab":
        await finish(comfy, await comfy.submit(replace(CALL, key=key)))
    asked = [one.query["filename"] for one in sim.requests(path="/view")]
    assert len(set(asked)) == 2


async def test_a_ticket_survives_json_and_another_process(sim, comfy):
    ticket = json.loads(json.dumps((await comfy.submit(CALL)).ticket))
    async with at(sim, ComfyUI) as other:
        assert isinstance(await finish(other, Pending(ticket)), Done)


@pytest.mark.parametrize("kind", ["cut_after", "malformed", "error_after", "empty"])
async def test_an_order_whose_answer_was_lost_is_found_by_its_id(sim, comfy, kind):
    sim.fault(kind)
    with pytest.raises((TimedOut, Malformed)):
        await comfy.submit(CALL)
    assert await comfy.find(CALL) == TICKET
    await finish(comfy, Pending(TICKET))
    assert await comfy.find(CALL) == TICKET  # in the history now
    assert len(sim.requests(path="/prompt")) == 1


async def test_an_order_that_never_arrived_is_not_found(sim, comfy):
    sim.fault("cut_before")
    with pytest.raises(TimedOut):
        await comfy.submit(CALL)
    assert await comfy.find(CALL) is None


async def test_a_restarted_server_has_lost_its_orders(sim, comfy):
    sim.fault("never_ends")
    placed = await comfy.submit(CALL)
    server(sim).restart()
    with pytest.raises(Lost, match="restarted, or removed from its queue"):
        await comfy.poll(placed.ticket)


async def test_stopping_a_running_order_leaves_those_behind_it(sim, comfy):
    sim.fault("never_ends")
    stuck = await comfy.submit(CALL)
    behind = await comfy.submit(replace(CALL, key="b"))
    await running(comfy, stuck.ticket)
    await comfy.cancel(stuck.ticket)
    with pytest.raises(Rejected, match="was stopped at the ComfyUI server"):
        await finish(comfy, stuck)
    assert isinstance(await finish(comfy, behind), Done)


async def test_stopping_a_waiting_order_leaves_the_one_that_runs(sim, comfy):
    sim.fault("never_ends")
    stuck = await comfy.submit(CALL)
    behind = await comfy.submit(replace(CALL, key="b"))
    await running(comfy, stuck.ticket)
    await comfy.cancel(behind.ticket)
    with pytest.raises(Lost):
        await comfy.poll(behind.ticket)
    assert [job["status"] for job in server(sim).jobs()] == ["in_progress"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"10": {"ckpt_name": "gone.safetensors"}},
            "CheckpointLoaderSimple: Value not in list: ckpt_name: 'gone",
        ),
        ({"30": {"width": 99_999}}, "EmptySD3LatentImage: Value 99999 bigger than max of 16384: width"),
        ({"40": {"steps": "many"}}, "KSampler: Failed to convert an input value to a INT value: steps, many"),
        ({"50": {"vae": ["99", 0]}}, "VAEDecode: Exception when validating inner node: '99'"),
        ({"50": {"vae": ["10", 0]}}, r"VAEDecode: Return type mismatch.*received_type\(MODEL\)"),
    ],
)
async def test_a_graph_the_server_refuses_says_which_input_is_at_fault(comfy, overrides, said):
    with pytest.raises(Rejected, match=said) as refused:
        await comfy.submit(call("comfyui", options={"workflow_overrides": overrides}))
    assert "/srv" not in str(refused.value)


@pytest.mark.parametrize("word", ["invalid_prompt", "missing_node_type"])
async def test_a_node_the_server_does_not_have_is_named(sim, comfy, word):
    server(sim).missing_node = word
    dialect = json.loads(json.dumps(CALL.dialect).replace("FluxGuidance", "NoSuchNode"))
    with pytest.raises(Rejected, match="node NoSuchNode does not exist"):
        await comfy.submit(replace(CALL, dialect=dialect))


async def test_half_a_graph_is_no_order(sim, comfy):
    graph = json.loads(CALL.dialect["graph"])
    graph["61"] = {"class_type": "PreviewImage", "inputs": {"images": ["12", 0]}}
    graph["12"] = {"class_type": "LoadImage", "inputs": {"image": "gone.png"}}
    sim.fault("never_ends")
    with pytest.raises(Rejected, match="LoadImage: Custom validation failed for node: image - Invalid image"):
        await comfy.submit(replace(CALL, dialect=dict(CALL.dialect) | {"graph": json.dumps(graph)}))
    assert [(one.method, one.path) for one in sim.requests()][1:] == [
        ("POST", "/comfyui/queue"),
        ("POST", "/comfyui/interrupt"),
    ]


async def test_a_full_gpu_is_emptied_and_may_be_tried_again(sim, comfy):
    server(sim).failure = "memory"
    sim.fault("job_fails")
    with pytest.raises(Unavailable, match=r"^KSampler: out of GPU memory: Allocation on device"):
        await finish(comfy, await comfy.submit(CALL))
    assert server(sim).freed == 1
    assert isinstance(await finish(comfy, await comfy.submit(replace(CALL, key="b"))), Done)


async def test_a_broken_model_file_is_told_without_its_folder(sim, comfy):
    sim.fault("job_fails")
    said = "^CheckpointLoaderSimple: Error while deserializing header: invalid header in model.safetensors$"
    with pytest.raises(Rejected, match=said):
        await finish(comfy, await comfy.submit(CALL))


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("unknown_word", Malformed, "status_str"),
        ("empty_success", Malformed, "succeeded without a picture at node 60"),
        ("fewer_images", Malformed, "succeeded without a picture at node 60"),
        ("expired_url", Lost, "404"),
        ("lost", Lost, "no longer knows the order"),
        ("huge", Malformed, "bytes long"),
    ],
)
async def test_each_bad_end_is_an_error_that_says_what_next(sim, comfy, kind, error, said):
    sim.fault(kind)
    placed = await comfy.submit(CALL)
    with pytest.raises(error, match=said):
        await finish(comfy, placed)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error_before", TimedOut),
        ("html_502", TimedOut),
        ("overloaded", Unavailable),
        ("rate_limited", RateLimited),
        ("bad_key", Unauthorized),
        ("no_money", Unauthorized),
    ],
)
async def test_a_proxy_in_front_of_it_is_understood(sim, comfy, kind, error):
    sim.fault(kind)
    with pytest.raises(error):
        await comfy.submit(CALL)
    assert sim.bill.orders() == 0


async def test_one_picture_less_of_several_is_what_came(sim, comfy):
    sim.fault("fewer_images")
    done = await finish(comfy, await comfy.submit(call("comfyui", count=2, width=256, height=256)))
    assert len(done.images) == 1


async def test_a_probe_asks_whether_the_server_is_up(sim, comfy):
    assert await comfy.probe() == Health(ok=True)
    assert [one.path for one in sim.requests()] == ["/comfyui/system_stats"]
    sim.fault("bad_key", path="/system_stats")
    with pytest.raises(Unauthorized):
        await comfy.probe()
    async with session() as http:
        with pytest.raises(Unavailable):
            await ComfyUI(Wire(http, "http://127.0.0.1:9/", {})).probe()


def test_a_key_is_for_a_proxy_and_none_is_needed():
    assert (ComfyUI.auth(""), ComfyUI.auth("k")) == ({}, {"Authorization": "Bearer k"})
    assert (ComfyUI.recovery, ComfyUI.needs_key, ComfyUI.self_hosted) == (Recovery.NAMED, False, True)


@pytest.mark.parametrize("said", PATHS)
def test_the_servers_folders_are_nobodys_business(said):
    assert plain(f"{said}\n  File 'secret'") == PATHS[said]


async def test_listening_ends_with_the_order(comfy):
    placed = await comfy.submit(CALL)
    async with asyncio.timeout(5):
        await comfy.poll(placed.ticket)
        assert isinstance(await comfy.poll(placed.ticket), Done)
