"""The doors over the real Limner: journal, folder and worker, with a vendor scripted in this process."""

import base64
import json
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from fastapi import FastAPI

from limner.api.app import create_app
from limner.app import Limner
from limner.catalog.model import Model, Sizes, Steps
from limner.config import Settings
from limner.core.errors import Lost, Refused
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket
from tests.api.fakes import png

MODEL = Model(
    id="sketch",
    name="Sketch",
    description="Draws one shade of grey",
    provider="easel",
    ref="sketch-1",
    tier="fast",
    stands_in_for=("gpt-image-1",),
    sizes=Sizes(default=(64, 64), max_side=512),
    steps=Steps(default=4, max=50, fast=2, standard=4, quality=8, ultra=16),
    max_count=4,
    styles=("flat",),
)


class Easel(Provider):
    """Three looks at the easel, then the picture. The prompt says more: `refused`, or `endless`."""

    name = "easel"
    base_url = "http://127.0.0.1:9/"
    recovery = Recovery.TICKETED
    needs_key = False
    orders: list[Call]
    stopped: bool

    async def submit(self, call: Call) -> Outcome:
        Easel.orders.append(call)
        if "refused" in call.request.prompt:
            raise Refused("easel: draws no such thing")
        return Pending({"looks": 0}, after_s=0.01, fraction=0.0)

    async def poll(self, ticket: Ticket) -> Outcome:
        request = Easel.orders[-1].request
        looks = int(str(ticket["looks"])) + 1
        if Easel.stopped:
            raise Lost("easel: the order was stopped")
        if looks == 4 and "endless" not in request.prompt:
            seeds = tuple((request.seed or 0) + i for i in range(request.count))
            width, height = request.size or (64, 64)
            return Done(tuple(png(width, height, seed % 256) for seed in seeds), seeds)
        return Pending(
            {"looks": looks}, after_s=0.01, fraction=min(looks, 3) / 4, step=looks, preview=png(8, 8, looks)
        )

    async def cancel(self, ticket: Ticket) -> None:
        Easel.stopped = True


@pytest.fixture
async def app(tmp_path) -> AsyncIterator[FastAPI]:
    Easel.orders, Easel.stopped = [], False
    limner = Limner(Settings(home=tmp_path), providers={"easel": Easel}, models=[MODEL])
    app = create_app(limner)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def http(app) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://limner.test") as client:
        yield client


def events(text: str) -> list[tuple[str, dict]]:
    told = [dict(line.split(": ", 1) for line in block.split("\n")) for block in text.split("\n\n") if block]
    return [(one["event"], json.loads(one["data"])) for one in told]


async def test_a_picture_is_drawn_and_served_from_every_address(http):
    answer = await http.post(
        "/v1/images/generations",
        json={"model": "gpt-image-1", "prompt": "a red fox", "size": "128x64", "seed": 7, "n": 2},
    )
    assert answer.status_code == 200
    assert (answer.json()["size"], answer.headers["x-limner-provider"], answer.headers["x-limner-seed"]) == (
        "128x64",
        "easel",
        "7",
    )
    drawn = [base64.b64decode(item["b64_json"]) for item in answer.json()["data"]]
    job = (await http.get(f"/v1/jobs/{answer.headers['x-limner-job']}")).json()
    assert (job["state"], [image["seed"] for image in job["images"]]) == ("succeeded", [7, 8])
    for image, data in zip(job["images"], drawn, strict=True):
        for address in (image["path"], f"/v1/images/{image['id']}/file"):
            served = await http.get(address)
            assert (served.content, served.headers["etag"]) == (data, f'"{image["digest"]}"')
        described = (await http.get(f"/v1/images/{image['id']}")).json()
        assert described == image
        small = await http.get(f"/v1/images/{image['id']}/thumbnail?side=16")
        assert (small.status_code, small.content[:4], small.content[8:12]) == (200, b"RIFF", b"WEBP")
    assert f"/v1/images/{job['images'][0]['id']}/file" in (await http.get("/")).text


async def test_the_same_key_orders_once_at_either_door(http):
    wish = {"prompt": "a red fox", "seed": 1}
    first = await http.post("/v1/jobs", json=wish, headers={"idempotency-key": "k"})
    second = await http.post("/v1/images/generations", json=wish, headers={"idempotency-key": "k"})
    other = await http.post("/v1/jobs", json=wish | {"seed": 2}, headers={"idempotency-key": "k"})
    assert (first.status_code, second.status_code, other.status_code) == (202, 200, 409)
    assert second.headers["x-limner-job"] == first.json()["id"]
    assert len(Easel.orders) == 1


async def test_a_stream_shows_previews_and_then_the_picture(http):
    answer = await http.post(
        "/v1/images/generations",
        json={"prompt": "a red fox", "stream": True, "partial_images": 3, "seed": 3},
    )
    told = events(answer.text)
    assert told[-1][0] == "image_generation.completed"
    assert base64.b64decode(told[-1][1]["b64_json"])[:8] == b"\x89PNG\r\n\x1a\n"
    partials = [body for name, body in told[:-1]]
    assert [body["partial_image_index"] for body in partials] == list(range(len(partials)))
    assert {base64.b64decode(body["b64_json"]) for body in partials} <= {
        png(8, 8, looks) for looks in (1, 2, 3)
    }


async def test_a_job_is_watched_to_its_end_and_replayed_after(http):
    job = (await http.post("/v1/jobs", json={"prompt": "a red fox"})).json()
    live = events((await http.get(f"/v1/jobs/{job['id']}/events")).text)
    replay = events((await http.get(f"/v1/jobs/{job['id']}/events")).text)
    assert (live[-1][0], live[-1][1]["state"]) == ("end", "succeeded")
    stored = [one for one in live if one[0] != "progress"]
    assert replay == stored
    resumed = events((await http.get(f"/v1/jobs/{job['id']}/events?after=1")).text)
    assert resumed == replay[1:]


async def test_what_is_refused_is_400_and_the_job_remains_to_be_read(http):
    answer = await http.post("/v1/images/generations", json={"prompt": "refused"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "moderation_blocked")
    job = (await http.get(f"/v1/jobs/{answer.headers['x-limner-job']}")).json()
    assert (job["state"], job["error"]["code"]) == ("failed", "refused")


async def test_a_job_is_cancelled_and_its_watch_ends(http):
    job = (await http.post("/v1/jobs", json={"prompt": "endless"})).json()
    assert (await http.post(f"/v1/jobs/{job['id']}/cancel")).json()["cancel_requested"] is True
    with anyio.fail_after(20):
        told = events((await http.get(f"/v1/jobs/{job['id']}/events")).text)
    assert told[-1][1]["state"] == "canceled"


async def test_a_client_that_leaves_does_not_stop_the_job(app, http):
    arrived = anyio.Event()
    body = json.dumps({"prompt": "a red fox", "stream": True}).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/images/generations",
        "raw_path": b"/v1/images/generations",
        "query_string": b"",
        "headers": [],
        "server": ("limner.test", None),
        "scheme": "http",
    }
    coming = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive():
        message = next(coming, None)
        if message is None:
            await arrived.wait()
        return message or {"type": "http.disconnect"}

    async def send(message):
        arrived.set()

    with anyio.fail_after(20):
        await app(scope, receive, send)
        job_id = (await http.get("/v1/jobs")).json()["data"][0]["id"]
        told = events((await http.get(f"/v1/jobs/{job_id}/events")).text)
    assert told[-1][1]["state"] == "succeeded"


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"model": "sketches"}, "model"),
        ({"provider": "nobody"}, "provider"),
        ({"style": "baroque", "policy": {"strict": True}}, "style"),
        ({"width": 100_000, "height": 64}, "width"),
    ],
)
async def test_what_nobody_can_draw_is_400_by_field_and_buys_nothing(http, wish, field):
    answer = await http.post("/v1/jobs", json={"prompt": "a red fox"} | wish)
    assert (answer.status_code, answer.json()["error"].get("field")) == (400, field)
    assert Easel.orders == []


async def test_a_quote_costs_nothing_and_ready_is_said(http):
    quote = await http.post("/v1/quotes", json={"prompt": "a red fox", "width": 128, "height": 128})
    assert (quote.status_code, quote.json()["model"], quote.json()["width"]) == (200, "sketch", 128)
    assert (await http.get("/readyz")).json() == {"ready": True, "reasons": []}
    assert Easel.orders == []


async def test_a_quote_is_accepted_over_http_by_the_same_request_only(http):
    wish = {"prompt": "a red fox", "width": 128, "height": 128}
    quote = (await http.post("/v1/quotes", json=wish)).json()
    job = (await http.post("/v1/jobs", json=wish | {"quote": quote["token"], "format": "webp"})).json()
    assert (job["request"]["quote"], job["ceiling_usd"]) == (quote["token"], None)
    other = await http.post("/v1/jobs", json=wish | {"quote": quote["token"], "count": 2})
    assert (other.status_code, other.json()["error"]["field"]) == (400, "quote")
    again = await http.post("/v1/quotes", json=wish | {"quote": "of no use here"})
    assert again.status_code == 200


@pytest.mark.parametrize(
    "forged", ["", "x", "q1.e30.AAAA", "q1..", "A" * 4096, "A" * 4097, "é" * 9, "a\x00b", 7, ["x"], {"a": 1}]
)
async def test_a_quote_that_was_not_given_here_is_refused_and_names_its_field(http, forged):
    answer = await http.post("/v1/jobs", json={"prompt": "a red fox", "quote": forged})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "quote")
    assert (await http.get("/v1/jobs")).json()["data"] == []
    assert Easel.orders == []


async def test_an_order_that_asks_is_readable_and_its_watch_ends(http):
    wish = {"prompt": "a red fox", "policy": {"confirm_above_usd": 0.01}}
    job = (await http.post("/v1/jobs", json=wish)).json()
    assert (job["state"], job["confirmation"]["choices"]) == ("needs_confirmation", ["accept", "cancel"])
    assert (job["confirmation"]["reason"], job["confirmation"]["price_usd"]) == ("above_ceiling", None)
    heard = (await http.get(f"/v1/jobs/{job['id']}/events")).text
    assert [line for line in heard.splitlines() if line.startswith("event:")] == [
        "event: queued",
        "event: asked",
        "event: end",
    ]
    assert Easel.orders == []
