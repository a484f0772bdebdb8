"""The web UI against its stand-in."""

import asyncio
import base64
import io
import json
from dataclasses import replace

import orjson
import pytest
from PIL import Image

from limner.core.errors import Lost, Malformed, RateLimited, Rejected, TimedOut, Unauthorized, Unavailable
from limner.providers.a1111 import A1111
from limner.providers.base import Done, Health, Recovery
from limner.simulator import a1111 as vendor
from limner.simulator.app import Simulator
from limner.wire import Answer, Wire, session
from tests.providers.wiring import at, call

SDXL = "sd_xl_base_1.0.safetensors [31e35c80fc]"


@pytest.fixture
async def sim():
    async with Simulator(vendors=[vendor.A1111]) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def webui(sim):
    async with at(sim, A1111) as provider:
        yield provider


def order(prompt="a red fox", **fields):
    return call("a1111", prompt, **{"seed": 5, "width": 256, "height": 256} | fields)


def server(sim):
    return sim.vendors["a1111"]


def picture(width=96, height=64):
    file = io.BytesIO()
    Image.new("RGBA", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


def size(data):
    return Image.open(io.BytesIO(data)).size


def asked(sim, path):
    (one,) = sim.requests(path=path)
    return one.body


class Scripted:
    """A wire that gives one answer, for what no server of ours says."""

    def __init__(self, answer):
        self.answer = answer

    async def post(self, path, *, into, json):
        return Answer(200, {}, orjson.dumps(self.answer)).read(into)


async def test_a_picture_is_drawn_by_whatever_is_loaded(sim, webui):
    done = await webui.submit(
        order(negative_prompt="rain", steps=9, guidance_scale=6.5, width=640, height=512)
    )
    assert ([size(one) for one in done.images], done.seeds, done.links) == ([(640, 512)], (5,), ())
    assert [one.path for one in sim.requests()] == ["/a1111/sdapi/v1/txt2img"]
    assert asked(sim, "txt2img") == {
        "prompt": "a red fox",
        "negative_prompt": "rain",
        "width": 640,
        "height": 512,
        "steps": 9,
        "seed": 5,
        "n_iter": 1,
        "cfg_scale": 6.5,
    }
    assert (sim.bill.orders(), sim.bill.images(), sim.bill.usd()) == (1, 1, 0)


async def test_several_pictures_come_without_their_grid_and_with_their_seeds(sim, webui):
    assert server(sim).grids
    done = await webui.submit(order(count=3))
    assert (len(done.images), len(set(done.images)), done.seeds) == (3, 3, (5, 6, 7))
    assert done.images[1] == (await webui.submit(order(seed=6))).images[0]


async def test_a_seed_left_open_is_drawn_there_and_told(webui):
    (seed,) = (await webui.submit(order(seed=None))).seeds
    assert seed >= 0


async def test_a_named_checkpoint_is_looked_up_and_stays_loaded(sim, webui):
    await webui.submit(
        order(model="sdxl", style="oil", options={"sampler_name": "Euler a", "scheduler": "karras"})
    )
    sent = asked(sim, "txt2img")
    assert (sent["override_settings"], sent["override_settings_restore_afterwards"]) == (
        {"sd_model_checkpoint": SDXL},
        False,
    )
    assert (sent["prompt"], sent["sampler_name"], sent["scheduler"]) == (
        "a red fox, oil",
        "Euler a",
        "karras",
    )
    assert server(sim).loaded == "sd_xl_base_1.0"


@pytest.mark.parametrize(
    "name", ["dreamshaper_8", "dreamshaper_8.safetensors", "dreamshaper_8.safetensors [879db523c3]"]
)
async def test_a_checkpoint_may_be_named_by_file_name_or_title(sim, webui, name):
    await webui.submit(replace(order(model="a1111/x"), model=name))
    assert server(sim).loaded == "dreamshaper_8"


async def test_an_unknown_checkpoint_is_never_ordered(sim, webui):
    del server(sim).checkpoints["sd_xl_base_1.0"]
    with pytest.raises(
        Rejected, match=r"no checkpoint 'sd_xl_base_1.0'; it has: dreamshaper_8, flux1-dev-fp8"
    ):
        await webui.submit(order(model="sdxl"))
    assert [one.path for one in sim.requests()] == ["/a1111/sdapi/v1/sd-models"]


async def test_a_picture_by_another_checkpoint_than_the_one_named_is_not_taken(sim, webui):
    server(sim).stuck = True
    with pytest.raises(Rejected, match=r"drew with another checkpoint than sd_xl_base_1\.0"):
        await webui.submit(order(model="sdxl"))


async def test_flux_has_its_guidance_in_a_field_of_its_own(sim, webui):
    server(sim).forge = True
    await webui.submit(order(model="flux-1-dev", guidance_scale=2.5))
    sent = asked(sim, "txt2img")
    assert (sent["cfg_scale"], sent["distilled_cfg_scale"]) == (1.0, 2.5)


async def test_a_picture_is_painted_over_by_strength(sim, webui):
    done = await webui.submit(order(operation="image-to-image", inputs=(picture(),), strength=0.4))
    assert size(done.images[0]) == (256, 256)
    sent = asked(sim, "img2img")
    assert (sent["denoising_strength"], sent["resize_mode"], len(sent["init_images"])) == (0.4, 1, 1)
    assert "mask" not in sent


async def test_a_variation_needs_no_words_and_leaves_the_strength_to_the_server(sim, webui):
    await webui.submit(order("", operation="variation", inputs=(picture(),)))
    assert "denoising_strength" not in asked(sim, "img2img")


async def test_a_mask_is_turned_round_since_the_server_paints_what_is_opaque(sim, webui):
    mask = picture(8, 8)
    await webui.submit(order(operation="inpaint", inputs=(picture(),), mask=mask))
    sent = asked(sim, "img2img")
    assert (sent["mask"], sent["inpainting_mask_invert"], sent["inpainting_fill"]) == (
        base64.b64encode(mask).decode(),
        1,
        1,
    )


@pytest.mark.parametrize(("scale", "drawn"), [(None, (192, 128)), (1.5, (144, 96))])
async def test_a_picture_is_enlarged(sim, webui, scale, drawn):
    done = await webui.submit(order("", operation="upscale", inputs=(picture(),), scale=scale))
    assert (size(done.images[0]), done.seeds) == (drawn, ())
    assert asked(sim, "extra-single-image")["upscaler_1"] == "R-ESRGAN 4x+"


async def test_an_unknown_upscaler_is_named(webui):
    wish = order("", operation="upscale", inputs=(picture(),), options={"upscaler": "Wish"})
    with pytest.raises(Rejected, match="500: AssertionError could not find upscaler named Wish"):
        await webui.submit(wish)


@pytest.mark.parametrize("forge", [False, True])
@pytest.mark.parametrize("operation", ["variation", "upscale"])
async def test_what_is_no_picture_is_refused(sim, webui, forge, operation):
    server(sim).forge = forge
    with pytest.raises(Rejected, match=r"500: .*Invalid encoded image"):
        await webui.submit(order("", operation=operation, inputs=(b"not a picture",)))


@pytest.mark.parametrize("prompt", ['"quoted"\r\n\\n', "🦊" * 5000, "x" * 10_000])
async def test_any_prompt_and_seed_arrive(sim, webui, prompt):
    await webui.submit(order(prompt, seed=2**63 - 1, width=67, height=2048))
    body = sim.requests()[0]
    assert (body.status, body.body["seed"]) == (200, (2**63 - 1) % (2**32))
    assert (body.body["width"], body.body["height"]) == (64, 2048)


@pytest.mark.parametrize("forge", [False, True])
async def test_what_the_server_calls_wrong_is_told(sim, webui, forge):
    server(sim).forge = forge
    with pytest.raises(Rejected, match=r"400: .*Sampler not found"):
        await webui.submit(order(options={"sampler_name": "Wish"}))
    wrong = replace(order(), request=order().request.model_copy(update={"width": 0}))
    with pytest.raises(Rejected, match=r"422: body\.width: Input should be greater than or equal to 1"):
        await webui.submit(wrong)


async def test_without_its_api_the_way_out_is_told(sim, webui):
    server(sim).api = False
    for act in (webui.submit(order()), webui.submit(order(model="sdxl")), webui.probe()):
        with pytest.raises(Rejected, match="start the server with --api"):
            await act


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("job_fails", Unavailable, "out of GPU memory"),
        ("error_before", TimedOut, "500: RuntimeError"),
        ("error_after", TimedOut, "500: RuntimeError"),
        ("cut_before", TimedOut, "broke the connection"),
        ("cut_after", TimedOut, "broke the connection"),
        ("html_502", TimedOut, "502"),
        ("overloaded", Unavailable, "503"),
        ("rate_limited", RateLimited, "429"),
        ("bad_key", Unauthorized, "Incorrect username or password"),
        ("no_money", Unauthorized, "402"),
        ("malformed", Malformed, "cannot read"),
        ("empty", Malformed, "cannot read"),
        ("empty_success", Malformed, "holds no picture"),
        ("fewer_images", Malformed, "holds no picture"),
        ("huge", Malformed, "bytes long"),
    ],
)
async def test_each_bad_end_is_an_error_that_says_what_next(sim, webui, kind, error, said):
    sim.fault(kind)
    with pytest.raises(error, match=said):
        await webui.submit(order())
    assert len(sim.requests(path="txt2img")) == 1


async def test_an_order_that_takes_too_long_is_not_sent_again(sim):
    server(sim).endless = True
    async with at(sim, A1111, timeout_s=0.3) as hasty:
        with pytest.raises(TimedOut):
            await hasty.submit(order())
        assert await hasty.find(order()) is None
        with pytest.raises(Lost):
            await hasty.poll({})
    assert len(sim.requests()) == 1
    assert len(server(sim).jobs()) == 1  # it goes on there


async def test_pictures_are_taken_whatever_the_info_says(sim, webui):
    sim.fault("unknown_word", times=2)
    one, three = await webui.submit(order()), await webui.submit(order(count=3))
    assert (len(one.images), one.seeds, len(three.images), len(set(three.images))) == (1, (), 3, 3)


async def test_one_picture_less_is_what_came(sim, webui):
    sim.fault("fewer_images")
    done = await webui.submit(order(count=3))
    assert (len(done.images), done.seeds) == (2, (5, 6))


async def test_pictures_added_behind_are_left_there():
    info = json.dumps({"all_seeds": [5], "index_of_first_image": 0})
    answer = {"images": ["data:image/png;base64,YQ==", "Yg=="], "info": info}
    assert await A1111(Scripted(answer)).submit(order()) == Done((b"a",), seeds=(5,))


async def test_a_picture_that_is_no_base64_is_malformed():
    with pytest.raises(Malformed, match=r"cannot read images\.0: .*<html>"):
        await A1111(Scripted({"images": ["<html>"]})).submit(order())


async def test_orders_wait_for_each_other_there(webui):
    done = await asyncio.gather(*(webui.submit(order(key=key)) for key in "abc"))
    assert [len(one.images) for one in done] == [1, 1, 1]


async def test_a_probe_shows_a_wrong_password_and_a_server_that_is_not_there(sim, webui):
    assert await webui.probe() == Health(ok=True)
    for key in ("painter:wrong", "token", ""):
        async with at(sim, A1111, key=key) as wrong:
            with pytest.raises(Unauthorized):
                await wrong.probe()
    async with session() as http:
        with pytest.raises(Unavailable):
            await A1111(Wire(http, "http://127.0.0.1:9/", {})).probe()
    assert {one.path for one in sim.requests()} == {"/a1111/sdapi/v1/memory"}


def test_a_password_is_sent_as_basic_authentication_and_a_token_as_a_bearer():
    assert A1111.auth("painter:öl") == {"Authorization": "Basic cGFpbnRlcjrDtmw="}
    assert (A1111.auth("token"), A1111.auth("")) == ({"Authorization": "Bearer token"}, {})
    assert (A1111.recovery, A1111.needs_key, A1111.self_hosted) == (Recovery.BLIND, False, True)
