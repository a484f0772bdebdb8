from decimal import Decimal

import pytest

from limner.core.job import FINAL, Attempt, Job, JobState, cost_usd
from tests.fakes import request


def attempt(state, usd="0.04") -> Attempt:
    return Attempt(
        n=1,
        state=state,
        provider="easel",
        account="easel",
        model="m",
        why="first choice",
        how="direct",
        price_usd=None if usd is None else Decimal(usd),
        submitted_at=0.0,
    )


@pytest.mark.parametrize(
    ("attempts", "cost"),
    [
        ([], None),
        ([attempt("submitting")], None),
        ([attempt("accepted")], None),
        ([attempt("refused")], Decimal(0)),
        ([attempt("settled")], Decimal("0.04")),
        ([attempt("answered")], Decimal("0.04")),
        ([attempt("unknown"), attempt("settled", "0")], Decimal("0.04")),
        ([attempt("refused"), attempt("settled", "0.05")], Decimal("0.05")),
        ([attempt("settled", None)], None),
        ([attempt("unknown", None), attempt("settled", "0.05")], None),
        ([attempt("refused", None)], Decimal(0)),
        ([attempt("unknown"), attempt("submitting")], None),
    ],
)
def test_what_was_charged_is_a_sum_or_unknown(attempts, cost):
    assert cost_usd(attempts) == cost


@pytest.mark.parametrize("state", JobState.__args__)
def test_only_three_states_are_final(state):
    job = Job(id="one", state=state, request=request(), created_at=0.0)
    assert job.final is (state in ("succeeded", "failed", "canceled"))
    assert (state in FINAL) is job.final
