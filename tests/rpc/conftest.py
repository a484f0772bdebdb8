from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from limner.rpc.server import MAX_MESSAGE_BYTES, RpcServer
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub
from tests.rpc.fakes import Fake

PLACES = 10
LARGE = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", 2 * MAX_MESSAGE_BYTES),
)


@pytest.fixture
async def limner() -> Fake:
    return Fake()


@pytest.fixture
async def server(limner: Fake) -> AsyncIterator[RpcServer]:
    """A real server on a free port."""
    async with RpcServer(limner, "127.0.0.1", 0, places=PLACES) as running:
        yield running


@pytest.fixture
async def channel(server: RpcServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", LARGE) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return ImageGenerationServiceStub(channel)


@pytest.fixture
def status() -> Callable[..., Any]:
    """Awaits a call and gives the status it fails with."""

    async def of(call) -> grpc.StatusCode:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        return caught.value.code()

    return of
