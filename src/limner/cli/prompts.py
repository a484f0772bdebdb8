"""The commands about prompts: what one says about itself, and Limner's own styles. They start nothing."""

from collections.abc import Iterator

from limner.cli import view, words
from limner.cli.show import show
from limner.prompts.analyse import Analysis, analyse
from limner.prompts.styles import styles as all_styles


def prompt(text: str, *, as_json: bool) -> None:
    """What a prompt says about itself."""
    found = analyse(text)
    if as_json:
        words.print_json(found.model_dump(mode="json"))
        return
    view.out().print(view.sheet(_lines(found)))


def styles(*, as_json: bool) -> None:
    """Limner's own styles."""
    if as_json:
        words.print_json([one.model_dump(mode="json") for one in all_styles()])
        return
    show(("style", "also", "adds"), ((one.name, ", ".join(one.also), one.positive) for one in all_styles()))


def _lines(found: Analysis) -> Iterator[tuple[str, str]]:
    counts = f"{found.character_count:,} characters, {found.word_count:,} words, {found.sentence_count:,}"
    yield "length", f"{counts} sentences"
    if found.exceeds_maximum:
        yield "too long", f"at most {found.maximum_length:,} characters are accepted"
    elif found.needs_optimization:
        yield "long", f"`prompting.optimize` shortens it to below {found.optimization_threshold:,} characters"
    named = found.structure.model_dump(exclude={"subject_detected", "descriptive_adjectives"})
    for name, terms in ({"keywords": found.keywords} | named).items():
        if terms:
            yield name.replace("_", " "), ", ".join(terms)
    yield "complexity", f"{found.complexity_score:g} of 100"
    yield "readability", f"{found.readability_score:g} of 100"
