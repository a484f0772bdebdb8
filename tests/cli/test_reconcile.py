import functools
from decimal import Decimal

import pytest

from limner.app import Limner
from limner.cli import main, session
from limner.core.errors import TimedOut
from limner.core.request import Policy
from limner.providers.base import Recovery
from tests.cli.conftest import Ran
from tests.fakes import Desk, done, model, png, queued, vendor


@pytest.fixture
def desk() -> Desk:
    """A vendor that loses its first answer."""
    return Desk(submits=[TimedOut("no \x1b[31manswer"), done()])


@pytest.fixture
def limner(monkeypatch, capsys, desk):
    kinds = {"easel": vendor(desk, recovery=Recovery.BLIND)}
    monkeypatch.setattr(session, "Limner", functools.partial(Limner, providers=kinds, models=[model()]))

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        return Ran(code, *capsys.readouterr())

    return run


def lost(limner) -> str:
    """The id of a job that asks."""
    ran = limner("generate", "a red fox", "--seed", "7")
    assert ran.code == 1
    (job,) = limner("jobs", "--json", "--state", "needs_confirmation").json
    assert "its answer is lost" in ran.err
    return job["id"]


def test_nothing_lost_is_said_so(limner, desk):
    desk.submits = [done()]
    limner("generate", "a red fox")
    for arguments in (("reconcile",), ("reconcile", "--ask")):
        ran = limner(*arguments)
        assert (ran.code, ran.out, ran.err) == (0, "", "limner: no lost orders\n")
    assert limner("reconcile", "--json").json == []
    assert limner("reconcile", "--ask", "--json").json == {"findings": [], "left": []}


def test_a_lost_order_is_listed_with_what_can_be_said(limner):
    job_id = lost(limner)
    head, row = limner("reconcile").out.splitlines()
    assert head.split() == ["job", "attempt", "at", "charged", "asked", "by", "say", "prompt"]
    assert row.split() == [
        job_id, "1", "easel-model", "at", "easel", "$0.04", "nothing",
        "pay-again,", "write-off,", "delivered", "a", "red", "fox",
    ]  # fmt: skip
    (told,) = limner("reconcile", "--json").json
    assert (told["job_id"], told["amount_usd"], told["choices"]) == (
        job_id,
        0.04,
        ["pay_again", "write_off", "delivered"],
    )


def test_pay_again_draws_before_it_returns_and_names_who_said_so(limner, desk):
    job_id = lost(limner)
    ran = limner("reconcile", job_id, "pay-again", "--by", "Ada", "--json")
    assert (ran.code, ran.json["state"], len(desk.bill)) == (0, "succeeded", 2)
    assert ran.json["receipt"]["attempts"][0]["decided"]["by"] == "Ada"
    rows = limner("reconcile").out.splitlines()
    assert "pay-again, said Ada" in rows[1]
    ran = limner("reconcile", job_id, "write-off", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "conflict")


def test_pay_again_that_waits_for_its_vendor_is_watched_to_the_end(limner, desk):
    job_id = lost(limner)
    desk.submits, desk.polls = [queued()], [queued(fraction=0.5), done()]
    ran = limner("reconcile", job_id, "pay-again")
    assert (ran.code, "succeeded" in ran.out) == (0, True)


def test_write_off_ends_the_job(limner, desk):
    job_id = lost(limner)
    ran = limner("jobs", "decide", job_id, "write_off")
    assert (ran.code, "failed" in ran.out, len(desk.bill)) == (0, True, 1)
    assert limner("reconcile", "--json").json == []


def test_a_picture_that_came_another_way_is_handed_over(limner, here):
    job_id = lost(limner)
    (here / "fox.png").write_bytes(png())
    ran = limner("reconcile", job_id, "delivered", "fox.png", "--json")
    assert (ran.code, ran.json["state"], len(ran.json["images"])) == (0, "succeeded", 1)
    assert ran.json["receipt"]["attempts"][0]["how"] == "person"


def test_asking_the_vendors_says_what_was_learnt(limner):
    lost(limner)
    ran = limner("reconcile", "--ask")
    assert ran.code == 0
    assert "easel cannot be asked about an order whose answer is lost" in ran.out
    ran = limner("reconcile", "--ask", "--json")
    assert [one["outcome"] for one in ran.json["findings"]] == ["silent"]
    assert len(ran.json["left"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("reconcile", "{}"), "say what is to follow: pay-again, write-off, delivered, accept, cancel"),
        (("reconcile", "{}", "forget"), "'forget' is no decision"),
        (("reconcile", "{}", "delivered"), "delivered needs the FILE that came"),
        (("reconcile", "{}", "write-off", "fox.png"), "write-off takes no FILE"),
        (("reconcile", "{}", "delivered", "none.png"), "none.png"),
        (("reconcile", "{}", "accept"), "choose one of pay_again, write_off, delivered"),
        (("reconcile", "{}", "--ask"), "leave the job out"),
        (("reconcile", "0" * 8, "write-off"), "no job '00000000'"),
        (("jobs", "decide"), "`limner jobs decide` needs the job's id"),
        (("jobs", "decide", "{}"), "say what is to follow"),
        (("jobs", "cancel", "{}", "now"), "'now' is one word too many"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_decides_nothing(limner, desk, arguments, said):
    job_id = lost(limner)
    ran = limner(*(one.format(job_id) for one in arguments))
    assert ran.code != 0
    assert said in ran.err
    assert (limner("jobs", job_id, "--json").json["state"], len(desk.bill)) == ("needs_confirmation", 1)


def test_a_policy_may_fail_rather_than_ask_and_be_decided_on_later(limner, desk, monkeypatch):
    monkeypatch.setattr(
        "limner.cli.options.policy", lambda **_: Policy(on_unknown="never", max_cost_usd=Decimal(1))
    )
    assert limner("generate", "a red fox").code == 1
    (job,) = limner("jobs", "--json", "--state", "failed").json
    assert limner("reconcile", job["id"], "pay-again", "--json").json["state"] == "succeeded"
