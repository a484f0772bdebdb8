"""Ollama against its stand-in."""

import io
import json

import pytest
from PIL import Image

from limner.core.errors import Malformed, RateLimited, Rejected, TimedOut, Unauthorized, Unavailable
from limner.providers.base import Health, Pending, Recovery
from limner.providers.ollama import Ollama
from limner.simulator.app import Simulator
from limner.simulator.ollama import Ollama as Vendor
from limner.simulator.ollama_models import MODELS
from limner.wire import Wire, session
from tests.providers.wiring import at, call

AWKWARD = 'a "red" fox;\r\n{"model": "x"} 🦊 ' + "x" * 9_900
GONE = "image generation models are not currently supported"


@pytest.fixture
async def sim():
    async with Simulator(vendors=[Vendor]) as running:
        yield running
    assert running.mistakes == []


def order(prompt="a red fox", **fields):
    return call("ollama", prompt, **fields)


def picture():
    file = io.BytesIO()
    Image.new("RGB", (256, 192), "green").save(file, "PNG")
    return file.getvalue()


def seen(done):
    (data,) = done.images
    image = Image.open(io.BytesIO(data))
    return image.format, image.size


def sent(sim):
    return [one.body for one in sim.requests(path="generate")]


async def drawn(sim, asked, **how):
    async with at(sim, Ollama, **how) as ollama:
        return await ollama.submit(asked)


async def test_a_picture_is_drawn_at_the_size_asked_for_and_told_step_by_step(sim):
    told = []
    done = await drawn(sim, order(width=512, height=768, seed=42, steps=5, report=told.append))
    assert seen(done) == ("PNG", (512, 768))
    assert sent(sim) == [
        {
            "model": "x/z-image-turbo",
            "prompt": "a red fox",
            "width": 512,
            "height": 768,
            "steps": 5,
            "stream": True,
            "options": {"seed": 42},
        }
    ]
    assert told == [Pending({}, fraction=step / 5, step=step, steps=5) for step in range(1, 6)]


async def test_no_characters_of_a_prompt_are_lost(sim):
    await drawn(sim, order(AWKWARD))
    (asked,) = sim.requests(path="generate")
    assert f"({len(AWKWARD)} characters)" in asked.body["prompt"]


async def test_a_seed_gives_the_same_picture_again_and_0_is_one_of_them(sim):
    first, again = [await drawn(sim, order(seed=0)) for _ in range(2)]
    other = await drawn(sim, order(seed=1))
    assert first.images == again.images != other.images
    assert [body["options"]["seed"] for body in sent(sim)] == [2**31 - 1, 2**31 - 1, 1]


async def test_a_seed_beyond_the_model_is_brought_into_its_range(sim):
    await drawn(sim, order(seed=2**63 - 1))
    (body,) = sent(sim)
    assert 0 < body["options"]["seed"] < 2**31 - 1


async def test_an_edit_sends_the_pictures_to_a_model_that_takes_them(sim):
    done = await drawn(sim, order("in snow", operation="edit", inputs=[picture()]))
    (body,) = sent(sim)
    assert (body["model"], len(body["images"])) == ("x/flux2-klein", 1)
    assert seen(done) == ("PNG", (1024, 1024))


async def test_every_answer_is_free(sim):
    await drawn(sim, order())
    assert (sim.bill.usd(), sim.bill.images()) == (0, 1)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("overloaded", Unavailable, "maximum pending requests exceeded"),
        ("error_before", Unavailable, "mlx runner failed"),
        ("error_after", Unavailable, "mlx runner failed"),
        ("html_502", Unavailable, "502 Bad Gateway"),
        ("job_fails", Unavailable, "image runner failed: out of memory"),
        ("empty_success", Unavailable, "finished without a picture"),
        ("empty", Unavailable, "broke off"),
        ("malformed", Malformed, "cannot read a line"),
        ("cut_before", TimedOut, "broke the connection"),
        ("cut_after", TimedOut, "broke the connection"),
        ("bad_key", Unauthorized, "unauthorized"),
        ("no_money", Unauthorized, "subscription"),
        ("rate_limited", RateLimited, "usage limit"),
    ],
)
async def test_what_goes_wrong_is_told_in_ollamas_words(sim, fault, error, words):
    sim.fault(fault)
    with pytest.raises(error, match=words):
        await drawn(sim, order())


async def test_a_stream_that_stalls_is_given_up(sim):
    sim.fault("never_ends")
    told = []
    with pytest.raises(TimedOut):
        await drawn(sim, order(report=told.append), timeout_s=2.0)
    assert 0 < told[-1].fraction < 1


async def test_a_reason_nobody_knows_does_not_lose_the_picture(sim):
    sim.fault("unknown_word")
    assert seen(await drawn(sim, order())) == ("PNG", (1024, 1024))


async def test_a_model_that_is_not_installed_is_a_rejection_that_says_what_to_do(sim):
    del sim.vendors["ollama"].installed["x/z-image-turbo:latest"]
    with pytest.raises(Rejected, match=r"model 'x/z-image-turbo' not found .*`ollama pull`"):
        await drawn(sim, order())


async def test_a_server_that_no_longer_draws_rejects_and_is_no_fault_of_its_health(sim):
    sim.vendors["ollama"].version = "0.32.6"
    with pytest.raises(Rejected, match=GONE) as caught:
        await drawn(sim, order())
    assert (caught.value.trips, caught.value.fallback, caught.value.billed) == (False, True, "no")


@pytest.mark.parametrize(
    ("version", "draws"),
    [
        ("0.13.5", False),
        ("0.14.0", True),
        ("0.22.1-rc0", True),
        ("0.32.5", True),
        ("0.32.6", False),
        ("0.33.0-rc2", False),
        ("1.0.0", False),
        ("unknown", False),
    ],
)
async def test_the_probe_reads_the_version(sim, version, draws):
    sim.vendors["ollama"].version = version
    async with at(sim, Ollama) as ollama:
        health = await ollama.probe()
    reason = "" if draws else f"Ollama {version} draws no pictures; 0.14.0 to 0.32.5 do"
    assert health == Health(ok=draws, reason=reason)


async def test_the_probe_looks_for_an_image_model(sim):
    sim.vendors["ollama"].installed = {"gpt-oss:20b": MODELS["gpt-oss:20b"]}
    async with at(sim, Ollama) as ollama:
        health = await ollama.probe()
    reason = "no image model is installed; `ollama pull x/z-image-turbo` installs one"
    assert health == Health(ok=False, reason=reason)


async def test_no_server_is_unavailable():
    async with session() as http:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await Ollama(Wire(http, "http://127.0.0.1:1/", {})).submit(order())


def test_it_needs_no_key_and_is_one_of_the_users_own_machines():
    assert (Ollama.needs_key, Ollama.self_hosted, Ollama.recovery) == (False, True, Recovery.BLIND)
    assert Ollama.auth("") == {}
    assert Ollama.auth("k") == {"Authorization": "Bearer k"}


def test_an_error_that_is_no_json_is_shown_as_it_came():
    error = Ollama.classify(400, {}, b"404 page not found")
    assert (type(error), str(error)) == (Rejected, "Ollama: 404 page not found")
    assert Ollama.classify(200, {}, json.dumps({"error": "x"}).encode()) is None
