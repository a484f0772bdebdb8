"""What the unified API says of itself: providers, models, defaults, health."""

from collections.abc import Sequence
from datetime import UTC, datetime

from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from limner.api.reference import get, unified_errors
from limner.api.unified_shapes import (
    AvailableProviders,
    UnifiedCapabilities,
    UnifiedConfig,
    UnifiedHealth,
    UnifiedModel,
    UnifiedProvider,
    UnifiedProviders,
)
from limner.api.unified_words import KNOWN
from limner.app import Limner, ProviderStatus
from limner.catalog.model import Model

_MODELS = TypeAdapter(dict[str, list[UnifiedModel]])


class UnifiedInfo:
    """The door."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        for path, endpoint, answer, said in (
            ("providers", self.providers, UnifiedProviders, "List the providers and what they can do"),
            ("providers/available", self.available, AvailableProviders, "List who can be used now"),
            ("models", self.models, dict[str, list[UnifiedModel]], "List the models of each provider"),
            ("config", self.config, UnifiedConfig, "Read capabilities and defaults"),
            ("health", self.health, UnifiedHealth, "Is there anybody to draw?"),
        ):
            get(
                app,
                f"/unified/{path}",
                endpoint,
                tags=["Unified"],
                summary=said,
                response_model=answer,
                response_model_exclude_none=True,
                responses=unified_errors(),
            )

    async def providers(self) -> Response:
        """Answer `UnifiedProviders`. Asks each provider how it is; never a paid call."""
        asked = await self._limner.providers()
        found = {one: self._provider(one, asked) for one in self._names()}
        usable = sum(one.available for one in found.values())
        return _json(UnifiedProviders(providers=found, total_available=usable))

    async def available(self) -> Response:
        """Answer `AvailableProviders`."""
        names = await self._usable()
        return _json(AvailableProviders(providers=names, count=len(names)))

    async def models(self) -> Response:
        """Answer the models that can be named now, by provider."""
        current = [one for one in self._limner.models() if not _gone(one)]
        found = {name: [_model(one) for one in current if one.provider == name] for name in self._names()}
        return Response(
            _MODELS.dump_json({k: v for k, v in found.items() if v}), media_type="application/json"
        )

    async def config(self) -> Response:
        """Answer `UnifiedConfig`."""
        return _json(UnifiedConfig(providers={one: self._capabilities(one) for one in self._names()}))

    async def health(self) -> Response:
        """Answer `UnifiedHealth`."""
        names = await self._usable()
        status = "healthy" if names else "unhealthy"
        return _json(UnifiedHealth(status=status, providers_available=len(names), providers=names))

    async def _usable(self) -> list[str]:
        usable = {one.name for one in await self._limner.providers() if one.available}
        return [name for name in self._names() if name in usable]

    def _names(self) -> list[str]:
        """The four that every client knows, then the others."""
        return list(dict.fromkeys([*KNOWN, *(one.provider for one in self._limner.listings())]))

    def _provider(self, name: str, asked: Sequence[ProviderStatus]) -> UnifiedProvider:
        accounts = [one for one in asked if one.name == name]
        usable = any(one.available for one in accounts)
        missing = f"Image generation disabled for {name}"  # in the settings, where it has no account
        error = next((one.reason for one in accounts if not one.available), missing)
        can = self._capabilities(name).model_dump()
        return UnifiedProvider(**can, available=usable, error=None if usable else error)

    def _capabilities(self, name: str) -> UnifiedCapabilities:
        own = [one for one in self._limner.models() if one.provider == name and not _gone(one)]
        about = next((one.entry for one in self._limner.listings() if one.provider == name), None)
        return UnifiedCapabilities(
            name=name,
            description=about.description if about else "",
            max_images=max((one.max_count for one in own), default=1),
            supported_formats=["jpg", "png", "webp"],  # converted here, whatever the provider draws
            supports_negative_prompt=any(one.takes_negative for one in own),
            supports_seed=any(one.takes_seed for one in own),
        )


def _gone(model: Model) -> bool:
    return model.retired is not None and model.retired <= datetime.now(UTC).date()


def _model(model: Model) -> UnifiedModel:
    return UnifiedModel(id=model.ref or model.id, name=model.name, description=model.description)


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")
