"""`GET /v1/models`: OpenAI's shape, with what the catalog knows besides."""

from collections.abc import Iterable
from datetime import date
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel, JsonValue
from starlette.responses import Response

from limner.api.errors import ModelNotFound, cut
from limner.api.reference import get, openai_errors
from limner.app import Limner
from limner.catalog.model import Model, Price, Sizes
from limner.catalog.options import schema
from limner.core.request import Operation, Tier


class Offer(BaseModel):
    """One model at one provider."""

    provider: str
    ref: str
    tier: Tier
    operations: tuple[Operation, ...]
    price: Price | None
    sizes: Sizes
    seconds: float | None
    options: dict[str, JsonValue]
    """JSON Schema of what only this model understands."""
    retired: date | None
    successor: str | None


class ListedModel(Model):
    """A catalog entry as OpenAI's clients read it. One entry per id, however many providers serve it."""

    object: Literal["model"] = "model"
    created: int = 0
    """OpenAI's clients demand it; the catalog knows no such date."""
    owned_by: str
    shutdown_date: str | None
    """ISO date from which nobody serves it."""
    providers: tuple[str, ...]
    """Everyone who serves it; the other facts are those of the first."""
    offers: tuple[Offer, ...]
    """What each of them asks and can do."""


class ModelList(BaseModel):
    """OpenAI's list."""

    object: Literal["list"] = "list"
    data: list[ListedModel]


class Models:
    """The door."""

    def __init__(self, limner: Limner) -> None:
        self._limner = limner

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        get(
            app,
            "/v1/models",
            self.index,
            tags=["OpenAI"],
            summary="List the models that can be named here",
            response_model=ModelList,
            responses=openai_errors(),
        )
        get(
            app,
            "/v1/models/{model_id:path}",
            self.model,
            tags=["OpenAI"],
            summary="Read one model by id or by any name it answers to",
            response_model=ListedModel,
            responses=openai_errors(404),
        )

    async def index(self) -> Response:
        """Answer a `ModelList`."""
        return _json(ModelList(data=listed(self._limner.models())))

    async def model(self, model_id: str) -> Response:
        """Answer a `ListedModel`."""
        entries = listed(self._limner.models())
        known = [entry for entry in entries if entry.id == model_id or entry.known_as(model_id)]
        if not known:
            raise ModelNotFound(
                f"The model {cut(model_id)!r} does not exist here; GET /v1/models lists them", "model"
            )
        return _json(min(known, key=lambda entry: entry.id != model_id))


def listed(models: Iterable[Model]) -> list[ListedModel]:
    """The catalog by id, in its own order."""
    offers: dict[str, list[Model]] = {}
    for model in models:
        offers.setdefault(model.id, []).append(model)
    return [_listed(same) for same in offers.values()]


def _listed(offers: list[Model]) -> ListedModel:
    first = next((offer for offer in offers if offer.retired is None), offers[0])
    return ListedModel(
        **first.model_dump(exclude={"dialect"}),
        owned_by=first.provider,
        shutdown_date=first.retired.isoformat() if first.retired else None,
        providers=tuple(offer.provider for offer in offers),
        offers=tuple(_offer(model) for model in offers),
    )


def _offer(model: Model) -> Offer:
    return Offer(
        provider=model.provider,
        ref=model.ref,
        tier=model.tier,
        operations=tuple(sorted(model.operations)),
        price=model.price,
        sizes=model.sizes,
        seconds=model.seconds,
        options=schema(model),
        retired=model.retired,
        successor=model.successor,
    )


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
