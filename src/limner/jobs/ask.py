"""A question to a person, as it stops whatever asked it."""

from limner.core.errors import LimnerError
from limner.core.job import Confirmation


class Ask(LimnerError):
    """Nothing more is done before a person has said something; `confirmation` is what they are asked."""

    def __init__(self, confirmation: Confirmation) -> None:
        super().__init__(confirmation.message)
        self.confirmation = confirmation
