from datetime import date
from decimal import Decimal

import pytest

from limner.catalog.model import Price
from limner.catalog.price import estimate_s, estimate_usd, megapixels
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
