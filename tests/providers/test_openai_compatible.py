from io import BytesIO

import pytest
import pytest_asyncio
from PIL import Image

from limner.core.errors import Malformed, ProviderError, RateLimited, Refused, Rejected, TimedOut, Unavailable
from limner.providers.base import Done, Health
from limner.providers.openai_compatible import OpenAICompatible
from limner.simulator.app import Simulator
from limner.simulator.openai_compatible import OpenAICompatible as Server
from tests.providers.wiring import at, call

NAME = "openai-compatible"


@pytest_asyncio.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Server]) as running:
        yield running
    assert running.mistakes == []


@pytest_asyncio.fixture
async def server(sim):
    async with at(sim, OpenAICompatible) as provider:
        yield provider


def png():
    out = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(out, "PNG")
    return out.getvalue()


def size_of(data):
    with Image.open(BytesIO(data)) as picture:
        picture.load()
        return picture.format, picture.size


async def failed(provider, order) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await provider.submit(order)
    return caught.value


async def test_only_the_fields_that_every_server_knows_are_sent(sim, server):
    wish = call(
        NAME,
        "a fox",
        user="ada",
        style="woodcut",
        format="webp",
        compression=3,
        partial_images=2,
        width=512,
        height=768,
    )
    done = await server.submit(wish)
    assert [asked.body for asked in sim.requests(NAME)] == [
        {"prompt": "a fox, woodcut", "n": 1, "size": "512x768"}
    ]
    assert done == Done(links=done.links)
    assert [link.startswith(f"{sim.url}/{NAME}/files/") for link in done.links] == [True]
    assert size_of(await server.wire.fetch(done.links[0])) == ("PNG", (512, 768))


async def test_the_name_after_the_slash_is_the_servers_own(sim, server):
    order = call(NAME, model=f"{NAME}/qwen-image")
    assert order.model in ("", "qwen-image")
    named = type(order)(key="job", model="qwen-image", request=order.request)
    await server.submit(named)
    assert sim.requests(NAME)[0].body["model"] == "qwen-image"


async def test_bytes_are_read_as_well_as_addresses(server):
    done = await server.submit(call(NAME, count=2, options={"response_format": "b64_json"}))
    assert [size_of(image) for image in done.images] == [("PNG", (1024, 1024))] * 2
    assert (done.links, len(set(done.images))) == ((), 2)


async def test_an_option_that_was_chosen_is_sent(sim, server):
    await server.submit(call(NAME, options={"seed": 2**40, "num_inference_steps": 4}))
    assert sim.requests(NAME)[0].body == {
        "prompt": "a red fox",
        "n": 1,
        "size": "1024x1024",
        "seed": 2**40,
        "num_inference_steps": 4,
    }


@pytest.mark.parametrize("fields", [{"operation": "edit"}, {"operation": "inpaint", "mask": png()}])
async def test_an_edit_is_a_form_with_its_pictures(sim, server, fields):
    done = await server.submit(call(NAME, "make it 'blue'\n🦊", inputs=(png(),), **fields))
    assert sim.requests(NAME)[0].path == "/openai-compatible/v1/images/edits"
    assert len(done.links) == 1


async def test_a_key_is_sent_when_there_is_one(sim):
    async with at(sim, OpenAICompatible) as without, at(sim, OpenAICompatible, key="house-key") as with_key:
        await without.submit(call(NAME))
        await with_key.submit(call(NAME))
    assert [asked.carried_key for asked in sim.requests(NAME)] == [False, True]


@pytest.mark.parametrize(
    ("word", "kind", "billed", "said"),
    [
        ("refused", Refused, "no", "400: the prompt is not allowed here"),
        ("rate_limited", RateLimited, "no", "429: too many requests"),
        ("overloaded", Unavailable, "no", "503: the server is busy"),
        ("job_fails", TimedOut, "maybe", "500: CUDA out of memory"),
        ("html_502", TimedOut, "maybe", "502: <html>"),
        ("cut_after", TimedOut, "maybe", "http://"),
        ("malformed", Malformed, "maybe", "cannot read"),
        ("empty_success", Malformed, "maybe", "the answer holds no picture"),
        ("huge", Malformed, "maybe", "the answer is 536,870,912 bytes long"),
    ],
)
async def test_each_trouble_says_what_next(server, word, kind, billed, said):
    error = await failed(server, call(NAME, f"[[emu:{word}]]"))
    assert (type(error), error.billed, str(error)[: len(said)]) == (kind, billed, said)


async def test_a_model_that_is_not_installed_is_the_requests_fault(server):
    order = call(NAME)
    missing = type(order)(key="job", model="no-such-model", request=order.request)
    error = await failed(server, missing)
    assert (type(error), str(error)) == (Rejected, "404: model 'no-such-model' not found")


async def test_an_address_on_another_host_is_handed_on_and_not_asked(sim, server):
    done = await server.submit(call(NAME, "[[emu:foreign_url]]"))
    assert (len(done.links), done.links[0].startswith(sim.url), sim.foreign_asks) == (1, False, 0)
    with pytest.raises(Malformed, match="the key stays here"):
        await server.wire.fetch(done.links[0])


async def test_a_probe_lists_the_models(sim, server):
    assert await server.probe() == Health(ok=True)
    assert [(asked.method, asked.path) for asked in sim.requests(NAME)] == [
        ("GET", "/openai-compatible/v1/models")
    ]


async def test_everything_is_free(sim, server):
    await server.submit(call(NAME, count=4))
    assert (sim.bill.orders(NAME), sim.bill.images(NAME), sim.bill.usd(NAME)) == (1, 4, 0)
