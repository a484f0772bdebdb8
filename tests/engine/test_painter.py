import pytest

from limner.engine.backend import Broken, Offer
from limner.engine.book import Book
from limner.engine.painter import Painter
from tests.engine.conftest import gated, order, running
from tests.fakes import until


def size(png):
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


async def pictures(offer, *orders):
    async with running(offer) as engine:
        for one in orders:
            await engine.post(one)
        return {
            (one.id, seed): engine.book.image(one.id, i)
            for one in orders
            if (await engine.ended(one.id))["state"] == "done"
            for i, seed in enumerate(one.seeds)
        }


@pytest.mark.parametrize("together", [1, 2, 8])
async def test_company_never_changes_a_picture(offer, backend, together):
    mine = order(id="mine", seeds=(7, 8))
    company = [order(id=f"c{i}", seeds=(i,), steps=2 + i, prompt="snow", guidance_scale=2) for i in range(3)]
    alone = await pictures(offer, mine)
    shared, gate = gated(offer, backend, together=together)
    gate.allow(1000)
    crowded = await pictures(shared, company[0], mine, *company[1:], order(id="large", width=256, height=192))
    assert max(gate.rows) == min(2 * together, 10) or together == 8
    assert {key: crowded[key] for key in alone} == alone


async def test_pictures_of_one_size_join_and_leave_between_steps(offer, backend):
    shared, gate = gated(offer, backend, together=4)
    async with running(shared) as engine:
        await engine.post(order(id="long", steps=4))
        gate.allow(1)
        await engine.http.get("/orders/long?wait=5&after=2")
        await engine.post(order(id="short", steps=2))
        gate.allow(10)
        await engine.ended("long")
        assert (await engine.ended("short"))["state"] == "done"
    assert gate.rows[0] == 2
    assert gate.rows.count(4) == 2
    assert sum(gate.rows) == 2 * (4 + 2)


async def test_a_large_picture_is_of_the_size_asked_and_its_progress_only_rises(offer):
    async with running(offer) as engine:
        status, seen = (await engine.post(order(width=328, height=200))).json(), []
        while status["state"] in {"queued", "drawing"}:
            seen.append((status["step"], status["fraction"]))
            query = {"wait": 5, "after": status["version"]}
            status = (await engine.http.get("/orders/one", params=query)).json()
        assert seen == sorted(seen)
        assert (status["state"], status["step"], status["steps"], status["fraction"]) == ("done", 6, 6, 1.0)
        png = (await engine.http.get("/orders/one/images/0")).content
    assert size(png) == (328, 200)


async def test_a_cancelled_order_is_dropped_between_two_steps(offer, backend):
    slow, gate = gated(offer, backend)
    async with running(slow) as engine:
        await engine.post(order(steps=100))
        gate.allow(3)
        await engine.http.get("/orders/one?wait=5&after=4")
        assert (await engine.http.delete("/orders/one")).json()["state"] == "canceled"
        await engine.post(order(id="two", steps=2))
        gate.allow(3)
        assert (await engine.ended("two"))["state"] == "done"
    assert len(gate.rows) <= 3 + 1 + 2


async def test_an_order_the_model_cannot_draw_fails_and_the_next_is_drawn(offer, backend):
    bad, gate = gated(offer, backend, broken=True)
    gate.allow(100)
    async with running(bad) as engine:
        await engine.post(order())
        status = await engine.ended()
        assert (status["state"], status["error"]) == ("failed", "RuntimeError: out of paint")
        gate._broken = False
        await engine.post(order(id="two"))
        assert (await engine.ended("two"))["state"] == "done"


async def test_a_preview_once_decoded_is_not_replaced_by_a_sketch(offer, backend):
    slow, gate = gated(offer, backend)
    async with running(slow) as engine:
        await engine.post(order(previews=True, steps=4))
        seen = []
        for after in (2, 3, 4):
            gate.allow(1)
            status = (await engine.http.get(f"/orders/one?wait=5&after={after}")).json()
            png = (await engine.http.get("/orders/one/previews/0")).content
            seen.append((status["preview"], png))
        gate.allow(1)
        await engine.ended()
    (first, sketch), (second, decoded), (third, kept) = seen
    assert size(decoded) == (128, 128)
    assert (first, second, third) == (3, 4, 4)
    assert sketch != decoded == kept


def test_a_broken_model_is_reported_before_anybody_orders_and_health_says_which(offer):
    def check():
        raise Broken("unet.onnx: gone")

    heard = []
    painter = Painter([Offer(offer.card, offer.open, check)], Book(), on_broken=heard.append)
    painter.start()
    painter.stop(wait_s=5)
    assert (painter.condition, painter.reason) == ("failing", "unet.onnx: gone")
    assert [str(error) for error in heard] == ["unet.onnx: gone"]


async def test_a_model_is_loaded_by_its_first_order_and_one_that_breaks_then_is_reported(offer):
    def open_():
        raise Broken("unet.onnx: gone since")

    heard, book = [], Book()
    painter = Painter([Offer(offer.card, open_)], book, on_broken=heard.append)
    painter.start()
    assert [card.loaded for card in painter.models()] == [False]
    wanted = order(model=offer.card.id)
    book.submit(wanted, wanted.steps)
    await until(lambda: heard)
    painter.stop(wait_s=5)
    assert (painter.condition, painter.reason) == ("failing", "unet.onnx: gone since")
