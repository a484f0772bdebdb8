"""The language model: one chat model at one address, spoken to in Ollama's shape or in OpenAI's."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

import aiohttp

from limner.core.errors import ProviderError
from limner.prompts import ollama_shape, openai_shape
from limner.prompts.said import Ask, Delta, Piece, Role, Said, Tool, ToolCall
from limner.wire import Wire

__all__ = ["Delta", "Language", "LanguageApi", "Piece", "Role", "Said", "Tool", "ToolCall", "address_of"]

LanguageApi = Literal["ollama", "openai"]

STREAM_S = 300.0
_PROBE_S = 3.0
_THOUGHT = re.compile(r"<think>.*?</think>\s*", re.DOTALL)
_HOSTS = {"api.openai.com": "openai", "api.groq.com": "groq"}


class Language:
    """A chat model. `address` is Ollama's own, or ends in `/v1` as OpenAI's clients have it; `key` may be
    empty. Nothing is asked before `reply`, `stream` or `probe`."""

    def __init__(
        self, http: aiohttp.ClientSession, *, address: str, model: str, api: LanguageApi, key: str = ""
    ) -> None:
        self.name = model
        self.provider = (
            "ollama" if api == "ollama" else _HOSTS.get(urlsplit(address).hostname or "", "openai-compatible")
        )
        self._api = api
        self._http = http
        self._url = address
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.address = self._wire(_PROBE_S).address

    async def reply(
        self,
        messages: Sequence[Said],
        *,
        tools: Sequence[Tool] = (),
        temperature: float = 0.3,
        max_tokens: int | None = None,
        timeout_s: float = 120,
    ) -> Said:
        """The whole answer. Raises `ProviderError`s: `Unavailable` at once where no server is."""
        ask = Ask(self.name, messages, tools, temperature, max_tokens, stream=False)
        wire = self._wire(timeout_s)
        match self._api:
            case "ollama":
                said = await ollama_shape.reply(wire, ask)
            case "openai":
                said = await openai_shape.reply(wire, ask)
        return said.model_copy(update={"content": _THOUGHT.sub("", said.content)})

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[Said],
        *,
        tools: Sequence[Tool] = (),
        temperature: float = 0.7,
        max_tokens: int | None = None,
        timeout_s: float = STREAM_S,
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        """The answer as it is made. Raises as `reply`, on entering and while it is read; leaving the block
        ends the answer."""
        ask = Ask(self.name, messages, tools, temperature, max_tokens, stream=True)
        wire = self._wire(timeout_s)
        match self._api:
            case "ollama":
                opened = ollama_shape.stream(wire, ask)
            case "openai":
                opened = openai_shape.stream(wire, ask)
        async with opened as pieces:
            yield pieces

    async def probe(self) -> str | None:
        """None when the model can be asked, else why not, for people. Asks for a list, which is free."""
        wire = self._wire(_PROBE_S)
        try:
            match self._api:
                case "ollama":
                    known = await ollama_shape.models(wire)
                case "openai":
                    known = await openai_shape.models(wire)
        except ProviderError as error:
            return str(error)
        wanted = self.name if ":" in self.name or self._api == "openai" else f"{self.name}:latest"
        if wanted in known or (self._api == "openai" and not known):
            return None
        way = f" (`ollama pull {self.name}` installs it)" if self._api == "ollama" else ""
        return f"{self.address} has no model {self.name}{way}"

    def _wire(self, timeout_s: float) -> Wire:
        classify = ollama_shape.classify if self._api == "ollama" else openai_shape.classify
        return Wire(self._http, self._url, self._headers, classify=classify, timeout_s=timeout_s)


def address_of(api: LanguageApi, url: str, ollama: str) -> str:
    """Where the model is: `url` when set, else where Ollama is known to be, else the vendor's own address.
    One in OpenAI's shape that has no path is completed by `/v1`."""
    match api:
        case "ollama":
            return url or ollama or "http://127.0.0.1:11434"
        case "openai":
            found = url or "https://api.openai.com/v1"
            return found if urlsplit(found).path.strip("/") else found.rstrip("/") + "/v1"
