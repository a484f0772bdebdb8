import pytest

from tests.fakes import target


@pytest.mark.parametrize(("usd", "free"), [("0", True), ("0.000001", False), (None, False)])
def test_only_a_price_that_is_known_to_be_nothing_is_free(usd, free):
    assert target("easel", usd).free is free


def test_a_target_is_named_by_provider_and_model():
    assert target("easel").name == "easel/m"
