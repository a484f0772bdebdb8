"""The button is pressed: draw at who was offered, and once at somebody as good where that came to nothing."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from limner.catalog.model import Model
from limner.chat.names import as_tier
from limner.chat.verbs import Verbs
from limner.chat.wish import Wish
from limner.core.errors import Conflict, InvalidRequest, LimnerError, NoRoute, OverBudget
from limner.core.events import Ended, JobEvent
from limner.core.job import Attempt, Job
from limner.core.money import FREE, show
from limner.core.quote import Note
from limner.core.request import Tier
from limner.core.usage import LOCAL_USER
from limner.router.policy import ORDERS

_NOT_HELPED = frozenset({"refused", "over_budget", "over_limit", "invalid_request", "storage", "canceled"})
"""Ends of a job that nobody else makes better, or that nobody else may be asked after."""
_ENOUGH = 4
"""Tries at one vendor while somebody waits at the other end of the line."""


class Nobody(LimnerError):
    """Neither who was asked nor anybody as good can draw it now. Nothing was bought."""

    code = "no_route"

    def __init__(self, provider: str, reason: str, then: str, job: Job | None = None) -> None:
        super().__init__(f"No image provider is available. {provider}: {reason.rstrip('.')}. {then}")
        self.provider = provider
        self.reason = reason
        self.then = then
        self.job = job
        """The last job that was tried, where one was."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """How it ended: `job` is in its final state, or waits for a person."""

    job: Job
    price_usd: Decimal | None
    """What was agreed."""
    notes: tuple[Note, ...] = ()
    instead_of: str | None = None
    """Why somebody else drew it, None when who was asked did."""


async def press(limner: Verbs, wish: Wish, *, key: str | None = None, by: str = LOCAL_USER) -> Pressed:
    """Draw the wish; only what costs no more may stand in, and only where certainly nothing was bought yet.

    Raises `InvalidRequest` for an unknown provider or model, `Nobody`, `OverBudget`, `Conflict` and
    `StorageError`. Cancelling stops the waiting and nothing else.
    """
    models = limner.models()
    wish = wish.meant(models)
    _check_provider(limner, wish.provider, models)
    try:
        return await _first(limner, wish, key, by)
    except _Away as away:
        # A key that no job has taken is the second's own, so that sent again it finds that one.
        other = key if away.job is None or key is None else _second_key(key)
        return await _second(limner, wish, away, other, by)


class _Away(Exception):
    """Who was asked did not draw it, and somebody else may be asked."""

    def __init__(self, reason: str, job: Job | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.job = job


def _check_provider(limner: Verbs, name: str, models: Iterable[Model]) -> None:
    """Raises `InvalidRequest` for a name that nobody goes by."""
    if name in limner.settings.disabled_providers:
        return  # known; the order finds out
    known = {model.provider for model in models}
    if name not in known:
        raise InvalidRequest(f"Unknown provider {name[:60]!r}; known: {', '.join(sorted(known))}", "provider")


async def _first(limner: Verbs, wish: Wish, key: str | None, by: str) -> Pressed:
    """Who was asked, alone. Raises `_Away`."""
    models = limner.models()
    if wish.provider in limner.settings.disabled_providers:
        raise _Away(f"Image generation disabled for {wish.provider}")
    try:
        # A quote holds even the vendor to the price. One that differs each time would make a key's second
        # request another one: such an order is held to the catalog's price alone.
        quote = None if key else (await limner.estimate(wish.request(models))).token
        job = await limner.generate(wish.request(models, quote=quote), key=key, by=by)
    except NoRoute as error:
        raise _Away(str(error)) from error
    except Conflict:
        earlier = await _by_key(limner, wish, key, by)
        if earlier is None:
            raise
        return await _as_second(limner, wish, _Away("was away when it was asked first"), earlier)
    ended, gave_up = await _end(limner, job, _others(limner, wish))
    if _helped(ended, gave_up=gave_up):
        raise _Away(_said(ended), ended)
    return Pressed(ended, wish.price_usd(models), wish.notes(models))


async def _end(limner: Verbs, job: Job, others: Sequence[Wish]) -> tuple[Job, bool]:
    """The job at its end. One that is about to ask the same vendor again, with nothing open there, is
    stopped where one of the others can draw, or where it has tried enough: the second of the pair says so."""
    gave_up = False
    async with limner.watch(job.id) as messages:
        async for message in messages:
            if isinstance(message, Ended):
                return message.job, gave_up
            if isinstance(message, JobEvent) and message.type == "retrying" and not gave_up:
                now = await limner.read(job.id)
                gave_up = _nothing_bought(now) and (now.tries >= _ENOUGH or await _can(limner, others))
                if gave_up:
                    await limner.cancel(job.id)
    raise AssertionError("a watch ends with Ended")


async def _can(limner: Verbs, others: Sequence[Wish]) -> bool:
    """Is there one among them who can draw now?"""
    for one in others:
        try:
            await limner.estimate(one.request(limner.models()))
        except LimnerError:
            continue
        return True
    return False


def _helped(job: Job, *, gave_up: bool) -> bool:
    """May somebody else be asked? Only where certainly nothing was bought, and nobody judged the picture."""
    if job.state == "canceled":
        return (gave_up or _retried(job)) and _nothing_bought(job)
    if job.state != "failed" or not _nothing_bought(job):
        return False
    words = {attempt.error.code for attempt in job.receipt.attempts if attempt.error is not None}
    return not words & _NOT_HELPED and (job.error is None or job.error.code not in _NOT_HELPED)


def _retried(job: Job) -> bool:
    """A canceled one that was put back before: as this door leaves the first of two."""
    return job.tries > 0 and bool(job.receipt.attempts)


def _nothing_bought(job: Job) -> bool:
    return all(attempt.state == "refused" for attempt in job.receipt.attempts)


def _said(job: Job) -> str:
    """What the last vendor said."""
    errors = [one.error for one in job.receipt.attempts if one.error is not None]
    last = job.error or (errors[-1] if errors else None)
    return last.message if last is not None else f"job {job.id} is {job.state}"


# -- somebody else


async def _second(limner: Verbs, wish: Wish, away: _Away, key: str | None, by: str) -> Pressed:
    """The first of those as good who takes the order: one only. Raises `Nobody`."""
    then = f"no other provider draws at the quality {wish.tier(limner.models())} for the price"
    clash: Conflict | None = None
    for other in _others(limner, wish):
        try:
            job = await limner.generate(other.request(limner.models()), key=key, by=by)
        except Conflict as error:
            clash = error
        except (NoRoute, OverBudget, InvalidRequest):
            continue  # cannot be used, or costs more, or does not draw such a thing
        else:
            return await _as_second(limner, wish, away, job)
    if clash is not None:
        raise clash
    raise Nobody(wish.provider, away.reason, then, away.job)


async def _as_second(limner: Verbs, wish: Wish, away: _Away, job: Job) -> Pressed:
    """The end of the one who stands in. Raises `Nobody` where it came to nothing, too."""
    ended, gave_up = await _end(limner, job, ())
    if _helped(ended, gave_up=gave_up):
        tried = ended.request.provider or ""
        raise Nobody(wish.provider, away.reason, f"{tried}: {_said(ended)}", ended)
    return Pressed(ended, _agreed(limner, wish, ended), (), away.reason)


def _agreed(limner: Verbs, wish: Wish, job: Job) -> Decimal | None:
    request = job.request
    drawn = replace(wish, provider=request.provider or "", model=request.model or "")
    return drawn.price_usd(limner.models())


async def _by_key(limner: Verbs, wish: Wish, key: str | None, by: str) -> Job | None:
    """The job of the key, if it was ordered in the wish's place: whose request differs is refused and
    orders nothing, and the key is taken, so that nothing is ordered here at all."""
    for other in _others(limner, wish):
        try:
            return await limner.generate(other.request(limner.models()), key=key, by=by)
        except LimnerError:
            continue
    return None


def _others(limner: Verbs, wish: Wish) -> list[Wish]:
    """The tier's models at other providers, the lowest priority first, at no more than was agreed."""
    models = limner.models()
    most = wish.max_usd if wish.max_usd is not None else wish.price_usd(models)
    # Nobody knows what was agreed: then only what is free stands in.
    most = FREE if most is None else most
    found = sorted(_of_tier(models, wish.tier(models), wish.provider), key=_place)
    alike = replace(wish, max_usd=most, quality=wish.quality if as_tier(wish.quality) else "")
    return [replace(alike, provider=one.provider, model=one.id) for one in found]


def _of_tier(models: Iterable[Model], tier: Tier, without: str) -> list[Model]:
    return [
        one
        for one in models
        if one.tier == tier
        and one.provider != without
        and one.retired is None
        and not one.open
        and "generate" in one.operations
    ]


def _place(model: Model) -> tuple[int, int, str]:
    order = ORDERS["two-phase"]
    known = order.index(model.provider) if model.provider in order else len(order)
    return model.fallback_priority, known, model.provider


def _second_key(key: str) -> str:
    """The key of the job that stands in for a key's first."""
    return f"two-phase second {hashlib.sha256(key.encode()).hexdigest()}"


def lost(job: Job) -> Attempt | None:
    """The order of which nobody knows what came of it, None without one."""
    return next((one for one in job.receipt.attempts if one.undecided), None)


def charged(job: Job, price_usd: Decimal | None) -> tuple[Decimal, str | None]:
    """What to show as the cost, and a word where the vendor's count came to something else."""
    paid = job.receipt.cost_usd
    agreed = paid if price_usd is None else price_usd
    agreed = FREE if agreed is None else agreed
    if paid is None or paid == agreed:
        return agreed, None
    return agreed, f"{show(agreed)} was offered; the vendor's own count came to {show(paid)}"
