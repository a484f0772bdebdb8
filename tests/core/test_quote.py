from datetime import date
from decimal import Decimal

import pytest

from limner.core.quote import Agreed, Priced, PricePart
from tests.fakes import target


@pytest.mark.parametrize(("usd", "free"), [("0", True), ("0.000001", False), (None, False)])
def test_only_a_price_that_is_known_to_be_nothing_is_free(usd, free):
    assert target("easel", usd).free is free


def test_a_target_is_named_by_provider_and_model():
    assert target("easel").name == "easel/m"


def test_the_parts_of_a_price_add_up_and_come_back_from_json_exactly():
    parts = (
        PricePart(what="pictures", unit="image", usd=Decimal("0.04"), amount=Decimal(3)),
        PricePart(what="prompt tokens", unit="token", usd=Decimal("0.000005"), amount=Decimal(17)),
    )
    priced = Priced(parts=parts, source="a page", read_on=date(2026, 1, 1))
    assert priced.total_usd == Decimal("0.120085")
    assert Priced.model_validate_json(priced.model_dump_json()) == priced


def test_what_was_agreed_is_named_like_a_target():
    agreed = Agreed(provider="easel", account="a", model="m", ref="r", price_usd=None, notes="")
    assert agreed.name == "easel/m"
