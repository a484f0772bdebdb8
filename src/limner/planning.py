"""Where a request goes: the planner over today's catalog and the accounts as they stand."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from decimal import Decimal

from limner import quoting
from limner.catalog.load import Catalog, words
from limner.catalog.model import Model
from limner.catalog.price import settled_usd
from limner.core.quote import Note, Route, Target, rewritten
from limner.core.request import GenerateRequest
from limner.providers.base import Usage
from limner.router.account import Account
from limner.router.candidates import candidates
from limner.router.plan import plan


class Planner:
    """`accounts` says how those of some providers stand now, or all of them."""

    def __init__(self, catalog: Catalog, accounts: Callable[[Collection[str] | None], list[Account]]) -> None:
        self._catalog = catalog
        self._accounts = accounts

    def plan(
        self, request: GenerateRequest, seed: int | None = None, ceiling_usd: Decimal | None = None
    ) -> Route:
        """Within the ceiling, what an accepted quote promises first. Raises `NoRoute`."""
        promised = quoting.agreed(request)
        route = plan(
            request if request.quote is None else request.model_copy(update={"quote": None}),
            self._catalog.models(),
            self._standing(request),
            _vocabulary,
            seed=seed,
            today=datetime.now(UTC).date(),
            agreed=promised,
            ceiling_usd=ceiling_usd,
        )
        return _telling(route if promised is None else quoting.told(route, promised), request)

    def meant(self, request: GenerateRequest) -> tuple[Model, ...]:
        """The models that the request's model and provider may mean, able or not, busy or not. Raises
        `InvalidRequest` for names nobody knows, and `NoRoute`."""
        accounts: dict[str, list[Account]] = {}
        for account in self._standing(request):
            accounts.setdefault(account.provider, []).append(account)
        found = candidates(request, self._catalog.models(), accounts, datetime.now(UTC).date())
        return tuple(one.model for one in found)

    def _standing(self, request: GenerateRequest) -> list[Account]:
        """The accounts that a request may go to: all of them, unless it names a model."""
        if request.model is None:
            return self._accounts(None)
        wanted = {one.provider for one in self._catalog.models().known_as(request.model)}
        if request.provider is not None:
            wanted.add(request.provider)
        found = self._accounts(wanted)
        # Where a name means nothing here, or somebody who is off, everybody there is has to be told of.
        return found if wanted and wanted == {one.provider for one in found} else self._accounts(None)

    def entry(self, target: Target) -> Model | None:
        """The catalog's entry of a target; of one that takes any name, the entry for all of them."""
        here = [one for one in self._catalog.models() if one.provider == target.provider]
        named = [one for one in here if one.id == target.model]
        return next(iter((*named, *(one for one in here if one.open))), None)

    def settled(self, target: Target, usage: Usage) -> Decimal | None:
        """What the order cost by the vendor's count; None when its price does not go by that."""
        models = self._catalog.models()
        found = [one for one in models if (one.provider, one.id) == (target.provider, target.model)]
        return settled_usd(target.request, found[0], usage.tokens, usage.seconds) if found else None


def _telling(route: Route, request: GenerateRequest) -> Route:
    """The route, each target with what was done to the prompt."""
    notes = rewritten(request)
    if not notes:
        return route
    return route.model_copy(
        update={
            "targets": tuple(_noted(one, notes) for one in route.targets),
            "alternatives": tuple(_noted(one, notes) for one in route.alternatives),
        }
    )


def _noted(target: Target, notes: tuple[Note, ...]) -> Target:
    return target.model_copy(update={"notes": (*notes, *target.notes)})


def _vocabulary(model: Model) -> frozenset[str] | None:
    return words(model.words_file) if model.words_file else None
