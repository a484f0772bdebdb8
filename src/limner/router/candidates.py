"""Which models a caller's words mean, as which they are asked, and what must be told about that. Pure."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from limner.catalog.model import Model, Models
from limner.core.errors import InvalidRequest, NoRoute
from limner.core.quote import Note
from limner.core.request import GenerateRequest
from limner.router.account import Account


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may serve, and what to tell when its name is not the one that was asked for."""

    model: Model
    notes: tuple[Note, ...] = ()
    default: str | None = None
    """The name is what some accounts take when none is given: only those are asked for it."""

    def asked(self, accounts: Sequence[Account]) -> list[Account]:
        """Of the provider's accounts, those that may be asked."""
        return [one for one in accounts if self.default in (None, one.model)]


def candidates(
    request: GenerateRequest,
    models: Sequence[Model],
    accounts: Mapping[str, Sequence[Account]],
    today: date,
) -> list[Candidate]:
    """The models the request allows, best name first. `accounts` holds every provider that is switched on.

    Raises `InvalidRequest` for names that nobody knows, with the nearest known ones, and `NoRoute` for a
    provider that draws nothing.
    """
    if request.provider is not None and request.provider not in accounts:
        raise InvalidRequest(_unknown("provider", request.provider, accounts), "provider")
    if request.model is None:
        return _unnamed(request, _served(request, models, accounts), accounts, today)
    known = _served(request, Models.of(models).known_as(request.model), accounts)
    if not known:
        there = _served(request, models, accounts)
        names = [name for model in there for name in (model.id, *model.aliases)]
        raise InvalidRequest(_unknown("model", request.model, names), "model")
    return _meant(request.model, known, models, accounts, today)


def _served(
    request: GenerateRequest, models: Sequence[Model], accounts: Mapping[str, Sequence[Account]]
) -> list[Model]:
    """Those of providers that are switched on, and of the one that is asked for."""
    return [m for m in models if m.provider in accounts and request.provider in (None, m.provider)]


def _unnamed(
    request: GenerateRequest,
    served: Sequence[Model],
    accounts: Mapping[str, Sequence[Account]],
    today: date,
) -> list[Candidate]:
    """Every current model that somebody is set up for; what takes any name needs one, or a default."""
    found = []
    for model in served:
        ready = [one for one in accounts[model.provider] if one.configured]
        if _gone(model, today) or not (ready or request.provider):
            continue
        if not model.open:
            found.append(Candidate(model))
        elif defaults := dict.fromkeys(one.model for one in ready if one.model):
            found += [Candidate(_as(model, name), default=name) for name in defaults]
        elif request.provider and model.ref and all(one.open or _gone(one, today) for one in served):
            found.append(Candidate(model))
    if not found and request.provider:
        raise _nothing_at(request.provider, served, accounts[request.provider])
    return found


def _meant(
    name: str,
    known: Sequence[Model],
    models: Sequence[Model],
    accounts: Mapping[str, Sequence[Account]],
    today: date,
) -> list[Candidate]:
    """Entries of that name; without a usable one, those that stand in for it."""
    stand_ins = [Candidate(m) for m in known if name in m.stands_in_for and not _gone(m, today)]
    exact = [model for model in known if name not in model.stands_in_for]
    listed = [model for model in exact if not (model.open and name.startswith(f"{model.provider}/"))]
    if listed:
        meant = [_current(model, models, today) for model in listed]
    else:
        meant = [Candidate(_as(model, name.removeprefix(f"{model.provider}/"))) for model in exact]
    return _usable(meant, accounts) or _usable(stand_ins, accounts) or [*meant, *stand_ins]


def _usable(found: Sequence[Candidate], accounts: Mapping[str, Sequence[Account]]) -> list[Candidate]:
    """Those that somebody is set up for."""
    return [one for one in found if any(account.configured for account in accounts[one.model.provider])]


def _gone(model: Model, today: date) -> bool:
    return model.retired is not None and model.retired <= today


def _current(model: Model, models: Sequence[Model], today: date) -> Candidate:
    """The model itself, or what its vendor serves its name with since it was retired."""
    if not _gone(model, today):
        return Candidate(model)
    found = [m for m in models if m.provider == model.provider and m.id == model.successor]
    if not found:
        return Candidate(model)
    said = f"{model.id} was retired by {model.provider} on {model.retired}; {found[0].id} draws instead"
    return Candidate(found[0], (Note(field="model", message=said),))


def _as(model: Model, ref: str) -> Model:
    """An entry for any name, as the entry of this one."""
    return model.model_copy(update={"id": ref, "ref": ref, "open": False})


def _nothing_at(
    provider: str, served: Sequence[Model], accounts: Sequence[Account]
) -> NoRoute | InvalidRequest:
    if any(model.open for model in served):
        return InvalidRequest(f"{provider} serves any model by its name: say model {provider}/NAME", "model")
    reason = next((one.obstacle for one in accounts if one.obstacle), "it has no models that draw")
    return NoRoute(f"{provider}: {reason}", {provider: reason})


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    near = difflib.get_close_matches(name[:80], names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names[:20]) or 'none'}"
    return f"unknown {what} {name[:80]!r}{hint}"
