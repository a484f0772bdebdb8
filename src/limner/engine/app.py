"""The doors: parse, one act, answer. For uvicorn or any other ASGI host; the lifespan starts the painter."""

import contextlib
import hmac
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from limner.engine import ENGINE_VERSION, passes
from limner.engine.book import Book
from limner.engine.painter import Painter
from limner.engine.problems import Invalid, Problem, TooLarge, Unauthorized, UnknownModel
from limner.engine.protocol import Error, ErrorBody, Health, ModelCard, Order
from limner.engine.values import Size

MAX_BODY_BYTES = 256 * 1024
MAX_WAIT_S = 30


class _Watch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 0
    after: int = 0


class Doors:
    """One method for each route."""

    def __init__(self, painter: Painter, orders: Book, threads: int) -> None:
        self._painter = painter
        self._orders = orders
        self._threads = threads

    async def order(self, request: Request) -> Response:
        """``POST /orders``."""
        order = _order(await _body(request))
        card = self._painter.card(order.model)
        if card is None:
            raise UnknownModel(f"{order.model}: no such model; GET /models lists them")
        plan = passes.plan(Size(order.width, order.height), order.steps, card.native_px)
        status, new = self._orders.submit(order, sum(one.steps for one in plan))
        return _json(status, 202 if new else 200)

    async def status(self, request: Request) -> Response:
        """``GET /orders/{id}``."""
        try:
            query = _Watch.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise _invalid(error) from error
        return _json(await self._orders.watch(request.path_params["id"], query.after, query.wait))

    async def image(self, request: Request) -> Response:
        """``GET /orders/{id}/images/{i}``."""
        return _png(self._orders.image(request.path_params["id"], request.path_params["i"]))

    async def preview(self, request: Request) -> Response:
        """``GET /orders/{id}/previews/{i}``; drawn only now, off the loop."""
        params = request.path_params
        return _png(await run_in_threadpool(self._orders.preview, params["id"], params["i"]))

    async def cancel(self, request: Request) -> Response:
        """``DELETE /orders/{id}``."""
        return _json(self._orders.cancel(request.path_params["id"]))

    async def models(self, request: Request) -> Response:
        """``GET /models``."""
        return Response(_CARDS.dump_json(self._painter.models()), media_type="application/json")

    async def health(self, request: Request) -> Response:
        """``GET /health``."""
        waiting, drawing = self._orders.load()
        return _json(
            Health(
                status=self._painter.condition,
                reason=self._painter.reason,
                engine_version=ENGINE_VERSION,
                device=self._painter.device,
                threads=self._threads,
                waiting=waiting,
                drawing=drawing,
            )
        )

    def routes(self) -> list[Route]:
        """Where each door is."""
        return [
            Route("/orders", self.order, methods=["POST"]),
            Route("/orders/{id}", self.status, methods=["GET"]),
            Route("/orders/{id}", self.cancel, methods=["DELETE"]),
            Route("/orders/{id}/images/{i:int}", self.image, methods=["GET"]),
            Route("/orders/{id}/previews/{i:int}", self.preview, methods=["GET"]),
            Route("/models", self.models, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
        ]


class TokenGate:
    """Lets requests in that carry the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401."""
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._expected):
                await _problem(Unauthorized("the token is missing or wrong"))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def create_app(painter: Painter, orders: Book, *, threads: int = 1, token: str = "") -> Starlette:
    """The engine as an ASGI application; with a ``token`` every request must carry it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        painter.start()
        try:
            yield
        finally:
            await run_in_threadpool(painter.stop)

    return Starlette(
        routes=Doors(painter, orders, threads).routes(),
        middleware=[Middleware(TokenGate, token=token)] if token else [],
        exception_handlers={
            Problem: _on_problem,
            HTTPException: _on_http,
            Exception: _on_fault,
        },
        lifespan=lifespan,
    )


_CARDS = TypeAdapter(list[ModelCard])


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"an order has at most {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _order(body: bytes) -> Order:
    try:
        return Order.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> Invalid:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return Invalid(f"{where}: {first['msg']}")


def _json(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")


def _png(content: bytes) -> Response:
    return Response(content, media_type="image/png")


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    body = ErrorBody(error=Error(code=code, message=message))
    return Response(body.model_dump_json(), status, headers, media_type="application/json")


def _problem(problem: Problem) -> Response:
    return _error(problem.status, problem.code, str(problem), problem.headers)


async def _on_problem(request: Request, error: Exception) -> Response:
    return _problem(error) if isinstance(error, Problem) else await _on_fault(request, error)


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _on_fault(request, error)
    status = HTTPStatus(error.status_code)
    return _error(status, status.name.lower(), error.detail, error.headers)


async def _on_fault(request: Request, error: Exception) -> Response:
    return _error(500, "internal", "the engine made a mistake; its log says more")
