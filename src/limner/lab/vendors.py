"""The vendors: one simulator in a process of its own, told what to do through its side door."""

import asyncio
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Self

import aiohttp
from pydantic import BaseModel, ConfigDict

from limner.lab.crew import context, redirect
from limner.simulator.app import Simulator
from limner.simulator.faults import Kind, Schedule

_START_S = 60.0


class Account(BaseModel):
    """Where Limner finds a stand-in."""

    model_config = ConfigDict(frozen=True)

    provider: str
    url: str
    key: str
    model: str | None


class Charge(BaseModel):
    """One line of the bill; `name` is the order's own."""

    model_config = ConfigDict(frozen=True)

    vendor: str
    id: str
    usd: Decimal
    images: int
    name: str = ""


class _Bill(BaseModel):
    lines: tuple[Charge, ...]


class Vendors:
    """`async with Vendors(seed) as vendors:` they answer until the block ends."""

    def __init__(self, seed: int, log: str, *, schedule: str = "", speed: float = 200.0) -> None:
        ours, theirs = context().Pipe()
        self._pipe = ours
        self._process = context().Process(
            target=_serve, args=(seed, schedule, speed, theirs, log), name="vendors", daemon=True
        )
        self.url = ""
        self.accounts: tuple[Account, ...] = ()

    async def __aenter__(self) -> Self:
        self._process.start()
        if not await asyncio.to_thread(self._pipe.poll, _START_S):
            raise RuntimeError("the simulator did not start")
        self.url, self.accounts = self._pipe.recv()
        self._http = aiohttp.ClientSession(self.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()
        self._pipe.send("end")
        await asyncio.to_thread(self._process.join, 10.0)
        self._process.kill()

    async def fault(self, kind: Kind, vendor: str | None = None, *, times: int = 1, **match: str) -> None:
        """Let orders go wrong: `times` of them, 0 for all until `calm`."""
        body = {"fault": kind, "vendor": vendor, "times": times, "match": match}
        async with self._http.post("/__emu/faults", json=body) as answer:
            answer.raise_for_status()

    async def calm(self) -> None:
        """No fault any more but those by chance."""
        async with self._http.delete("/__emu/faults") as answer:
            answer.raise_for_status()

    async def waiting(self) -> list[str]:
        """Kinds of the faults that nobody has met yet."""
        async with self._http.get("/__emu/faults") as answer:
            return [one["fault"] for one in (await answer.json())["faults"]]

    async def bill(self) -> tuple[Charge, ...]:
        """Every charge."""
        async with self._http.get("/__emu/bill") as answer:
            return _Bill.model_validate_json(await answer.read()).lines

    async def mistakes(self) -> list[str]:
        """What the simulator itself did wrong."""
        async with self._http.get("/__emu") as answer:
            return [str(one) for one in (await answer.json())["mistakes"]]


def _serve(seed: int, schedule: str, speed: float, pipe: Connection, log: str) -> None:
    redirect(log)

    async def serve() -> None:
        async with Simulator(seed=seed, schedule=Schedule.parse(schedule), speed=speed) as simulator:
            accounts = tuple(
                Account(
                    provider=name,
                    url=simulator.base(name).rstrip("/"),
                    key=simulator.key(name),
                    model=vendor.any_model,
                )
                for name, vendor in simulator.vendors.items()
            )
            pipe.send((simulator.url, accounts))
            await asyncio.to_thread(pipe.recv)

    asyncio.run(serve())
