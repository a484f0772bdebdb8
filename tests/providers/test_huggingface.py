import json
from dataclasses import replace
from io import BytesIO

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from limner.catalog.load import parse, shipped_tables
from limner.catalog.price import estimate_usd
from limner.core.errors import (
    Lost,
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.core.money import to_micros
from limner.providers.base import Call, Done, Health, Pending
from limner.providers.huggingface import HuggingFace
from limner.simulator.app import Simulator
from limner.simulator.huggingface import HuggingFace as Vendor
from limner.wire import Wire
from tests.providers.wiring import at, call, finish

MODELS = {model.id: model for model in parse(shipped_tables()["huggingface"]).models}
QUEUED = ("qwen-image-2512", "z-image-turbo", "glm-image")
"""One model of each partner that queues."""
LISTED = sorted(name for name, model in MODELS.items() if not model.open)


@pytest_asyncio.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Vendor], speed=200) as running:
        running.vendors["huggingface"].queues.patience_s = 0.0
        yield running
    assert running.mistakes == []


@pytest_asyncio.fixture
async def hf(sim):
    async with at(sim, HuggingFace) as provider:
        yield provider


def order(model="flux-1-schnell", prompt="a red fox", **fields) -> Call:
    return call("huggingface", prompt, model=model, **fields)


def sent(sim):
    return next(one for one in reversed(sim.requests()) if one.method == "POST")


async def picture(done: Done) -> bytes:
    """The one picture, fetched as Limner does: without the token."""
    if done.images:
        (data,) = done.images
        return data
    (link,) = done.links
    async with aiohttp.ClientSession() as http, http.get(link) as answer:
        assert answer.status == 200
        return await answer.read()


@pytest.mark.parametrize("name", LISTED)
async def test_every_listed_model_draws_one_picture_of_its_size_and_is_billed_once(sim, hf, name):
    asked = order(name, seed=5)
    data = await picture(await finish(hf, await hf.submit(asked)))
    with Image.open(BytesIO(data)) as drawn:
        assert drawn.size == asked.request.size
    assert sim.bill.orders() == 1


@pytest.mark.parametrize("name", [name for name in LISTED if MODELS[name].price])
async def test_what_is_billed_is_what_the_catalog_quotes(sim, hf, name):
    for size in ((256, 256), (1000, 777), (1536, 1024)):
        sim.bill.lines.clear()
        asked = order(name, width=size[0], height=size[1])
        await hf.submit(asked)
        assert to_micros(sim.bill.usd()) == to_micros(estimate_usd(asked.request, MODELS[name]))


async def test_any_model_of_hugging_face_itself_is_drawn_by_its_name(sim, hf):
    name = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    asked = Call(
        key="job-1", model=name, request=order("huggingface-any", options={"guidance_scale": 9}).request
    )
    (data,) = (await hf.submit(asked)).images
    assert data.startswith(b"\xff\xd8\xff")
    assert sent(sim).path == f"/huggingface/router/hf-inference/models/{name}"
    assert sent(sim).body["parameters"] == {"width": 1024, "height": 1024, "guidance_scale": 9}


@pytest.mark.parametrize(
    "prompt", ['he said "no"\n\\ \t{}', "🦊 狐狸 لون", "x" * 10_000, "</script>%00%2e%2e"]
)
@pytest.mark.parametrize("name", ["flux-1-schnell", "sdxl", *QUEUED])
async def test_a_prompt_arrives_as_it_was_written(sim, hf, name, prompt):
    await hf.submit(order(name, prompt))
    body = sent(sim).body
    arrived = body.get("inputs") or body.get("prompt") or body["input"]["prompt"]
    assert arrived[:50] == prompt[:50]  # the journal cuts long ones


async def test_fal_tells_the_seed_it_used(hf):
    assert (await hf.submit(order(seed=4242))).seeds == (4242,)


@pytest.mark.parametrize("name", QUEUED)
async def test_a_ticket_survives_a_restart(sim, hf, name):
    waiting = await hf.submit(order(name))
    assert isinstance(waiting, Pending)
    ticket = json.loads(json.dumps(waiting.ticket))
    assert "hf_emu" not in json.dumps(ticket)
    async with at(sim, HuggingFace) as another:
        assert await picture(await finish(another, Pending(ticket)))
    assert sim.bill.orders() == 1


async def test_replicate_answers_with_the_picture_when_it_is_patient(sim, hf):
    sim.vendors["huggingface"].queues.patience_s = 60.0
    done = await hf.submit(order("qwen-image-2512"))
    assert isinstance(done, Done)
    assert sent(sim).headers["Prefer"] == "wait"


async def test_a_model_that_is_being_loaded_is_a_wait_and_not_a_fault(sim, hf):
    sim.vendors["huggingface"].at_once.cold["stabilityai/stable-diffusion-xl-base-1.0"] = 1
    with pytest.raises(RateLimited, match="is currently loading") as caught:
        await hf.submit(order("sdxl"))
    assert (caught.value.after_s, caught.value.trips) == (20.0, False)
    assert sim.bill.orders() == 0
    assert isinstance(await hf.submit(order("sdxl")), Done)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("no_money", Unauthorized, "exceeded your monthly included credits"),
        ("bad_key", Unauthorized, "Invalid username or password"),
        ("rate_limited", RateLimited, "Too Many Requests"),
        ("overloaded", Unavailable, "Model is overloaded"),
        ("error_before", TimedOut, "Internal Server Error"),
        ("html_502", TimedOut, "502 Bad Gateway"),
        ("malformed", Malformed, "cannot read"),
        ("empty", Malformed, "cannot read"),
        ("empty_success", Malformed, "finished without a picture"),
    ],
)
async def test_what_goes_wrong_at_the_router_is_told_in_its_words(sim, hf, fault, error, said):
    sim.fault(fault)
    with pytest.raises(error, match=said) as caught:
        await hf.submit(order())
    charged = fault in ("malformed", "empty", "empty_success")
    assert sim.bill.orders() == (1 if charged else 0)
    assert not (charged and caught.value.billed == "no")


async def test_a_lost_answer_may_have_been_charged_and_cannot_be_found(sim, hf):
    sim.fault("cut_after")
    with pytest.raises(TimedOut) as caught:
        await hf.submit(order())
    assert (caught.value.billed, await hf.find(order())) == ("maybe", None)
    assert sim.bill.orders() == 1
    assert len(sim.requests()) == 1


async def test_how_long_to_stay_away_is_read_from_the_header_and_from_the_body(sim, hf):
    sim.fault("rate_limited", after_s=7)
    with pytest.raises(RateLimited) as caught:
        await hf.submit(order())
    assert caught.value.after_s == 7.0
    said = HuggingFace.classify(429, {}, b'{"detail":"Request was throttled.","status":429,"retry_after":5}')
    assert (type(said), said.after_s) == (RateLimited, 5.0)


@pytest.mark.parametrize(
    ("name", "billed", "said"),
    [
        ("flux-1-schnell", "yes", "fal-ai's checker blackened the picture"),
        ("sdxl", "yes", "the picture is all black"),
        ("flux-1-schnell-together", "no", "NSFW"),
        ("flux-1-schnell-nscale", "no", "flagged by moderation"),
        ("qwen-image-2512", "no", "NSFW"),
        ("z-image-turbo", "no", "flagged as potentially sensitive"),
        ("glm-image", "no", "unsafe content"),
    ],
)
async def test_a_refusal_is_charged_only_where_the_partner_charges_for_it(sim, hf, name, billed, said):
    sim.fault("refused")
    with pytest.raises(Refused, match=said) as caught:
        await finish(hf, await hf.submit(order(name)))
    assert caught.value.billed == billed
    assert sim.bill.orders() == (1 if billed == "yes" else 0)


@pytest.mark.parametrize("name", QUEUED)
@pytest.mark.parametrize(
    ("fault", "error", "charged"),
    [
        ("job_fails", Rejected, 0),
        ("lost", Lost, 1),
        ("unknown_word", Malformed, 1),
        ("empty_success", Malformed, 1),
    ],
)
async def test_an_order_that_is_queued_can_still_go_wrong(sim, name, fault, error, charged):
    sim.fault(fault)
    async with at(sim, HuggingFace) as hf:
        with pytest.raises(error) as caught:
            await finish(hf, await hf.submit(order(name)))
    assert sim.bill.orders() == charged
    assert (caught.value.billed == "no") == (charged == 0)


@pytest.mark.parametrize("name", QUEUED)
async def test_an_order_that_never_ends_stays_pending(sim, hf, name):
    sim.fault("never_ends")
    waiting = await hf.submit(order(name))
    sim.advance(3600)
    assert await hf.poll(waiting.ticket) == Pending(waiting.ticket, 1.0)


async def test_a_model_the_partner_does_not_serve_is_rejected_and_not_lost(hf):
    name = "black-forest-labs/FLUX.1-schnell"
    for model, said in (
        (name, "400: Model not supported by provider hf-inference"),
        ("x/y", "404: Model x/y"),
    ):
        with pytest.raises(Rejected, match=said):
            await hf.submit(Call(key="job-1", model=model, request=order("huggingface-any").request))


async def test_a_value_the_partner_refuses_is_told_in_its_words(hf):
    fal = order()
    many = replace(fal, request=fal.request.model_copy(update={"steps": 99}))
    with pytest.raises(Rejected, match="422: Input should be less than or equal to 12 less_than_equal"):
        await hf.submit(many)
    own = order("sdxl")
    far = replace(own, request=own.request.model_copy(update={"seed": 2**40}))
    with pytest.raises(Rejected, match=r"400: `parameters\.seed`: Input should be less than"):
        await hf.submit(far)


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, b'{"error":["one","two"]}', Rejected, "400: one; two"),
        (
            400,
            b'{"error":{"message":"NSFW content detected","code":null}}',
            Refused,
            "400: NSFW content detected",
        ),
        (410, b'{"error":"no longer supported"}', Rejected, "410: no longer supported"),
        (422, b'{"detail":[{"loc":["body"],"msg":"no","type":"missing"}]}', Rejected, "422: no missing"),
        (403, b'{"detail":"User is locked"}', Unauthorized, "403: User is locked"),
        (404, b"Not Found", Lost, "404: Not Found"),
        (503, b'{"error":"Model x is currently loading"}', RateLimited, "503: Model x is currently loading"),
        (503, b"<html>busy</html>", Unavailable, "503: <html>busy</html>"),
        (524, b"", TimedOut, "524: no reason given"),
    ],
)
def test_an_error_is_read_whoever_wrote_it(status, body, error, said):
    found = HuggingFace.classify(status, {}, body)
    assert (type(found), str(found)) == (error, said)
    assert HuggingFace.classify(200, {}, body) is None


def test_a_reason_in_the_headers_is_read_when_the_body_has_none():
    found = HuggingFace.classify(500, {"X-Error-Message": "out of memory"}, b"{}")
    assert (type(found), str(found)) == (TimedOut, "500: out of memory")


async def test_a_probe_tells_a_bad_token_and_orders_nothing(sim, hf):
    assert await hf.probe() == Health(ok=True)
    async with at(sim, HuggingFace, key="hf_wrong") as stranger:
        with pytest.raises(Unauthorized, match="Invalid username or password"):
            await stranger.probe()
    assert [(one.method, one.path) for one in sim.requests()] == [
        ("GET", "/huggingface/hub/api/whoami-v2")
    ] * 2


async def test_the_real_hub_is_asked_at_its_own_address(monkeypatch):
    asked = []

    async def noted(self, method, path, **_more):
        asked.append((method, path))

    monkeypatch.setattr(Wire, "send", noted)
    async with aiohttp.ClientSession() as http:
        await HuggingFace(Wire(http, HuggingFace.base_url, {}, hosts=HuggingFace.hosts)).probe()
    assert asked == [("GET", "https://huggingface.co/api/whoami-v2")]


async def test_a_picture_that_is_fetched_with_the_token_is_refused(sim, hf):
    (link,) = (await hf.submit(order())).links
    async with aiohttp.ClientSession(headers=HuggingFace.auth("hf_emu")) as http, http.get(link) as answer:
        assert answer.status == 403
