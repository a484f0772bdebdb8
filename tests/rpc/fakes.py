"""The doors' Limner in memory, with what the gRPC door asks besides."""

import asyncio

from limner.app import ProviderStatus
from limner.catalog.model import Model
from limner.core.errors import InvalidRequest, NoEntry
from limner.core.job import Job
from limner.core.quote import Quote
from limner.core.request import GenerateRequest
from limner.rpc.asked import DEFAULTS
from tests.api.fakes import OWN, FakeLimner


class Fake(FakeLimner):
    """`keys` maps key to caller; empty: no key is asked for. `hold` keeps every order from ending."""

    def reset(self) -> None:
        super().reset()
        self.keys: dict[str, str] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self.waiting = 0
        self.reason: str | None = None
        self.refuse_seed: int | None = None
        self.mishap: Exception | None = None

    def who(self, key: str | None) -> str:
        if not self.keys:
            return "local"
        if key not in self.keys:
            raise NoEntry("this server asks for a key")
        return self.keys[key]

    def models(self) -> tuple[Model, ...]:
        return (OWN,)

    def set_up(self) -> frozenset[str]:
        return frozenset({"local"})

    async def providers(self) -> list[ProviderStatus]:
        return [
            ProviderStatus(
                name="local",
                available=self.reason is None,
                reason=self.reason or "Available",
                models=1,
                address="",
                account="local",
            )
        ]

    async def estimate(self, request: GenerateRequest) -> Quote:
        return await super().estimate(self._plain(request))

    async def generate(self, request: GenerateRequest, *, key: str | None = None, by: str = "local") -> Job:
        if self.mishap is not None:
            raise self.mishap
        if request.seed is not None and request.seed == self.refuse_seed:
            raise InvalidRequest("this seed is refused", "seed")
        return await super().generate(request, key=key)

    async def draw(self, request: GenerateRequest, *, key: str | None = None, by: str = "local") -> Job:
        return await self.wait((await self.generate(request, key=key, by=by)).id)

    async def wait(self, job_id: str) -> Job:
        self.waiting += 1
        try:
            await self.hold.wait()
        finally:
            self.waiting -= 1
        return await self.read(job_id)

    def _check(self, request: GenerateRequest) -> None:
        super()._check(self._plain(request))

    def _plain(self, request: GenerateRequest) -> GenerateRequest:
        """The well-known names mean the model of the house."""
        known = request.model in DEFAULTS
        return request.model_copy(update={"style": None} | ({"model": OWN.id} if known else {}))
