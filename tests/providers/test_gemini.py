"""Gemini against its stand-in."""

import io
from decimal import Decimal

import pytest
from PIL import Image

from limner.catalog.load import shipped
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
from limner.core.money import to_micros
from limner.providers.base import Health, Usage
from limner.providers.gemini import Gemini
from limner.simulator.app import Simulator
from limner.simulator.gemini import Gemini as Stand
from tests.providers.wiring import at, call

FOX = 'a "red" fox\nin snow \U0001f98a'
READ = {"text_in": 6, "image_in": 0, "image_out": 1120, "text_out": 600}


@pytest.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Stand], speed=200) as running:
        yield running
    assert running.mistakes == []


def size(data):
    return Image.open(io.BytesIO(data)).size


def quoted_above(entry, wanted, done, billed_usd):
    """True when the count settles exactly what was billed, and the quote was above it by no more than it
    takes every character of the prompt for a token."""
    settled = settled_usd(wanted.request, entry, done.usage.tokens, None)
    spared = len(wanted.request.prompt) - done.usage.tokens["text_in"]
    above = entry.price.tokens["text_in"] * spared / 1_000_000
    quote = estimate_usd(wanted.request, entry)
    return to_micros(settled) == to_micros(billed_usd) and quote == settled + above


def model(name):
    return next(one for one in shipped() if one.provider == "gemini" and one.id == name)


async def said(sim, prompt="a fox", timeout_s=10.0):
    """The error an order ends with."""
    async with at(sim, Gemini, timeout_s=timeout_s) as gemini:
        with pytest.raises(ProviderError) as caught:
            await gemini.submit(call("gemini", prompt))
    return caught.value


async def test_a_picture_comes_with_its_tokens_its_marks_and_the_models_version(sim):
    async with at(sim, Gemini) as gemini:
        done = await gemini.submit(call("gemini", FOX, width=1376, height=768, seed=11))
    assert [size(image) for image in done.images] == [(1376, 768)]
    assert (done.usage, done.marks, done.engine) == (
        Usage(tokens=READ),
        ("synthid", "c2pa"),
        "gemini-nano-banana-2.1",
    )


async def test_google_sees_a_shape_a_size_class_a_seed_and_the_words_as_they_were_written(sim):
    async with at(sim, Gemini) as gemini:
        await gemini.submit(
            call("gemini", FOX, width=2752, height=1536, seed=11, style="comic", quality="ultra")
        )
    (asked,) = sim.requests("gemini")
    assert asked.path == "/gemini/v1beta/models/gemini-nano-banana-2.1:generateContent"
    assert asked.body == {
        "contents": [{"role": "user", "parts": [{"text": f"{FOX}, comic style"}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
            "seed": 11,
            "thinkingConfig": {"thinkingLevel": "HIGH"},
        },
    }


async def test_a_model_with_one_size_is_told_none(sim):
    async with at(sim, Gemini) as gemini:
        wanted = call("gemini", FOX, model="gemini-3.1-flash-lite-image", width=3000, height=3000)
        done = await gemini.submit(wanted)
    config = sim.requests("gemini")[0].body["generationConfig"]
    assert config == {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}}
    assert size(done.images[0]) == (1024, 1024)


@pytest.mark.parametrize(
    "name", ["gemini-nano-banana-2.1", "gemini-3-pro-image", "gemini-3.1-flash-lite-image"]
)
async def test_every_listed_size_is_drawn_as_listed_and_costs_no_more_than_quoted(sim, name):
    entry = model(name)
    async with at(sim, Gemini) as gemini:
        for width, height in entry.sizes.listed:
            wanted = call("gemini", FOX, model=name, width=width, height=height)
            before = sim.bill.usd()
            done = await gemini.submit(wanted)
            assert size(done.images[0]) == (width, height)
            assert quoted_above(entry, wanted, done, sim.bill.usd() - before)


async def test_little_thinking_costs_less_and_the_quote_says_so(sim):
    entry = model("gemini-nano-banana-2.1")
    async with at(sim, Gemini) as gemini:
        for thinking, usd in (("minimal", "0.034734"), ("medium", "0.038109"), ("high", "0.044859")):
            wanted = call("gemini", FOX, options={"thinking": thinking})
            before = sim.bill.usd()
            done = await gemini.submit(wanted)
            billed = sim.bill.usd() - before
            assert billed == Decimal(usd)
            assert quoted_above(entry, wanted, done, billed)


async def test_a_very_long_prompt_costs_more_and_the_quote_says_so(sim):
    entry = model("gemini-3-pro-image")
    wanted = call("gemini", "fox " * 2500, model=entry.id)
    async with at(sim, Gemini) as gemini:
        done = await gemini.submit(wanted)
    assert done.usage.tokens["text_in"] == 2500
    assert quoted_above(entry, wanted, done, sim.bill.usd())


async def test_an_edit_sends_the_pictures_before_the_words(sim):
    async with at(sim, Gemini) as gemini:
        first = (await gemini.submit(call("gemini", "a fox"))).images[0]
        jpeg = io.BytesIO()
        Image.new("RGB", (64, 64), "red").save(jpeg, "JPEG")
        both = (first, jpeg.getvalue())
        before = sim.bill.usd()
        wanted = call("gemini", "put the square in", operation="edit", inputs=both)
        done = await gemini.submit(wanted)
    parts = sim.requests("gemini")[1].body["contents"][0]["parts"]
    assert [part["inlineData"]["mimeType"] for part in parts[:2]] == ["image/png", "image/jpeg"]
    assert parts[2] == {"text": "put the square in"}
    assert done.images[0] != first
    assert done.usage.tokens["image_in"] == 1120
    assert quoted_above(model("gemini-nano-banana-2.1"), wanted, done, sim.bill.usd() - before)


@pytest.mark.parametrize(
    ("word", "error", "text"),
    [
        ("block_SAFETY", Refused, "declined the prompt: SAFETY"),
        ("block_JAILBREAK", Refused, "declined the prompt: JAILBREAK"),
        ("SAFETY", Refused, "declined the picture: SAFETY Unable to show the generated image."),
        ("IMAGE_SAFETY", Refused, "declined the picture: IMAGE_SAFETY Unable to show the generated image."),
        ("IMAGE_RECITATION", Refused, "declined the picture: IMAGE_RECITATION Unable to show the generated"),
        ("apology", Refused, "declined: I\u2019m sorry"),
        ("NO_IMAGE", Rejected, "drew nothing this time: NO_IMAGE"),
        ("LANGUAGE", Rejected, "drew nothing this time: LANGUAGE"),
        ("text_only", Rejected, "answered in words instead of a picture: Foxes are red"),
        ("PUP_LIMITED_DISABLED", Malformed, "a reason we do not know: PUP_LIMITED_DISABLED"),
        ("per_day", Rejected, "quota for this model is used up"),
        ("not_on_tier", Rejected, "quota for this model is used up"),
        ("credits_429", Unauthorized, "prepayment credits are depleted"),
    ],
)
async def test_what_google_says_instead_of_a_picture_costs_nothing(sim, word, error, text):
    fault = await said(sim, f"a fox [[gemini:{word}]]")
    assert type(fault) is error
    assert text in str(fault)
    assert fault.billed == ("maybe" if error is Malformed else "no")
    assert sim.bill.lines == []


@pytest.mark.parametrize("word", ["no_content", "no_parts", "bad_base64"])
async def test_a_finished_answer_without_a_picture_may_have_been_charged(sim, word):
    fault = await said(sim, f"a fox [[gemini:{word}]]")
    assert (type(fault), fault.billed) == (Malformed, "maybe")
    assert sim.bill.orders() == 1


async def test_a_minutes_quota_is_waited_for_as_long_as_google_says(sim):
    fault = await said(sim, "a fox [[gemini:per_minute]]")
    assert (type(fault), fault.after_s) == (RateLimited, 0.8)


async def test_a_draft_among_the_models_thoughts_is_not_taken_for_the_picture(sim):
    async with at(sim, Gemini) as gemini:
        done = await gemini.submit(call("gemini", "a fox [[gemini:draft]]"))
    assert [size(image) for image in done.images] == [(1024, 1024)]


async def test_a_second_picture_and_another_format_are_taken_as_they_come(sim):
    async with at(sim, Gemini) as gemini:
        done = await gemini.submit(call("gemini", "a fox [[gemini:two_images]]"))
        other = await gemini.submit(call("gemini", "a fox [[gemini:jpeg]]"))
    assert [size(image) for image in done.images] == [(1024, 1024)] * 2
    assert done.images[0] != done.images[1]
    assert done.usage.tokens["image_out"] == 2240
    assert other.images[0].startswith(b"\xff\xd8\xff")


async def test_a_missing_count_does_not_lose_the_picture(sim):
    async with at(sim, Gemini) as gemini:
        done = await gemini.submit(call("gemini", "a fox [[gemini:no_usage]]"))
    assert (len(done.images), done.usage) == (1, None)


@pytest.mark.parametrize(
    ("kind", "error", "billed", "lines"),
    [
        ("refused", Refused, "no", 0),
        ("unknown_word", Malformed, "maybe", 1),
        ("empty_success", Malformed, "maybe", 1),
        ("fewer_images", Rejected, "no", 0),
        ("job_fails", Rejected, "no", 0),
        ("huge", Malformed, "maybe", 1),
        ("never_ends", TimedOut, "maybe", 1),
        ("malformed", Malformed, "maybe", 1),
        ("empty", Malformed, "maybe", 1),
        ("cut_before", TimedOut, "maybe", 0),
        ("cut_after", TimedOut, "maybe", 1),
        ("error_before", TimedOut, "maybe", 0),
        ("html_502", TimedOut, "maybe", 0),
        ("overloaded", Unavailable, "no", 0),
        ("rate_limited", RateLimited, "no", 0),
        ("no_money", Unauthorized, "no", 0),
        ("bad_key", Unauthorized, "no", 0),
    ],
)
async def test_every_fault_is_an_error_that_says_what_next(sim, kind, error, billed, lines):
    sim.fault(kind, "gemini")
    fault = await said(sim, timeout_s=0.5 if kind == "never_ends" else 10.0)
    assert (type(fault), fault.billed, len(sim.bill.lines)) == (error, billed, lines)
    assert len(sim.requests("gemini")) == 1


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("AIza-wrong", Unauthorized, "API key not valid"),
        ("", Unauthorized, "unregistered callers"),
        ("AIza-emu-nocredit", Unauthorized, "prepayment credits are depleted"),
        ("AIza-emu-limited", RateLimited, "exceeded your current quota"),
        ("AIza-emu-forbidden", Unauthorized, "Permission denied"),
    ],
)
async def test_a_key_that_is_not_good_is_told_apart_from_a_bad_request(sim, key, error, text):
    async with at(sim, Gemini, key=key) as gemini:
        with pytest.raises(error, match=text) as caught:
            await gemini.submit(call("gemini", "a fox"))
    assert "AIza" not in str(caught.value)


async def test_a_probe_is_free_and_shows_a_bad_key(sim):
    async with at(sim, Gemini) as gemini:
        assert await gemini.probe() == Health(ok=True)
    async with at(sim, Gemini, key="AIza-wrong") as gemini:
        with pytest.raises(Unauthorized):
            await gemini.probe()
    assert sim.bill.lines == []


async def test_a_name_google_no_longer_serves_is_rejected_with_its_words(sim):
    wanted = call("gemini", "a fox", model="gemini-2.5-flash-image")
    async with at(sim, Gemini) as gemini:
        with pytest.raises(
            Rejected, match=r"models/gemini-2.5-flash-image is not found for API version v1beta"
        ):
            await gemini.submit(wanted)


async def test_an_input_that_is_no_picture_is_rejected(sim):
    wanted = call("gemini", "mend it", operation="edit", inputs=(b"\x89PNG\r\n\x1a\nno",))
    async with at(sim, Gemini) as gemini:
        with pytest.raises(Rejected, match="Unable to process input image"):
            await gemini.submit(wanted)
    assert sim.bill.lines == []


def test_an_account_without_billing_is_no_fault_of_the_request():
    body = b'{"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": "not in your country"}}'
    assert type(Gemini.classify(400, {}, body)) is Unauthorized


def test_an_error_page_or_a_stray_shape_is_judged_by_its_status():
    assert Gemini.classify(200, {}, b"<html>") is None
    assert type(Gemini.classify(503, {}, b"<html>busy</html>")) is Unavailable
    assert type(Gemini.classify(504, {}, b'{"error": "late"}')) is TimedOut
    bare = b'{"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota)."}}'
    assert Gemini.classify(429, {}, bare).after_s == 1.0
