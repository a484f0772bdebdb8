"""`plan` turns a request into a route: total, deterministic, explained."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal

from limner.catalog.fit import Fitted, Misfit, fit
from limner.catalog.model import Model
from limner.catalog.price import estimate_s, estimate_usd
from limner.core.errors import InvalidRequest, NoRoute, OverBudget
from limner.core.quote import PassedOver, Route, Target
from limner.core.request import GenerateRequest, RoutePolicy, Tier
from limner.router.account import Account
from limner.router.candidates import Candidate, candidates

Vocabulary = Callable[[Model], frozenset[str] | None]
"""The words a model knows, None when it reads any word."""
Key = Callable[["_Choice"], tuple[Decimal | float | int | bool, ...]]

_TIER_RANK: dict[Tier, int] = {"ultra": 0, "high": 1, "standard": 2, "fast": 3}
_UNKNOWN_LAST = Decimal("Infinity")
_ALTERNATIVES = 3
_MOST_REASONS = 40
"""Reasons kept in a route, whatever the catalog's size."""


def reads_anything(_model: Model) -> None:
    """The vocabulary of models that have no limit to it."""


class _Choice:
    """A target with what orders it among others."""

    __slots__ = ("account", "model", "target")

    def __init__(self, target: Target, account: Account, model: Model) -> None:
        self.target = target
        self.account = account
        self.model = model

    @property
    def bent(self) -> bool:
        """The picture will not have the size that was asked for."""
        return any(note.field == "size" for note in self.target.notes)

    @property
    def price(self) -> Decimal:
        return _UNKNOWN_LAST if self.target.price_usd is None else self.target.price_usd

    @property
    def seconds(self) -> float:
        return float("inf") if self.target.seconds is None else self.target.seconds


def plan(
    request: GenerateRequest,
    models: Sequence[Model],
    accounts: Iterable[Account],
    vocabulary: Vocabulary = reads_anything,
    *,
    seed: int | None = None,
    today: date = date.max,
) -> Route:
    """The targets in the order they are tried, and those passed over with the reason.

    The first is the best by the caller's policy; what follows costs no more and is no other tier, unless
    the policy allows it. `seed` was drawn for a caller who gave none. What is retired by `today` is served
    by its successor.

    Raises `InvalidRequest` when a named model, provider or value is at fault whoever serves, `OverBudget`
    when only the price stands in the way, and `NoRoute` when nothing can serve now.
    """
    by_provider: dict[str, list[Account]] = {}
    for account in accounts:
        by_provider.setdefault(account.provider, []).append(account)
    named = candidates(request, models, by_provider, today)
    choices: list[_Choice] = []
    passed: list[PassedOver] = []
    misfits: list[Misfit] = []
    dear = passing = False
    for candidate in named:
        fitted = _fitted(request, candidate, vocabulary, seed)
        if isinstance(fitted, Misfit):
            misfits.append(fitted)
            passed.append(_over(candidate.model, fitted.reason))
            continue
        for account in by_provider[candidate.model.provider]:
            target = _target(candidate, account, fitted)
            too_dear = _too_dear(target, request.policy.max_cost_usd)
            dear = dear or too_dear is not None
            obstacle = account.obstacle or too_dear
            passing = passing or (account.obstacle is not None and account.passing)
            if obstacle:
                passed.append(PassedOver(target=target.name, reason=obstacle))
            else:
                choices.append(_Choice(target, account, candidate.model))
    if not choices:
        misfit = misfits[0] if misfits and len(misfits) == len(named) else None
        raise _nothing(passed, misfit, dear=dear, passing=passing)
    ordered = sorted(choices, key=_order(request.policy.prefer))
    targets = [ordered[0], *_fallbacks(request, ordered, passed)] if request.policy.fallback else ordered[:1]
    return Route(
        targets=tuple(one.target for one in targets),
        passed_over=tuple(passed[:_MOST_REASONS]),
        alternatives=tuple(one.target for one in ordered[1 : 1 + _ALTERNATIVES]),
    )


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
    request: GenerateRequest, ordered: Sequence[_Choice], passed: list[PassedOver]
) -> list[_Choice]:
    """What may follow the first: never dearer and never another kind of picture without the caller's word.

    A caller who named no model gets one model of each account: a second one there would mostly fail alike.
    """
    first = ordered[0]
    following: list[_Choice] = []
    asked = {first.account.name}
    for choice in ordered[1:]:
        reason = _not_after(first, choice, request)
        if reason is not None:
            passed.append(PassedOver(target=choice.target.name, reason=reason))
        elif request.model is not None or choice.account.name not in asked:
            asked.add(choice.account.name)
            following.append(choice)
    return following


def _not_after(first: _Choice, choice: _Choice, request: GenerateRequest) -> str | None:
    """Why the choice may not be fallen back to, None when it may."""
    ceiling = first.target.price_usd if request.policy.max_cost_usd is None else request.policy.max_cost_usd
    price = choice.target.price_usd
    if price is None or (price and (ceiling is None or price > ceiling)):
        return f"not fallen back to: dearer than {first.target.name}; policy.max_cost_usd allows more"
    if choice.target.model == first.target.model or request.policy.substitutes:
        return None
    if choice.target.tier == first.target.tier:
        return None
    return f"not fallen back to: {choice.target.tier}, not {first.target.tier}; policy.substitutes allows it"


def _too_dear(target: Target, ceiling: Decimal | None) -> str | None:
    if ceiling is None:
        return None
    if target.price_usd is None:
        return "its price is unknown and a ceiling was set"
    return f"costs ${target.price_usd}, above ${ceiling}" if target.price_usd > ceiling else None


def _order(prefer: RoutePolicy) -> Key:
    """Sort key per policy. The size asked for comes before price; the sort is stable, so the catalog's order
    decides between equals, after the accounts' load."""
    match prefer:
        case "local-first":
            return lambda c: (
                not c.account.local,
                c.bent,
                c.price,
                _TIER_RANK[c.target.tier],
                c.model.fallback_priority,
                c.account.load,
            )
        case "cheapest":
            return lambda c: (c.bent, c.price, _TIER_RANK[c.target.tier], c.account.load)
        case "fastest":
            return lambda c: (c.bent, c.seconds, c.price, c.account.load)
        case "listed":
            return lambda _choice: ()


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
    if dear:
        return OverBudget(said)
    return NoRoute(said or "no provider is set up", reasons, passing=passing)
