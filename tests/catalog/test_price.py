from datetime import date
from decimal import Decimal

import pytest

from limner.catalog.load import shipped
from limner.catalog.model import Price
from limner.catalog.price import estimate_s, estimate_usd, explain, megapixels, settled_usd
from limner.core.quote import Priced, PricePart
from limner.core.request import GenerateRequest
from tests.fakes import model, request


def priced(usd, unit):
    return model(usd=None, price=Price(usd=Decimal(usd), unit=unit, source="s", read_on=date(2026, 1, 1)))


@pytest.mark.parametrize(
    ("wanted", "unit", "usd", "cost"),
    [
        ({"count": 3}, "image", "0.04", Decimal("0.12")),
        ({"count": 2, "width": 1000, "height": 500}, "megapixel", "0.01", Decimal("0.010")),
        ({}, "megapixel", "0.01", None),
        ({"count": 3}, "call", "0.04", Decimal("0.04")),
        ({}, "second", "0.04", None),
        ({"count": 2}, "token", "0.04", Decimal("0.08")),
        ({}, "second", "0", Decimal(0)),
    ],
)
def test_an_order_costs_what_its_unit_says_or_nobody_knows(wanted, unit, usd, cost):
    assert estimate_usd(request(**wanted), priced(usd, unit)) == cost


def test_without_a_price_the_cost_is_unknown_and_not_nothing():
    assert estimate_usd(request(), model(usd=None)) is None


def test_time_grows_with_pixels_pictures_and_steps():
    slow = model(seconds_per_megapixel=10.0)
    one = request(width=1000, height=1000)
    assert estimate_s(one, slow) == 10.0
    assert estimate_s(one.model_copy(update={"count": 3, "steps": 24}), slow) == 60.0
    assert estimate_s(one, model(seconds_per_megapixel=10.0, steps=None)) == 10.0


def test_time_is_unknown_without_a_figure_or_a_size():
    assert estimate_s(request(width=64, height=64), model()) is None
    assert estimate_s(request(), model(seconds_per_megapixel=10.0)) is None


def test_megapixels_are_exact():
    assert megapixels(request(width=512, height=512)) == Decimal("0.262144")
    assert megapixels(request()) == 0


def sold(usd="0.04", unit="image", **changes):
    """A model with this price; what is not the price's is the model's."""
    of_model = {name: changes.pop(name) for name in ("seconds", "seconds_per_megapixel") if name in changes}
    price = Price(usd=usd, unit=unit, source="s", read_on=date(2026, 1, 1), **changes)
    return model(usd=None, price=price, **of_model)


ROWS = (
    {"usd": "0.01", "operation": "upscale"},
    {"usd": "0.02", "options": {"quality": "low"}},
    {"usd": "0.03", "options": {"quality": "low", "hd": True}},
    {"usd": "0.05", "size": (512, 512)},
    {"usd": "0.06", "max_pixels": 300_000},
    {"usd": "0.07", "max_pixels": 600_000},
)
UPSCALE = {"operation": "upscale", "inputs": ("0" * 64,), "scale": 2.0}


@pytest.mark.parametrize(
    ("wanted", "usd"),
    [
        ({"width": 1024, "height": 1024}, "0.09"),
        ({"width": 512, "height": 512}, "0.05"),
        ({"width": 512, "height": 520}, "0.06"),
        ({"width": 520, "height": 512}, "0.06"),
        ({"width": 768, "height": 768}, "0.07"),
        ({"width": 512, "height": 512, "options": {"quality": "low"}}, "0.02"),
        ({"width": 1024, "height": 1024, "options": {"quality": "high", "hd": True}}, "0.09"),
        ({"width": 512, "height": 512} | UPSCALE, "0.01"),
    ],
)
def test_the_first_row_whose_every_condition_holds_is_the_price(wanted, usd):
    assert estimate_usd(request(**wanted), sold("0.09", rows=ROWS)) == Decimal(usd)
    assert estimate_usd(request(count=3, **wanted), sold("0.09", rows=ROWS)) == 3 * Decimal(usd)


@pytest.mark.parametrize(("steps", "times"), [(None, "1"), (10, "1"), (20, "1"), (30, "1.5"), (40, "2")])
def test_more_steps_than_the_price_holds_cost_in_proportion(steps, times):
    assert estimate_usd(request(steps=steps), sold(steps=20)) == Decimal("0.04") * Decimal(times)
    assert estimate_usd(request(steps=steps), sold()) == Decimal("0.04")


@pytest.mark.parametrize(
    ("size", "whole", "exact"),
    [
        ((1000, 1000), "0.01", "0.01"),
        ((1000, 1001), "0.02", "0.01001"),
        ((512, 512), "0.01", "0.00262144"),
        ((64, 64), "0.01", "0.00004096"),
    ],
)
def test_megapixels_are_whole_ones_of_each_picture_where_the_vendor_counts_so(size, whole, exact):
    one = request(width=size[0], height=size[1])
    assert estimate_usd(one, sold("0.01", "megapixel", whole_megapixels=True)) == Decimal(whole)
    assert estimate_usd(one, sold("0.01", "megapixel")) == Decimal(exact)
    two = one.model_copy(update={"count": 2})
    assert estimate_usd(two, sold("0.01", "megapixel", whole_megapixels=True)) == 2 * Decimal(whole)


def test_previews_and_input_pictures_cost_what_they_cost_once_an_order():
    bought = sold(preview_usd="0.01", input_usd="0.002")
    edit = request(operation="edit", inputs=("0" * 64, "1" * 64), count=3, partial_images=2)
    assert estimate_usd(edit, bought) == Decimal("0.12") + Decimal("0.02") + Decimal("0.004")
    assert estimate_usd(request(), bought) == Decimal("0.04")


@pytest.mark.parametrize("unit", ["image", "token", "megapixel", "second", "call"])
def test_what_comes_on_top_comes_on_top_of_every_unit(unit):
    edit = request(operation="edit", inputs=("0" * 64, "1" * 64), partial_images=2, width=1000, height=1000)
    plain = sold(unit=unit, seconds=1.0)
    more = sold(unit=unit, seconds=1.0, preview_usd="0.01", input_usd="0.002")
    assert estimate_usd(edit, plain) == Decimal("0.04")
    assert estimate_usd(edit, more) == Decimal("0.064")


TOKENS = {"text_in": "5", "image_in": "10", "image_out": "40"}


def test_a_quote_by_token_holds_the_longest_count_the_prompt_can_come_to():
    prompt = "\U0001f98a" * 1000
    quoted = estimate_usd(request(prompt=prompt), sold(unit="token", tokens=TOKENS))
    assert quoted == Decimal("0.04") + Decimal(1000 * 5) / 1_000_000


@pytest.mark.parametrize(
    ("bought", "tokens", "seconds", "usd"),
    [
        (
            sold(unit="token", tokens=TOKENS),
            {"text_in": 10, "image_in": 100, "image_out": 1000},
            None,
            "0.04105",
        ),
        (sold(unit="token", tokens=TOKENS), {"image_out": 1, "dreams": 10**9}, None, "0.00004"),
        (sold(unit="token", tokens=TOKENS), {}, None, None),
        (sold(unit="token"), {"image_out": 1000}, None, None),
        (sold("0.001", "second", seconds=10.0), {}, 2.5, "0.0025"),
        (sold("0.001", "second", seconds=10.0), {}, 0.0, "0"),
        (sold("0.001", "second", seconds=10.0), {}, None, None),
        (sold(), {"image_out": 1000}, 2.5, None),
        (model(usd=None), {"image_out": 1000}, 2.5, None),
    ],
)
def test_a_bill_goes_by_the_vendors_count_only_where_the_price_does(bought, tokens, seconds, usd):
    found = settled_usd(request(), bought, tokens, seconds)
    assert found == (None if usd is None else Decimal(usd))


def test_seconds_are_settled_by_the_row_that_was_quoted():
    bought = sold("0.001", "second", rows=[{"usd": "0.002", "options": {"gpu": "big"}}], seconds=10.0)
    big = request(options={"gpu": "big"})
    assert (estimate_usd(big, bought), settled_usd(big, bought, {}, 4.0)) == (
        Decimal("0.02"),
        Decimal("0.008"),
    )


def test_seconds_cost_what_the_order_typically_takes():
    assert estimate_usd(request(), sold("0.001", "second", seconds=12.5)) == Decimal("0.0125")
    by_size = sold("0.001", "second", seconds=2.0, seconds_per_megapixel=10.0)
    assert estimate_usd(request(width=1000, height=1000), by_size) == Decimal("0.012")


def test_a_shipped_price_gives_a_quote_for_every_order_it_can_serve():
    for one in shipped():
        if one.price is None or "generate" not in one.operations:
            continue
        width, height = one.sizes.default
        usd = estimate_usd(GenerateRequest(prompt="a fox", width=width, height=height), one)
        if one.price.unit != "second" or one.seconds is not None or one.seconds_per_megapixel is not None:
            assert usd is not None, (one.provider, one.id)
            assert usd >= 0


@pytest.mark.parametrize(
    ("wanted", "changes", "parts"),
    [
        ({"count": 3}, {"unit": "image"}, [("pictures", "image", "0.04", 3)]),
        (
            {"count": 2, "width": 1000, "height": 500},
            {"unit": "megapixel"},
            [("megapixels", "megapixel", "0.04", 1)],
        ),
        ({}, {"unit": "call"}, [("order", "call", "0.04", 1)]),
        (
            {"width": 1000, "height": 1000},
            {"unit": "second"},
            [("seconds", "second", "0.04", 10)],
        ),
        (
            {"prompt": "a fox", "count": 2, "partial_images": 3},
            {"unit": "token", "preview_usd": Decimal("0.01"), "tokens": {"text_in": Decimal(5)}},
            [
                ("pictures", "image", "0.04", 2),
                ("previews", "image", "0.01", 3),
                ("prompt tokens", "token", "0.000005", 5),
            ],
        ),
        ({"steps": 24}, {"unit": "image", "steps": 12}, [("pictures", "image", "0.08", 1)]),
    ],
)
def test_a_price_is_explained_part_by_part_and_the_parts_add_up(wanted, changes, parts):
    price = Price(**{"usd": Decimal("0.04"), "source": "s", "read_on": date(2026, 1, 1)} | changes)
    entry = model(usd=None, price=price, seconds_per_megapixel=10.0)
    found = explain(request(**wanted), entry)
    assert found == Priced(
        parts=tuple(
            PricePart(what=what, unit=unit, usd=Decimal(usd), amount=Decimal(amount))
            for what, unit, usd, amount in parts
        ),
        source="s",
        read_on=date(2026, 1, 1),
    )
    assert found.total_usd == estimate_usd(request(**wanted), entry)


@pytest.mark.parametrize("entry", [model(usd=None), priced("0.04", "megapixel"), priced("0.04", "second")])
def test_what_nobody_knows_is_not_explained(entry):
    assert explain(request(), entry) is None
