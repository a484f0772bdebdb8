"""Kills, freezes and cuts processes at seeded moments, and starts them again."""

import asyncio
import math
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from random import Random

from limner.lab.crew import Crew, Member, Role
from limner.lab.harm import CALL_S, LINES, Line, Weather
from limner.lab.house import LEASE_S

_LONGEST_LIFE_S = 0.5
_PATIENCE_S = 0.6
"""How long a process may take to come to the line it is to die at."""
_SHARED_PATIENCE_S = 2.0
"""The same where several share the work, and each comes to fewer lines."""
_FULL_LATELY_S = 5.0
_UP_FIRST = 0.6
"""Share of lives that count from the moment at which a server answers; the rest may end while it starts."""
_LONGEST_START_S = 10.0
_ANSWER_S = 2.0
_FARTHEST_S = CALL_S - 1.0
"""How far clocks jump: as an hour is to a call of minutes, seconds are to one of seconds."""
_WORKER_UP_S = 0.3
_NTH = (1, 1, 1, 2, 3)
_RARE = frozenset({"keep", "give_up", "again", "ask", "end"})
_LIKELY = (*LINES, *[one for one in LINES if one not in _RARE] * 2)
"""Acts that every job comes to are met more often."""
_ODD = 0.1
"""Share of kills before which a process of several is frozen, and as many again cut off its database."""

Cut = Callable[[str], AbstractAsyncContextManager[None]]
"""Within the block nobody of that name reaches the database."""


@dataclass(slots=True)
class Tally:
    """What was done."""

    lines: Counter[str] = field(default_factory=Counter)
    """Kills at a line of the journal, as `before submit`."""
    random: int = 0
    under_load: int = 0
    frozen: int = 0
    cut: int = 0
    jumps: int = 0
    full: int = 0
    full_at: float = -math.inf
    """When the disk was full last, on the monotonic clock."""
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """All of them."""
        return self.random + self.lines.total()


@dataclass(frozen=True, slots=True)
class Post:
    """A place that always has somebody: who dies is replaced."""

    name: str
    role: Role
    environ: dict[str, str]
    port: int | None = None
    """Where it answers, None for a worker."""


class Havoc:
    """`busy` tells how many jobs are open; `cut` takes the database away from one name, where it can."""

    def __init__(
        self,
        crew: Crew,
        posts: Sequence[Post],
        seed: int,
        *,
        busy: Callable[[], Awaitable[int]],
        cut: Cut | None = None,
    ) -> None:
        self._crew, self._posts, self._busy, self._cut = crew, posts, busy, cut
        self._seed = seed
        self._members: dict[str, Member] = {}
        self.tally = Tally()

    async def wreak(self, kills: int) -> None:
        """Kill so many, at all posts side by side; in the end everybody is alive."""
        shares = [kills // len(self._posts) + (n < kills % len(self._posts)) for n in range(len(self._posts))]
        async with asyncio.TaskGroup() as group:
            for post, share in zip(self._posts, shares, strict=True):
                group.create_task(self._at(post, share))

    async def _at(self, post: Post, kills: int) -> None:
        random = Random(f"havoc {self._seed} {post.name}")  # noqa: S311 - repeatable, no secret
        done = 0
        while done < kills:
            done += await self._one_life(post, random)
        self._start(post, None)

    async def _one_life(self, post: Post, random: Random) -> bool:
        """Whether it ended by a kill: on a full disk nobody starts, and says so."""
        at_line = random.random() < 0.6
        line = Line(random.choice(_LIKELY), random.choice(("before", "after")), random.choice(_NTH))
        life_s = random.uniform(0.0, _LONGEST_LIFE_S)
        odd = random.random()
        member = self._start(post, line if at_line else None)
        if random.random() < _UP_FIRST:
            await _up(post, member)
        if self._cut is not None and odd < 2 * _ODD:
            await self._odd_end(post, member, freeze=odd < _ODD)
            if member.died == 1:
                return False  # who starts without a database says so and leaves
        patience_s = _PATIENCE_S if len(self._posts) == 1 else _SHARED_PATIENCE_S
        gone = await member.ended(patience_s if at_line else life_s)
        busy = await self._busy() > 0
        await member.kill()
        killed = self._count(post, member, line if at_line and gone else None)
        self.tally.under_load += busy and killed
        return killed

    def _count(self, post: Post, member: Member, line: Line | None) -> bool:
        if member.died == 1 and time.monotonic() - self.tally.full_at < _FULL_LATELY_S:
            return False
        if member.died != -signal.SIGKILL:
            self.tally.wrong.append(f"{post.name} left by itself with code {member.died}; the log says more")
        elif line is not None:
            self.tally.lines[f"{line.when} {line.act}"] += 1
        else:
            self.tally.random += 1
        return True

    async def _odd_end(self, post: Post, member: Member, *, freeze: bool) -> None:
        """Longer than its lease."""
        await member.ended(_LONGEST_LIFE_S)
        if freeze:
            self.tally.frozen += 1
            member.signal(signal.SIGSTOP)
            await asyncio.sleep(LEASE_S * 1.5)
            member.signal(signal.SIGCONT)
        elif self._cut is not None:
            self.tally.cut += 1
            async with self._cut(post.name):
                await asyncio.sleep(LEASE_S * 1.5)

    def _start(self, post: Post, line: Line | None) -> Member:
        member = self._members[post.name] = self._crew.start(post.name, post.role, line, **post.environ)
        return member

    async def change_shift(self, patience_s: float) -> None:
        """End all in order, and start all anew."""
        await self.end(patience_s)
        for post in self._posts:
            self._start(post, None)

    async def end(self, patience_s: float = 30.0) -> None:
        """End all in order; who does not end well is told."""
        for name, member in self._members.items():
            member.signal(signal.SIGTERM)
            if not await member.ended(patience_s):
                self.tally.wrong.append(f"{name} did not end within {patience_s:g} s of SIGTERM")
                await member.kill()
            elif member.died not in (0, 130):
                self.tally.wrong.append(f"{name} ended with code {member.died} at SIGTERM")

    async def abandon(self) -> None:
        """Leave nobody running."""
        for member in self._members.values():
            await member.kill()


async def _up(post: Post, member: Member) -> None:
    """Wait until a server answers; a worker, which has no door, gets a moment."""
    if post.port is None:
        await member.ended(_WORKER_UP_S)
        return
    until = time.monotonic() + _LONGEST_START_S
    while member.died is None and time.monotonic() < until:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                if await _answers(post.port):
                    return
        await asyncio.sleep(0.02)


async def _answers(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def storms(weather: Weather, tally: Tally, seed: int, *, disk: bool) -> None:
    """Until it is cancelled: clocks jump to and fro, and the disk is full for a while."""
    random = Random(f"weather {seed}")  # noqa: S311 - repeatable, no secret
    try:
        while True:
            await asyncio.sleep(random.uniform(4.0, 12.0))
            if disk and random.random() < 0.4:
                tally.full += 1
                tally.full_at = time.monotonic()
                weather.tell(full=True)
            else:
                tally.jumps += 1
                weather.tell(offset_s=random.choice((-1, 1)) * random.uniform(2.0, _FARTHEST_S))
            await asyncio.sleep(random.uniform(0.5, 2.0))
            if weather.full:
                tally.full_at = time.monotonic()
            weather.tell()
    finally:
        weather.tell()
