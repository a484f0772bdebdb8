"""Who comes in over gRPC, and how many at once: what the transport's own statuses are for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

import grpc

from limner.core.errors import NoEntry

SERVICE = "/starweave."
if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler  # generic in its stubs only
Pairs = Iterable[tuple[str, str | bytes]]


class Context(Protocol):
    """The part of `grpc.aio.ServicerContext` that is used here."""

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        """End the call with this status."""

    def invocation_metadata(self) -> Pairs | None:
        """What the client sent beside the message."""

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str], ...]) -> None:
        """What the client reads at the end."""

    def time_remaining(self) -> float | None:
        """Seconds to the client's deadline."""


def value(pairs: Pairs | None, name: str) -> str | None:
    """One entry of the metadata, None when it is absent or empty."""
    found = [given for key, given in pairs or () if key == name]
    text = found[0].decode("latin-1") if found and isinstance(found[0], bytes) else found[0] if found else ""
    return text.strip() or None if isinstance(text, str) else None


def key_of(pairs: Pairs | None) -> str | None:
    """The key in `authorization: Bearer KEY` or `x-api-key: KEY`, None without one."""
    held = list(pairs or ())
    scheme, _, key = (value(held, "authorization") or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else value(held, "x-api-key")


class Gate(grpc.aio.ServerInterceptor):
    """`places` image calls at once; `who` says whose a key is. Health and reflection are open to all.

    A call without a key, or without a place, is turned away before its message is read.
    """

    def __init__(self, who: Callable[[str | None], str], places: int) -> None:
        self._who = who
        self._places = places
        self._inside = 0
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method asked for, or one that ends the call."""
        if not handler_call_details.method.startswith(SERVICE):
            return await continuation(handler_call_details)
        refusal = self._refusal(handler_call_details.invocation_metadata)
        return await continuation(handler_call_details) if refusal is None else _turned_away(*refusal)

    @asynccontextmanager
    async def entered(self, context: Context) -> AsyncIterator[str]:
        """One call, inside; gives the caller. Aborts the call that may not come in."""
        refusal = self._refusal(context.invocation_metadata())
        if refusal is not None:
            await context.abort(*refusal)
        self._inside += 1
        self._empty.clear()
        try:
            yield self._who(key_of(context.invocation_metadata()))
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def close(self, grace_s: float) -> None:
        """Let nobody in any more, and wait for those inside, but not for long."""
        self._closed = True
        try:
            await asyncio.wait_for(self._empty.wait(), grace_s)
        except TimeoutError:
            return

    def _refusal(self, pairs: Pairs | None) -> tuple[grpc.StatusCode, str] | None:
        try:
            self._who(key_of(pairs))
        except NoEntry as error:
            return grpc.StatusCode.UNAUTHENTICATED, str(error)
        if self._closed:
            return grpc.StatusCode.UNAVAILABLE, "the server is shutting down"
        if self._inside >= self._places:
            said = f"{self._places} calls are being served; the setting grpc_concurrency allows more"
            return grpc.StatusCode.RESOURCE_EXHAUSTED, said
        return None


def _turned_away(status: grpc.StatusCode, said: str) -> Handler:
    """A method that reads nothing: as a stream it need not wait for the message."""

    async def refuse(_messages: object, context: Context) -> None:
        await context.abort(status, said)

    return grpc.stream_stream_rpc_method_handler(refuse)
