"""What a job may cost: a route within what was agreed, and the question when nothing is left within it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from limner.core.errors import LimnerError, NoRoute, OverBudget
from limner.core.job import Confirmation, Decision, Job, Reason
from limner.core.money import show
from limner.core.quote import Note, Route, Target
from limner.core.request import GenerateRequest
from limner.jobs.ask import Ask
from limner.jobs.consent import unanswered
from limner.jobs.means import Means
from limner.jobs.seed import as_asked, drawn_seed
from limner.jobs.walk import Failures

_ACCEPT_OR_CANCEL: tuple[Decision, ...] = ("accept", "cancel")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What was agreed for a job: the price of its quote, or one that a person accepted."""

    usd: Decimal | None = None
    accepted: bool = False
    """A person was asked about the price and said yes."""

    @classmethod
    def of(cls, job: Job) -> "Ceiling":
        """As the journal has it."""
        asked = job.confirmation
        said_yes = asked is not None and asked.decided is not None and asked.decided.decision == "accept"
        return cls(job.ceiling_usd, said_yes)

    def check(self, target: Target, request: GenerateRequest) -> None:
        """Raises `Ask` when the order is dearer than may be bought unasked, or nobody knows what it costs.
        What was agreed to needs no second asking."""
        limit, price = request.policy.confirm_above_usd, target.price_usd
        if limit is None or self.accepted or self.usd is not None:
            return
        if price is None or price > limit:
            message = (
                f"{target.name}: {show(price)}; what costs more than {_limit(limit)} waits for a yes. "
                "Accept to order it, or cancel; nothing is bought before."
            )
            raise Ask(_question("above_ceiling", message, target))


def planned(
    means: Means, request: GenerateRequest, seed: int, ceiling: Ceiling, *, patient: bool = False
) -> Route:
    """The route within the ceiling. Raises `Ask` when only something dearer can serve, and as `plan` does; a
    `patient` one asks nothing while those within it are only away for a while."""
    try:
        return means.plan(request, seed, ceiling.usd)
    except (NoRoute, OverBudget) as error:
        if ceiling.usd is None or (patient and isinstance(error, NoRoute) and error.passing):
            raise
        # Raises `OverBudget` again where the caller's own limit is in the way: that is no question.
        dearer = means.plan(request, seed, None).targets[0]
        raise Ask(_dearer(ceiling.usd, dearer, str(error))) from error


def targets_for(means: Means, job: Job) -> tuple[Target, ...]:
    """Who may be asked now for a job that was accepted, as `planned`; nobody where an order of it is lost and
    only something dearer is left: what became of that order is asked first."""
    try:
        return _planned_for(means, job, patient=True).targets
    except Ask:
        if unanswered(job.receipt.attempts) is None:
            raise
        return ()


def instead(means: Means, job: Job, error: LimnerError) -> Confirmation | None:
    """What to ask when those within the agreed price stayed away for as long as the job may take; None when
    that is not how it ended, or nobody else can serve."""
    if not isinstance(error, NoRoute) or any(one.state != "refused" for one in job.receipt.attempts):
        return None
    try:
        _planned_for(means, job, patient=False)
    except Ask as question:
        return question.confirmation
    except LimnerError:
        return None
    return None


def _planned_for(means: Means, job: Job, *, patient: bool) -> Route:
    request, seed = as_asked(job.request, job.id), drawn_seed(job.id)
    return planned(means, request, seed, Ceiling.of(job), patient=patient)


def after(means: Means, job: Job, failures: Failures) -> Confirmation | None:
    """What to ask when all within the agreed price have failed and nothing was charged: may a dearer one, as
    good as what failed, be asked instead? None when nothing was agreed, or there is no such one."""
    ceiling = Ceiling.of(job).usd
    if ceiling is None or not job.request.policy.fallback or not _for_certain(job, failures):
        return None
    try:
        route = means.plan(as_asked(job.request, job.id), drawn_seed(job.id), None)
    except (NoRoute, OverBudget):
        return None
    failed = [target for target, _ in failures.said]
    for one in (*route.targets, *route.alternatives):
        if not _within(one, ceiling) and _may_replace(one, failed, job.request):
            return _dearer(ceiling, one, str(failures.error))
    return None


def overcharged(price: Decimal | None, ceiling: Decimal | None) -> tuple[Decimal | None, tuple[Note, ...]]:
    """What the caller is charged of a vendor's price, with a note when the rest is ours."""
    if price is None or ceiling is None or price <= ceiling:
        return price, ()
    said = f"the vendor charged {show(price)}; {show(ceiling)} was agreed, and the operator bears the rest"
    return ceiling, (Note(field="price", message=said),)


def _within(target: Target, ceiling: Decimal) -> bool:
    return target.price_usd is not None and target.price_usd <= ceiling


def _for_certain(job: Job, failures: Failures) -> bool:
    """Nothing was charged, and nobody said no to the picture itself."""
    if any(one.state != "refused" for one in job.receipt.attempts):
        return False
    return bool(failures.said) and all(error.fallback for _, error in failures.said)


def _may_replace(target: Target, failed: Sequence[Target], request: GenerateRequest) -> bool:
    """What the router would fall back to if it cost less, so that accepting it is not asked for twice."""
    if target.account in {one.account for one in failed}:
        return False
    return request.policy.substitutes or target.model == failed[0].model or target.tier == failed[0].tier


def _limit(usd: Decimal) -> str:
    return show(usd) if usd else "nothing"


def _question(reason: Reason, message: str, target: Target) -> Confirmation:
    return Confirmation(
        reason=reason,
        message=message,
        choices=_ACCEPT_OR_CANCEL,
        target=target.name,
        price_usd=target.price_usd,
    )


def _dearer(ceiling: Decimal, target: Target, why: str) -> Confirmation:
    message = (
        f"nobody draws it for the agreed {show(ceiling)} any more; {target.name} would: "
        f"{show(target.price_usd)}. Accept that, or cancel; nothing is bought before. ({why[:300]})"
    )
    return _question("dearer", message, target)
