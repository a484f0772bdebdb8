"""Every model of the catalog, at every operation it declares."""

from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO

from PIL import Image, ImageDraw

from limner.catalog.model import Model
from limner.core.errors import InvalidRequest
from limner.core.job import Job
from limner.core.request import Operation
from tests.conformance.scene import Scene, end, known_name, look, models, scene, wanted

ODD = (1000, 700)
MICRO = Decimal("0.000001")


def picture(width: int, height: int) -> bytes:
    drawn = Image.new("RGB", (width, height), "teal")
    ImageDraw.Draw(drawn).ellipse((width // 4, height // 4, width // 2, height // 2), fill="orange")
    return encoded(drawn)


def mask(width: int, height: int) -> bytes:
    drawn = Image.new("RGBA", (width, height), "white")
    drawn.paste((0, 0, 0, 0), (width // 4, height // 4, width // 2, height // 2))
    return encoded(drawn)


def encoded(drawn: Image.Image) -> bytes:
    out = BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()


async def order(now: Scene, model: Model, operation: Operation, **fields) -> Job:
    """The least that the operation needs."""
    wanted = {"operation": operation, "model": known_name(model)} | fields
    if operation != "generate":
        side = (512, 512) if operation == "upscale" else model.sizes.default
        wanted["inputs"] = ((await now.limner.keep(picture(*side))).digest,)
        if operation == "inpaint":
            wanted["mask"] = (await now.limner.keep(mask(*side))).digest
        if operation == "image-to-image":
            wanted["strength"] = 0.6
    return await now.draw(model.provider, **wanted)


async def test_each_model_does_each_operation_and_costs_what_the_vendor_bills(vendor, home):
    wrong = []
    async with scene(home, vendor) as now:
        for model in models(vendor):
            if gone(model) or known_name(model) is None:
                continue
            for operation in sorted(model.operations):
                before = now.sim.bill.usd(vendor)
                job = await order(now, model, operation)
                billed = now.sim.bill.usd(vendor) - before
                if end(job) != "succeeded":
                    wrong.append((model.id, operation, end(job), job.error.message))
                elif not same(job.receipt.cost_usd, billed) and not unknown(model, job.receipt.cost_usd):
                    wrong.append((model.id, operation, f"billed {billed}, shown {job.receipt.cost_usd}"))
                else:
                    look(await now.limner.open(job.images[0]))
    assert wrong == []


def same(cost_usd: Decimal | None, billed: Decimal) -> bool:
    """To the micro-dollar, which is what the ledger counts in."""
    return cost_usd is not None and abs(cost_usd - billed) < MICRO


def unknown(model: Model, cost_usd: Decimal | None) -> bool:
    """A price that nobody knows is shown as unknown."""
    return model.price is None and cost_usd is None


async def test_several_pictures_cost_what_the_vendor_bills(vendor, home):
    model = max(
        (one for one in models(vendor) if not gone(one) and known_name(one)), key=lambda one: one.max_count
    )
    count = min(model.max_count, 3)
    async with scene(home, vendor) as now:
        job = await order(now, model, min(model.operations & {"generate"} or model.operations), count=count)
        now.check_money(vendor)
    assert (end(job), len(job.images), len({one.seed for one in job.images} - {None}) in (0, count)) == (
        "succeeded",
        count,
        True,
    )


async def test_an_odd_size_is_drawn_or_bent_with_a_note_or_refused_before_any_request(vendor, home):
    wrong = []
    async with scene(home, vendor) as now:
        for model in current(vendor):
            request = wanted(vendor, model=known_name(model), width=ODD[0], height=ODD[1])
            try:
                quote = await now.limner.estimate(request)
            except InvalidRequest:
                continue
            told = any(note.field == "size" for note in quote.notes)
            if told == ((quote.width, quote.height) == ODD):
                wrong.append((model.id, quote.width, quote.height, quote.notes))
        assert now.sim.requests(vendor) == []
        job = await now.draw(vendor, width=ODD[0], height=ODD[1])
        told = any(note.field == "size" for note in job.receipt.notes)
        assert (end(job), told) == ("succeeded", (job.images[0].width, job.images[0].height) != ODD)
    assert wrong == []


def current(vendor: str) -> list[Model]:
    """The models that draw pictures from words today."""
    return [
        one for one in models(vendor) if "generate" in one.operations and not gone(one) and known_name(one)
    ]


def gone(model: Model) -> bool:
    return model.retired is not None and model.retired <= datetime.now(tz=UTC).date()


async def test_a_retired_name_is_drawn_by_its_successor_with_a_note(vendor, home):
    wrong = []
    async with scene(home, vendor) as now:
        for model in models(vendor):
            if not gone(model) or model.successor is None:
                continue
            job = await now.draw(vendor, model=model.id)
            drawn = job.receipt.attempts[-1].model if job.receipt.attempts else None
            if (end(job), drawn) != ("succeeded", model.successor):
                wrong.append((model.id, end(job), drawn))
            elif not any(note.field == "model" for note in job.receipt.notes):
                wrong.append((model.id, "without a note"))
        now.check_money(vendor)
    assert wrong == []
