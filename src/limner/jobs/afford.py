"""When a budget has no room for a target, the next of the route is asked and the receipt says so. Pure."""

from dataclasses import replace

from limner.core.quote import PassedOver, Route
from limner.store.rows import NewJob


def without_first(new: NewJob, route: Route, why: str) -> tuple[NewJob, Route] | None:
    """The job and its route without the first target; None when nothing is left."""
    first, *rest = route.targets
    if not rest:
        return None
    passed = (*route.passed_over, PassedOver(target=first.name, reason=why))
    shorter = route.model_copy(update={"targets": tuple(rest), "passed_over": passed})
    told = {"notes": rest[0].notes, "passed_over": passed}
    job = new.job.model_copy(update={"receipt": new.job.receipt.model_copy(update=told)})
    return replace(new, job=job), shorter
