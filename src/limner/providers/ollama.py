"""Ollama: image models on one's own server. An order lasts as long as its connection, and costs nothing."""

import re
from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from limner.core.errors import Malformed, ProviderError, RateLimited, Rejected, Unauthorized, Unavailable
from limner.providers.answers import SHOWN, Encoded, words
from limner.providers.base import Call, Done, Health, Outcome, Pending, Provider, Recovery
from limner.providers.orders import Fields, base64, given
from limner.wire import retry_after_s

_FIRST, _LAST = (0, 14, 0), (0, 32, 5)
"""Versions between which Ollama draws: 0.32.6 withdrew image models, for a time it was said. Later ones still
list them, with their capability, and refuse to draw."""
_SEED_0 = 2**31 - 1
"""Ollama takes 0 for any seed. This one is above all that the catalog lets through."""


class _Version(BaseModel):
    version: str


class _Model(BaseModel):
    capabilities: list[str] | None = None
    """Newer servers only."""


class _Tags(BaseModel):
    models: list[_Model]


class _Line(BaseModel):
    done: bool = False
    completed: int = 0
    total: int = 0
    image: Encoded | None = None
    error: str | None = None


class Ollama(Provider):
    """One picture at a time, told step by step. A broken connection ends the order, and nothing is kept."""

    name = "ollama"
    base_url = "http://127.0.0.1:11434/"
    recovery = Recovery.BLIND
    concurrency = 1  # its runner draws one at a time
    key_env = ("OLLAMA_API_KEY",)
    url_env = ("OLLAMA_BASE_URL", "OLLAMA_HOST")
    model_env = ("OLLAMA_IMAGE_MODEL",)
    needs_key = False
    self_hosted = True
    timeout_s = 900.0
    """Loading a model for the first time takes minutes."""

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status: nothing is ever charged, so an error of the server's is one before the order."""
        if status < 400:
            return None
        said = f"Ollama: {words(body)[:SHOWN] or status}"
        match status:
            case 401 | 403:
                return Unauthorized(said)
            case 429:
                return RateLimited(said, after_s=retry_after_s(headers))
            case 404:
                return Rejected(f"{said} (`ollama pull` installs a model)")
            case _ if status >= 500:
                return Unavailable(said)
            case _:
                return Rejected(said)

    async def submit(self, call: Call) -> Outcome:
        """Draw while the connection lasts; each line of the answer is a step."""
        wish = call.request
        order: Fields = {
            "model": call.model,
            "prompt": wish.prompt,
            "width": wish.width,
            "height": wish.height,
            "steps": wish.steps,
            "options": None if wish.seed is None else {"seed": wish.seed or _SEED_0},
            "images": [base64(picture) for picture in call.inputs] or None,
            "stream": True,
        }
        async with self.wire.lines("api/generate", json=given(order)) as lines:
            async for raw in lines:
                line = _read(raw or b"{}")
                if line.error is not None:
                    raise Unavailable(f"Ollama stopped drawing: {line.error[:SHOWN]}")
                if line.image is not None:
                    return Done(images=(line.image,))
                if line.done:
                    raise Unavailable("Ollama finished without a picture; its log says why")
                if line.total:
                    call.report(_progress(line))
        raise Unavailable("Ollama broke off before the picture was finished")

    async def probe(self) -> Health:
        """Does this version draw, and is there a model for it?"""
        version = (await self.wire.get("api/version", into=_Version)).version
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
        if found is None or not _FIRST <= tuple(map(int, found.groups())) <= _LAST:
            return Health(ok=False, reason=f"Ollama {version[:40]} draws no pictures; 0.14.0 to 0.32.5 do")
        models = (await self.wire.get("api/tags", into=_Tags)).models
        if not any(model.capabilities is None or "image" in model.capabilities for model in models):
            reason = "no image model is installed; `ollama pull x/z-image-turbo` installs one"
            return Health(ok=False, reason=reason)
        return Health(ok=True)


def _read(raw: bytes) -> _Line:
    try:
        return _Line.model_validate_json(raw)
    except ValidationError as fault:
        raise Malformed(f"cannot read a line of Ollama's answer: {raw[:100]!r}") from fault


def _progress(line: _Line) -> Pending:
    return Pending({}, fraction=line.completed / line.total, step=line.completed, steps=line.total)
