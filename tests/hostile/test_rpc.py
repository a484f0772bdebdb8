"""Messages over gRPC that ask for nothing drawable: in-band refusals, nothing ordered, health as before."""

# ruff: noqa: E501 - a table of many odd things is read by its rows
import math

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from limner.app import Limner
from limner.config import Settings
from limner.rpc import starweave_pb2 as messages
from limner.rpc.server import RpcServer
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub
from tests.hostile.house import MODEL, Easel, named

FOX = "a red fox"
LONG = "x" * 10_001
SETTINGS: tuple[dict[str, object], ...] = (
    {"width": 127}, {"width": -1}, {"width": 1_025}, {"width": 2**31 - 1}, {"height": -(2**31)}, {"height": 2_000},
    {"steps": -1}, {"steps": 101}, {"steps": 2**31 - 1}, {"guidance_scale": 0.5}, {"guidance_scale": -1},
    {"guidance_scale": 20.5}, {"guidance_scale": math.nan}, {"guidance_scale": math.inf}, {"guidance_scale": -math.inf},
    {"seed": -2}, {"seed": -(2**31)}, {"style": "s" * 201}, {"style": "a\x00b"},
)  # fmt: skip
REQUESTS: tuple[dict[str, object], ...] = (
    {}, {"prompt": ""}, {"prompt": " \t\n"}, {"prompt": "\u200b\u202e\ufeff"}, {"prompt": LONG}, {"prompt": LONG * 500},
    {"prompt": "a\x00b"}, {"prompt": FOX, "model": "nobody"}, {"prompt": FOX, "model": "../../etc/passwd"},
    {"prompt": FOX, "model": "m" * 5_000}, {"prompt": FOX, "model": "a\x00b"}, {"prompt": FOX, "model": "\u202e"},
    {"prompt": FOX, "user_id": "u" * 201}, {"prompt": FOX, "user_id": "a\x00b"}, {"prompt": FOX, "context": ["a\x00b"]},
    *({"prompt": FOX, "model": "sketch", "settings": one} for one in SETTINGS),
)  # fmt: skip
UNREADABLE = (
    b"\xff" * 64,
    b"\x0a\xff",
    b"\x0a\x02\xff\xfe",
    b"\x00",
    bytes(range(256)),
    b"\x0b" * 20_000,
    b"\x1a\x7f",
)
KEYS = ("k" * 256, "k" * 5_000)


@pytest.fixture
async def door(home):
    """The service over a house of its own."""
    limner = Limner(Settings(home=home), providers={"easel": Easel}, models=[MODEL])
    async with (
        limner,
        RpcServer(limner, "127.0.0.1", 0, places=10) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield channel
        assert await limner.jobs() == []
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def refused(answer: messages.ImageResponse) -> None:
    assert answer.error
    assert (answer.image_data, answer.HasField("metadata")) == (b"", False)
    assert len(answer.error) < 1_500
    assert "x" * 201 not in answer.error
    assert "m" * 201 not in answer.error
    assert "Traceback" not in answer.error


def asked(fields: dict[str, object]) -> messages.ImageRequest:
    given = dict(fields)
    if "settings" in given:
        given["settings"] = messages.ImageSettings(**given["settings"])
    return messages.ImageRequest(**given)


async def test_a_wrong_request_is_refused_in_band(door):
    stub = ImageGenerationServiceStub(door)
    for fields in REQUESTS:
        with named(fields):
            refused(await stub.GenerateImage(asked(fields)))


async def test_a_wrong_base_of_variations_is_refused_in_band(door):
    stub = ImageGenerationServiceStub(door)
    for fields in REQUESTS:
        with named(fields):
            many = messages.ImageVariationsRequest(base_request=asked(fields), num_variations=2**31 - 1)
            answers = [one async for one in stub.GenerateImageVariations(many)]
            assert 1 <= len(answers) <= 4
            for one in answers:
                refused(one)


async def test_a_share_that_is_no_number_is_refused(door):
    base = asked({"prompt": FOX, "model": "sketch"})
    many = messages.ImageVariationsRequest(base_request=base, variation_strength=math.nan)
    for one in [one async for one in ImageGenerationServiceStub(door).GenerateImageVariations(many)]:
        refused(one)


async def test_bytes_that_are_no_message_are_refused_in_band(door):
    call = door.unary_unary(
        "/starweave.ImageGenerationService/GenerateImage",
        request_serializer=None,
        response_deserializer=messages.ImageResponse.FromString,
    )
    for data in UNREADABLE:
        with named(data[:40]):
            refused(await call(data))


async def test_an_odd_key_is_refused_in_band(door):
    stub = ImageGenerationServiceStub(door)
    for key in KEYS:
        with named(key):
            request = asked({"prompt": FOX, "model": "sketch"})
            refused(await stub.GenerateImage(request, metadata=(("idempotency-key", key),)))


@pytest.mark.parametrize(
    "method",
    [
        "/starweave.ImageGenerationService/../Health",
        "/starweave.ImageGenerationService/",
        "/starweave.PatternService/GeneratePattern",
        "/starweave." + "x" * 5_000 + "/y",
        "//",
        "/",
    ],
)
async def test_a_method_that_is_none_is_unimplemented(door, method):
    call = door.unary_unary(method, request_serializer=None, response_deserializer=None)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "x" * 201 not in (caught.value.details() or "")
