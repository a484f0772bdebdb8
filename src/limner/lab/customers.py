"""Those who order over HTTP, and do not give up when the server is killed under them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import Any

import aiohttp
from pydantic import JsonValue

from limner.lab.orders import Wish
from limner.lab.vendors import Vendors

_PATIENCE_S = 120.0
_RETRY_S = 0.05
_PASSING_S = 4.0
_CALL_S = 20.0
_LATER = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE})


@dataclass(slots=True)
class Sales:
    """What the customers were told."""

    accepted: dict[str, str] = field(default_factory=dict)
    """Job by order."""
    declined: dict[str, int] = field(default_factory=dict)
    """How often an order was not accepted, by the error's code."""
    wrong: list[str] = field(default_factory=list)
    """Answers that must not be."""


class Customers:
    """They find the servers at `ports`."""

    def __init__(self, vendors: Vendors, ports: Sequence[int], seed: int) -> None:
        self._vendors = vendors
        self._ports = ports
        self._random = Random(f"customers {seed}")  # noqa: S311 - repeatable, no secret
        self.sales = Sales()

    async def buy(self, wishes: Sequence[Wish], gate: Callable[[int], Awaitable[None]], at_once: int) -> None:
        """Order them all, `at_once` side by side, each when `gate` lets its number pass."""
        waiting = iter(wishes)
        timeout = aiohttp.ClientTimeout(_CALL_S)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as self._http,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(at_once):
                group.create_task(self._customer(waiting, gate))

    async def _customer(self, waiting: Any, gate: Callable[[int], Awaitable[None]]) -> None:  # noqa: ANN401 - an iterator
        for wish in waiting:
            await gate(wish.number)
            if wish.fault is not None:
                await self._vendors.fault(wish.fault, prompt=f"[[order:{wish.name}]]")
            await self._order(wish)

    async def _order(self, wish: Wish) -> None:
        asked = [self._ask(wish, wish.body) for _ in range(2 if wish.again == "same" else 1)]
        ids = {one for one in await asyncio.gather(*asked) if one is not None}
        if len(ids) > 1:
            self.sales.wrong.append(f"order {wish.name}: one key gave the jobs {', '.join(sorted(ids))}")
        if not ids:
            return
        job_id = self.sales.accepted[wish.name] = min(ids)
        if wish.again == "other":
            other = await self._post("/v1/jobs", wish.body | {"prompt": "something else"}, wish.name)
            if other is not None and other[0] != HTTPStatus.CONFLICT:
                self.sales.wrong.append(f"order {wish.name}: another body under its key gave {other[0]}")
        if wish.cancel:
            await asyncio.sleep(self._random.uniform(0.0, 0.5))
            await self._post(f"/v1/jobs/{job_id}/cancel", None, None)

    async def _ask(self, wish: Wish, body: dict[str, JsonValue]) -> str | None:
        """The job's id, None when it was declined."""
        answer = await self._post("/v1/jobs", body, wish.name)
        if answer is None:
            self._declined("nobody_answers")
            return None
        status, said = answer
        if status == HTTPStatus.ACCEPTED:
            return str(said["id"])
        code = str(said.get("error", {}).get("code", status)) if isinstance(said, dict) else str(status)
        self._declined(code)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and HTTPStatus(status) not in _LATER:
            self.sales.wrong.append(f"order {wish.name} was answered {status}: {said}")
        return None

    def _declined(self, code: str) -> None:
        self.sales.declined[code] = self.sales.declined.get(code, 0) + 1

    async def _post(self, path: str, body: JsonValue, name: str | None) -> tuple[int, Any] | None:
        """Status and body of the answer, None when nobody answers for long."""
        headers = {} if name is None else {"Idempotency-Key": f"lab-{name}"}
        until = time.monotonic() + _PATIENCE_S
        answer: tuple[int, Any] | None = None
        while time.monotonic() < until:
            url = f"http://127.0.0.1:{self._random.choice(self._ports)}{path}"
            try:
                async with self._http.post(url, json=body, headers=headers) as response:
                    answer = response.status, await response.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                await asyncio.sleep(_RETRY_S)
                continue
            if answer[0] not in _LATER:
                return answer
            if answer[0] == HTTPStatus.SERVICE_UNAVAILABLE:  # nobody can serve: it may pass
                until = min(until, time.monotonic() + _PASSING_S)
            await asyncio.sleep(4 * _RETRY_S)
        return answer
