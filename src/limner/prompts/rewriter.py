"""The language model's help with prompts: asked, judged and counted."""

from collections.abc import Awaitable, Callable, Sequence

from limner.core.prompting import Step
from limner.core.shelf import RewriteCount, RewriteOutcome
from limner.prompts.check import PromptCheck, checked, needs_model
from limner.prompts.enhance import improve, sum_up
from limner.prompts.optimise import Outcome, Replies, shorten

Count = Callable[[RewriteCount], Awaitable[None]]
"""Keep how a rewriting went."""


class Rewriter:
    """`on`: prompts may be rewritten at all."""

    def __init__(self, language: Replies, count: Count, *, on: bool) -> None:
        self._language = language
        self._count = count
        self.on = on

    @property
    def model(self) -> str:
        """The language model's name."""
        return self._language.name

    async def check(self, prompt: str, *, force: bool) -> PromptCheck:
        """Is it short enough, and if not, or with `force`, what would it be?"""
        if not needs_model(prompt, force=force):
            return checked(prompt, None)
        return checked(prompt, await self.shorten(prompt))

    async def shorten(self, prompt: str, *, room: int = 0) -> Outcome:
        """The prompt in fewer than 3,000 characters, less `room`; counted. Never raises a `ProviderError`."""
        if not self.on:
            return self._off()
        outcome = await shorten(self._language, prompt, room=room)
        await self._keep("optimize", prompt, outcome)
        return outcome

    async def ask(self, step: Step, prompt: str, context: Sequence[str] = ()) -> Outcome:
        """The prompt enhanced, or with `context` made whole; counted. Never raises a `ProviderError`."""
        if context:
            outcome = await sum_up(self._language, prompt, context)
        else:
            outcome = await improve(self._language, prompt)
        await self._keep(step, prompt, outcome)
        return outcome

    async def _keep(self, step: Step, prompt: str, outcome: Outcome) -> None:
        await self._count(
            RewriteCount(
                step=step,
                model=outcome.by,
                outcome=_word(outcome),
                count=1,
                characters_before=len(prompt),
                characters_after=len(prompt if outcome.text is None else outcome.text),
                seconds=outcome.seconds,
                retries=max(0, outcome.asks - 1),
            )
        )

    def _off(self) -> Outcome:
        why = "rewriting is switched off; see the setting prompt_rewriting"
        return Outcome(None, self._language.name, 0.0, 0, why, down=True)


def _word(outcome: Outcome) -> RewriteOutcome:
    if outcome.text is not None:
        return "done"
    return "away" if outcome.down else "failed"
