"""Everything that can go wrong at a vendor, at every vendor: how the job ends, and who is out of pocket."""

from typing import get_args

from limner.core.errors import InvalidRequest
from limner.core.job import Job
from limner.core.request import GenerateRequest
from limner.providers.base import Recovery
from limner.simulator.faults import CoreKind, Kind
from tests.conformance.scene import PATIENT, Scene, drawing, end, look, scene, steps, wanted, ways

DRAWN = frozenset({"succeeded"})
ENDLESS = ("hang", "never_ends")
HASTY_S = 0.3
CLOSED = {"settled", "refused", "unknown"}
"""States of the orders of a job that has ended."""

PLAIN: dict[Kind, frozenset[str]] = {
    "slow": DRAWN,
    "slow_body": DRAWN,
    "rate_limited": DRAWN,
    "no_money": frozenset({"unauthorized"}),
    "bad_key": frozenset({"unauthorized"}),
    "refused": frozenset({"refused"}),
    "wrong_size": DRAWN,
}
"""The vendor has said what is the matter."""

AT_THE_VENDOR: dict[Kind, frozenset[str]] = {
    "unknown_word": frozenset({"malformed", "timed_out"}) | DRAWN,  # a word that nobody needs does no harm
    "empty_success": frozenset({"malformed", "refused", "rejected"}),
    "expired_url": frozenset({"lost"}),
    "never_ends": frozenset({"timed_out"}),
    "job_fails": frozenset({"rejected", "unavailable", "malformed", "timed_out"}),
    "lost": frozenset({"lost"}),
    "foreign_url": frozenset({"malformed"}),
    "fewer_images": DRAWN | {"malformed", "refused", "rejected"},  # the last where one of one is missing
    "not_an_image": frozenset({"malformed"}),
    "huge": frozenset({"malformed"}),
}
"""The order was taken, and what came of it is not what was ordered."""


def ends(kind: Kind, recovery: Recovery, *, free: bool) -> frozenset[str]:
    """How a job may end whose first order met the fault, and no later one."""
    if kind in PLAIN:
        return PLAIN[kind]
    if kind in AT_THE_VENDOR:
        return AT_THE_VENDOR[kind] | DRAWN if free else AT_THE_VENDOR[kind]
    match kind:
        case _ if free:
            return DRAWN  # what costs nothing is done again
        case "malformed" | "empty" | "wrong_type":
            return frozenset({"malformed", "unknown"}) | DRAWN
        case "error_before" | "overloaded":
            return after_silence(recovery) | DRAWN  # the vendor may say that it has not taken the order
        case _:
            return after_silence(recovery)


def after_silence(recovery: Recovery) -> frozenset[str]:
    """How a job ends whose order had no answer: it may have been bought or not."""
    match recovery:
        case Recovery.NAMED:
            return DRAWN
        case Recovery.TICKETED:
            return DRAWN | {"unknown"}
        case Recovery.BLIND:
            return frozenset({"timed_out"})


async def test_what_goes_wrong_ends_as_it_must_and_the_ledger_is_what_the_vendor_bills(
    vendor, kind, home, seen
):
    async with scene(home, vendor, timeout_s=HASTY_S if kind in ENDLESS else None) as now:
        for model in ways(vendor):
            job, free = await met(now, vendor, kind, model)
            now.check_money(vendor)
            played = kind in get_args(CoreKind) or kind in seen
            if played:
                break
        assert kind in [one.fault for one in now.sim.requests(vendor)]
        expected = ends(kind, drawing()[vendor].recovery, free=free) if played else DRAWN
        assert end(job) in expected, job.error
        assert set(steps(job)) <= CLOSED
        assert now.sim.foreign_asks == 0
        missing = [note.field for note in job.receipt.notes if note.field == "count"]
        assert len(missing) == (job.state == "succeeded" and len(job.images) < job.request.count)
        for image in job.images:
            look(await now.limner.open(image))


async def met(now: Scene, vendor: str, kind: Kind, model: str | None) -> tuple[Job, bool]:
    """A job whose first order meets the fault, and whether its orders cost nothing."""
    policy = PATIENT.model_copy(update={"deadline_s": HASTY_S}) if kind == "never_ends" else PATIENT
    request = wanted(vendor, model=model, policy=policy)
    if kind == "fewer_images":
        request = await several(now, request)
    free = (await now.limner.estimate(request)).price_usd == 0
    now.sim.fault(kind, vendor, after_s=0.0)
    return await now.limner.draw(request), free


async def several(now: Scene, request: GenerateRequest) -> GenerateRequest:
    """The request for two pictures, where two can be ordered at once."""
    pair = request.model_copy(update={"count": 2})
    try:
        await now.limner.estimate(pair)
    except InvalidRequest:
        return request
    return pair
