"""The verbs, as a program that imports Limner sees them."""

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from limner.app import Limner, ProviderStatus
from limner.catalog.load import shipped
from limner.core.errors import (
    Conflict,
    HomeInUse,
    InvalidRequest,
    NoRoute,
    NotFound,
    OverBudget,
    SetupError,
    Unauthorized,
    Unavailable,
)
from limner.core.quote import Note, Offer, Priced, PricePart, Quote
from limner.core.reading import invalid, read_request
from limner.core.request import Policy
from limner.providers.base import Health
from limner.wire import Wire
from tests.fakes import (
    Desk,
    asked,
    done,
    kinds_of,
    limner,
    messages,
    model,
    never,
    request,
    rows,
    settings,
    until,
    vendor,
)

pytestmark = pytest.mark.usefixtures("swift")


async def test_a_quote_is_a_promise_that_buys_nothing(home):
    desk = Desk()
    models = [
        model("easel", seconds_per_megapixel=100.0),
        model("mural", "0.05"),
        model("fresco", max_count=1),
    ]
    async with limner(
        home, vendor(desk), vendor(desk, "mural"), vendor(desk, "fresco"), models=models
    ) as app:
        quote = await app.estimate(request(count=2, steps=50))
        assert await app.jobs() == []
    assert quote == Quote(
        model="easel-model",
        provider="easel",
        tier="standard",
        width=64,
        height=64,
        steps=30,
        count=2,
        price_usd=Decimal("0.08"),
        seconds=quote.seconds,
        notes=(Note(field="steps", message="50 lowered to 30"),),
        alternatives=(
            Offer(
                model="mural-model",
                provider="mural",
                account="mural",
                tier="standard",
                price_usd=Decimal("0.10"),
                seconds=None,
                notes=(Note(field="steps", message="50 lowered to 30"),),
            ),
        ),
        passed_over=quote.passed_over,
        priced=Priced(
            parts=(PricePart(what="pictures", unit="image", usd=Decimal("0.04"), amount=Decimal(2)),),
            source="a test",
            read_on=date(2026, 1, 1),
        ),
        route=(
            Offer(
                model="easel-model",
                provider="easel",
                account="easel",
                tier="standard",
                price_usd=Decimal("0.08"),
                seconds=quote.seconds,
                notes=quote.notes,
            ),
        ),
        constraints=quote.constraints,
        token=quote.token,
        valid_until=quote.valid_until,
    )
    assert quote.seconds == pytest.approx(100 * 0.004096 * 2 * 30 / 12)
    assert {one.target: one.reason for one in quote.passed_over} == {
        "fresco/fresco-model": "draws at most 1 pictures an order",
        "mural/mural-model": (
            "not fallen back to: dearer than easel/easel-model; policy.max_cost_usd allows more"
        ),
    }
    assert desk.bill == []


async def test_what_was_quoted_is_what_is_sent(home):
    desk = Desk()
    async with limner(home, vendor(desk)) as app:
        quote = await app.estimate(request(quality="fast"))
        await app.draw(request(quality="fast"))
    sent = desk.calls[0].request
    assert (sent.width, sent.height, sent.steps) == (quote.width, quote.height, quote.steps)


async def test_a_prompt_alone_is_enough_and_its_seed_is_drawn_and_recorded(home):
    async with limner(home, vendor(Desk())) as app:
        job = await app.draw("a red fox", width=64, height=96, format="webp")
    assert (job.request.prompt, job.request.size, job.images[0].format) == ("a red fox", (64, 96), "webp")
    assert 0 <= job.request.seed < 2**31
    assert job.images[0].seed == job.request.seed


async def test_fields_change_a_request_that_is_given(home):
    async with limner(home, vendor(Desk())) as app:
        job = await app.generate(request(), seed=8)
    assert job.request == request(seed=8)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"width": 64}, None, "width was given without height; give both or neither"),
        ({"steps": 0}, "steps", "steps Input should be greater than or equal to 1"),
        ({"colour": "red"}, "colour", "colour Extra inputs are not permitted"),
        ({"prompt": ""}, "prompt", "prompt is empty; say what the picture shows"),
    ],
)
def test_a_wrong_field_is_named(fields, field, said):
    with pytest.raises(InvalidRequest) as caught:
        read_request({"prompt": "a fox"} | fields)
    assert (str(caught.value), caught.value.field) == (said, field)


def test_long_input_is_never_echoed():
    with pytest.raises(InvalidRequest) as caught:
        read_request({"prompt": "a fox", "style": "x" * 10_000})
    assert len(str(caught.value)) < 200
    assert callable(invalid)


async def test_an_error_in_the_block_comes_out_as_it_is(home):
    with pytest.raises(InvalidRequest, match="unknown model"):
        async with limner(home, vendor(Desk())) as app:
            await app.generate(request(model="nobody"))
    with pytest.raises(KeyError):
        async with limner(home, vendor(Desk())):
            raise KeyError("mine")


async def test_before_and_after_its_block_limner_says_how_it_is_used(home):
    app = limner(home, vendor(Desk()))
    with pytest.raises(SetupError, match="async with Limner"):
        await app.read("x")
    async with app:
        assert await app.jobs() == []
    with pytest.raises(SetupError, match="async with Limner"):
        await app.generate(request())


# -- idempotency -----------------------------------------------------------------------------------------


async def test_the_same_key_and_request_are_one_job_also_after_a_restart(home):
    desk = Desk()
    async with limner(home, vendor(desk)) as app:
        first = await app.draw(request(), key="k")
        assert await app.draw(request(), key="k") == first
    async with limner(home, vendor(desk)) as app:
        assert await app.generate(request(), key="k") == first
        with pytest.raises(Conflict, match="'k' was used before with another request"):
            await app.generate(request(seed=8), key="k")
        assert (await app.draw(request(), key="k", by="you")).id != first.id
    assert len(desk.bill) == 2


async def test_a_drawn_seed_does_not_make_a_repeated_request_another_one(home):
    async with limner(home, vendor(Desk())) as app:
        first = await app.draw("a red fox", key="k")
        assert await app.draw("a red fox", key="k") == first


async def test_fifty_equal_orders_at_once_are_one_job_and_one_order(home):
    desk = Desk()
    async with limner(home, vendor(desk), concurrency=8) as app:
        found = await asyncio.gather(*(app.draw(request(), key="k") for _ in range(50)))
    assert len({job.id for job in found}) == 1
    assert {job.state for job in found} == {"succeeded"}
    assert len(desk.bill) == 1


async def test_a_key_gives_its_job_even_when_nobody_could_draw_it_now(home):
    desk = Desk(submits=[done(), Unauthorized("bad key")])
    async with limner(home, vendor(desk)) as app:
        first = await app.draw(request(), key="k")
        await app.draw(request(seed=8))
        with pytest.raises(NoRoute, match="rests"):
            await app.generate(request(seed=9))
        assert await app.generate(request(), key="k") == first


# -- accepting -------------------------------------------------------------------------------------------


async def test_nothing_is_written_for_an_order_that_cannot_be_accepted(home):
    async with limner(home, vendor(Desk())) as app:
        with pytest.raises(OverBudget):
            await app.generate(request(policy=Policy(max_cost_usd=Decimal("0.01"))))
        with pytest.raises(InvalidRequest):
            await app.generate(request(count=9))
        assert await app.jobs() == []


async def test_a_caller_who_leaves_while_the_order_is_written_leaves_a_job_that_is_drawn(home):
    desk = Desk()
    async with limner(home, vendor(desk)) as app:
        for _ in range(3):
            ordering = asyncio.ensure_future(app.generate(request()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            ordering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ordering
        await until(lambda: len(desk.bill) == 3)
        for job in await app.jobs():
            assert (await app.wait(job.id)).state == "succeeded"


async def test_more_orders_than_slots_wait_and_are_all_drawn(home):
    running, most = [], []

    async def count(_call):
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0.005)
        running.pop()
        return done()

    desk = Desk(submits=[count])
    async with limner(home, vendor(desk), concurrency=2) as app:
        found = await asyncio.gather(*(app.draw(request(seed=n)) for n in range(12)))
    assert {job.state for job in found} == {"succeeded"}
    assert (max(most), len(desk.bill)) == (2, 12)


async def test_jobs_left_by_the_last_owner_are_gone_on_with(home):
    desk = Desk(submits=[never])
    models = [model(usd="0")]
    async with limner(home, vendor(desk), models=models, concurrency=1) as app:
        for seed in range(3):
            await app.generate(request(seed=seed))
        await until(lambda: desk.bill)
    desk.submits = [done()]
    async with limner(home, vendor(desk), models=models, concurrency=1) as app:
        found = [await app.wait(job.id) for job in await app.jobs()]
    assert [job.state for job in found] == ["succeeded"] * 3


async def test_an_open_order_of_a_provider_that_is_gone_waits_and_ends_unknown(home):
    desk = Desk(submits=[never])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request(policy=Policy(deadline_s=0.3)))
        await until(lambda: desk.bill)
    async with limner(home, vendor(Desk(), "mural")) as app:
        job = await app.wait(job.id)
    assert asked(job) == ("needs_confirmation", "unknown", "unknown")
    assert rows(home, "SELECT kind FROM ledger") == [("reserve",)]


# -- looking ---------------------------------------------------------------------------------------------


async def test_a_picture_is_found_by_its_id_and_by_its_place(home):
    async with limner(home, vendor(Desk())) as app:
        (image,) = (await app.draw(request(project="zoo"))).images
        assert await app.image(image.id) == image
        assert await app.image_at("zoo", "easel", image.file) == image
        assert len(await app.open(image)) == image.size_bytes
        small = Image.open(BytesIO(await app.thumbnail(image, side=32)))
        assert (small.format, small.size) == ("WEBP", (32, 32))
        gone = image.model_copy(update={"digest": "0" * 64})
        with pytest.raises(NotFound, match="no picture 0000"):
            await app.open(gone)


async def test_jobs_are_paged(home):
    async with limner(home, vendor(Desk())) as app:
        for seed in range(3):
            await app.draw(request(seed=seed, project="zoo" if seed else "art"))
        newest = await app.jobs(limit=2)
        assert [job.request.seed for job in newest] == [2, 1]
        assert [job.request.seed for job in await app.jobs(before=newest[-1].id)] == [0]
        assert len(await app.jobs(project="zoo", state="succeeded")) == 2


async def test_watching_nobody_is_not_found(home):
    async with limner(home, vendor(Desk())) as app:
        with pytest.raises(NotFound, match="no job 'nobody'"):
            await messages(app, "nobody")
        with pytest.raises(NotFound):
            await app.cancel("nobody")
        with pytest.raises(NotFound):
            await app.wait("nobody")


async def test_two_watchers_hear_the_same_story(home):
    gate = asyncio.Event()

    async def wait(_call):
        await gate.wait()
        return done()

    async with limner(home, vendor(Desk(submits=[wait]))) as app:
        job = await app.generate(request())
        both = asyncio.gather(messages(app, job.id), messages(app, job.id))
        await asyncio.sleep(0.05)
        gate.set()
        first, second = await both
    assert first == second
    assert kinds_of(first) == ["queued", "running", "storing", "succeeded", "end"]


async def test_providers_say_whether_they_can_be_used_and_why_not(home):
    kinds = [
        vendor(Desk(), "easel"),
        vendor(Desk(probe=Health(ok=False, reason="closed on Sundays")), "mural"),
        vendor(Desk(probe=Unavailable("cannot be reached")), "fresco"),
        vendor(Desk(submits=[Unauthorized("bad key")]), "etching"),
    ]
    async with limner(home, *kinds) as app:
        await app.draw(request(provider="etching"))
        found = await app.providers()
    assert found[0].circuit.state == "CLOSED"
    assert found[0].model_copy(update={"circuit": None}) == ProviderStatus(
        name="easel",
        available=True,
        reason="Available",
        models=1,
        address="http://127.0.0.1:9/",
        account="easel",
        title="easel",
    )
    assert [(one.name, one.available, one.reason) for one in found[1:3]] == [
        ("mural", False, "closed on Sundays"),
        ("fresco", False, "cannot be reached"),
    ]
    assert (found[3].available, found[3].reason) == (False, "rests for 300 s: bad key")


async def test_a_provider_that_is_switched_off_is_neither_listed_nor_asked(home):
    kinds = vendor(Desk()), vendor(Desk(), "mural")
    async with limner(home, *kinds, disabled_providers=("easel",)) as app:
        assert [one.provider for one in app.models()] == ["mural"]
        assert [one.name for one in await app.providers()] == ["mural"]


async def test_ready_says_why_not(home, monkeypatch):
    desk = Desk(submits=[Unauthorized("bad key")])
    async with limner(home, vendor(desk)) as app:
        assert await app.ready() == []
        await app.draw(request())
        assert await app.ready() == ["rests for 300 s: bad key"]

        async def refuse():
            raise SetupError("the disk is full")

        monkeypatch.setattr(app._now.blobs, "probe", refuse)
        assert await app.ready() == ["rests for 300 s: bad key", "the disk is full"]
    async with limner(home) as app:
        assert await app.ready() == ["no provider is switched on; see the setting disabled_providers"]


# -- setting up ------------------------------------------------------------------------------------------


async def test_a_home_has_one_owner_and_the_second_learns_where_it_answers(home):
    async with limner(home, vendor(Desk())) as app:
        app.serving("http://127.0.0.1:8003")
        with pytest.raises(HomeInUse, match=r"serving http://127\.0\.0\.1:8003") as caught:
            async with limner(home, vendor(Desk())):
                pass
    assert caught.value.url == "http://127.0.0.1:8003"
    async with limner(home, vendor(Desk())) as app:
        assert await app.jobs() == []


async def test_a_wrong_home_is_a_setup_error_and_leaves_nothing_behind(home):
    home.write_text("a file")
    with pytest.raises(SetupError, match="set LIMNER_HOME"):
        async with limner(home, vendor(Desk())):
            pass
    home.unlink()
    home.mkdir()
    (home / "limner.db").write_bytes(b"not a database" * 500)
    with pytest.raises(SetupError, match="not a sound Limner database"):
        async with limner(home, vendor(Desk())):
            pass
    (home / "limner.db").unlink()
    async with limner(home, vendor(Desk())) as app:
        assert (await app.draw(request())).state == "succeeded"


async def test_a_newer_limners_database_is_a_setup_error(home):
    async with limner(home, vendor(Desk())):
        pass
    with closing(sqlite3.connect(home / "limner.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SetupError, match="upgrade Limner"):
        async with limner(home, vendor(Desk())):
            pass


async def test_a_provider_that_cannot_be_made_is_told_as_it_says(home):
    class Picky(vendor(Desk())):
        def __init__(self, wire: Wire) -> None:
            raise SetupError("easel needs EASEL_KEY")

    with pytest.raises(SetupError, match="easel needs EASEL_KEY"):
        async with limner(home, Picky):
            pass


async def test_pictures_may_live_elsewhere_or_in_memory(home, tmp_path):
    async with limner(home, vendor(Desk()), blob_url=str(tmp_path / "elsewhere")) as app:
        await app.draw(request())
    assert len(list((tmp_path / "elsewhere" / "images").glob("*/*/*.png"))) == 1
    async with limner(home, vendor(Desk()), blob_url="memory://") as app:
        job = await app.draw(request())
        assert len(await app.open(job.images[0])) == job.images[0].size_bytes


# -- the engine ------------------------------------------------------------------------------------------


async def test_an_engine_elsewhere_is_used_as_it_is_set(home):
    elsewhere = {"engine_url": "http://127.0.0.1:9", "engine_token": "secret"}
    async with Limner(settings(home, **elsewhere), models=shipped()) as app:
        (status,) = [one for one in await app.providers() if one.name == "local"]
        (local,) = [one.provider for one in app._now.accounts if one.name == "local"]
        assert local.wire._headers == {"Authorization": "Bearer secret"}
    assert (status.name, status.available, status.address) == ("local", False, "http://127.0.0.1:9/")
    assert "cannot be reached" in status.reason


async def test_the_embedded_engine_draws_and_leaves_with_limner(home):
    async with Limner(settings(home, engine_threads=1)) as app:
        job = await app.draw("a red fox", width=64, height=64, steps=1, seed=7)
        assert (job.state, job.receipt.cost_usd) == ("succeeded", Decimal(0))
        again = await app.draw("a red fox", width=64, height=64, steps=1, seed=7)
        assert again.images[0].digest == job.images[0].digest
        assert [one.name for one in await app.providers() if one.available] == ["local"]
        pid = app._now.child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_an_engine_that_cannot_start_is_said_to_every_caller(home, monkeypatch):
    monkeypatch.setattr(
        "limner.supervisor.Supervisor._command",
        lambda self: [sys.executable, "-c", "import sys; sys.exit('unet.onnx: broken' and 3)"],
    )
    async with Limner(settings(home)) as app:
        await until(lambda: app._now.child.obstacle)
        with pytest.raises(NoRoute, match="the engine cannot start: exit code 3"):
            await app.generate("a red fox")
        assert await app.ready() == ["the engine cannot start: exit code 3"]
        (local,) = [one for one in await app.providers() if one.name == "local"]
        assert (local.available, local.reason) == (False, "the engine cannot start: exit code 3")


async def test_a_job_fails_at_once_when_the_engine_cannot_start(home, monkeypatch):
    script = "import sys; print('weights broken: reinstall', file=sys.stderr); sys.exit(3)"
    monkeypatch.setattr("limner.supervisor.Supervisor._command", lambda self: [sys.executable, "-c", script])
    async with Limner(settings(home)) as app:
        job = await app.draw("a red fox")
    assert (job.state, job.error.code) == ("failed", "no_route")
    assert "weights broken: reinstall" in job.error.message
