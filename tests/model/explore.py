"""One job, every road: the real `Run` over the real journal, with every choice of the world tried.

A state is what is on disk and what the vendors know. From each, whoever may act acts: a worker takes the job
and runs it to its end, a person decides or cancels, the vendors are asked about lost orders, a vendor calls,
the deadline passes. While a worker runs, the world chooses at every commit and at every call of a vendor; all
of its choices are tried, one run for each. Trouble is bounded, work is not: deaths, lost answers, thefts of
the lease and the like cost one each.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field, replace

from limner.core.errors import Lost, Refused, TimedOut, Unavailable, Unknown
from limner.core.events import JobEvent
from limner.core.job import Job
from limner.core.quote import Route
from limner.core.request import Policy
from limner.jobs import inquiry
from limner.jobs.decide import decide
from limner.jobs.hooks import Hooks
from limner.jobs.hub import Hub
from limner.jobs.means import Means
from limner.jobs.run import Run
from limner.jobs.slots import Slot, Slots
from limner.providers.base import Done, Pending, Recovery
from limner.router.pulse import Pulse
from limner.store.rows import NewJob
from limner.store.store import Store
from tests.fakes import Desk, png, request, target, vendor
from tests.model.books import OPEN, Books
from tests.model.memory import Memory
from tests.model.world import CHARGES, PRICES, RECOVERIES

JOB = "job"
PICTURE = png(8, 8)


class Died(BaseException):
    """The process is gone: nothing after this runs."""


@dataclass(frozen=True)
class State:
    """What is on disk, and what the vendors know."""

    disk: bytes
    blobs: tuple[tuple[str, bytes], ...]
    bill: tuple[str, ...]
    agreed: int
    trouble: int
    """How much may still befall the job."""
    story: tuple[str, ...] = ()
    """How it came to this."""


@dataclass
class Oracle:
    """Tries every sequence of choices, the calm one first."""

    said: list[int] = field(default_factory=list)
    of: list[int] = field(default_factory=list)
    turn: int = 0

    def choose(self, named: tuple[str, ...]) -> int:
        """The next choice on this road."""
        options = len(named)
        if self.turn == len(self.said):
            self.said.append(0)
            self.of.append(options)
        chosen = self.said[self.turn]
        assert self.of[self.turn] == options, "a road is not the same when it is walked again"
        self.turn += 1
        return chosen

    def another(self) -> bool:
        """Turn to the next road, if there is one."""
        del self.said[self.turn :], self.of[self.turn :]
        while self.said and self.said[-1] + 1 == self.of[-1]:
            self.said.pop()
            self.of.pop()
        if not self.said:
            return False
        self.said[-1] += 1
        self.turn = 0
        return True


class Told:
    """Makes the choices that a story names, and after it the calm ones."""

    def __init__(self, story):
        self._left = deque(story)

    def choose(self, options):
        """The next one of the story."""
        return options.index(self._left.popleft()) if self._left else 0


class Shelf:
    """Pictures and raw answers, kept as soon as they are put."""

    def __init__(self, found):
        self.found = dict(found)

    async def keep(self, key, data):
        self.found[f"answer {key}"] = data

    async def kept(self, key):
        return self.found.get(f"answer {key}")

    async def drop(self, key):
        self.found.pop(f"answer {key}", None)

    async def put(self, data, *, synced=True):
        self.found["picture"] = data
        return "picture"

    async def link(self, digest, shown):
        assert digest in self.found


class Scene:
    """One road from one state."""

    def __init__(self, memory, names, policy, state, oracle):
        memory.restore(state.disk)
        memory.gate = None
        self.memory = memory
        self.oracle = oracle
        self.shelf = Shelf(state.blobs)
        self.bill = Counter(state.bill)
        self.agreed = state.agreed
        self.trouble = state.trouble
        self.story = list(state.story)
        self.nested = False
        self.owners = 0
        self.runs = []
        self.names = names
        self.store = Store(memory, owner="first")
        self.providers = {name: self._provider(name) for name in names}
        targets = tuple(
            one.model_copy(update={"request": request(policy=policy)})
            for one in (target(name, PRICES[name]) for name in names)
        )
        self.means = Means(
            store=self.store,
            blobs=self.shelf,
            hub=Hub(),
            hooks=Hooks(),
            pulse=Pulse(1000, 600.0),
            plan=lambda *_: Route(targets=targets),
            agreed=lambda _: None,
            provider=lambda wanted: self.providers[wanted.provider],
            fetch=None,
            settled=lambda *_: None,
            version="0",
        )

    def state(self):
        return State(
            self.memory.photograph(),
            tuple(sorted(self.shelf.found.items())),
            tuple(sorted(self.bill.elements())),
            self.agreed,
            self.trouble,
            tuple(self.story),
        )

    def choose(self, where, *options):
        """The first option is calm; each other one is trouble."""
        chosen = self.oracle.choose(options) if self.trouble else 0
        self.trouble -= chosen > 0
        self.story.append(f"{where}: {options[chosen]}")
        return options[chosen]

    # -- who acts ----------------------------------------------------------------------------------------

    async def work(self):
        """A worker takes the job and runs it, until it is done with it, or dead."""
        self.owners += 1
        store = Store(self.memory, owner=f"worker {self.owners}")
        gate, self.memory.gate = self.memory.gate, None
        await store.take_over()  # whoever had it is dead, or robbed
        self.memory.execute("UPDATE jobs SET not_before = 0")
        claimed = await store.claim(1, 60.0)
        self.memory.gate = gate or self._gate
        try:
            for work in claimed:
                canceled = asyncio.Event()
                if work.job.cancel_requested:
                    canceled.set()
                slot = Slot(Slots(4, 4), float("inf"))
                self.runs.append((canceled, slot))
                await Run(work, replace(self.means, store=store), canceled, slot).to_end()
                self.runs.pop()
        except Died:
            self.runs.pop()
        finally:
            self.memory.gate = gate

    async def _gate(self, when):
        options = ["go on", "die"]
        if when == "before a commit" and not self.nested:
            options += ["lose the lease", "cancel"]
        match self.choose(when, *options):
            case "die":
                raise Died
            case "lose the lease":
                await self._robbed()
            case "cancel":
                await self.cancel()

    async def _robbed(self):
        """Another worker has the job, and is done with it before this one goes on."""
        self.runs[-1][1].held_until = float("-inf")
        self.nested = True
        await self.work()
        self.nested = False

    async def cancel(self):
        """A user stops the order."""
        await self._ungated(self.store.request_cancel(JOB, 0.0))
        for canceled, _ in self.runs:
            canceled.set()

    async def ask(self):
        """Somebody asks the vendors about lost orders, and may die over it."""
        self.nested, self.memory.gate = True, self._gate
        try:
            for lost in await self.store.lost():
                await inquiry.ask(self.means, lost.attempt)
        except Died:
            return
        finally:
            self.nested, self.memory.gate = False, None

    async def _ungated(self, act):
        gate, self.memory.gate = self.memory.gate, None
        try:
            return await act
        finally:
            self.memory.gate = gate

    # -- vendors -----------------------------------------------------------------------------------------

    def _provider(self, name):
        recovery = RECOVERIES[name]

        async def submit(call):
            return await self._received(name, recovery, call)

        async def poll(ticket):
            return await self._asked(ticket)

        kind = vendor(Desk([submit], [poll]), name, recovery)

        async def find(_self, call):
            return await self._sought(name, call)

        kind.find = find
        return kind(wire=None)

    async def _received(self, name, recovery, call):
        options = ["works", "refuses", "is away", "order lost", "answer lost", "die unsent", "die"]
        if not self.nested:
            options.append("lose the lease")
        said = self.choose(f"order {call.key} at {name}", *options)
        match said:
            case "refuses":
                raise Refused("no")
            case "is away":
                raise Unavailable("away")
            case "order lost":
                raise TimedOut("no answer")
            case "die unsent":
                raise Died
        if name != "free" and not (recovery is Recovery.NAMED and self.bill[call.key]):
            self.bill[call.key] += 1
        match said:
            case "answer lost":
                raise TimedOut("no answer")
            case "die":
                raise Died
            case "lose the lease":
                await self._robbed()
        return self._done(name) if recovery is Recovery.BLIND else Pending({"id": call.key, "at": name}, 0.0)

    async def _asked(self, ticket):
        match self.choose("asked", "done", "lost", "die"):
            case "lost":
                raise Lost("no such order")
            case "die":
                raise Died
        assert self.bill[ticket["id"]]
        return self._done(ticket["at"])

    async def _sought(self, name, call):
        match self.choose("sought", "whole", "away", "several", "die"):
            case "away":
                raise Unavailable("no list now")
            case "several":
                raise Unknown("several look alike")
            case "die":
                raise Died
        return {"id": call.key, "at": name} if self.bill[call.key] else None

    @staticmethod
    def _done(name):
        return Done((PICTURE,), cost_usd=CHARGES[name])

    # -- what is so --------------------------------------------------------------------------------------

    async def job(self) -> Job:
        return await self.store.job(JOB)

    def check(self):
        """What holds of every state."""
        books = Books(self.memory._raw)
        books.check_jobs()
        books.check_money()
        books.check_bill(self.bill, set())
        assert not [key for key, times in self.bill.items() if times > 1], self.bill
        assert len(self.bill) <= 1 + self.agreed, self.bill

    def signature(self):
        """Two states with the same one have the same future."""
        ask = self.memory.execute
        job = ask("SELECT state, cancel_requested, min(tries, 6), confirmation, expires_at > 1 FROM jobs")
        tried = ask("SELECT n, state, provider, ticket, error, decided IS NULL FROM attempts ORDER BY n")
        kept = ask("SELECT attempt_id, length(data) FROM answers ORDER BY 1")
        drawn = ask("SELECT attempt_id FROM artifacts ORDER BY idx")
        rows = tuple(tuple(one.fetchall()) for one in (job, tried, kept, drawn))
        return rows, tuple(sorted(self.bill)), tuple(sorted(self.shelf.found)), self.agreed, self.trouble


@dataclass
class Found:
    """What an exploration came to."""

    states: int = 0
    roads: int = 0
    ends: Counter = field(default_factory=Counter)
    """Distinct states at rest, by the job's state."""


class Exploration:
    """All that may become of one job with these targets, under so much trouble."""

    def __init__(self, names, policy=None, trouble=2):
        self._memory = Memory()
        self._names = names
        self._policy = policy or Policy(substitutes=True)
        self._trouble = trouble
        self._seen = set()
        self._queue = deque()
        self.found = Found()

    def explore(self) -> Found:
        """Every state; raises `AssertionError` where something does not hold."""
        try:
            return asyncio.run(self._explore())
        finally:
            self._memory.close()

    async def told(self, acts, story) -> Books:
        """What is in the books after one road."""
        try:
            scene = await self._start(Told(story))
            for act in acts:
                await {"work": scene.work, "ask": scene.ask}[act]()
            scene.check()
            return Books(self._memory._raw)
        finally:
            self._memory.close()

    async def _start(self, oracle):
        agreed = 1 if self._policy.on_unknown == "auto" else 0
        scene = Scene(self._memory, self._names, self._policy, self._empty(agreed), oracle)
        job = Job(id=JOB, state="queued", request=request(policy=self._policy), created_at=0.0)
        queued = JobEvent(job_id=JOB, seq=1, type="queued", state="queued", at=0.0)
        await scene.store.enqueue(NewJob(job, "local", None, "f", 60.0), [queued])
        return scene

    async def _explore(self):
        self._note(await self._start(Oracle()))
        while self._queue:
            state = self._queue.popleft()
            for act in await self._acts(state):
                await self._roads(state, act)
        return self.found

    def _empty(self, agreed):
        return State(self._memory.photograph(), (), (), agreed, self._trouble)

    async def _acts(self, state):
        """What may be done in a state."""
        scene = Scene(self._memory, self._names, self._policy, state, Oracle())
        job = await scene.job()
        lost = [one for one in job.receipt.attempts if one.state == "unknown"]
        acts = [_decides(one) for one in job.choices]
        if not job.resting:
            acts.append(_works)
        if state.trouble and not job.cancel_requested and not job.final:
            acts.append(_cancels)
        if state.trouble and not job.resting:
            acts.append(_time_passes)
        if lost:
            acts.append(_asks)
        return acts

    async def _roads(self, state, act):
        oracle = Oracle()
        while True:
            scene = Scene(self._memory, self._names, self._policy, state, oracle)
            scene.story.append(act.__name__)
            try:
                await self._walk(scene, act)
            except AssertionError as error:
                error.add_note("\n".join(scene.story))
                raise
            if not oracle.another():
                return

    async def _walk(self, scene, act):
        await act(scene)
        self.found.roads += 1
        scene.check()
        if self._note(scene):
            await self._comes_to_rest(scene)

    def _note(self, scene):
        signature = scene.signature()
        if signature in self._seen:
            return False
        self._seen.add(signature)
        self.found.states += 1
        self._queue.append(scene.state())
        return True

    async def _comes_to_rest(self, scene):
        """From here, with no more trouble, the job comes to an end, and what was bought is there or told."""
        scene.trouble = 0
        for _ in range(8):
            if (await scene.job()).resting:
                break
            await scene.work()
        await scene.ask()
        for _ in range(8):
            if (await scene.job()).resting:
                break
            await scene.work()
        job = await scene.job()
        assert job.resting, job
        scene.check()
        books = Books(self._memory._raw)
        books.check_rest(scene.bill)
        assert not [one for one in books.attempts if one["state"] in OPEN]
        self.found.ends[job.state] += 1


async def _works(scene):
    await scene.work()


async def _cancels(scene):
    scene.trouble -= 1
    await scene.cancel()


async def _time_passes(scene):
    scene.trouble -= 1
    scene.memory.execute("UPDATE jobs SET expires_at = 0")


async def _asks(scene):
    await scene.ask()


def _decides(decision):
    async def act(scene):
        scene.agreed += decision == "pay_again"
        await decide(scene.means, JOB, decision, "somebody", PICTURE if decision == "delivered" else None)

    act.__name__ = decision
    return act
