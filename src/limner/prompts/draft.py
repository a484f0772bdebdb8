"""A prompt on its way into a job, and the steps in which a language model helps it along."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from limner.core.prompting import Rewrite, Step
from limner.prompts.limits import TARGET, THRESHOLD
from limner.prompts.optimise import Outcome
from limner.prompts.rewriter import Rewriter

HERE = "limner"


@dataclass(slots=True)
class Draft:
    """The prompts as they stand, and what was done to them."""

    prompt: str
    negative: str | None
    steps: list[Rewrite] = field(default_factory=list)

    def becomes(self, prompt: str, step: Step, by: str, said: str) -> None:
        """Another prompt."""
        self.steps.append(Rewrite(step=step, by=by, before=len(self.prompt), after=len(prompt), said=said))
        self.prompt = prompt

    def stays(self, step: Step, by: str, said: str) -> None:
        """The same prompt, and why."""
        self.becomes(self.prompt, step, by, said)

    def refuses(self, negative: str, said: str) -> None:
        """Another negative prompt."""
        before = len(self.negative or "")
        self.steps.append(Rewrite(step="negative", by=HERE, before=before, after=len(negative), said=said))
        self.negative = negative


class Help(Protocol):
    """What the language model does to a draft, or would do."""

    async def sum_up(self, draft: Draft, context: Sequence[str]) -> None:
        """Make one whole prompt of a conversation."""

    async def improve(self, draft: Draft) -> bool:
        """Enhance a short prompt; False when that failed and nothing changed."""

    async def shorten(self, draft: Draft, room: int) -> None:
        """To fewer than 3,000 characters, less `room`."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks it, now. When it is away the draft stays as it is, and says why."""

    rewriter: Rewriter

    async def sum_up(self, draft: Draft, context: Sequence[str]) -> None:
        """The conversation goes to the model and is not kept."""
        outcome = await self.rewriter.ask("context", draft.prompt, context)
        _take(draft, "context", outcome, "summed up with what was said before")

    async def improve(self, draft: Draft) -> bool:
        """One answer, used or not."""
        outcome = await self.rewriter.ask("enhance", draft.prompt)
        _take(draft, "enhance", outcome, "enhanced")
        return outcome.text is not None

    async def shorten(self, draft: Draft, room: int) -> None:
        """Proven to be short and to hold the key terms."""
        _take(draft, "optimize", await self.rewriter.shorten(draft.prompt, room=room), "shortened")


@dataclass(frozen=True, slots=True)
class Expecting:
    """Asks nothing, and says what will be asked: an estimate costs neither money nor time."""

    model: str

    async def sum_up(self, draft: Draft, context: Sequence[str]) -> None:
        """The prompt alone stands for the sum."""
        del context
        draft.stays("context", self.model, f"{self.model} sums up what was said before when it is ordered")

    async def improve(self, draft: Draft) -> bool:
        """The prompt stands for the better one."""
        draft.stays("enhance", self.model, f"{self.model} enhances it when it is ordered")
        return True

    async def shorten(self, draft: Draft, room: int) -> None:
        """As many of its characters as it will have stand for the shorter one."""
        said = (
            f"{self.model} shortens it to below {THRESHOLD:,} characters when it is ordered; "
            "where the model is away, it is sent as it is"
        )
        draft.becomes(draft.prompt[: TARGET - room], "optimize", self.model, said)


def _take(draft: Draft, step: Step, outcome: Outcome, did: str) -> None:
    if outcome.text is None:
        draft.stays(step, outcome.by, f"not {did}, and sent as it was: {outcome.why}")
        return
    before, after = len(draft.prompt), len(outcome.text)
    said = f"{did} by {outcome.by}, from {before:,} to {after:,} characters"
    draft.becomes(outcome.text, step, outcome.by, said)
