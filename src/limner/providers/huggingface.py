"""Hugging Face: one token and one router for many partners, each of which keeps its own words."""

import asyncio
from collections.abc import Mapping

from pydantic import BaseModel, Field

from limner.core.errors import ProviderError, RateLimited, Refused, Rejected
from limner.providers import huggingface_answers as answers
from limner.providers.answers import SHOWN, readable, wait_s, words
from limner.providers.base import Call, Health, Outcome, Provider, Recovery, Ticket
from limner.providers.huggingface_orders import order
from limner.wire import by_status

_LOADING_S = 10.0
_LONGEST_LOADING_S = 30.0


class _Loading(BaseModel):
    estimated_time: float = Field(_LOADING_S, gt=0, le=3600)


class HuggingFace(Provider):
    """Some partners answer at once, some with a ticket; none can find an order whose answer was lost."""

    name = "huggingface"
    base_url = "https://router.huggingface.co/"
    recovery = Recovery.BLIND
    key_env = ("HUGGINGFACE_API_KEY", "HF_TOKEN")
    model_env = ("HUGGINGFACE_IMAGE_MODEL",)
    hosts = ("huggingface.co",)
    timeout_s = 180.0

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """Partners' own bodies are passed on; a model that is being loaded is a wait, not a fault."""
        told = words(body) or headers.get("X-Error-Message", "no reason given")
        said = f"{status}: {told[:SHOWN]}"
        match status:
            case 400 | 410 | 422:
                return Refused(said) if answers.declined(told) else Rejected(said)
            case 429:
                return RateLimited(said, after_s=wait_s(body, headers))
            case 503 if "loading" in told:
                loading = readable(body, _Loading) or _Loading()
                return RateLimited(said, after_s=min(loading.estimated_time, _LONGEST_LOADING_S))
            case _:
                return by_status(status, headers, told.encode())

    async def submit(self, call: Call) -> Outcome:
        """One POST to the partner that the catalog names for the model."""
        sent = order(call)
        answer = await self.wire.send("POST", sent.path, json=sent.body, headers=sent.headers, order=True)
        return await asyncio.to_thread(answers.outcome, sent.partner, answer)  # pictures are looked at

    async def poll(self, ticket: Ticket) -> Outcome:
        """Ask the partner that queued it."""
        answer = await self.wire.send("GET", str(ticket["path"]))
        return answers.outcome(answers.named(ticket), answer, ticket)

    async def probe(self) -> Health:
        """Whose token is it? The hub answers that; the router has no question that is free."""
        hub = self.wire.address.replace("//router.", "//").replace("/router/", "/hub/")
        await self.wire.send("GET", f"{hub}api/whoami-v2")
        return Health(ok=True)
