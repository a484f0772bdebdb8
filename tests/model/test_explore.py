"""Every road of one job, under so much trouble; see `explore`.

As of writing, the cases below visit some 4,900 states on 11,500 roads. What an exploration found once is told
as a story of its own: exhaustive, but quick.
"""

import asyncio
from decimal import Decimal

import pytest

from limner.core.request import Policy
from tests.model.explore import Exploration

AUTO = Policy(substitutes=True, on_unknown="auto", auto_usd=Decimal("0.06"))


@pytest.fixture(autouse=True)
def _swift(swift):
    """No wait takes long."""


@pytest.mark.parametrize(
    ("names", "policy", "trouble", "floor"),
    [
        (("blind",), None, 2, 320),
        (("ticketed",), None, 3, 2_300),
        (("named",), None, 3, 1_700),
        (("free",), None, 2, 60),
        (("blind", "free"), None, 2, 195),
        (("blind", "ticketed"), AUTO, 1, 20),
        (("ticketed", "named"), None, 1, 20),
    ],
)
def test_nothing_is_bought_twice_nor_lost_on_any_road(names, policy, trouble, floor):
    found = Exploration(names, policy, trouble).explore()
    assert found.states >= floor, found
    assert found.ends["succeeded"], found


@pytest.mark.parametrize(
    ("names", "acts", "story", "came"),
    [
        # The worker dies between giving the order up and asking a person; meanwhile its picture is found.
        (
            ("ticketed",),
            ("work", "ask", "work"),
            "go on, go on, works, go on, go on, lost, go on, go on, die",
            ["settled"],
        ),
        # The picture comes while a free order takes its place, and that one fails.
        (
            ("blind", "free"),
            ("work", "work", "work"),
            "go on, go on, works, lose the lease, go on, go on, go on, go on, die, go on, go on, is away",
            ["settled", "refused"],
        ),
    ],
)
def test_what_comes_after_it_was_given_up_is_not_bought_again(names, acts, story, came):
    scene = asyncio.run(Exploration(names, trouble=9).told(acts, story.split(", ")))
    assert [one["state"] for one in scene.attempts] == came
    assert [one["state"] for one in scene.jobs] == ["succeeded"]
