import pytest

from limner.cli import jobs
from limner.core.job import Job, Waiting
from limner.core.request import GenerateRequest
from tests.cli.conftest import Run


def test_providers_are_listed_with_the_reason(limner: Run):
    ran = limner("providers")
    assert ran.code == 0
    assert ran.out.splitlines()[1].split() == ["easel", "yes", "1", "Available", "http://127.0.0.1:9/"]
    assert limner("providers", "--json").json == [
        {
            "name": "easel",
            "available": True,
            "reason": "Available",
            "models": 1,
            "address": "http://127.0.0.1:9/",
            "account": "easel",
            "title": "easel",
            "description": "",
            "enabled": True,
            "circuit": {
                "state": "CLOSED",
                "failure_count": 0,
                "last_failure": None,
                "available": True,
                "threshold": 5,
                "timeout_ms": 600_000,
                "recovery_in_ms": None,
            },
        }
    ]


def test_jobs_are_listed_newest_first_and_by_state(limner: Run):
    assert limner("jobs").err == "limner: no jobs yet\n"
    limner("generate", "a fox", "--project", "shop")
    limner("generate", "rejected \x1b[31m")
    ran = limner("jobs")
    rows = [line.split() for line in ran.out.splitlines()]
    assert rows[0] == ["id", "state", "when", "model", "cost", "prompt"]
    assert [(row[1], row[-1]) for row in rows[1:]] == [("failed", "[31m"), ("succeeded", "fox")]
    assert [job["state"] for job in limner("jobs", "--json", "--state", "failed").json] == ["failed"]
    assert [job["request"]["prompt"] for job in limner("jobs", "--json", "--project", "shop").json] == [
        "a fox"
    ]
    assert len(limner("jobs", "--json", "--limit", "1").json) == 1


def test_one_job_is_shown_with_its_receipt(limner: Run):
    made = limner("generate", "a fox", "--seed", "3", "--json").json
    ran = limner("jobs", made["id"])
    facts = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    told = {name: facts[name].strip() for name in ("job", "state", "prompt", "picture", "seed")}
    assert told == {
        "job": made["id"],
        "state": "succeeded",
        "prompt": "a fox",
        "picture": made["images"][0]["path"],
        "seed": "3",
    }
    again = limner("jobs", made["id"], "--json").json
    assert again == {name: value for name, value in made.items() if name != "saved"}


def test_a_job_that_failed_tells_why(limner: Run):
    limner("generate", "rejected")
    job_id = limner("jobs", "--json").json[0]["id"]
    assert "easel: draws no such thing" in limner("jobs", job_id).out
    ran = limner("jobs", job_id, "--out", "x.png")
    assert (ran.code, ran.out) == (1, "")


def test_a_job_that_has_ended_stays_when_it_is_cancelled(limner: Run):
    job_id = limner("generate", "a fox", "--json").json["id"]
    assert limner("jobs", "cancel", job_id, "--json").json["state"] == "succeeded"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 1, "nothing"),
        (["cancel"], 2, "`limner jobs cancel` needs the job's id; `limner jobs` lists them"),
        (
            ["stop", "it"],
            2,
            "'stop' is no act on a job; there are `limner jobs ID` and `limner jobs cancel ID`",
        ),
        (["--state", "zzz"], 2, "--state must be one of queued, running, waiting"),
        (["--limit", "0"], 2, "--limit must be from 1 to 200, not 0"),
    ],
)
def test_what_no_job_answers_to_is_refused(limner: Run, arguments: list[str], code: int, said: str):
    ran = limner("jobs", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_a_job_in_line_shows_its_place_there():
    queued = Job(id="1", state="queued", request=GenerateRequest(prompt="a fox"), created_at=0.0)
    placed = queued.model_copy(update={"waiting": Waiting(position=3, expected_s=12.4)})
    assert [jobs._standing(one).plain for one in (queued, placed)] == [
        "queued",
        "queued, position 3, about 12 s",
    ]
