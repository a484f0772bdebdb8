"""Runware's tasks over a WebSocket: the same lists as text frames, after one with the key."""

import asyncio
from abc import abstractmethod
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from limner.simulator.gate import key_state
from limner.simulator.runware_tasks import Complaint, Task, costs, key_in, tasks_in
from limner.simulator.vendor import ErrorWord, Order, Unreadable, Vendor

_LOOK_S = 0.5


@dataclass(slots=True)
class Session:
    """One client, over as many connections as it takes; what it could not be told waits."""

    socket: web.WebSocketResponse
    waiting: list[Task] = field(default_factory=list)

    async def tell(self, frame: Task) -> None:
        """Send it, or keep it for the client's return."""
        if self.socket.closed:
            self.waiting.append(frame)
        else:
            await self.socket.send_json(frame)


class SocketVendor(Vendor):
    """A vendor that does tasks, by whatever way they come."""

    _sessions: dict[str, Session]

    @abstractmethod
    async def do(self, task: Task, order: Order) -> list[Task]:
        """The results of one task. Raises `Complaint`."""

    @abstractmethod
    def fault(self, word: ErrorWord, body: bytes) -> tuple[int, Task]:
        """Status and frame for an error that is not about a task."""

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """One connection: authenticate, then tasks side by side, a frame per result."""
        socket = web.WebSocketResponse(heartbeat=30.0)
        if not socket.can_prepare(request).ok:
            return self.wrong_method(request, ("POST",))
        await socket.prepare(request)
        session: Session | None = None
        async with asyncio.TaskGroup() as group:
            while not socket.closed and not self.world.stopped.is_set():
                try:
                    message = await socket.receive(timeout=_LOOK_S)
                except TimeoutError:
                    continue
                if message.type is not WSMsgType.TEXT:
                    break
                if session is None:
                    session = await self._greeted(socket, message.data)
                else:
                    group.create_task(self._heard(request, session, message.data))
        return socket

    async def _greeted(self, socket: web.WebSocketResponse, message: str) -> Session | None:
        """The session, a new one or the one asked for; None when the key does not fit."""
        body = message.encode()
        word = key_state(self, key_in(body), order=False)
        if word is not None:
            await socket.send_json(self.fault(word, body)[1])
            return None
        asked = str(tasks_in(body)[0].get("connectionSessionUUID", ""))
        name = asked if asked in self._sessions else self.world.new_id()
        session = self._sessions.setdefault(name, Session(socket))
        session.socket = socket
        await socket.send_json({"data": [{"taskType": "authentication", "connectionSessionUUID": name}]})
        waiting, session.waiting = session.waiting, []
        for frame in waiting:
            await session.tell(frame)
        return session

    async def _heard(self, request: web.Request, session: Session, message: str) -> None:
        """Do what one message asks for, with the fault it meets."""
        body = message.encode()
        try:
            tasks = tasks_in(body)
            order = self.order_in(request, message) if costs(body) else self.order_of(request)
        except Unreadable as error:
            await session.tell({"errors": [{"code": "invalidRequestBody", "message": str(error)}]})
            return
        match order.fault.kind if order.fault else None:
            case "cut_before":
                await session.socket.close()
            case "hang":
                pass
            case "error_before":
                await session.tell(self.fault("server_error", body)[1])
            case "rate_limited" | "no_money" | "bad_key" | "overloaded" as word:
                await session.tell(self.fault(word, body)[1])
            case kind:
                if kind == "cut_after":
                    await session.socket.close()
                for task in tasks:
                    await self._one(session, task, order)

    async def _one(self, session: Session, task: Task, order: Order) -> None:
        try:
            results = await self.do(task, order)
        except Complaint as complaint:
            await session.tell({"errors": [complaint.about(task)]})
            return
        together = task["taskType"] == "getResponse"
        for frame in [results] if together else [[result] for result in results]:
            await session.tell({"data": frame})
