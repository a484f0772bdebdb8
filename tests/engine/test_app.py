import asyncio

import pytest

from limner.engine.book import Limits
from tests.engine.conftest import Engine, gated, order, running

PNG = b"\x89PNG\r\n\x1a\n"


def body(**changes):
    return order().model_dump(mode="json") | changes


async def test_an_order_is_taken_drawn_and_fetched(offer):
    async with running(offer) as engine:
        taken = await engine.post(order(seeds=(1, 2)))
        assert taken.status_code == 202
        status = await engine.ended()
        assert (status["state"], status["images"], status["error"]) == ("done", 2, None)
        one, two = [await engine.http.get(f"/orders/one/images/{i}") for i in (0, 1)]
        assert one.headers["content-type"] == "image/png"
        assert one.content.startswith(PNG)
        assert one.content != two.content


async def test_the_same_order_twice_is_drawn_once(offer, backend):
    counted, gate = gated(offer, backend)
    gate.allow(100)
    async with running(counted) as engine:
        await engine.post(order())
        await engine.ended()
        again = await engine.post(order())
        assert (again.status_code, again.json()["state"]) == (200, "done")
    assert len(gate.rows) == 4


async def test_the_same_id_with_another_body_is_a_conflict(offer):
    async with running(offer) as engine:
        await engine.post(order())
        answer = await engine.post(order(steps=5))
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


async def test_an_unknown_model_is_named(offer):
    async with running(offer) as engine:
        answer = await engine.post(order(model="sdxl"))
        message = "sdxl: no such model; GET /models lists them"
        assert (answer.status_code, answer.json()) == (
            404,
            {"error": {"code": "unknown_model", "message": message}},
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "a b"),
        ("id", ""),
        ("id", "x" * 101),
        ("prompt", ""),
        ("prompt", "x" * 10_001),
        ("width", 60),
        ("width", 100),
        ("height", 2056),
        ("height", "256"),
        ("steps", 0),
        ("steps", 101),
        ("guidance_scale", 0.5),
        ("guidance_scale", 31),
        ("seeds", []),
        ("seeds", [1] * 21),
        ("seeds", [-1]),
        ("seeds", [2**63]),
        ("previews", "yes"),
        ("sampler", "heun"),
    ],
)
async def test_a_bad_value_is_refused_with_the_field_named(offer, field, value):
    answer = await Engine(offer).post(body(**{field: value}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
    assert answer.json()["error"]["message"].startswith(field)


async def test_a_body_that_is_not_json_is_refused(offer):
    answer = await Engine(offer).http.post("/orders", content=b"{")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


async def test_a_body_longer_than_any_order_is_refused(offer):
    answer = await Engine(offer).http.post("/orders", content=b" " * 300_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("query", ["wait=31", "wait=-1", "after=x", "until=3"])
async def test_a_bad_query_is_refused(offer, query):
    async with running(offer) as engine:
        await engine.post(order())
        answer = await engine.http.get(f"/orders/one?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


async def test_a_full_queue_says_when_to_come_back(offer, backend):
    stuck, gate = gated(offer, backend)
    async with running(stuck, limits=Limits(pictures=2)) as engine:
        await engine.post(order(seeds=(1, 2)))
        answer = await engine.post(order(id="two"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
        assert int(answer.headers["retry-after"]) >= 1
        gate.allow(100)


async def test_what_is_not_there_is_404(offer, backend):
    stuck, gate = gated(offer, backend)
    async with running(stuck) as engine:
        await engine.post(order())
        for path, code in [
            ("/orders/other", "unknown_order"),
            ("/orders/other/images/0", "unknown_order"),
            ("/orders/one/images/0", "not_ready"),
            ("/orders/one/images/7", "not_ready"),
            ("/orders/one/previews/0", "not_ready"),
            ("/elsewhere", "not_found"),
        ]:
            answer = await engine.http.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
        assert (await engine.http.delete("/orders/other")).status_code == 404
        gate.allow(100)


async def test_a_preview_is_a_real_picture_of_what_is_being_drawn(offer, backend):
    slow, gate = gated(offer, backend)
    async with running(slow) as engine:
        await engine.post(order())
        previews = []
        for after in (2, 3):
            gate.allow(1)
            status = (await engine.http.get(f"/orders/one?wait=5&after={after}")).json()
            assert status["preview"] == status["version"]
            answer = await engine.http.get("/orders/one/previews/0")
            assert answer.headers["content-type"] == "image/png"
            previews.append(answer.content)
        assert previews[0] != previews[1]
        gate.allow(100)


async def test_cancelling_stops_an_open_order_and_leaves_a_done_one(offer, backend):
    stuck, gate = gated(offer, backend)
    async with running(stuck) as engine:
        await engine.post(order())
        assert (await engine.http.delete("/orders/one")).json()["state"] == "canceled"
        gate.allow(100)
        await engine.post(order(id="two"))
        await engine.ended("two")
        assert (await engine.http.delete("/orders/two")).json()["state"] == "done"


async def test_models_and_health_say_what_is_there(offer):
    async with running(offer) as engine:
        await engine.post(order())
        await engine.ended()
        (model,) = (await engine.http.get("/models")).json()
        assert model == offer.card.model_copy(update={"loaded": True}).model_dump()
        assert (await engine.http.get("/health")).json() == {
            "status": "ok",
            "reason": "",
            "engine_version": "1",
            "device": "cpu",
            "threads": 1,
            "waiting": 0,
            "drawing": 0,
        }


async def test_an_engine_that_still_loads_says_so_and_takes_orders(offer):
    engine = Engine(offer)
    assert (await engine.http.get("/health")).json()["status"] == "loading"
    assert (await engine.post(order())).status_code == 202


async def test_with_a_token_every_request_must_carry_it(offer):
    async with running(offer, token="secret") as engine:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "secret"}):
            answer = await engine.http.get("/health", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        answer = await engine.http.get("/health", headers={"authorization": "Bearer secret"})
        assert answer.status_code == 200


async def test_an_engine_that_shuts_down_answers_who_waits_and_refuses_new_orders(offer, backend):
    stuck, gate = gated(offer, backend)
    async with running(stuck) as engine:
        await engine.post(order())
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(engine.http.get("/orders/one?wait=30&after=99"))
            await asyncio.sleep(0.05)
            engine.book.close()
        assert waiting.result().status_code == 200
        answer = await engine.post(order(id="two"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
        gate.allow(100)


async def test_a_fault_of_the_engine_has_the_same_error_shape(offer, monkeypatch):
    engine = Engine(offer)
    monkeypatch.setattr(engine.painter, "models", lambda: 1 / 0)
    answer = await engine.http.get("/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")


async def test_the_lifespan_starts_and_stops_the_painter(offer):
    engine = Engine(offer)
    async with engine.app.router.lifespan_context(engine.app):
        await engine.post(order())
        assert (await engine.ended())["state"] == "done"
    assert (await engine.post(order(id="two"))).status_code == 503
