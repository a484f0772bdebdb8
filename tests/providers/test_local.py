"""The local provider against a scripted engine; `tests/test_app.py` meets the real one."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from limner.core.errors import Lost, Malformed, Rejected, Unavailable
from limner.providers.base import Call, Done, Health, Pending
from limner.providers.local import Local, _text
from limner.wire import Wire, session
from tests.fakes import request

ORDER = {"state": "queued", "step": 0, "steps": 4, "fraction": 0.0, "images": 0, "preview": 0, "error": None}
TICKET = {"id": "job-1", "count": 2, "previews": False}
CALL = Call(
    "job-1",
    "starter",
    request(width=64, height=96, steps=4, guidance_scale=4.0, count=2, style="Neon", negative_prompt="rain"),
)


class Engine:
    """Answers with `order`, keeps what it was asked."""

    def __init__(self):
        self.order = dict(ORDER)
        self.health = {"status": "ok", "reason": None, "engine_version": "9"}
        self.asked = []
        self.body = None

    async def handle(self, wanted):
        self.asked.append(f"{wanted.method} {wanted.path_qs}")
        if wanted.method == "POST":
            self.body = await wanted.json()
        if wanted.path == "/health":
            return web.json_response(self.health)
        if "/images/" in wanted.path or "/previews/" in wanted.path:
            return web.Response(body=f"png {wanted.path}".encode())
        if self.order is None:
            return web.json_response({"error": {}}, status=404)
        return web.json_response(self.order)


@pytest.fixture
async def engine():
    engine = Engine()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", engine.handle)
    async with TestServer(app) as server, session() as http:
        engine.local = Local(Wire(http, str(server.make_url("/")), {}))
        yield engine


async def test_an_order_is_placed_under_our_id_with_a_seed_for_each_picture(engine):
    assert await engine.local.submit(CALL) == Pending(TICKET, 0.02, 0.0)
    assert engine.body == {
        "id": "job-1",
        "model": "starter",
        "prompt": "a red fox, neon",
        "negative_prompt": "rain",
        "width": 64,
        "height": 96,
        "steps": 4,
        "guidance_scale": 4.0,
        "seeds": [7, 8],
        "previews": False,
    }
    assert engine.asked == ["POST /orders"]


async def test_without_style_seed_and_negative_the_prompt_goes_as_it_is(engine):
    plain = request(seed=None, width=64, height=64, steps=1, guidance_scale=4.0, partial_images=1)
    ticket = {"id": "k", "count": 1, "previews": True}
    assert (await engine.local.submit(Call("k", "starter", plain))).ticket == ticket
    body = engine.body
    assert (body["prompt"], body["negative_prompt"], body["seeds"], body["previews"]) == (
        "a red fox",
        "",
        [0],
        True,
    )


async def test_a_poll_tells_how_far_it_is(engine):
    engine.order |= {"state": "drawing", "step": 1, "fraction": 0.25}
    assert await engine.local.poll(TICKET) == Pending(TICKET, 0.02, 0.25, 1, 4)
    assert len(engine.asked) == 1


async def test_previews_are_fetched_only_when_wanted_and_there(engine):
    engine.order |= {"state": "drawing", "step": 1, "fraction": 0.25, "preview": 1}
    wanting = TICKET | {"previews": True}
    assert (await engine.local.poll(wanting)).preview == b"png /orders/job-1/previews/0"
    engine.order["preview"] = 0
    assert (await engine.local.poll(wanting)).preview is None
    engine.order["preview"] = 1
    assert (await engine.local.poll(TICKET)).preview is None


async def test_a_finished_order_gives_all_its_pictures_and_the_engines_version(engine):
    engine.order |= {"state": "done", "images": 2}
    images = (b"png /orders/job-1/images/0", b"png /orders/job-1/images/1")
    assert await engine.local.poll(TICKET) == Done(images, engine="9")


async def test_a_restarted_engine_has_lost_the_order(engine):
    engine.order = None
    with pytest.raises(Lost):
        await engine.local.poll(TICKET)
    with pytest.raises(Rejected):
        await engine.local.submit(CALL)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"state": "failed", "error": "out of memory"}, Rejected, "could not draw it: out of memory"),
        ({"state": "canceled"}, Lost, "cancelled at the engine"),
        ({"state": "sulking"}, Malformed, "cannot read state"),
    ],
)
async def test_each_end_is_an_error_that_says_what_next(engine, change, error, said):
    engine.order |= change
    with pytest.raises(error, match=said):
        await engine.local.poll(TICKET)


async def test_stopping_is_one_delete(engine):
    await engine.local.cancel(TICKET)
    assert engine.asked == ["DELETE /orders/job-1"]


@pytest.mark.parametrize(
    ("status", "reason", "health"),
    [
        ("ok", None, Health(ok=True)),
        ("loading", "reads its weights", Health(ok=True, reason="reads its weights")),
        ("failing", "out of memory", Health(ok=False, reason="out of memory")),
    ],
)
async def test_a_probe_asks_the_engine_how_it_is(engine, status, reason, health):
    engine.health |= {"status": status, "reason": reason}
    assert await engine.local.probe() == health


async def test_a_probe_of_nobody_is_unavailable():
    async with session() as http:
        with pytest.raises(Unavailable):
            await Local(Wire(http, "http://127.0.0.1:9", {})).probe()


def test_a_style_goes_in_front_of_a_prompt_so_long_that_its_end_may_be_cut_off():
    words = " ".join(["fox"] * 30)
    assert _text(request(style="Neon")) == "a red fox, neon"
    assert _text(request(prompt=words, style="neon")) == f"neon, {words}"
    assert _text(request(prompt=words)) == words
