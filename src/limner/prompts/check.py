"""Is a prompt short enough, and if not, what would it be? For those who ask before they order."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from limner.core.request import says_something
from limner.prompts.analyse import Analysis, analyse
from limner.prompts.limits import MAXIMUM, THRESHOLD
from limner.prompts.optimise import Outcome

Result = Literal["valid", "optimized", "too_long", "optimization_failed"]


class CheckFacts(BaseModel):
    """What else there is to say about a check."""

    model_config = ConfigDict(frozen=True)

    analysis: Analysis
    """Of the original."""
    model: str | None = None
    """The language model, where it was asked."""
    asks: int = 0
    """Questions put to it."""


class PromptCheck(BaseModel):
    """Lengths are characters. `optimized_prompt` is the original where nothing was changed."""

    model_config = ConfigDict(frozen=True)

    success: bool
    result: Result
    original_prompt: str
    optimized_prompt: str
    original_length: int
    optimized_length: int
    size_reduction: int
    reduction_percentage: float
    optimization_time: float | None
    """Seconds; None where the language model was not asked."""
    error_message: str | None
    metadata: CheckFacts
    down: Annotated[bool, Field(exclude=True)] = False
    """The language model was needed, and is away."""


def needs_model(prompt: str, *, force: bool) -> bool:
    """Whether a check asks the language model."""
    if len(prompt) > MAXIMUM or not says_something(prompt):
        return False
    return force or len(prompt) > THRESHOLD


def checked(prompt: str, outcome: Outcome | None) -> PromptCheck:
    """The check's answer, with what the language model said, if it was asked."""
    text = prompt if outcome is None or outcome.text is None else outcome.text
    saved = len(prompt) - len(text)
    facts = CheckFacts(analysis=analyse(prompt))
    if outcome is not None:
        facts = facts.model_copy(update={"model": outcome.by, "asks": outcome.asks})
    result = _result(prompt, outcome)
    return PromptCheck(
        success=result in ("valid", "optimized"),
        result=result,
        original_prompt=prompt,
        optimized_prompt=text,
        original_length=len(prompt),
        optimized_length=len(text),
        size_reduction=saved,
        reduction_percentage=round(100 * saved / len(prompt), 2) if prompt else 0.0,
        optimization_time=None if outcome is None else round(outcome.seconds, 3),
        error_message=_message(prompt, outcome),
        metadata=facts,
        down=outcome is not None and outcome.down,
    )


def _result(prompt: str, outcome: Outcome | None) -> Result:
    if len(prompt) > MAXIMUM:
        return "too_long"
    if outcome is None:
        return "valid"
    return "optimization_failed" if outcome.text is None else "optimized"


def _message(prompt: str, outcome: Outcome | None) -> str | None:
    if len(prompt) > MAXIMUM:
        return f"the prompt is {len(prompt):,} characters long; at most {MAXIMUM:,} are accepted"
    if outcome is None or outcome.text is not None:
        return None
    return f"{outcome.by} did not shorten the prompt: {outcome.why}"
