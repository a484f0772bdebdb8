"""What a prompt says about itself: counts, keywords, structure and two scores. Pure."""

import re
from collections.abc import Iterable
from functools import cache

from pydantic import BaseModel, ConfigDict

from limner.prompts.limits import MAXIMUM, TARGET, THRESHOLD
from limner.prompts.words import ADJECTIVES, COMPOSITION, QUALITY, STOP, STYLES, TECHNICAL

MAX_KEYWORDS = 20
_SENTENCES = re.compile(r"[.!?]+")
_LETTERS = re.compile(r"[^\W\d_]{3,}")
_FIGURES = re.compile(
    r"""(?<![\w.])(?:
        f/\d+(?:\.\d+)?                                   # an aperture
        | iso\s?\d{2,6}
        | \d+(?:\.\d+)?\s?(?:mm|megapixels?|mp|fps|kelvin|dpi|ppi|stops?|degrees)
        | 1/\d+\s?s?                                      # an exposure
        | \d+\s?[x\u00d7]\s?\d+(?:\s?px)?                 # pixels
        | \d{1,2}:\d{1,2}                                 # sides
        | \d+\s?px
    )(?!\w)""",
    re.VERBOSE | re.IGNORECASE,
)


class Structure(BaseModel):
    """What kinds of words a prompt holds. Terms are lower case, in order of first appearance."""

    model_config = ConfigDict(frozen=True)

    subject_detected: bool
    style_keywords: tuple[str, ...]
    quality_terms: tuple[str, ...]
    technical_specs: tuple[str, ...]
    composition_terms: tuple[str, ...]
    descriptive_adjectives: int


class Stats(BaseModel):
    """A prompt against the limits. Lengths are characters."""

    model_config = ConfigDict(frozen=True)

    character_count: int
    word_count: int
    needs_optimization: bool
    exceeds_maximum: bool
    optimization_threshold: int = THRESHOLD
    maximum_length: int = MAXIMUM
    estimated_reduction_needed: int


class Analysis(Stats):
    """A full analysis. Scores are 0 to 100, and 0 where there are no words."""

    sentence_count: int
    keywords: tuple[str, ...]
    keyword_count: int
    """Of all of them: `keywords` holds the first 20."""
    structure: Structure
    target_length: int = TARGET
    complexity_score: float
    readability_score: float


def analyse(prompt: str) -> Analysis:
    """Everything there is to say about a prompt, however long or empty it is."""
    words = len(prompt.split())
    sentences = sum(1 for part in _SENTENCES.split(prompt) if part.strip())
    keywords = _keywords(prompt)
    return Analysis(
        character_count=len(prompt),
        word_count=words,
        sentence_count=sentences,
        keywords=keywords[:MAX_KEYWORDS],
        keyword_count=len(keywords),
        structure=_structure(prompt, keywords),
        needs_optimization=len(prompt) > THRESHOLD,
        exceeds_maximum=len(prompt) > MAXIMUM,
        estimated_reduction_needed=max(0, len(prompt) - TARGET),
        complexity_score=_complexity(len(prompt), words, sentences, len(keywords)),
        readability_score=_readability(len(prompt), words, sentences),
    )


def subjects(prompt: str) -> tuple[str, ...]:
    """What the picture seems to be of: the words of its first sentence that say no style, quality or way."""
    first = next((part for part in _SENTENCES.split(prompt) if _LETTERS.search(part)), "")
    kinds = (STYLES, QUALITY, TECHNICAL, COMPOSITION)
    manner = {word for kind in kinds for term in _terms(first, kind) for word in re.split(r"[\s-]", term)}
    return tuple(word for word in _keywords(first) if word not in manner and word not in ADJECTIVES)


def _keywords(prompt: str) -> tuple[str, ...]:
    found = (word.lower() for word in _LETTERS.findall(prompt))
    return tuple(dict.fromkeys(word for word in found if word not in STOP))


def _structure(prompt: str, keywords: tuple[str, ...]) -> Structure:
    figures = (figure.lower() for figure in _FIGURES.findall(prompt))
    return Structure(
        subject_detected=bool(subjects(prompt)),
        style_keywords=_terms(prompt, STYLES),
        quality_terms=_terms(prompt, QUALITY),
        technical_specs=tuple(dict.fromkeys((*_terms(prompt, TECHNICAL), *figures))),
        composition_terms=_terms(prompt, COMPOSITION),
        descriptive_adjectives=sum(1 for word in keywords if word in ADJECTIVES),
    )


def _terms(prompt: str, known: frozenset[str]) -> tuple[str, ...]:
    """The terms as they are written, lower case, the longest where one holds another."""
    found = (re.sub(r"\s+", " ", term.lower()) for term in _pattern(known).findall(prompt))
    return tuple(dict.fromkeys(found))


@cache
def _pattern(known: frozenset[str]) -> re.Pattern[str]:
    alternatives: Iterable[str] = sorted(known, key=lambda term: (-len(term), term))
    joined = "|".join(r"[\s-]+".join(map(re.escape, term.split("-"))) for term in alternatives)
    return re.compile(rf"(?<!\w)(?:{joined})(?!\w)", re.IGNORECASE)


def _complexity(chars: int, words: int, sentences: int, keywords: int) -> float:
    if not words:
        return 0.0
    long_words = min(chars / words / 10, 1)
    long_sentences = min(words / max(sentences, 1) / 20, 1)
    dense = min(2 * keywords / words, 1)
    return round(30 * long_words + 40 * long_sentences + 30 * dense, 2)


def _readability(chars: int, words: int, sentences: int) -> float:
    if not words:
        return 0.0
    by_words = max(0.0, 100 - 10 * abs(chars / words - 5))
    by_sentences = max(0.0, 100 - 3 * abs(words / max(sentences, 1) - 15))
    return round((by_words + by_sentences) / 2, 2)
