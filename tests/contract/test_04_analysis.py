"""Contract 4, prompt analysis, as the two endpoints serve it.

What is counted, found and scored is proven in `tests/prompts/test_analyse.py`.
"""

import re

import pytest

from limner.prompts.analyse import analyse
from tests.api.test_unified import House

FIELDS = {
    "character_count": int,
    "word_count": int,
    "sentence_count": int,
    "keywords": list,
    "keyword_count": int,
    "structure": dict,
    "needs_optimization": bool,
    "exceeds_maximum": bool,
    "optimization_threshold": int,
    "maximum_length": int,
    "target_length": int,
    "estimated_reduction_needed": int,
    "complexity_score": float,
    "readability_score": float,
}
STRUCTURE = {
    "subject_detected": bool,
    "style_keywords": list,
    "quality_terms": list,
    "technical_specs": list,
    "composition_terms": list,
    "descriptive_adjectives": int,
}
PROMPT = (
    "A serene watercolor painting of a red fox in deep snow. Shot at f/1.4, 85mm, rule of thirds!"
    " Highly detailed, the fox sleeps..."
)


@pytest.fixture
async def http(home):
    house = House(home)
    async with house.limner, house.http:
        yield house.http


async def served(http, prompt=PROMPT):
    """The analysis from either endpoint: it is one."""
    stats = (await http.post("/unified/prompt-stats", json={"prompt": prompt})).json()
    check = (await http.post("/unified/validate-prompt", json={"prompt": prompt})).json()
    assert check["metadata"]["analysis"] == stats
    return stats


async def test_both_endpoints_serve_every_field_with_its_type(http):
    found = await served(http)
    assert {name: type(found[name]) for name in FIELDS} == FIELDS
    assert {name: type(value) for name, value in found["structure"].items()} == STRUCTURE


async def test_the_limits_are_3000_10000_and_2800(http):
    found = await served(http)
    names = ("optimization_threshold", "maximum_length", "target_length")
    assert [found[name] for name in names] == [3000, 10_000, 2800]


async def test_keywords_are_lower_case_once_each_three_letters_or_more_in_order_of_appearance(http):
    words = (await served(http))["keywords"]
    assert words == list(dict.fromkeys(words))
    assert all(re.fullmatch(r"[a-z]{3,}", word) for word in words)
    places = [PROMPT.lower().index(word) for word in words]
    assert places == sorted(places)
    assert {"the", "and"}.isdisjoint(words)


async def test_keywords_are_cut_at_20_and_counted_before_the_cut(http):
    letters = "abcdefghijklmnopqrstuvwxyz"
    found = await served(http, " ".join(f"{one}{one}{one}" for one in letters))
    assert (len(found["keywords"]), found["keyword_count"]) == (20, 26)


@pytest.mark.parametrize("prompt", ["a red fox", PROMPT, "one. two! three?", "x", "fox " * 600])
def test_the_scores_are_the_formulas(prompt):
    found = analyse(prompt)
    chars = found.character_count / found.word_count
    words = found.word_count / max(found.sentence_count, 1)
    keywords = found.keyword_count / found.word_count
    complexity = 30 * min(chars / 10, 1) + 40 * min(words / 20, 1) + 30 * min(2 * keywords, 1)
    readability = (max(0, 100 - 10 * abs(chars - 5)) + max(0, 100 - 3 * abs(words - 15))) / 2
    assert (found.complexity_score, found.readability_score) == (round(complexity, 2), round(readability, 2))


def test_both_scores_are_0_when_there_are_no_words():
    assert (analyse("  ").complexity_score, analyse("  ").readability_score) == (0, 0)
