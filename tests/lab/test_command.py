"""The command `limner lab`."""

import json

import pytest

from limner.cli import lab as command
from limner.cli import main
from limner.lab.report import Figures


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenario", "nope"], "--scenario must be one of havoc, week, matrix, all-up"),
        (["--database", "oracle"], "--database must be sqlite or postgres, not 'oracle'"),
        (["--jobs", "0"], "--jobs must be at least 1"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_starts(arguments, said, capsys):
    assert main(["lab", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_run_that_keeps_every_promise_exits_0_with_its_figures(monkeypatch, capsys):
    figures = Figures(name="week", seed=3, jobs={"succeeded": 9}, seconds=2.0)
    monkeypatch.setattr(command, "week", lambda seed: figures)
    assert main(["lab", "--scenario", "week", "--seed", "3", "--json"]) == 0
    assert Figures.model_validate(json.loads(capsys.readouterr().out)) == figures


def test_a_broken_promise_is_named_with_the_seed_and_exits_1(monkeypatch, capsys):
    figures = Figures(
        name="week",
        seed=3,
        jobs={"succeeded": 9, "failed": 1},
        kills={"before submit": 2, "random": 3},
        kills_under_load=4,
        unknown=1,
        violations=("job j1 is stuck in running",),
    )
    monkeypatch.setattr(command, "week", lambda seed: figures)
    assert main(["lab", "--scenario", "week", "--seed", "3"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "9 succeeded, 1 failed" in told
    assert "5 (3 at random, 2 at a line; 4 under load)" in told
    assert "BROKEN: job j1 is stuck in running" in told
    assert "week, seed 3, sqlite: 1 promises were broken" in told
