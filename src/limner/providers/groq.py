"""Groq: chat models for work on prompts. It draws no pictures, and is never asked for one."""

from collections.abc import Mapping

from limner.core.errors import ProviderError, Rejected, Unauthorized
from limner.providers.answers import Trouble, readable
from limner.providers.base import Call, Outcome, Provider, Recovery
from limner.wire import by_status


class Groq(Provider):
    """Listed so that older clients who name it for pictures learn why it has none. Not xAI's Grok."""

    name = "groq"
    base_url = "https://api.groq.com/"
    recovery = Recovery.BLIND
    key_env = ("GROQ_API_KEY",)
    url_env = ("GROQ_BASE_URL",)
    probe_path = "openai/v1/models"

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status; a spending limit that is reached is a code of its own."""
        told = readable(body, Trouble) if status >= 400 else None
        if told is None:
            return by_status(status, headers, body)
        if told.code == "blocked_api_access":
            return Unauthorized(told.said)
        return by_status(status, headers, told.said.encode())

    async def submit(self, call: Call) -> Outcome:
        """Raises `Rejected` without asking anybody."""
        raise Rejected("groq cannot draw: its API has no image generation; choose another provider")
