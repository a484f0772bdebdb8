"""A language model in this process: it says what its script says."""

from limner.core.errors import Unavailable
from limner.prompts.said import Said

DOWN = Unavailable("http://127.0.0.1:9/ cannot be reached")
LONG = (
    "A very serene watercolor painting of a red fox resting in deep snow beside a frozen river, close-up, "
    "85mm f/1.4 lens. "
    + " ".join(f"The quiet scene should really hold misty detail number {n}, softly lit." for n in range(63))
    + ' A sign reads "OPEN LATE". Highly detailed, sharp focus, 4k, rule of thirds, no people.'
)
"""4,500 characters and a few."""


class Scripted:
    """Answers in order; an error is raised, the last answer is given again and again."""

    name = "scripted"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def reply(self, messages, *, temperature=None, timeout_s=None):
        self.asked.append((tuple(messages), temperature, timeout_s))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Said(role="assistant", content=answer)
