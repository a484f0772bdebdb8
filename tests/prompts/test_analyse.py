"""Contract 4: the fields and formulas of a prompt's analysis."""

import pytest

from limner.prompts.analyse import Structure, analyse, subjects

PROMPT = (
    "A serene watercolor painting of a red fox in deep snow, close-up. "
    "Highly detailed, shot at 85mm f/2 on 4K film!"
)


def test_an_analysis_has_the_fields_that_clients_know_and_no_others():
    assert list(analyse(PROMPT).model_dump()) == [
        "character_count",
        "word_count",
        "needs_optimization",
        "exceeds_maximum",
        "optimization_threshold",
        "maximum_length",
        "estimated_reduction_needed",
        "sentence_count",
        "keywords",
        "keyword_count",
        "structure",
        "target_length",
        "complexity_score",
        "readability_score",
    ]


def test_characters_words_and_sentences_are_counted():
    found = analyse(PROMPT)
    assert (found.character_count, found.word_count, found.sentence_count) == (111, 21, 2)


@pytest.mark.parametrize(
    ("prompt", "count"),
    [("", 0), ("   ", 0), ("...", 0), ("a fox", 1), ("A fox. ", 1), ("What?! A fox... Yes!", 3)],
)
def test_sentences_are_split_at_runs_of_marks(prompt, count):
    assert analyse(prompt).sentence_count == count


def test_keywords_are_lower_case_once_each_in_order_without_stop_words_or_short_ones():
    assert analyse("The FOX and the fox: an Owl, a big owl in it").keywords == ("fox", "owl", "big")


def test_at_most_20_keywords_are_told_and_all_are_counted():
    words = [f"{a}{b}x" for a in "abcdef" for b in "aeiou"]
    found = analyse(" ".join(words))
    assert (found.keywords, found.keyword_count) == (tuple(words[:20]), 30)


def test_the_structure_names_what_was_found_and_counts_adjectives():
    assert analyse(PROMPT).structure == Structure(
        subject_detected=True,
        style_keywords=("watercolor",),
        quality_terms=("highly detailed", "4k"),
        technical_specs=("85mm", "f/2"),
        composition_terms=("close-up",),
        descriptive_adjectives=3,
    )


@pytest.mark.parametrize("prompt", ["", "watercolor, highly detailed, 4k", "!!!"])
def test_without_a_subject_none_is_detected(prompt):
    assert not analyse(prompt).structure.subject_detected


def test_a_term_counts_with_a_blank_or_a_hyphen_and_the_longer_one_wins():
    found = analyse("pixel art, Pixel-Art, rule of  thirds, highly  detailed").structure
    assert (found.style_keywords, found.quality_terms, found.composition_terms) == (
        ("pixel art", "pixel-art"),
        ("highly detailed",),
        ("rule of thirds",),
    )


@pytest.mark.parametrize(
    ("length", "optimize", "exceeds", "reduction"),
    [
        (2800, False, False, 0),
        (2801, False, False, 1),
        (3000, False, False, 200),
        (3001, True, False, 201),
        (10_000, True, False, 7200),
        (10_001, True, True, 7201),
    ],
)
def test_the_limits_are_3000_10000_and_2800(length, optimize, exceeds, reduction):
    found = analyse("x" * length)
    assert (found.needs_optimization, found.exceeds_maximum, found.estimated_reduction_needed) == (
        optimize,
        exceeds,
        reduction,
    )
    limits = (found.optimization_threshold, found.maximum_length, found.target_length)
    assert limits == (3000, 10_000, 2800)


def test_the_scores_follow_their_formulas():
    # 30 characters, 6 words, 2 sentences, 5 keywords: 5 characters a word, 3 words a sentence.
    found = analyse("Red foxes run fast. They hide!")
    assert found.complexity_score == 51.0  # 30 x 0.5 + 40 x 0.15 + 30 x 1
    assert found.readability_score == 82.0  # the mean of 100 and 64


def test_both_scores_are_0_without_words():
    found = analyse(" \n ")
    assert (found.complexity_score, found.readability_score) == (0.0, 0.0)


def test_scores_have_two_decimals_and_stay_within_0_and_100():
    for prompt in ("a", "x" * 500, "word " * 400, "Antidisestablishmentarianism!" * 30, "é" * 7):
        found = analyse(prompt)
        for score in (found.complexity_score, found.readability_score):
            assert 0 <= score <= 100
            assert score == round(score, 2)


def test_the_subject_is_what_the_first_sentence_says_besides_its_manner():
    assert subjects(PROMPT) == ("painting", "fox", "snow")
    assert subjects("?! A cinematic owl. A cat.") == ("cinematic", "owl")
