"""Limner's own orders: quote, submit, list, read, watch, cancel."""

from typing import Annotated

import orjson
from fastapi import FastAPI, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import idempotency_key, read
from limner.api.caller import caller
from limner.api.errors import fault_of
from limner.api.reference import BODY, EVENTS, IDEMPOTENCY_KEY, answer, get, limner_errors, post, takes
from limner.api.shapes import limner_shape
from limner.api.stream import Emit, EventStream, event
from limner.app import Limner
from limner.core.errors import InvalidRequest, LimnerError
from limner.core.events import Ended, JobEvent, Message, Progress
from limner.core.job import Job, JobState
from limner.core.quote import Quote
from limner.core.request import GenerateRequest

MAX_SEQ = 2**31 - 1


class JobList(BaseModel):
    """Newest first. With `has_more`, the next page is `?before=<id of the last one>`."""

    data: list[Job]
    has_more: bool


class Jobs:
    """The door."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        ordering = (*BODY, 402, 409, 429, 503, 507)
        post(
            app,
            "/v1/quotes",
            self.quote,
            tags=["Jobs"],
            summary="Say who would draw it, at what price, and what would be bent; buys nothing",
            response_model=Quote,
            responses=limner_errors(*BODY, 402, 429, 503, 507),
            openapi_extra=takes(GenerateRequest),
        )
        post(
            app,
            "/v1/jobs",
            self.submit,
            status_code=202,
            tags=["Jobs"],
            summary="Order pictures and return at once",
            response_model=Job,
            responses=answer(202, "Accepted", headers=["Location"]) | limner_errors(*ordering),
            openapi_extra=takes(GenerateRequest, IDEMPOTENCY_KEY),
        )
        get(
            app,
            "/v1/jobs",
            self.browse,
            tags=["Jobs"],
            summary="List jobs, newest first",
            response_model=JobList,
            responses=limner_errors(400, 507),
        )
        get(
            app,
            "/v1/jobs/{job_id:key}",
            self.job,
            tags=["Jobs"],
            summary="Read a job with its pictures and receipt",
            response_model=Job,
            responses=limner_errors(404, 507),
        )
        app.add_api_route(
            "/v1/jobs/{job_id:key}/events",
            self.watch,
            methods=["GET"],
            tags=["Jobs"],
            summary="Watch a job until its end",
            description=(
                "Server-sent events. State changes carry an `id` and are replayed after `Last-Event-ID` "
                "(or `?after=`); `progress` is live only; `end` is the last and holds the job."
            ),
            response_class=Response,
            responses=answer(200, "Events until the job's end", EVENTS) | limner_errors(400, 404, 507),
        )
        app.add_api_route(
            "/v1/jobs/{job_id:key}/cancel",
            self.cancel,
            methods=["POST"],
            tags=["Jobs"],
            summary="Stop the order; what the vendor still delivers is kept and charged as it came",
            response_model=Job,
            responses=limner_errors(404, 409, 507),
        )

    async def quote(self, request: Request) -> Response:
        """Answer a `Quote`."""
        order, _ = await read(request, GenerateRequest, self._limit)
        return _json(await self._limner.estimate(order))

    async def submit(self, request: Request) -> Response:
        """Answer 202 with the `Job` and its address."""
        order, _ = await read(request, GenerateRequest, self._limit)
        job = await self._limner.generate(order, key=idempotency_key(request), by=caller(request))
        return _json(job, 202, {"location": f"/v1/jobs/{job.id}"})

    async def browse(
        self,
        state: JobState | None = None,
        project: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        before: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = None,
    ) -> Response:
        """Answer a `JobList`."""
        jobs = await self._limner.jobs(state=state, project=project, limit=limit + 1, before=before)
        shown = b",".join(job.model_dump_json().encode() for job in jobs[:limit])
        more = b"true" if len(jobs) > limit else b"false"
        return Response(b'{"data":[%b],"has_more":%b}' % (shown, more), media_type="application/json")

    async def job(self, job_id: str) -> Response:
        """Answer the `Job`."""
        return _json(await self._limner.read(job_id))

    async def cancel(self, job_id: str) -> Response:
        """Answer the `Job` as it stands after the wish to stop was noted."""
        return _json(await self._limner.cancel(job_id))

    async def watch(
        self, request: Request, job_id: str, after: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0
    ) -> Response:
        """Answer the stream of events after `Last-Event-ID`, else after `after`."""
        seen = request.headers.get("last-event-id")
        return EventStream(
            self._limner.watch(job_id, after if seen is None else _seq(seen)), _write, _error_event
        )


def _json(body: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body.model_dump_json(), status, headers, "application/json")


def _seq(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_SEQ):
        raise InvalidRequest("Last-Event-ID: must be the id of an event of this job", "Last-Event-ID")
    return int(text)


async def _write(message: Message, emit: Emit) -> None:
    match message:
        case JobEvent():
            await emit(event(message.type, message.model_dump_json().encode(), number=message.seq))
        case Progress():
            await emit(event("progress", _progress(message)))
        case Ended():
            await emit(event("end", message.job.model_dump_json().encode()))


def _progress(progress: Progress) -> bytes:
    return orjson.dumps(
        {
            "job_id": progress.job_id,
            "fraction": progress.fraction,
            "step": progress.step,
            "steps": progress.steps,
            "eta_s": progress.eta_s,
        }
    )


def _error_event(error: LimnerError) -> bytes:
    return event("error", orjson.dumps(limner_shape(fault_of(error))))
