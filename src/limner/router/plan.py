"""`plan` turns a request into a route: total, deterministic, explained."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from limner.catalog.fit import Fitted, Misfit, fit
from limner.catalog.model import Model
from limner.catalog.price import estimate_s, estimate_usd
from limner.core.errors import InvalidRequest, NoRoute, OverBudget
from limner.core.quote import PassedOver, Route, Target
from limner.core.request import GenerateRequest, RoutePolicy, Tier
from limner.router.account import Account

Vocabulary = Callable[[Model], frozenset[str] | None]
"""The words a model knows, None when it reads any word."""

_TIER_RANK: dict[Tier, int] = {"ultra": 0, "high": 1, "standard": 2, "fast": 3}
_UNKNOWN_LAST = Decimal("Infinity")


def reads_anything(_model: Model) -> None:
    """The vocabulary of models that have no limit to it."""


def plan(
    request: GenerateRequest,
    models: Sequence[Model],
    accounts: Iterable[Account],
    vocabulary: Vocabulary = reads_anything,
) -> Route:
    """The targets in the order they are tried, and those passed over with the reason.

    Raises `InvalidRequest` when a named model, provider or value is at fault whoever serves, `OverBudget`
    when only the price stands in the way, and `NoRoute` when nothing can serve now.
    """
    by_provider: dict[str, list[Account]] = {}
    for account in accounts:
        by_provider.setdefault(account.provider, []).append(account)
    named = _named(request, models, by_provider)
    targets: list[tuple[Target, bool]] = []
    passed: list[PassedOver] = []
    misfits: list[Misfit] = []
    dear = passing = False
    for model in named:
        fitted = fit(request, model, vocabulary(model))
        if isinstance(fitted, Misfit):
            misfits.append(fitted)
            passed.append(PassedOver(target=f"{model.provider}/{model.id}", reason=fitted.reason))
            continue
        for account in by_provider.get(model.provider, ()):
            target = _target(model, account, fitted)
            too_dear = _too_dear(target, request.policy.max_cost_usd)
            dear = dear or too_dear is not None
            obstacle = account.obstacle or too_dear
            passing = passing or (account.obstacle is not None and account.passing)
            if obstacle:
                passed.append(PassedOver(target=target.name, reason=obstacle))
            else:
                targets.append((target, account.local))
    if not targets:
        misfit = misfits[0] if misfits and len(misfits) == len(named) else None
        raise _nothing(passed, misfit, dear=dear, passing=passing)
    ordered = tuple(target for target, _ in sorted(targets, key=_order(request.policy.prefer)))
    return Route(targets=ordered if request.policy.fallback else ordered[:1], passed_over=tuple(passed))


def _named(
    request: GenerateRequest, models: Sequence[Model], accounts: dict[str, list[Account]]
) -> list[Model]:
    """The models the caller's words allow. Unknown names are refused with the nearest known ones."""
    if request.provider is not None and request.provider not in accounts:
        raise InvalidRequest(_unknown("provider", request.provider, accounts), "provider")
    served = [model for model in models if model.provider in accounts]
    at_provider = [model for model in served if request.provider in (None, model.provider)]
    if request.model is None:
        return [model for model in at_provider if model.retired is None]
    known = [model for model in at_provider if model.known_as(request.model)]
    if not known:
        names = [name for model in at_provider for name in (model.id, *model.aliases)]
        raise InvalidRequest(_unknown("model", request.model, names), "model")
    exact = [model for model in known if request.model not in model.stands_in_for]
    return exact or known


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    near = difflib.get_close_matches(name[:80], names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names[:20]) or 'none'}"
    return f"unknown {what} {name[:80]!r}{hint}"


def _target(model: Model, account: Account, fitted: Fitted) -> Target:
    sent = fitted.request
    return Target(
        model=model.id,
        provider=model.provider,
        account=account.name,
        ref=model.ref,
        tier=model.tier,
        request=sent,
        price_usd=estimate_usd(sent, model),
        seconds=estimate_s(sent, model),
        notes=fitted.notes,
    )


def _too_dear(target: Target, ceiling: Decimal | None) -> str | None:
    if ceiling is None:
        return None
    if target.price_usd is None:
        return "its price is unknown and a ceiling was set"
    return f"costs ${target.price_usd}, above ${ceiling}" if target.price_usd > ceiling else None


def _order(prefer: RoutePolicy) -> Callable[[tuple[Target, bool]], tuple[Decimal | float | int | bool, ...]]:
    """Sort key per policy; the sort is stable, so the catalog's order decides between equals."""

    def price(target: Target) -> Decimal:
        return _UNKNOWN_LAST if target.price_usd is None else target.price_usd

    def seconds(target: Target) -> float:
        return float("inf") if target.seconds is None else target.seconds

    match prefer:
        case "local-first":
            return lambda item: (not item[1], price(item[0]), _TIER_RANK[item[0].tier])
        case "cheapest":
            return lambda item: (price(item[0]), _TIER_RANK[item[0].tier])
        case "fastest":
            return lambda item: (seconds(item[0]), price(item[0]))
        case "listed":
            return lambda _item: ()


def _nothing(
    passed: Sequence[PassedOver], misfit: Misfit | None, *, dear: bool, passing: bool
) -> InvalidRequest | OverBudget | NoRoute:
    """The error that says what to do: change the request, allow the price, or set up a provider."""
    reasons = {entry.target: entry.reason for entry in passed}
    said = "; ".join(f"{target}: {reason}" for target, reason in reasons.items())
    if misfit is not None:
        return InvalidRequest(said, misfit.field)
    if dear:
        return OverBudget(said)
    return NoRoute(said or "no provider is set up", reasons, passing=passing)
