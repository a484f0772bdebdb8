from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from limner.core.money import Usd, from_micros, show, to_micros


@given(st.integers(0, 10**15))
def test_micro_dollars_come_back_as_they_were(micros):
    assert to_micros(from_micros(micros)) == micros


@given(st.decimals(0, 10_000, allow_nan=False, allow_infinity=False, places=12))
def test_a_stored_price_is_never_below_the_price_and_at_most_a_micro_dollar_above(usd):
    stored = from_micros(to_micros(usd))
    assert usd <= stored < usd + Decimal("0.000001")


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "price unknown"),
        ("0", "free"),
        ("0.04", "$0.04"),
        ("0.0025", "$0.0025"),
        ("0.1", "$0.10"),
        ("12", "$12.00"),
    ],
)
def test_people_read_prices(usd, text):
    assert show(None if usd is None else Decimal(usd)) == text


def test_a_price_is_a_number_in_json_and_a_decimal_in_code():
    class Bill(BaseModel):
        usd: Usd

    bill = Bill(usd=Decimal("0.04"))
    assert (bill.model_dump_json(), bill.model_dump()) == ('{"usd":0.04}', {"usd": Decimal("0.04")})
