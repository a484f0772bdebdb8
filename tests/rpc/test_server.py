"""The transport: who comes in, how many, how large; health, reflection, and what nobody should send."""

import asyncio
import os
import socket
import ssl
import subprocess

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from limner.core.errors import SetupError
from limner.rpc import starweave_pb2 as messages
from limner.rpc.server import RpcServer, read_tls
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub
from tests.rpc.conftest import PLACES

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
FOX = messages.ImageRequest(prompt="a fox")
MIB = 1 << 20


async def until(holds):
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - the server's doing is awaited from outside
            await asyncio.sleep(0.005)


def check(channel, service=""):
    return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))


# -- health and reflection -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "starweave.ImageGeneration", "starweave.ImageGenerationService"])
async def test_health_answers_serving_for(channel, name: str):
    assert (await check(channel, name)).status == SERVING


@pytest.mark.parametrize("name", ["starweave", "starweave.PatternService", "nobody", "\N{FOX FACE}"])
async def test_health_knows_no_other_name(channel, status, name: str):
    assert await status(check(channel, name)) == grpc.StatusCode.NOT_FOUND


async def test_health_answers_not_serving_while_shutting_down(limner, server, channel, stub, status):
    limner.hold.clear()
    drawing = stub.GenerateImage(FOX)
    await until(lambda: limner.waiting == 1)
    stopping = asyncio.ensure_future(server.stop())
    async with asyncio.timeout(30):
        while (await check(channel)).status == SERVING:
            pass
    assert (await check(channel, "starweave.ImageGeneration")).status == NOT_SERVING
    assert await status(stub.GenerateImage(FOX)) == grpc.StatusCode.UNAVAILABLE
    limner.hold.set()
    assert (await drawing).error == ""  # what was being drawn is still answered
    await stopping


async def test_reflection_tells_the_services_and_their_messages(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest
    questions = [ask(list_services=""), ask(file_containing_symbol="starweave.ImageGenerationService")]
    services, file = [one async for one in stub.ServerReflectionInfo(iter(questions))]
    assert {one.name for one in services.list_services_response.service} == {
        "starweave.ImageGenerationService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert b"GenerateImageVariations" in file.file_descriptor_response.file_descriptor_proto[0]


# -- who, and how many -----------------------------------------------------------------------------------


async def test_a_server_that_asks_for_a_key_turns_others_away(limner, stub, status):
    limner.keys = {"a-key-of-mia-0001": "local"}
    assert await status(stub.GenerateImage(FOX)) == grpc.StatusCode.UNAUTHENTICATED
    wrong = (("x-api-key", "another"),)
    assert await status(stub.GenerateImage(FOX, metadata=wrong)) == grpc.StatusCode.UNAUTHENTICATED
    assert await status(stub.GetImageModels(messages.ModelRequest())) == grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError, match="UNAUTHENTICATED"):
        [one async for one in stub.GenerateImageVariations(messages.ImageVariationsRequest())]
    assert limner.orders == []


@pytest.mark.parametrize(
    "entry",
    [
        ("x-api-key", "a-key-of-mia-0001"),
        ("authorization", "Bearer a-key-of-mia-0001"),
        ("authorization", "bearer  a-key-of-mia-0001 "),
    ],
)
async def test_the_key_is_read_in_either_way(limner, stub, entry):
    limner.keys = {"a-key-of-mia-0001": "local"}
    assert (await stub.GenerateImage(FOX, metadata=(entry,))).error == ""


async def test_health_needs_no_key(limner, channel):
    limner.keys = {"a-key-of-mia-0001": "local"}
    assert (await check(channel)).status == SERVING


async def test_of_50_calls_at_once_10_are_served_and_the_others_told_at_once(limner, channel, stub, status):
    limner.hold.clear()
    served = [stub.GenerateImage(FOX) for _ in range(PLACES)]
    await until(lambda: limner.waiting == PLACES)
    refused = [await status(stub.GenerateImage(FOX)) for _ in range(50 - PLACES)]
    assert refused == [grpc.StatusCode.RESOURCE_EXHAUSTED] * (50 - PLACES)
    assert (await check(channel)).status == SERVING
    limner.hold.set()
    assert [(await call).error for call in served] == [""] * PLACES
    assert len(limner.orders) == PLACES
    assert (await stub.GenerateImage(FOX)).error == ""


async def test_places_are_free_again_when_clients_left(limner, server, stub):
    limner.hold.clear()
    for _ in range(2):
        calls = [stub.GenerateImage(FOX) for _ in range(PLACES)]
        await until(lambda: limner.waiting == PLACES)
        for call in calls:
            call.cancel()
        await until(lambda: limner.waiting == 0)
    limner.hold.set()
    assert (await stub.GenerateImage(FOX)).error == ""


# -- waiting, and not ordering twice ---------------------------------------------------------------------


async def test_a_deadline_ends_the_waiting_and_not_the_order(limner, stub, status):
    limner.hold.clear()
    assert await status(stub.GenerateImage(FOX, timeout=1)) == grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: limner.waiting == 0)
    assert len(limner.orders) == 1
    assert [job.cancel_requested for job in await limner.jobs()] == [False]


async def test_a_deadline_of_1_ms_harms_nobody(limner, stub, status):
    limner.hold.clear()
    for _ in range(20):
        assert await status(stub.GenerateImage(FOX, timeout=0.001)) == grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: limner.waiting == 0)
    limner.hold.set()
    ordered = len(limner.orders)
    assert ordered <= 20
    assert (await stub.GenerateImage(FOX)).error == ""
    assert len(limner.orders) == ordered + 1


async def test_the_same_key_again_is_answered_and_not_ordered_again(limner, stub):
    key = (("idempotency-key", "order-1"),)
    first, again = [await stub.GenerateImage(FOX, metadata=key) for _ in range(2)]
    assert (again.request_id, again.image_data) == (first.request_id, first.image_data)
    assert len(limner.orders) == 1
    other = await stub.GenerateImage(messages.ImageRequest(prompt="a hare"), metadata=key)
    assert other.error == "Idempotency-Key 'order-1' was used before with another request"


async def test_the_same_key_again_for_variations_too(limner, stub):
    asked = messages.ImageVariationsRequest(base_request=FOX, num_variations=3)
    seeds = [
        [one.metadata.seed async for one in stub.GenerateImageVariations(asked, metadata=key)]
        for key in [(("idempotency-key", "order-2"),)] * 2
    ]
    assert seeds[0] == seeds[1]
    assert len(limner.orders) == 3


@pytest.mark.parametrize("key", ["k" * 201, "k" * 4000])
async def test_a_key_that_is_none_is_refused(limner, stub, key: str):
    answer = await stub.GenerateImage(FOX, metadata=(("idempotency-key", key),))
    assert answer.error == "Invalid request: idempotency-key must be 1 to 200 printable ASCII characters"
    assert limner.orders == []


async def test_job_and_cost_are_in_the_trailing_metadata(limner, stub):
    call = stub.GenerateImage(FOX)
    answer = await call
    told = {name: value for name, value in await call.trailing_metadata()}  # noqa: C416 - no mapping in older ones
    assert told == {"x-limner-job": "job-0001", "x-limner-cost-usd": "0.0040"}
    assert answer.request_id == "job-0001"


# -- what nobody should send -----------------------------------------------------------------------------


async def test_99_mib_are_read_and_101_are_not(stub, status):
    much = messages.ImageRequest(prompt="", context=["x" * (99 * MIB)])
    assert (await stub.GenerateImage(much)).error.startswith("Invalid request: prompt is empty")
    more = messages.ImageRequest(prompt="", context=["x" * (101 * MIB)])
    assert await status(stub.GenerateImage(more)) == grpc.StatusCode.RESOURCE_EXHAUSTED


UNREADABLE = "the message is no valid protobuf, or a text in it is not UTF-8"


@pytest.mark.parametrize("data", [b"\x0a\x02\xff\xfe", b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f"])
async def test_a_message_that_cannot_be_read_is_a_bad_request(limner, channel, data: bytes):
    raw = channel.unary_unary("/starweave.ImageGenerationService/GenerateImage")
    answer = messages.ImageResponse.FromString(await raw(data))
    assert answer.error == f"Invalid request: {UNREADABLE}"
    stream = channel.unary_stream("/starweave.ImageGenerationService/GenerateImageVariations")
    answers = [messages.ImageResponse.FromString(one) async for one in stream(data)]
    assert [one.error for one in answers] == [f"Invalid base request: {UNREADABLE}"]
    assert limner.orders == []


@pytest.mark.parametrize(
    "method",
    ["/starweave.ImageGenerationService/Nothing", "/starweave.PatternService/Generate", "/a/b", "/../../x"],
)
async def test_an_unknown_method_is_unimplemented(channel, status, method: str):
    assert await status(channel.unary_unary(method)(b"")) == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x00" * 5000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 5000,
        os.urandom(5000),
    ],
    ids=["http", "zeros", "broken frames", "noise"],
)
async def test_garbage_on_the_port_harms_nobody_else(server, stub, data: bytes):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    await writer.drain()
    writer.close()
    assert (await stub.GenerateImage(FOX)).error == ""


# -- the port --------------------------------------------------------------------------------------------


async def test_a_port_that_is_taken_is_said(limner):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"gRPC cannot listen at 127.0.0.1:{port}"):
            RpcServer(limner, "127.0.0.1", port, places=1)


async def test_two_servers_never_share_a_port(limner, server):
    with pytest.raises(SetupError, match="cannot listen"):
        RpcServer(limner, "127.0.0.1", server.port, places=1)


@pytest.fixture
def pair(tmp_path):
    """A certificate for localhost and its key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    more = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, *more, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


async def test_with_a_certificate_it_speaks_tls(limner, pair):
    tls = read_tls(*pair)
    async with RpcServer(limner, "127.0.0.1", 0, places=1, tls=tls) as running:
        trusted = grpc.ssl_channel_credentials(pair[0].read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{running.port}", trusted) as opened:
            assert (await ImageGenerationServiceStub(opened).GenerateImage(FOX)).error == ""
        with pytest.raises(ssl.SSLError):
            ssl.get_server_certificate(("127.0.0.1", running.port), ca_certs=str(os.devnull))


def test_certificate_and_key_go_together_and_are_proven_at_the_start(pair, tmp_path):
    certificate, key = pair
    assert read_tls(None, None) is None
    for half in ((certificate, None), (None, key)):
        with pytest.raises(SetupError, match="go together"):
            read_tls(*half)
    with pytest.raises(SetupError, match="cannot be read: No such file"):
        read_tls(tmp_path / "gone.pem", key)
    with pytest.raises(SetupError, match="not a PEM certificate and the key"):
        read_tls(key, certificate)
