from decimal import Decimal

import pytest

from tests.conformance.scene import end, look, scene, steps, wanted

MICRO = Decimal("0.000001")
KINDS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


@pytest.mark.parametrize("fmt", sorted(KINDS))
async def test_a_picture_comes_with_its_receipt_and_costs_what_the_vendor_bills(vendor, fmt, home):
    async with scene(home, vendor) as now:
        quote = await now.limner.estimate(wanted(vendor, format=fmt))
        job = await now.draw(vendor, format=fmt)
        picture = look(await now.limner.open(job.images[0]))
        (attempt,) = job.receipt.attempts
        now.check_money(vendor)
    assert (end(job), steps(job), len(job.images)) == ("succeeded", ["settled"], 1)
    assert (attempt.provider, attempt.model) == (vendor, quote.model)
    assert (picture.format, picture.size) == (KINDS[fmt], (quote.width, quote.height))
    assert job.receipt.cost_usd == attempt.price_usd == pytest.approx(now.sim.bill.usd(vendor), abs=MICRO)
