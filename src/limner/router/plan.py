"""`plan` turns a request into a route: total, deterministic, explained."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal

from limner.catalog.fit import Fitted, Misfit, fit
from limner.catalog.model import Model
from limner.catalog.price import estimate_s, estimate_usd, explain
from limner.core.errors import InvalidRequest, NoRoute, OverBudget
from limner.core.quote import Agreed, PassedOver, Route, Target
from limner.core.request import GenerateRequest, Tier
from limner.router.account import Account
from limner.router.candidates import Candidate, candidates
from limner.router.policy import TIERS, Choice, ordered, wanted_tier

Vocabulary = Callable[[Model], frozenset[str] | None]
"""The words a model knows, None when it reads any word."""

_ALTERNATIVES = 3
_MOST_REASONS = 40
"""Reasons kept in a route, whatever the catalog's size."""


def reads_anything(_model: Model) -> None:
    """The vocabulary of models that have no limit to it."""


def plan(
    request: GenerateRequest,
    models: Sequence[Model],
    accounts: Iterable[Account],
    vocabulary: Vocabulary = reads_anything,
    *,
    seed: int | None = None,
    today: date = date.max,
    agreed: Agreed | None = None,
    ceiling_usd: Decimal | None = None,
) -> Route:
    """The targets in the order they are tried, and those passed over with the reason.

    The first is the best by the caller's policy; what follows costs no more and is no other tier, unless
    the policy allows it. `seed` was drawn for a caller who gave none. What is retired by `today` is served
    by its successor. What a quote promises (`agreed`) comes first where it can be used, and nothing above
    `ceiling_usd` is asked.

    Raises `InvalidRequest` when a named model, provider or value is at fault whoever serves, `OverBudget`
    when only the price stands in the way, and `NoRoute` when nothing can serve now.
    """
    by_provider: dict[str, list[Account]] = {}
    for account in accounts:
        by_provider.setdefault(account.provider, []).append(account)
    ceiling = _lower(ceiling_usd, request.policy.max_cost_usd)
    named = _of_tier(wanted_tier(request), candidates(request, models, by_provider, today))
    choices: list[Choice] = []
    passed: list[PassedOver] = []
    misfits: list[Misfit] = []
    dear = passing = False
    for candidate in named:
        fitted = _fitted(request, candidate, vocabulary, seed)
        if isinstance(fitted, Misfit):
            misfits.append(fitted)
            passed.append(_over(candidate.model, fitted.reason))
            continue
        for account in candidate.asked(by_provider[candidate.model.provider]):
            target = _target(candidate, account, fitted)
            too_dear = _too_dear(target, ceiling)
            dear = dear or (too_dear is not None and account.obstacle is None)
            obstacle = account.obstacle or too_dear
            passing = passing or (account.obstacle is not None and account.passing and too_dear is None)
            if obstacle:
                passed.append(PassedOver(target=target.name, reason=obstacle))
            else:
                choices.append(Choice(target, account, candidate.model))
    if not choices:
        misfit = misfits[0] if misfits and len(misfits) == len(named) else None
        raise _nothing(passed, misfit, dear=dear, passing=passing)
    ranked = sorted(ordered(choices, request.policy.prefer), key=_wished(request))
    best = sorted(ranked, key=_promised(agreed))
    targets = [best[0], *_fallbacks(request, best, passed, ceiling)] if request.policy.fallback else best[:1]
    return Route(
        targets=tuple(_explained(one) for one in targets),
        passed_over=tuple(passed[:_MOST_REASONS]),
        alternatives=tuple(one.target for one in best[1 : 1 + _ALTERNATIVES]),
    )


def _wished(request: GenerateRequest) -> Callable[[Choice], bool]:
    """Sort key: the provider that the policy wants first, then the rest."""
    return lambda choice: request.policy.first not in (None, choice.target.provider)


def _promised(agreed: Agreed | None) -> Callable[[Choice], int]:
    """Sort key: what was quoted, then the same model at another of the provider's accounts, then the rest."""

    def rank(choice: Choice) -> int:
        one = choice.target
        if agreed is None or (one.name, one.ref) != (agreed.name, agreed.ref):
            return 2
        return 0 if one.account == agreed.account else 1

    return rank


def _explained(choice: Choice) -> Target:
    priced = explain(choice.target.request, choice.model)
    return choice.target.model_copy(update={"priced": priced})


def _of_tier(tier: Tier | None, found: list[Candidate]) -> list[Candidate]:
    """Those of the tier. Raises `NoRoute` that names the tiers there are."""
    chosen = [one for one in found if tier in (None, one.model.tier)]
    if found and not chosen:
        there = [one for one in TIERS if any(candidate.model.tier == one for candidate in found)]
        raise NoRoute(
            f"no models available for quality tier: {tier}; available tiers: {', '.join(there)}",
            {f"tier {tier}": f"available tiers: {', '.join(there)}"},
        )
    return chosen


def _fitted(
    request: GenerateRequest, candidate: Candidate, vocabulary: Vocabulary, seed: int | None
) -> Fitted | Misfit:
    fitted = fit(request, candidate.model, vocabulary(candidate.model), seed=seed)
    if isinstance(fitted, Fitted) and candidate.notes and request.policy.strict:
        return Misfit("model", f"strict: {candidate.notes[0].message}")
    return fitted


def _target(candidate: Candidate, account: Account, fitted: Fitted) -> Target:
    sent, model = fitted.request, candidate.model
    return Target(
        model=model.id,
        provider=model.provider,
        account=account.name,
        ref=model.ref,
        tier=model.tier,
        request=sent,
        dialect=model.dialect,
        price_usd=estimate_usd(sent, model),
        seconds=estimate_s(sent, model),
        notes=(*candidate.notes, *fitted.notes),
    )


def _fallbacks(
    request: GenerateRequest, best: Sequence[Choice], passed: list[PassedOver], ceiling: Decimal | None
) -> list[Choice]:
    """What may follow the first: never dearer and never another kind of picture without the caller's word.

    A caller who named no model gets one model of each account: a second one there would mostly fail alike.
    """
    first = best[0]
    following: list[Choice] = []
    asked, providers = {first.account.name}, {first.target.provider}
    for choice in best[1:]:
        reason = _not_after(first, choice, request, ceiling) or _too_many(choice, providers, request)
        if reason is not None:
            passed.append(PassedOver(target=choice.target.name, reason=reason))
        elif request.model is not None or choice.account.name not in asked:
            asked.add(choice.account.name)
            providers.add(choice.target.provider)
            following.append(choice)
    return following


def _too_many(choice: Choice, providers: Collection[str], request: GenerateRequest) -> str | None:
    """Why the policy leaves no place for another provider, None when it does."""
    most = request.policy.providers
    if most is None or choice.target.provider in providers or len(providers) < most:
        return None
    return f"not fallen back to: policy.providers allows {most}"


def _not_after(
    first: Choice, choice: Choice, request: GenerateRequest, ceiling: Decimal | None
) -> str | None:
    """Why the choice may not be fallen back to, None when it may."""
    ceiling = first.target.price_usd if ceiling is None else ceiling
    price = choice.target.price_usd
    bounded = not request.policy.dearer or first.target.free
    if bounded and (price is None or (price and (ceiling is None or price > ceiling))):
        return f"not fallen back to: dearer than {first.target.name}; policy.max_cost_usd allows more"
    if choice.target.model == first.target.model or request.policy.substitutes:
        return None
    if choice.target.tier == first.target.tier:
        return None
    return f"not fallen back to: {choice.target.tier}, not {first.target.tier}; policy.substitutes allows it"


def _lower(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return min((usd for usd in (one, other) if usd is not None), default=None)


def _too_dear(target: Target, ceiling: Decimal | None) -> str | None:
    if ceiling is None:
        return None
    if target.price_usd is None:
        return "its price is unknown and a ceiling was set"
    return f"costs ${target.price_usd}, above ${ceiling}" if target.price_usd > ceiling else None


def _told(passed: Sequence[PassedOver]) -> list[str]:
    """One line per reason: a provider that lacks its key says so once, not for each of its models."""
    alike: dict[tuple[str, str], list[str]] = {}
    for entry in passed:
        alike.setdefault((entry.target.partition("/")[0], entry.reason), []).append(entry.target)
    return [
        f"{targets[0] if len(targets) == 1 else f'{provider} ({len(targets)} models)'}: {reason}"
        for (provider, reason), targets in alike.items()
    ]


def _over(model: Model, reason: str) -> PassedOver:
    return PassedOver(target=f"{model.provider}/{model.id}", reason=reason)


def _nothing(
    passed: Sequence[PassedOver], misfit: Misfit | None, *, dear: bool, passing: bool
) -> InvalidRequest | OverBudget | NoRoute:
    """The error that says what to do: change the request, allow the price, or set up a provider."""
    reasons = {entry.target: entry.reason for entry in passed[:_MOST_REASONS]}
    said = "; ".join(_told(passed))
    if misfit is not None:
        return InvalidRequest(said, misfit.field)
    if dear and not passing:
        return OverBudget(said)
    return NoRoute(said or "no provider is set up", reasons, passing=passing)
