import pytest

from limner.guard.budgets import Budget, Window, windows
from limner.guard.scope import Scope

NOON = 1_795_176_000.0
"""2026-11-20 12:00 UTC"""
MIDNIGHT = NOON - 12 * 3600
TEAM = Window("team", Scope(project="zoo"), "day", 10_000_000, MIDNIGHT, MIDNIGHT + 86_400)


def test_a_budget_has_a_window_for_each_of_its_bounds():
    both = Budget("team", Scope(project="zoo"), 10_000_000, 200_000_000)
    november = (MIDNIGHT - 19 * 86_400, MIDNIGHT + 11 * 86_400)
    assert list(windows([both, Budget("none", Scope())], NOON)) == [
        TEAM,
        Window("team", Scope(project="zoo"), "month", 200_000_000, *november),
    ]


@pytest.mark.parametrize(
    ("held", "price", "fits"),
    [(0, 10_000_000, True), (9_960_000, 40_000, True), (9_960_001, 40_000, False), (20_000_000, 1, False)],
)
def test_the_last_micro_dollar_may_be_spent_and_none_beyond(held, price, fits):
    assert (TEAM.refusal(held, price, "easel/one") is None) is fits


def test_a_refusal_names_the_budget_the_sums_and_when_it_is_free_again():
    assert str(TEAM.refusal(9_970_000, 40_000, "easel/one")) == (
        "budget 'team' (project zoo: $10.00 a day): $9.97 is spent or reserved, and easel/one costs $0.04; "
        "the next day begins at 2026-11-21 00:00 UTC; what is free may be drawn meanwhile"
    )


def test_nothing_spent_is_not_called_free():
    none = Window("none", Scope(), "day", 0, 0.0, 86_400.0)
    assert str(none.refusal(0, 40_000, "easel/one")).startswith(
        "budget 'none' (everybody: $0.00 a day): $0.00 is spent or reserved"
    )


def test_an_unknown_price_fits_no_budget_however_large():
    assert str(TEAM.refusal(0, None, "easel/one")) == (
        "budget 'team' (project zoo: $10.00 a day): the price of easel/one is unknown, and what is unknown "
        "fits no budget; name a model with a price"
    )


def test_what_is_counted_together_has_one_key():
    other = Window("team", Scope(project="zoo"), "month", 1, 0.0, 1.0)
    assert (TEAM.key, other.key) == ("budget team project zoo", TEAM.key)
