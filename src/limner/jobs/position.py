"""Where a queued job stands: how many are begun before it, and how long that takes about. Pure, but for what
was seen of the accounts' pace."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from limner.core.job import Job, Waiting
from limner.core.quote import Target
from limner.jobs.slots import Slots
from limner.router.pulse import Pulse
from limner.store.line import Lane, Line, Place
from limner.store.rows import NewJob
from limner.store.store import Store


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly the line moves here: how many orders run at once, and how long one takes."""

    slots: Slots
    caps: Mapping[str, int]
    pulse: Pulse
    _typical: dict[str, float] = field(default_factory=dict)

    def expect(self, target: Target) -> None:
        """Remember how long such an order takes as its catalog says, until the account shows it."""
        if target.seconds is not None:
            self._typical[target.account] = target.seconds

    def order_s(self, account: str | None) -> float | None:
        """How long an order takes there, None when nobody knows."""
        if account is None:
            return None
        known = self.pulse.latency_s(account)
        return self._typical.get(account) if known is None else known


async def placed(store: Store, jobs: list[Job], pace: Pace) -> list[Job]:
    """The jobs, the queued ones with where they stand."""
    queued = [one.id for one in jobs if one.state == "queued"]
    if not queued:
        return jobs
    line = await store.places(queued)
    found = {one.id: waiting(line, one, pace) for one in line.places}
    return [one.model_copy(update={"waiting": found.get(one.id)}) for one in jobs]


async def last(store: Store, new: NewJob, pace: Pace) -> Waiting:
    """Where a job will stand that is about to be queued."""
    line = await store.places([])
    mine = [one for one in line.lanes if (one.tenant, one.priority) == (new.tenant, new.priority)]
    place = Place(
        id=new.job.id,
        tenant=new.tenant,
        priority=new.priority,
        account=new.account,
        rank=sum(one.size for one in mine),
        wait_s=0.0,
    )
    return waiting(line, place, pace)


def waiting(line: Line, place: Place, pace: Pace) -> Waiting:
    """The place in the line, and the seconds until its turn."""
    cap = None if place.account is None else pace.caps.get(place.account)
    order_s = pace.order_s(place.account)
    if cap is None:
        before, side_by_side = ahead(line, place), pace.slots.total
    else:
        # Who waits for another account is not in the way: this one's room is what counts.
        same = tuple(one for one in line.lanes if one.account == place.account)
        before, side_by_side = ahead(replace(line, lanes=same), place), min(cap, pace.slots.total)
    expected_s = None if order_s is None else max(place.wait_s, (before + 1) * order_s / side_by_side)
    return Waiting(position=ahead(line, place) + 1, expected_s=expected_s)


def ahead(line: Line, place: Place) -> int:
    """Jobs that are begun first: those of higher priority, the tenant's own older ones, and of each other
    tenant as many as it takes to draw level."""
    above = sum(one.size for one in line.lanes if one.priority > place.priority)
    others: dict[str, list[Lane]] = {}
    for lane in line.lanes:
        if lane.priority == place.priority and lane.tenant != place.tenant:
            others.setdefault(lane.tenant, []).append(lane)
    # Every job that is begun of a tenant counts as one under way, so that tenants take turns from there on.
    mine = place.rank + line.shares.get(place.tenant, 0)
    level = 0
    for tenant, lanes in others.items():
        older = min(one.first for one in lanes) < place.id
        turns = mine - line.shares.get(tenant, 0) + (1 if older else 0)
        level += min(sum(one.size for one in lanes), max(0, turns))
    return above + place.rank + level
