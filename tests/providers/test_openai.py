import hashlib
import json
from io import BytesIO

import pytest
import pytest_asyncio
from PIL import Image

from limner.catalog.load import parse, shipped_tables
from limner.catalog.price import estimate_usd, settled_usd
from limner.core.errors import (
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.providers.base import Done, Health, Pending, Usage
from limner.providers.openai import OpenAI
from limner.simulator.app import Simulator
from limner.simulator.openai import OpenAI as Vendor
from tests.providers.wiring import at, call


@pytest_asyncio.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Vendor]) as running:
        yield running
    assert running.mistakes == []


@pytest_asyncio.fixture
async def openai(sim):
    async with at(sim, OpenAI) as provider:
        yield provider


def png(width=64, height=64, colour="teal"):
    out = BytesIO()
    Image.new("RGBA", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def size_of(data):
    with Image.open(BytesIO(data)) as picture:
        picture.load()
        return picture.format, picture.size


def catalog(name):
    return next(model for model in parse(shipped_tables()["openai"]).models if model.id == name)


def bodies(sim):
    return [asked.body for asked in sim.requests("openai", "/images/")]


async def failed(provider, order) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await provider.submit(order)
    return caught.value


def verdict(error: ProviderError):
    return type(error), error.billed, str(error)


# -- orders ----------------------------------------------------------------------------------------------


async def test_words_become_a_picture_of_the_size_asked_for(sim, openai):
    order = call("openai", "a red fox", model="gpt-image-2", width=1536, height=1024)
    done = await openai.submit(order)
    assert [size_of(image) for image in done.images] == [("PNG", (1536, 1024))]
    assert done == Done(
        done.images,
        usage=Usage(tokens={"text_in": 5, "image_in": 0, "image_out": 1360}),
        marks=("c2pa", "synthid"),
    )
    assert bodies(sim) == [
        {
            "model": "gpt-image-2",
            "prompt": "a red fox",
            "n": 1,
            "size": "1536x1024",
            "output_format": "png",
            "quality": "medium",
        }
    ]


async def test_what_the_tokens_cost_is_what_the_vendor_bills(sim, openai):
    for model in ("gpt-image-2.5-flare", "gpt-image-2", "gpt-image-2.6-sunburst"):
        order = call("openai", model=model)
        before = sim.bill.usd()
        done = await openai.submit(order)
        quoted = estimate_usd(order.request, catalog(model))
        settled = settled_usd(order.request, catalog(model), done.usage.tokens, None)
        assert settled == sim.bill.usd() - before
        assert 0 <= quoted - settled < quoted / 20


async def test_several_pictures_come_in_one_answer_and_differ(sim, openai):
    done = await openai.submit(call("openai", count=3))
    assert len(set(done.images)) == 3
    assert (sim.bill.orders(), sim.bill.images()) == (1, 3)


async def test_user_is_sent_hashed_and_style_in_words_and_format_as_asked(sim, openai):
    order = call(
        "openai",
        "a fox",
        user="ada@example.org",
        style="woodcut",
        format="jpeg",
        compression=60,
        model="gpt-image-2",
    )
    done = await openai.submit(order)
    assert size_of(done.images[0]) == ("JPEG", (1024, 1024))
    assert bodies(sim) == [
        {
            "model": "gpt-image-2",
            "prompt": "a fox\n\nStyle: woodcut",
            "n": 1,
            "size": "1024x1024",
            "output_format": "jpeg",
            "output_compression": 60,
            "safety_identifier": hashlib.sha256(b"ada@example.org").hexdigest(),
            "quality": "medium",
        }
    ]


async def test_options_are_sent_as_they_are(sim, openai):
    options = {"quality": "high", "background": "transparent", "moderation": "low"}
    await openai.submit(call("openai", model="gpt-image-2", options=options))
    assert bodies(sim)[0] == bodies(sim)[0] | options
    assert str(sim.bill.usd()) == "0.210745"


async def test_one_input_is_sent_as_image_and_several_as_a_list(sim, openai, monkeypatch):
    sent = []
    real = openai.wire.post
    monkeypatch.setattr(
        openai.wire, "post", lambda path, **said: sent.append((path, said["form"])) or real(path, **said)
    )
    for inputs in ((png(),), (png(), png(80, 80))):
        done = await openai.submit(call("openai", "make it blue", operation="edit", inputs=inputs))
        assert [size_of(image) for image in done.images] == [("PNG", (1024, 1024))]
    assert [(path, [(p.name, p.filename, p.mime) for p in form if p.filename]) for path, form in sent] == [
        ("images/edits", [("image", "picture.png", "image/png")]),
        ("images/edits", [("image[]", "picture.png", "image/png"), ("image[]", "picture.png", "image/png")]),
    ]
    assert [(p.name, p.value) for p in sent[0][1] if not p.filename] == [
        ("model", "gpt-image-2.5-flare"),
        ("prompt", "make it blue"),
        ("n", "1"),
        ("size", "1024x1024"),
        ("output_format", "png"),
        ("quality", "low"),
    ]


async def test_an_inpainting_takes_its_mask_along_and_pays_for_what_is_looked_at(sim, openai):
    order = call(
        "openai", "a hat", operation="inpaint", inputs=(png(512, 512),), mask=png(512, 512, "#00000000")
    )
    done = await openai.submit(order)
    assert done.usage.tokens == {"text_in": 4, "image_in": 256, "image_out": 196}
    wrong = call("openai", "a hat", operation="inpaint", inputs=(png(),), mask=png(32, 32))
    assert verdict(await failed(openai, wrong)) == (
        Rejected,
        "no",
        "400: The mask must have the same size as the image.",
    )


async def test_previews_are_reported_on_the_way_and_billed(sim, openai):
    seen: list[Pending] = []
    done = await openai.submit(call("openai", partial_images=3, report=seen.append))
    assert [(one.ticket, one.fraction, size_of(one.preview)) for one in seen] == [
        ({}, 0.25, ("PNG", (1024, 1024))),
        ({}, 0.5, ("PNG", (1024, 1024))),
        ({}, 0.75, ("PNG", (1024, 1024))),
    ]
    assert [size_of(image) for image in done.images] == [("PNG", (1024, 1024))]
    assert done.usage.tokens["image_out"] == 196 + 300
    assert bodies(sim)[0] == bodies(sim)[0] | {"stream": True, "partial_images": 3}


async def test_an_edit_streams_too(openai):
    seen: list[Pending] = []
    order = call("openai", operation="edit", inputs=(png(),), partial_images=1, report=seen.append)
    done = await openai.submit(order)
    assert ([one.fraction for one in seen], len(done.images)) == ([0.5], 1)


async def test_several_pictures_are_not_streamed(sim, openai):
    await openai.submit(call("openai", count=2, partial_images=3))
    assert "stream" not in bodies(sim)[0]


@pytest.mark.parametrize(
    "prompt", ['"quoted"\n\n\ttabs', "狐 🦊 <b>&amp;", "x" * 10_000, "[[openai:nothing]] %s {0}"]
)
async def test_any_prompt_arrives_as_it_was_written(sim, openai, prompt):
    await openai.submit(call("openai", prompt))
    done = await openai.submit(call("openai", prompt, operation="edit", inputs=(png(),)))
    assert done.usage.tokens["text_in"] == 3 + len(prompt.encode()) // 4


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ((64, 64), (816, 816)),
        ((256, 1024), (480, 1408)),
        ((4096, 4096), (2880, 2880)),
        ((1792, 1024), (1792, 1024)),
        ((4096, 512), (1504, 512)),
    ],
)
async def test_odd_sizes_are_moved_to_what_the_vendor_draws_and_no_dearer_than_quoted(
    sim, openai, asked, drawn
):
    order = call("openai", width=asked[0], height=asked[1])
    done = await openai.submit(order)
    assert size_of(done.images[0]) == ("PNG", drawn)
    assert 0 < sim.bill.usd() <= estimate_usd(order.request, catalog("gpt-image-2.5-flare"))


# -- errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "kind", "billed", "said"),
    [
        ("[[emu:refused]]", Refused, "no", "400: Your request was rejected by the safety system."),
        ("a nude", Refused, "no", "400: Your request was rejected by the safety system."),
        (
            "[[openai:moderation_output]]",
            Refused,
            "maybe",
            "400: Your request was rejected by the safety system.",
        ),
        ("[[emu:no_money]]", Unauthorized, "no", "429: You have no credit left."),
        ("[[openai:billing_hard_limit]]", Unauthorized, "no", "400: Billing hard limit has been reached"),
        ("[[openai:insufficient_quota]]", Unauthorized, "no", "429: You exceeded your current quota,"),
        ("[[emu:bad_key]]", Unauthorized, "no", "401: Incorrect API key provided: ***"),
        (
            "[[openai:org_unverified]]",
            Rejected,
            "no",
            "403: Your organization must be verified to use the model",
        ),
        ("[[openai:model_gone]]", Rejected, "no", "400: The model 'gpt-image-2.5-flare' does not exist."),
        ("[[emu:rate_limited]]", RateLimited, "no", "429: Rate limit reached"),
        ("[[emu:overloaded]]", Unavailable, "no", "503: Our servers are currently overloaded."),
        ("[[emu:error_before]]", TimedOut, "maybe", "500: The server had an error"),
        ("[[emu:error_after]]", TimedOut, "maybe", "500: The server had an error"),
        ("[[emu:job_fails]]", TimedOut, "maybe", "500: Image generation failed"),
        ("[[emu:html_502]]", TimedOut, "maybe", "502: <html>"),
        ("[[emu:cut_before]]", TimedOut, "maybe", "http://"),
        ("[[emu:cut_after]]", TimedOut, "maybe", "http://"),
        ("[[emu:malformed]]", Malformed, "maybe", "cannot read"),
        ("[[emu:empty]]", Malformed, "maybe", "cannot read"),
        ("[[emu:empty_success]]", Malformed, "maybe", "the answer holds no picture"),
        ("[[emu:fewer_images]]", Malformed, "maybe", "the answer holds no picture"),
        ("[[emu:huge]]", Malformed, "maybe", "the answer is 536,870,912 bytes long"),
    ],
)
async def test_each_trouble_says_what_next(openai, prompt, kind, billed, said):
    error = await failed(openai, call("openai", prompt))
    assert (type(error), error.billed, str(error)[: len(said)]) == (kind, billed, said)


@pytest.mark.parametrize("word", ["refused", "no_money", "bad_key", "rate_limited", "overloaded"])
async def test_what_is_said_to_be_free_was_ordered_once_and_not_billed(sim, openai, word):
    error = await failed(openai, call("openai", f"[[emu:{word}]]"))
    assert (error.billed, len(sim.requests("openai", "/images/")), sim.bill.orders()) == ("no", 1, 0)


@pytest.mark.parametrize("word", ["cut_after", "error_after", "malformed", "empty", "empty_success", "huge"])
async def test_what_may_have_been_charged_was_ordered_once_and_no_dearer_than_quoted(sim, openai, word):
    order = call("openai", f"[[emu:{word}]]", model="gpt-image-2")
    error = await failed(openai, order)
    assert (error.billed, len(sim.requests("openai", "/images/"))) == ("maybe", 1)
    assert 0 < sim.bill.usd() <= estimate_usd(order.request, catalog("gpt-image-2"))


@pytest.mark.parametrize(
    "prompt", ["[[emu:slow=0.01]]", "[[emu:slow_body=0.02]]", "[[emu:wrong_type]]", "[[emu:unknown_word]]"]
)
async def test_a_strange_answer_with_the_picture_in_it_is_read(sim, openai, prompt):
    done = await openai.submit(call("openai", prompt))
    assert size_of(done.images[0]) == ("PNG", (1024, 1024))


async def test_a_missing_count_of_tokens_costs_nobody_the_picture(openai):
    done = await openai.submit(call("openai", "[[openai:no_usage]]"))
    assert (len(done.images), done.usage) == (1, None)


async def test_the_time_to_wait_is_read_from_header_or_text(sim, openai):
    sim.fault("rate_limited", after_s=7.0)
    by_header = await failed(openai, call("openai"))
    by_text = await failed(openai, call("openai", "[[openai:image_rate_limit]]"))
    assert (by_header.after_s, by_text.after_s) == (7.0, 51.84)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("sk-emu-nocredit", Unauthorized),
        ("sk-emu-forbidden", Unauthorized),
        ("sk-emu-unverified", Rejected),
        ("sk-emu-limited", RateLimited),
        ("sk-proj-wrong-0123456789", Unauthorized),
        ("", Unauthorized),
    ],
)
async def test_each_key_is_judged(sim, key, kind):
    async with at(sim, OpenAI, key=key) as provider:
        error = await failed(provider, call("openai"))
    assert type(error) is kind
    assert not key or key not in str(error)
    assert sim.bill.usd() == 0


@pytest.mark.parametrize(
    ("prompt", "kind", "billed"),
    [
        ("[[emu:job_fails]]", TimedOut, "maybe"),
        ("[[openai:moderation_output]]", Refused, "maybe"),
        ("[[emu:refused]]", Refused, "no"),
        ("[[openai:stream_cut]]", Malformed, "maybe"),
        ("[[emu:unknown_word]]", Malformed, "maybe"),
        ("[[emu:empty]]", Malformed, "maybe"),
        ("[[emu:cut_after]]", TimedOut, "maybe"),
        ("[[emu:overloaded]]", Unavailable, "no"),
    ],
)
async def test_trouble_within_a_stream_says_what_next(openai, prompt, kind, billed):
    error = await failed(openai, call("openai", prompt, partial_images=1))
    assert (type(error), error.billed) == (kind, billed)


async def test_fewer_previews_than_asked_for_are_as_good(openai):
    seen: list[Pending] = []
    order = call("openai", "[[openai:fewer_previews]]", partial_images=3, report=seen.append)
    done = await openai.submit(order)
    assert ([one.fraction for one in seen], len(done.images)) == ([0.25], 1)


@pytest.mark.parametrize("fields", [{}, {"partial_images": 2}])
async def test_an_order_that_never_ends_is_given_up(sim, fields):
    async with at(sim, OpenAI, timeout_s=0.6) as provider:
        error = await failed(provider, call("openai", "[[emu:never_ends]]", **fields))
    assert (type(error), sim.bill.usd()) == (TimedOut, 0)


async def test_text_where_a_picture_should_be_is_handed_on_as_it_came(openai):
    done = await openai.submit(call("openai", "[[emu:not_an_image]]"))
    assert done.images == (b"this is no picture",)


async def test_a_server_that_is_not_there_has_taken_nothing():
    async with Simulator(seed=7, vendors=[Vendor]) as sim:
        base = sim
    async with at(base, OpenAI) as provider:
        assert type(await failed(provider, call("openai"))) is Unavailable


async def test_an_error_without_the_vendors_shape_goes_by_its_status():
    said = [
        (status, type(OpenAI.classify(status, {}, body)))
        for status, body in (
            (400, b"{}"),
            (503, b""),
            (524, b"<html>"),
            (429, b'{"error": "busy"}'),
            (200, b""),
        )
    ]
    assert said == [
        (400, Rejected),
        (503, Unavailable),
        (524, TimedOut),
        (429, RateLimited),
        (200, type(None)),
    ]


def test_a_key_that_a_server_repeats_is_not_told():
    body = json.dumps({"error": {"message": "bad key sk-proj-abc_DEF-123, sorry", "code": 401}}).encode()
    assert str(OpenAI.classify(401, {}, body)) == "401: bad key (key), sorry"


# -- the account -----------------------------------------------------------------------------------------


async def test_a_probe_asks_for_the_list_of_models_alone(sim, openai):
    assert await openai.probe() == Health(ok=True)
    assert [asked.path for asked in sim.requests("openai")] == ["/openai/v1/models"]


async def test_a_probe_with_a_bad_key_shows(sim):
    async with at(sim, OpenAI, key="wrong") as provider:
        with pytest.raises(Unauthorized, match="401"):
            await provider.probe()


def test_a_key_that_may_not_list_the_models_does_not_rest_the_account():
    body = b'{"error": {"message": "Missing scopes: api.model.read.", "code": null}}'
    assert verdict(OpenAI.classify(403, {}, body)) == (Rejected, "no", "403: Missing scopes: api.model.read.")


# -- the catalog -----------------------------------------------------------------------------------------


async def test_the_vendor_knows_every_current_model(sim, openai):
    for model in parse(shipped_tables()["openai"]).models:
        if model.retired is None:
            await openai.submit(
                call("openai", model=model.id, options={"quality": "low"}, width=64, height=64)
            )
    assert sim.bill.orders() == 8


def test_every_retired_name_has_a_successor_that_is_drawn_today():
    retired = {m.id: m.successor for m in parse(shipped_tables()["openai"]).models if m.retired}
    assert retired == {
        "gpt-image-1.5": "gpt-image-2",
        "gpt-image-1.5-2025-12-16": "gpt-image-2",
        "chatgpt-image-latest": "gpt-image-2",
        "gpt-image-1-mini": "gpt-image-2.5-flare",
        "gpt-image-1": "gpt-image-2.5-flare",
        "dall-e-3": "gpt-image-2",
        "dall-e-3-hd": "gpt-image-2.6-sunburst",
        "dall-e-2": "gpt-image-2.5-flare",
    }


async def test_pictures_that_came_are_kept_when_one_is_missing(sim, openai):
    done = await openai.submit(call("openai", "[[emu:fewer_images]]", count=3))
    assert (len(done.images), sim.bill.images()) == (2, 3)
