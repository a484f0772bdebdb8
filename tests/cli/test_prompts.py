from limner.prompts.analyse import analyse
from limner.prompts.styles import styles
from tests.cli.conftest import Run

PROMPT = "a watercolor fox, 4k, 85mm lens"


def test_a_prompt_says_its_length_its_terms_and_two_scores(limner: Run):
    ran = limner("prompt", PROMPT)
    assert ran.code == 0
    for said in ("31 characters, 6 words", "watercolor, fox, lens", "4k", "lens, 85mm", "57.5 of 100"):
        assert said in ran.out


def test_a_prompt_that_is_too_long_is_told(limner: Run):
    assert "prompting.optimize" in limner("prompt", "x" * 3001).out
    assert "at most 10,000 characters" in limner("prompt", "x" * 10_001).out


def test_a_prompts_analysis_is_json_too(limner: Run):
    assert limner("prompt", PROMPT, "--json").json == analyse(PROMPT).model_dump(mode="json")


def test_all_styles_are_listed(limner: Run):
    assert [one["name"] for one in limner("styles", "--json").json] == [one.name for one in styles()]
    out = limner("styles").out
    assert all(one.name in out for one in styles())
