"""`/unified/generate` and what was generated: the API of programs before Limner, over the same verbs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import anyio
from fastapi import FastAPI, Query
from pydantic import BaseModel, TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import MAX_KEY, idempotency_key
from limner.api.caller import caller
from limner.api.reference import BODY, IDEMPOTENCY_KEY, get, takes, unified_errors
from limner.api.unified_body import as_model, from_query, read_object, unknown
from limner.api.unified_refused import refused
from limner.api.unified_shapes import UnifiedAnswer, UnifiedJob, answered, listed, refs_of
from limner.api.unified_words import (
    MAX_BATCH,
    BatchOrder,
    QuickOrder,
    UnifiedOrder,
    check_length,
    policy_of,
    provider_named,
    wish,
)
from limner.app import Limner
from limner.core.errors import InvalidRequest, LimnerError, NoRoute, NotFound
from limner.core.project import JobStatus
from limner.core.quote import Note

AT_ONCE = 3
"""Orders of one batch that run at the same time."""
_TRIED = 2
"""Providers that are tried in all, unless the caller says."""
_ORDERING = (*BODY, 402, 404, 409, 422, 429, 502, 503, 507)
_ANSWERS = TypeAdapter(list[UnifiedAnswer])
_JOBS = TypeAdapter(list[UnifiedJob])


@dataclass(frozen=True, slots=True)
class _Asked:
    """One order, with what surrounds it."""

    order: UnifiedOrder
    by: str
    key: str | None
    fallback: bool = True
    providers: int = _TRIED
    ignored: tuple[str, ...] = ()


class Unified:
    """The door."""

    def __init__(self, limner: Limner, *, max_body_bytes: int) -> None:
        self._limner = limner
        self._limit = max_body_bytes

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        for path, endpoint, body, answer, said in (
            ("generate", self.generate, UnifiedOrder, UnifiedAnswer, "Draw pictures"),
            ("generate/quick", self.quick, QuickOrder, UnifiedAnswer, "Draw pictures, with few fields"),
            ("generate/batch", self.batch, BatchOrder, list[UnifiedAnswer], "Draw 1 to 10 orders"),
        ):
            app.add_api_route(
                f"/unified/{path}",
                endpoint,
                methods=["POST"],
                tags=["Unified"],
                summary=f"{said}; answers when they are there, or `failed`",
                response_model=answer,
                responses=unified_errors(*_ORDERING),
                openapi_extra=takes(body, IDEMPOTENCY_KEY),
            )
        get(
            app,
            "/unified/jobs",
            self.jobs,
            tags=["Unified"],
            summary="List the caller's generations, newest first",
            response_model=list[UnifiedJob],
            responses=unified_errors(422, 507),
        )
        get(
            app,
            "/unified/jobs/{job_id}",
            self.job,
            tags=["Unified"],
            summary="Read a generation",
            response_model=UnifiedJob,
            responses=unified_errors(404, 507),
        )

    async def generate(
        self,
        request: Request,
        *,
        enable_fallback: bool = True,
        max_retries: Annotated[int, Query(ge=1, le=100)] = _TRIED,
    ) -> Response:
        """Answer a `UnifiedAnswer`. `max_retries` says how many providers are tried in all."""
        values = await read_object(request, self._limit)
        asked = _Asked(
            order=as_model(values, UnifiedOrder),
            by=caller(request),
            key=idempotency_key(request),
            fallback=enable_fallback,
            providers=max_retries,
            ignored=unknown(values, UnifiedOrder),
        )
        return _json(await self._draw(asked))

    async def quick(self, request: Request) -> Response:
        """Answer a `UnifiedAnswer`."""
        key, by = idempotency_key(request), caller(request)
        if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
            return _json(await self._draw(_Asked(from_query(request, QuickOrder).in_full(), by, key)))
        values = await read_object(request, self._limit)
        order, ignored = as_model(values, QuickOrder).in_full(), unknown(values, QuickOrder)
        return _json(await self._draw(_Asked(order, by, key, ignored=ignored)))

    async def batch(self, request: Request) -> Response:
        """Answer a bare array in the order of the requests; what fails is an element that says so."""
        values = await read_object(request, self._limit)
        orders = values.get("requests")
        if isinstance(orders, list) and not 1 <= len(orders) <= MAX_BATCH:
            said = f"a batch holds 1 to {MAX_BATCH} requests, not {len(orders)}"
            raise InvalidRequest(said, "requests")
        body, key = as_model(values, BatchOrder), idempotency_key(request)
        asked = [
            _Asked(one, caller(request), _part_of(key, index)) for index, one in enumerate(body.requests)
        ]
        for one in asked:
            self._check(one)
        answers = await self._draw_all(asked)
        return Response(_ANSWERS.dump_json(answers), media_type="application/json")

    async def jobs(
        self,
        request: Request,
        project_id: UUID | None = None,
        provider: str | None = None,
        status: JobStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> Response:
        """Answer a bare array of `UnifiedJob`s."""
        named = provider_named(provider, self._known(), "query")
        found = await self._limner.projects.history(
            caller(request), project=project_id, provider=named, status=status, limit=limit
        )
        refs = refs_of(self._limner.models())
        answers = [listed(job, refs) for job in found]
        return Response(_JOBS.dump_json(answers), media_type="application/json")

    async def job(self, request: Request, job_id: str) -> Response:
        """Answer a `UnifiedJob`."""
        found = await self._limner.projects.history(caller(request), job_id=job_id, limit=1)
        if not found:
            raise NotFound(f"no job {job_id[:64]!r}")
        return _json(listed(found[0], refs_of(self._limner.models())))

    async def _draw_all(self, asked: Sequence[_Asked]) -> list[UnifiedAnswer]:
        """Each answer, or how it failed; a few at a time."""
        answers: dict[int, UnifiedAnswer] = {}
        slots = anyio.CapacityLimiter(AT_ONCE)

        async def draw(index: int, one: _Asked) -> None:
            async with slots:
                try:
                    answers[index] = await self._draw(one)
                except LimnerError as error:
                    answers[index] = refused(one.order, self._check(one), error)

        async with anyio.create_task_group() as tasks:
            for index, one in enumerate(asked):
                tasks.start_soon(draw, index, one)
        return [answers[index] for index in range(len(asked))]

    async def _draw(self, asked: _Asked) -> UnifiedAnswer:
        """Raises what is no answer about pictures: wrong fields, a budget, a full disk."""
        order, provider = asked.order, self._check(asked)
        models = self._limner.models()
        policy = policy_of(provider, order.max_cost_usd, fallback=asked.fallback, providers=asked.providers)
        slug = await self._limner.projects.slug(order.project_id, asked.by)
        wanted = wish(order, provider, slug, models, policy)
        try:
            job = await self._limner.draw(wanted, key=asked.key, by=asked.by)
        except (NoRoute, InvalidRequest) as error:  # what was asked is fine, and nobody here can do it
            return refused(order, provider, error)
        notes = [Note(field=name[:64], message="ignored: not known here") for name in asked.ignored[:20]]
        return answered(job, order.project_id, refs_of(models), provider, notes)

    def _check(self, asked: _Asked) -> str | None:
        """The provider that was named. Raises `InvalidRequest` and `Unprocessable`."""
        check_length(asked.order.prompt, asked.order.negative_prompt)
        return provider_named(asked.order.provider, self._known())

    def _known(self) -> list[str]:
        return [one.provider for one in self._limner.listings()]


def _part_of(key: str | None, index: int) -> str | None:
    """The idempotency key of one order of a batch."""
    if key is None:
        return None
    part = f"{key}#{index}"
    return part if len(part) <= MAX_KEY else f"{hashlib.sha256(key.encode()).hexdigest()}#{index}"


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
