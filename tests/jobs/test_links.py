"""Pictures that come as addresses, bills that come as counts, pictures that are worked on."""

import asyncio
from datetime import date
from decimal import Decimal

import pytest

from limner.blobs.store import Blobs
from limner.catalog.model import Price
from limner.core.errors import Lost, Malformed, Refused, Unauthorized, Unavailable
from limner.core.job import Failure
from limner.core.quote import Note
from limner.core.request import Policy
from limner.jobs.janitor import Janitor
from limner.providers.base import Done, Pending, Recovery, Usage
from limner.store.store import Store
from tests.fakes import (
    Desk,
    asked,
    done,
    ledger,
    limner,
    model,
    never,
    png,
    queued,
    receipt,
    request,
    rows,
    states,
    until,
    vendor,
)
from tests.jobs.test_every_line import Death

LINK = "https://cdn.example/a.png"
OTHER = "https://cdn.example/b.png"
RESERVED = ("reserve", 40_000)
RELEASED = ("release", 40_000)
SETTLED = ("settle", 40_000)
BY_COUNT = Price(
    usd=Decimal("0.04"),
    unit="token",
    tokens={"text_in": Decimal(5), "image_out": Decimal(40)},
    source="a test",
    read_on=date(2026, 1, 1),
)
BY_SECOND = Price(usd=Decimal("0.001"), unit="second", source="a test", read_on=date(2026, 1, 1))


class Shelf:
    """Where the vendor put its pictures: by address the bytes, an error, or an async function; a list is
    gone through, and its last one stays."""

    def __init__(self):
        self.pictures = {LINK: png(), OTHER: png(colour="navy")}
        self.asked = []

    async def fetch(self, url, own_host=None):
        self.asked.append((url, own_host))
        found = self.pictures[url]
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found = await found()
        if isinstance(found, Exception):
            raise found
        return found

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        return None


@pytest.fixture
def shelf(monkeypatch):
    shelf = Shelf()
    monkeypatch.setattr("limner.building.Fetcher", lambda: shelf)
    return shelf


async def test_linked_pictures_are_fetched_for_the_accounts_host_and_kept(home, shelf):
    desk = Desk(submits=[Done(links=(LINK, OTHER), seeds=(11, 12), cost_usd="0.05", marks=("c2pa",))])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(count=2))
        assert job == await app.read(job.id)
        assert len({image.digest for image in job.images}) == 2
    assert shelf.asked == [(LINK, "127.0.0.1"), (OTHER, "127.0.0.1")]
    assert [(one.seed, one.recipe.marks) for one in job.images] == [(11, ("c2pa",)), (12, ("c2pa",))]
    assert (job.state, job.receipt.cost_usd, len(desk.bill)) == ("succeeded", Decimal("0.05"), 1)
    assert [path for path in (home / "storage").glob("answers/**/*") if path.is_file()] == []


async def test_links_come_after_the_pictures_that_were_sent(home, shelf):
    desk = Desk(submits=[Done((png(32, 32),), links=(LINK,))])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(count=2))
    assert [(one.width, one.height) for one in job.images] == [(32, 32), (64, 64)]


async def test_the_links_are_on_disk_before_they_are_fetched_and_the_pictures_whatever_reading_them_does(
    home, shelf, monkeypatch
):
    found = []

    async def look():
        ((state, data),) = rows(
            home, "SELECT a.state, w.data FROM attempts a JOIN answers w ON w.attempt_id = a.id"
        )
        found.append((state, LINK.encode() in data))
        return png()

    def kept(_data, *_):
        found.append(
            [path.stat().st_size for path in (home / "storage").glob("answers/**/*") if path.is_file()]
        )
        raise ArithmeticError  # as a mistake of our own would

    shelf.pictures[LINK] = look
    monkeypatch.setattr("limner.jobs.pictures.sniff", kept)
    async with limner(home, vendor(Desk(submits=[Done(links=(LINK,))]))) as app:
        await app.draw(request())
    assert found[0] == ("answered", True)
    assert found[1] == []  # the first look makes the files of them; it breaks
    assert len(found[2]) == 1
    assert found[2][0] > len(png())


LINES = [
    ("answered", "after"),
    ("fetch", "before"),
    ("fetch", "after"),
    ("keep", "before"),
    ("keep", "after"),
    ("put", "before"),
    ("put", "after"),
    ("link", "after"),
    ("finish", "before"),
    ("finish", "after"),
    ("drop", "before"),
]


@pytest.mark.parametrize("recovery", list(Recovery), ids=lambda one: one.value)
@pytest.mark.parametrize("line", LINES, ids="-".join)
async def test_whatever_line_we_die_at_the_order_is_placed_once_and_its_pictures_are_fetched(
    home, shelf, monkeypatch, line, recovery
):
    death = Death(monkeypatch, *line)

    async def fetch():
        for when in ("before", "after"):
            if death.meets("fetch", when):
                await death.come()
        return png()

    shelf.pictures[LINK] = fetch
    answer = Done(links=(LINK,), cost_usd="0.03")
    desk = Desk(submits=[answer if recovery is Recovery.BLIND else queued()], polls=[answer])
    kind = vendor(desk, recovery=recovery)
    async with limner(home, kind) as app:
        accepting = asyncio.ensure_future(app.generate(request()))
        await death.reached.wait()
        accepting.cancel()
        death.bury()
    async with limner(home, kind) as app:
        (job,) = await app.jobs()
        job = await app.wait(job.id)
        assert await app.open(job.images[0])
        await Janitor(app._now.store, app._now.blobs).tidy(-1.0)
    assert (job.state, len(job.images), len(desk.bill)) == ("succeeded", 1, 1)
    assert rows(home, "SELECT n, state FROM attempts") == [(1, "settled")]
    assert ledger(home) == [RESERVED, RELEASED, ("settle", 30_000)]
    assert rows(home, "SELECT count(*) FROM artifacts") == [(1,)]
    assert rows(home, "SELECT count(*) FROM answers") == [(0,)]
    assert [path for path in (home / "storage").glob("answers/**/*") if path.is_file()] == []


async def test_a_picture_that_cannot_be_fetched_now_puts_the_job_back_and_orders_nothing_again(home, shelf):
    shelf.pictures[LINK] = [Unavailable("cdn: 503"), Unavailable("cdn: 503"), png()]
    desk, other = Desk(submits=[Done(links=(LINK,))]), Desk()
    async with limner(home, vendor(desk), vendor(other, "mural")) as app:
        job = await app.draw(request())
        heard = await states(app, job.id)
    assert (job.state, receipt(job)) == ("succeeded", [("easel", "settled", "direct")])
    assert heard == ["queued", "running", "storing", "retrying", "retrying", "succeeded"]
    assert (len(desk.bill), desk.sought, other.bill) == (1, [], [])
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def test_of_several_pictures_none_is_lost_because_one_comes_late(home, shelf):
    shelf.pictures[OTHER] = [Unavailable("cdn: 503"), png(colour="navy")]
    async with limner(home, vendor(Desk(submits=[Done(links=(LINK, OTHER))]))) as app:
        job = await app.draw(request(count=2))
    assert (job.state, len(job.images), job.receipt.notes) == ("succeeded", 2, ())


async def test_a_picture_that_stays_away_until_the_deadline_counts_as_charged(home, shelf):
    shelf.pictures[LINK] = Unavailable("cdn: 503")
    desk = Desk(submits=[Done(links=(LINK,))])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(policy=Policy(deadline_s=0.2)))
        assert job == await app.read(job.id)
    assert asked(job) == ("needs_confirmation", "unknown", "unknown")
    assert job.receipt.cost_usd == Decimal("0.04")
    assert (receipt(job), len(desk.bill)) == ([("easel", "unknown", "direct")], 1)
    assert ledger(home) == [RESERVED]
    ((kept,),) = rows(home, "SELECT data FROM answers")
    assert LINK.encode() in kept  # somebody may still go and look


@pytest.mark.parametrize("error", [Lost("cdn: 404"), Malformed("cdn: a page")], ids=["lost", "malformed"])
async def test_a_picture_that_is_gone_counts_as_charged_and_is_not_bought_elsewhere(home, shelf, error):
    shelf.pictures[LINK] = error
    desk, other = Desk(submits=[Done(links=(LINK,))]), Desk()
    async with limner(home, vendor(desk), vendor(other, "mural")) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert asked(job) == ("needs_confirmation", "unknown", error.code)
    assert receipt(job) == [("easel", "unknown", "direct")]
    assert (len(desk.bill), other.bill, ledger(home)) == (1, [], [RESERVED])


async def test_a_picture_that_is_gone_after_a_restart_counts_as_charged(home, shelf):
    desk = Desk(submits=[Done(links=(LINK,))])
    shelf.pictures[LINK] = asyncio.Event().wait
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        await until(lambda: shelf.asked)
    shelf.pictures[LINK] = Lost("cdn: 404")
    async with limner(home, vendor(desk)) as app:
        job = await app.wait(job.id)
    assert asked(job) == ("needs_confirmation", "unknown", "lost")
    assert (receipt(job), len(desk.bill)) == ([("easel", "unknown", "direct")], 1)
    assert ledger(home) == [RESERVED]


async def test_a_free_picture_that_is_gone_is_drawn_again(home, shelf):
    shelf.pictures[LINK] = [Lost("cdn: 404"), png()]
    desk = Desk(submits=[Done(links=(LINK,))])
    async with limner(home, vendor(desk), models=[model(usd="0")]) as app:
        job = await app.draw(request())
    assert (job.state, len(desk.bill)) == ("succeeded", 2)
    assert receipt(job) == [("easel", "refused", "direct"), ("easel", "settled", "direct")]


async def test_an_open_order_whose_account_is_gone_is_not_fetched_for_anybody_else(home, shelf):
    shelf.pictures[LINK] = asyncio.Event().wait
    async with limner(home, vendor(Desk(submits=[Done(links=(LINK,))]))) as app:
        job = await app.generate(request(policy=Policy(deadline_s=0.3)))
        await until(lambda: shelf.asked)
    shelf.asked.clear()
    async with limner(home, vendor(Desk(), "mural")) as app:
        job = await app.wait(job.id)
    assert (asked(job), shelf.asked) == (("needs_confirmation", "unknown", "unknown"), [])


# -- bills -----------------------------------------------------------------------------------------------


async def test_a_refusal_that_was_charged_settles_and_goes_nowhere_else(home):
    desk, other = Desk(submits=[Refused("not this", billed="yes")]), Desk()
    async with limner(home, vendor(desk), vendor(other, "mural")) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert (job.state, job.error) == ("failed", Failure(code="refused", message="not this"))
    assert (receipt(job), job.receipt.cost_usd) == ([("easel", "settled", "direct")], Decimal("0.04"))
    assert (other.bill, ledger(home)) == ([], [RESERVED, RELEASED, SETTLED])


async def test_a_refusal_of_an_accepted_order_is_charged_as_the_vendor_says(home):
    desk = Desk(submits=[queued()], polls=[Refused("not this", billed="yes")])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
    assert (receipt(job), ledger(home)) == ([("easel", "settled", "direct")], [RESERVED, RELEASED, SETTLED])


async def test_a_refusal_at_a_free_target_costs_nothing_whatever_it_says(home):
    desk = Desk(submits=[Refused("not this", billed="yes")])
    async with limner(home, vendor(desk), models=[model(usd="0")]) as app:
        job = await app.draw(request())
    assert (receipt(job), job.receipt.cost_usd) == ([("easel", "refused", "direct")], Decimal(0))


async def test_a_charged_refusal_of_unknown_price_is_unknown_and_not_nothing(home):
    desk = Desk(submits=[Refused("not this", billed="yes")])
    async with limner(home, vendor(desk), models=[model(usd=None)]) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert (receipt(job), job.receipt.cost_usd) == ([("easel", "settled", "direct")], None)


@pytest.mark.parametrize(
    ("price", "usage", "cost"),
    [
        (BY_COUNT, Usage(tokens={"text_in": 100, "image_out": 1000}), "0.0405"),
        (BY_COUNT, Usage(tokens={"image_out": 1}), "0.00004"),
        (BY_COUNT, Usage(), "0.0400000"),
        (BY_SECOND, Usage(seconds=2.5), "0.0025"),
        (model().price, Usage(tokens={"image_out": 1000}, seconds=9.0), "0.04"),
    ],
)
async def test_a_bill_is_settled_by_the_vendors_count_where_the_price_goes_by_it(home, price, usage, cost):
    of_model = model(usd=None, price=price, seconds=10.0)
    async with limner(home, vendor(Desk(submits=[Done((png(),), usage=usage)])), models=[of_model]) as app:
        job = await app.draw(request(prompt="x"))
        assert job == await app.read(job.id)
    quoted_words = Decimal("0.000005") if price is BY_COUNT and not usage.tokens else Decimal(0)
    assert job.receipt.cost_usd == Decimal(cost) + quoted_words


async def test_the_vendors_own_figure_wins_over_its_count(home):
    desk = Desk(submits=[Done((png(),), cost_usd="0.07", usage=Usage(seconds=1.0))])
    async with limner(home, vendor(desk), models=[model(usd=None, price=BY_SECOND, seconds=10.0)]) as app:
        job = await app.draw(request())
    assert job.receipt.cost_usd == Decimal("0.07")
    assert ledger(home) == [("reserve", 10_000), ("release", 10_000), ("settle", 70_000)]


async def test_a_count_for_a_model_that_left_the_catalog_settles_by_the_quote(home):
    async def leave(_call):
        app._catalog.models = tuple
        return Done((png(),), usage=Usage(seconds=1.0))

    by_second = model(usd=None, price=BY_SECOND, seconds=10.0)
    async with limner(home, vendor(Desk(submits=[leave])), models=[by_second]) as app:
        job = await app.draw(request())
    assert (job.state, job.receipt.cost_usd) == ("succeeded", Decimal("0.01"))


# -- answers that do not come ----------------------------------------------------------------------------


async def test_a_submit_that_never_answers_is_given_up_at_the_deadline_and_looked_for(home):
    desk = Desk(submits=[never], find=None)
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(policy=Policy(deadline_s=0.2)))
    assert (job.state, job.error.code) == ("failed", "unavailable")
    assert "the order never arrived: it is not listed" in job.error.message
    assert (receipt(job), len(desk.bill)) == ([("easel", "refused", "direct")], 1)
    assert (len(desk.sought), ledger(home)) == (1, [RESERVED, RELEASED])


async def test_a_blind_submit_that_never_answers_is_charged(home):
    desk, other = Desk(submits=[never]), Desk()
    kinds = vendor(desk, recovery=Recovery.BLIND), vendor(other, "mural")
    async with limner(home, *kinds) as app:
        job = await app.draw(request(policy=Policy(deadline_s=0.2)))
    assert (asked(job), other.bill) == (("needs_confirmation", "unknown", "timed_out"), [])
    assert (receipt(job), ledger(home)) == ([("easel", "unknown", "direct")], [RESERVED])


async def test_an_order_that_its_named_vendor_has_is_taken_up_and_not_sent_again(home):
    desk = Desk(submits=[Malformed("gibberish")], polls=[done()], find={"id": "7"})
    async with limner(home, vendor(desk, recovery=Recovery.NAMED)) as app:
        job = await app.draw(request())
    assert (receipt(job), desk.sought) == ([("easel", "settled", "list")], [f"{job.id}-1"])
    assert (len(desk.bill), desk.polled) == (1, [{"id": "7"}])


async def test_a_named_vendor_that_cannot_be_asked_is_sent_nothing_meanwhile(home):
    desk = Desk(submits=[Malformed("gibberish"), done()], find=Unavailable("down"))
    async with limner(home, vendor(desk, recovery=Recovery.NAMED)) as app:
        job = await app.generate(request())
        await until(lambda: len(desk.sought) > 2)
        assert len(desk.bill) == 1
        desk.found = None
        job = await app.wait(job.id)
    assert (receipt(job), desk.bill) == ([("easel", "settled", "same-key")], [f"{job.id}-1"] * 2)


async def test_a_key_that_no_longer_opens_the_vendor_leaves_an_open_order_unknown(home):
    desk = Desk(submits=[Malformed("gibberish"), done()], find=Unauthorized("bad key"))
    async with limner(home, vendor(desk, recovery=Recovery.NAMED)) as app:
        job = await app.draw(request())
    assert asked(job) == ("needs_confirmation", "unknown", "unknown")
    assert (len(desk.bill), ledger(home)) == (1, [RESERVED])


# -- pictures that are worked on -------------------------------------------------------------------------


def works_on_pictures(**changes):
    return model(operations={"generate", "edit", "inpaint"}, max_inputs=3, **changes)


async def test_a_provider_gets_the_pictures_and_the_mask_and_the_recipe_names_them(home):
    desk = Desk()
    async with limner(home, vendor(desk), models=[works_on_pictures()]) as app:
        first, second = await app.keep(png(colour="red")), await app.keep(png(colour="lime"))
        mask = await app.keep(png(colour="black"))
        wish = {"operation": "inpaint", "inputs": (first.digest, second.digest), "mask": mask.digest}
        job = await app.draw(request(**wish))
    (call,) = desk.calls
    assert (call.inputs, call.mask) == ((png(colour="red"), png(colour="lime")), png(colour="black"))
    assert job.images[0].recipe.parents == (first.digest, second.digest)
    assert job.images[0].recipe.request.mask == mask.digest


async def test_a_picture_made_here_is_worked_on_under_its_id(home):
    desk = Desk()
    async with limner(home, vendor(desk), models=[works_on_pictures()]) as app:
        made = (await app.draw(request())).images[0]
        job = await app.draw(request(operation="edit", inputs=(made.id,)))
        assert desk.calls[1].inputs == (await app.open(made),)
    assert (job.request.inputs, job.images[0].recipe.parents) == ((made.digest,), (made.digest,))


async def test_an_accepted_order_is_gone_on_with_though_its_input_is_gone(home):
    desk = Desk(submits=[queued()], polls=[never])
    models = [works_on_pictures()]
    async with limner(home, vendor(desk), models=models) as app:
        kept = await app.keep(png(colour="red"))
        job = await app.generate(request(operation="edit", inputs=(kept.digest,)))
        await until(lambda: desk.polled)
    blob(home, kept.digest).unlink()
    desk.polls = [done()]
    async with limner(home, vendor(desk), models=models) as app:
        job = await app.wait(job.id)
    assert (job.state, receipt(job), len(desk.bill)) == (
        "succeeded",
        [("easel", "settled", "resumed")],
        1,
    )


async def test_an_order_whose_picture_is_gone_is_not_sent_and_owes_nothing(home):
    desk, other = Desk(submits=[Unavailable("503"), done()]), Desk()
    async with limner(home, vendor(desk), models=[works_on_pictures()]) as app:
        kept = await app.keep(png(colour="red"))
        real = desk.submits[0]

        async def lose(_call):
            blob(home, kept.digest).unlink()
            return real

        desk.submits[0] = lose
        job = await app.draw(request(operation="edit", inputs=(kept.digest,)))
        assert job == await app.read(job.id)
    assert (job.state, job.error.code, job.receipt.cost_usd) == ("failed", "not_found", Decimal(0))
    assert receipt(job) == [("easel", "refused", "direct"), ("easel", "refused", "direct")]
    assert (len(desk.bill), other.bill) == (1, [])
    assert ledger(home) == [RESERVED, RELEASED, RESERVED, RELEASED]


async def test_what_is_told_while_the_order_itself_is_awaited_reaches_the_watcher(home):
    async def tell(call):
        call.report(Pending({}, fraction=0.5, preview=b"preview"))
        return done()

    heard = []
    async with limner(home, vendor(Desk(submits=[tell]))) as app:
        publish = app._now.hub.publish
        app._now.hub.publish = lambda job_id, message: (heard.append(message), publish(job_id, message))
        await app.draw(request())
    assert [one.preview for one in heard if getattr(one, "fraction", None) == 0.5] == [b"preview"]


async def test_an_enlarged_picture_is_not_told_as_a_bent_size(home):
    large = model(operations={"upscale"})
    async with limner(home, vendor(Desk(submits=[Done((png(128, 128),))])), models=[large]) as app:
        kept = await app.keep(png())
        job = await app.draw(request(operation="upscale", inputs=(kept.digest,), scale=2.0))
    assert (job.state, job.receipt.notes) == ("succeeded", ())


async def test_a_picture_of_another_size_than_was_sent_for_is_told(home):
    async with limner(home, vendor(Desk(submits=[Done((png(32, 64),))]))) as app:
        job = await app.draw(request())
    assert job.receipt.notes == (Note(field="size", message="the picture came as 32x64"),)


def blob(home, digest):
    return home / "storage" / "blobs" / digest[:2] / digest


def test_the_lines_of_death_are_those_that_there_are():
    assert all(hasattr(Store, line) or hasattr(Blobs, line) or line == "fetch" for line, _ in LINES)
