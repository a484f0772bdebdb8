import json

from limner.api.facts import facts, ignored
from limner.core.quote import Note
from limner.core.request import GenerateRequest


async def test_facts_of_a_job_without_pictures_name_the_job_and_its_attempts(limner):
    limner.end_as = "failed"
    job = await limner.draw(GenerateRequest(prompt="a red fox"))
    assert facts(job) == {
        "x-limner-job": "job-0001",
        "x-limner-attempts": "1",
        "x-limner-cost-usd": "0.0040",
    }


def test_ignored_names_are_few_and_cannot_forge_a_header():
    assert ignored([]) == {}
    assert ignored(["a\r\nset-cookie", "b", "ü"]) == {"x-limner-ignored": "?, b, ?"}
    assert len(ignored([f"n{i}" for i in range(1_000)])["x-limner-ignored"].split(", ")) == 20


async def test_a_note_in_a_header_is_plain_ascii_whatever_it_says(limner):
    limner.notes = (Note(field="prompt", message="\x7f\r\n\u00df\u2028\U0001f98a"),)
    told = facts(await limner.draw(GenerateRequest(prompt="a red fox")))["x-limner-notes"]
    assert told.isascii()
    assert told.isprintable()
    assert json.loads(told) == [{"field": "prompt", "message": "\x7f\r\n\u00df\u2028\U0001f98a"}]
