"""Long prompts made short by the language model, and proven to still say what they said."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from limner.core.errors import ProviderError
from limner.prompts.compress import Demand, asked, asked_again, key_terms, lacks, read
from limner.prompts.limits import RETRIES, TARGET, TEMPERATURE, THRESHOLD, TIMEOUT_S
from limner.prompts.said import Said

_SHOWN = 200


class Replies(Protocol):
    """A language model, as far as rewriting needs it."""

    @property
    def name(self) -> str:
        """The model."""

    async def reply(
        self,
        messages: Sequence[Said],
        *,
        temperature: float = TEMPERATURE,
        timeout_s: float = TIMEOUT_S,
    ) -> Said:
        """The whole answer. Raises `ProviderError`s."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking the language model for a text."""

    text: str | None
    """None: what there was is used."""
    by: str
    """The model."""
    seconds: float
    asks: int
    """Questions that were put, those without an answer too."""
    why: str | None = None
    """Why there is no text, for people."""
    down: bool = False
    """The last question found no answer: the model is away."""


async def shorten(language: Replies, prompt: str, *, room: int = 0, target: int = TARGET) -> Outcome:
    """The prompt in fewer than 3,000 characters, less `room`, with its key terms. One answer that falls short
    is sent back once with what was missing; never raises a `ProviderError`."""
    limit = min(THRESHOLD - 1 - room, len(prompt))
    demand = Demand(prompt, limit, min(target - room, limit), key_terms(prompt))
    began, asks = time.monotonic(), 0
    question, why = asked(demand), ""
    for _ in range(2):
        try:
            answer, tries = await ask(language, question)
        except Away as away:
            asks += away.tries
            return Outcome(None, language.name, time.monotonic() - began, asks, _short(away), down=True)
        asks += tries
        text = read(answer)
        lacking = lacks(text, demand)
        if lacking is None:
            return Outcome(text, language.name, time.monotonic() - began, asks)
        question, why = asked_again(demand, answer, lacking), f"the answer will not do: {_short(lacking)}"
    return Outcome(None, language.name, time.monotonic() - began, asks, why)


def _short(why: object) -> str:
    text = f"{why}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


class Away(Exception):
    """The language model gave no answer, as often as it was asked."""

    def __init__(self, error: ProviderError, tries: int) -> None:
        super().__init__(str(error))
        self.tries = tries


async def ask(language: Replies, question: Sequence[Said]) -> tuple[str, int]:
    """The words of the answer, and how often it took. What may pass is tried twice more. Raises `Away`."""
    tries = 0
    while True:
        tries += 1
        try:
            said = await language.reply(question, temperature=TEMPERATURE, timeout_s=TIMEOUT_S)
        except ProviderError as error:
            if tries > RETRIES or not error.trips:
                raise Away(error, tries) from error
        else:
            return said.content, tries
