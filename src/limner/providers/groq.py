"""Groq: chat models for work on prompts. It draws no pictures, and is never asked for one."""

from collections.abc import Mapping

from pydantic import AliasPath, BaseModel, Field, JsonValue, ValidationError

from limner.core.errors import ProviderError, Rejected, Unauthorized
from limner.providers.base import Call, Health, Outcome, Provider, Recovery
from limner.wire import by_status

_SHOWN = 200


class _Models(BaseModel):
    data: tuple[JsonValue, ...]


class _Trouble(BaseModel):
    message: str = Field(validation_alias=AliasPath("error", "message"))
    code: str = Field("", validation_alias=AliasPath("error", "code"))


class Groq(Provider):
    """Listed so that older clients who name it for pictures learn why it has none. Not xAI's Grok."""

    name = "groq"
    base_url = "https://api.groq.com/"
    recovery = Recovery.BLIND
    key_env = ("GROQ_API_KEY",)
    url_env = ("GROQ_BASE_URL",)

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status; a spending limit that is reached is a code of its own."""
        if status < 400:
            return None
        try:
            told = _Trouble.model_validate_json(body)
        except ValidationError:
            return by_status(status, headers, body)
        said = f"{told.code}: {told.message[:_SHOWN]}"
        if told.code == "blocked_api_access":
            return Unauthorized(said)
        return by_status(status, headers, said.encode())

    async def submit(self, call: Call) -> Outcome:
        """Raises `Rejected` without asking anybody."""
        raise Rejected("groq cannot draw: its API has no image generation; choose another provider")

    async def probe(self) -> Health:
        """List the chat models, which needs a good key and costs nothing."""
        await self.wire.get("openai/v1/models", into=_Models)
        return Health(ok=True)
