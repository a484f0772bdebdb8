"""Limner's verbs through the server that owns the home: the same answers, the same errors."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from limner.app import ProviderStatus
from limner.catalog.model import Model
from limner.core import errors
from limner.core.events import Ended, JobEvent, Message, Progress
from limner.core.ids import uuid7
from limner.core.job import Artifact, Decision, Job, JobState
from limner.core.lost import DecisionBody, LostOrder, Reconciled
from limner.core.quote import Quote
from limner.core.request import GenerateRequest
from limner.core.usage import LOCAL_USER, Audit, Standings, UsageBy, UsageReport
from limner.inputs import Input

M = TypeVar("M", bound=BaseModel)
_ANSWER_S = 60.0
_SILENCE_S = 45.0
"""The server says `: keep-alive` every 15 seconds; three missed ones mean the line is dead."""
_RECONNECTS = 5


def by_code(code: str, message: str) -> errors.LimnerError:
    """The error class whose `code` this is, with the server's sentence."""
    found = next((kind for kind in _kinds(errors.LimnerError) if kind.code == code), errors.LimnerError)
    return found(message)


def _kinds(kind: type[errors.LimnerError]) -> Iterator[type[errors.LimnerError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


class Remote:
    """A client of Limner's native doors at `url`, with a caller's `key` where the server asks for one. An
    async context manager."""

    def __init__(self, url: str, *, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=5)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def estimate(self, request: GenerateRequest) -> Quote:
        """What it would cost; buys nothing."""
        return await self._read(Quote, "POST", "/v1/quotes", body=request)

    async def generate(
        self, request: GenerateRequest, *, key: str | None = None, by: str = LOCAL_USER
    ) -> Job:
        """Order; answers once the job is accepted. Without a key one is made up, so a repeat is safe. Whom
        the order is `by`, the server tells by the caller's key."""
        headers = {"Idempotency-Key": key or uuid7()}
        return await self._read(Job, "POST", "/v1/jobs", body=request, headers=headers)

    async def draw(self, request: GenerateRequest, *, key: str | None = None) -> Job:
        """Order and wait for the end, whatever it is."""
        job = await self.generate(request, key=key)
        async with self.watch(job.id) as messages:
            async for message in messages:
                if isinstance(message, Ended):
                    return message.job
        return await self.read(job.id)

    @asynccontextmanager
    async def watch(self, job_id: str, after: int = 0) -> AsyncIterator[AsyncIterator[Message]]:
        """The job's messages after event `after`; `Ended` is the last. A cut line is taken up again."""
        messages = self._messages(job_id, after)
        try:
            yield messages
        finally:
            await messages.aclose()

    async def cancel(self, job_id: str) -> Job:
        """Stop the order."""
        return await self._read(Job, "POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel")

    async def decide(self, job_id: str, decision: Decision, *, by: str, picture: bytes | None = None) -> Job:
        """Say what is to follow."""
        digest = None if picture is None else (await self.keep(picture)).digest
        said = DecisionBody(decision=decision, by=by, picture=digest)
        return await self._read(Job, "POST", f"/v1/jobs/{quote(job_id, safe='')}/decide", body=said)

    async def lost(self) -> tuple[LostOrder, ...]:
        """Orders whose outcome is unknown."""
        found = await self._list("/v1/reconcile", "data")
        return TypeAdapter(tuple[LostOrder, ...]).validate_python(found)

    async def reconcile(self) -> Reconciled:
        """Ask the vendors about all of them."""
        return await self._read(Reconciled, "POST", "/v1/reconcile")

    async def read(self, job_id: str) -> Job:
        """The job as it stands."""
        return await self._read(Job, "GET", f"/v1/jobs/{quote(job_id, safe='')}")

    async def jobs(
        self,
        *,
        state: JobState | None = None,
        project: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Job]:
        """Newest first."""
        asked = {"state": state, "project": project, "limit": str(limit), "before": before}
        query = {name: value for name, value in asked.items() if value is not None}
        return TypeAdapter(list[Job]).validate_python(await self._list("/v1/jobs", "data", query))

    async def keep(self, data: bytes) -> Input:
        """Hand over a picture to work on."""
        return Input.model_validate_json(await self._call("POST", "/v1/inputs", data=data))

    async def image(self, image_id: str) -> Artifact:
        """One finished picture's record."""
        return await self._read(Artifact, "GET", f"/v1/images/{quote(image_id, safe='')}")

    async def open(self, artifact: Artifact) -> bytes:
        """The picture's file."""
        return await self._call("GET", quote(artifact.path))

    async def thumbnail(self, artifact: Artifact, side: int = 256) -> bytes:
        """A small WebP of it."""
        return await self._call("GET", f"/v1/images/{quote(artifact.id, safe='')}/thumbnail?side={side}")

    async def models(self) -> tuple[Model, ...]:
        """The catalog as the server has it, one entry per id."""
        entries = await self._list("/v1/models", "data")
        return tuple(Model(**{name: entry[name] for name in Model.model_fields}) for entry in entries)

    async def providers(self) -> list[ProviderStatus]:
        """Every account there, and why it cannot be used when it cannot."""
        return TypeAdapter(list[ProviderStatus]).validate_python(await self._list("/v1/providers", "data"))

    async def usage(self, first_day: date, last_day: date, by: UsageBy = "day") -> UsageReport:
        """What was ordered and spent."""
        return await self._read(UsageReport, "GET", f"/v1/usage?from={first_day}&to={last_day}&by={by}")

    async def standings(self) -> Standings:
        """How far budgets and limits are used."""
        return await self._read(Standings, "GET", "/v1/budgets")

    async def audit(self) -> Audit:
        """Whether the books agree."""
        return await self._read(Audit, "GET", "/v1/audit")

    async def _read(
        self,
        into: type[M],
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        answer = await self._call(method, path, body=body, headers=headers)
        try:
            return into.model_validate_json(answer)
        except ValidationError as error:
            raise self._strange(path, error) from error

    async def _list(
        self, path: str, name: str, query: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """The list under `name`."""
        answer = orjson.loads(await self._call("GET", path, query=query))
        if not isinstance(answer, dict) or not isinstance(answer.get(name), list):
            raise self._strange(path, f"no {name!r}")
        found: list[dict[str, Any]] = answer[name]
        return found

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        kind = {} if data is None else {"Content-Type": "application/octet-stream"}
        if body is not None:
            data = body.model_dump_json(exclude_unset=True).encode()
            kind = {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, self.url + path, data=data, headers={**kind, **(headers or {})}, params=query
            ) as answer:
                content = await answer.read()
                _check(answer.status, content)
                return content
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._gone(error) from error

    async def _messages(self, job_id: str, after: int) -> AsyncGenerator[Message, None]:
        path = f"{self.url}/v1/jobs/{quote(job_id, safe='')}/events"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENCE_S)
        for _ in range(_RECONNECTS):
            try:
                async with self._session.get(
                    path, headers={"Last-Event-ID": str(after)}, timeout=timeout
                ) as answer:
                    _check(answer.status, b"" if answer.ok else await answer.read())
                    async for frame in frames(answer.content.iter_any()):
                        message = parse(frame)
                        after = message.seq if isinstance(message, JobEvent) else after
                        yield message
                        if isinstance(message, Ended):
                            return
            except (aiohttp.ClientError, TimeoutError) as error:
                broken: Exception = error
            else:
                broken = ConnectionError("the stream ended early")
        raise self._gone(broken)

    def _gone(self, error: Exception) -> errors.Unavailable:
        return errors.Unavailable(
            f"the Limner at {self.url} does not answer: {str(error) or type(error).__name__}"
        )

    def _strange(self, path: str, error: object) -> errors.Malformed:
        return errors.Malformed(
            f"the Limner at {self.url} gave an answer to {path} that this version cannot read: {error}"
        )


def _check(status: int, body: bytes) -> None:
    """Raise what an answer of the native doors means, if it is no good one."""
    if status < 400:
        return
    try:
        raise _said(orjson.loads(body))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise errors.Unavailable(f"the server answered {status} without a reason") from None


def _said(body: Mapping[str, Mapping[str, Any]]) -> errors.LimnerError:
    """The error in `{"error": {"code", "message", "field"?, "details"?}}`."""
    said = body["error"]
    error = by_code(said["code"], said["message"])
    details = dict(said.get("details") or {})
    match error:
        case errors.InvalidRequest():
            error.field = said.get("field")
        case errors.NoRoute():
            error.reasons = details
        case errors.Exhausted():
            error.failures = details
        case _:
            pass
    return error


async def frames(chunks: AsyncIterable[bytes]) -> AsyncIterator[dict[str, str]]:
    """Server-sent events as field to value; comments are left out. Lines may be of any length."""
    held = b""
    async for chunk in chunks:
        held += chunk
        *whole, held = held.split(b"\n\n")
        for block in whole:
            pairs = (line.partition(":") for line in block.decode().split("\n"))
            frame = {name: value.removeprefix(" ") for name, _, value in pairs if name}
            if frame:
                yield frame


def parse(frame: Mapping[str, str]) -> Message:
    """The message that one event carries."""
    data = frame.get("data", "")
    match frame.get("event"):
        case "progress":
            return Progress(**orjson.loads(data))
        case "end":
            return Ended(Job.model_validate_json(data))
        case "error":
            raise _said(orjson.loads(data))
        case _:
            return JobEvent.model_validate_json(data)
