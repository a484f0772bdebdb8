"""Contract 1, the gRPC image service: what is left beside the tests of the door itself.

Messages, fields, numbers, defaults, ranges, in-band failures, variations and models are proven in
`tests/rpc/test_contract.py`; health, reflection, limits, deadlines, TLS and keys in
`tests/rpc/test_server.py`; real clients (Node, Python) in `tests/rpc/test_clients.py`; pictures of a real
house in `tests/rpc/test_house.py`; the command-line client in `tests/cli/test_draw_rpc.py`, and the server's
options in `tests/cli/test_rpc.py`.
"""

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
import pytest
from google.protobuf import descriptor_pb2

from limner.app import Limner
from limner.cli.draw_rpc import DEADLINE_S, HOST, PORT
from limner.cli.simulate import simulated
from limner.config import Settings
from limner.core.ids import uuid7
from limner.jobs.seed import drawn_seed
from limner.rpc import starweave_pb2 as messages
from limner.rpc.server import MAX_MESSAGE_BYTES, RpcServer
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub
from limner.simulator.fixture import simulator
from tests.rpc.conftest import LARGE

__all__ = ["simulator"]

DEBUG = {
    "width",
    "height",
    "steps",
    "guidance_scale",
    "seed",
    "model",
    "device",
    "dtype",
    "generation_time_ms",
}
WORDS = {"text-to-image", "image-to-image", "inpainting", "image-variation"}
PARAMETERS = {
    *("width", "height", "steps", "guidance_scale", "seed", "supported_sizes", "status", "memory_usage"),
    *("load_count", "error_count"),
}
LISTED = ["runwayml/stable-diffusion-v1-5", "stabilityai/stable-diffusion-2-1"]


@asynccontextmanager
async def served(settings):
    async with (
        Limner(settings) as limner,
        RpcServer(limner, "127.0.0.1", 0, places=10) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", LARGE) as channel,
    ):
        yield ImageGenerationServiceStub(channel)


@pytest.fixture
async def stub(simulator, home):
    """The door over the catalog as it is shipped, and simulated vendors."""
    async with served(simulated(Settings(home=home, disabled_providers=("local",)), simulator)) as made:
        yield made


def test_proto3_package_starweave_imports_the_timestamp():
    said = descriptor_pb2.FileDescriptorProto()
    messages.DESCRIPTOR.CopyToProto(said)
    assert (said.syntax, said.package) == ("proto3", "starweave")
    assert list(said.dependency) == ["google/protobuf/timestamp.proto"]


def test_port_50051_plaintext_ten_calls_100_mib():
    settings = Settings()
    assert (settings.grpc_port, settings.grpc_cert, settings.grpc_concurrency) == (50051, None, 10)
    assert MAX_MESSAGE_BYTES == 100 << 20


def test_the_command_line_client_asks_localhost_50051_for_60_seconds():
    assert (HOST, PORT, DEADLINE_S) == ("localhost", 50051, 60.0)


def test_a_seed_that_limner_draws_fits_int32_and_so_do_the_three_after_it():
    assert all(0 <= drawn_seed(uuid7()) <= 2**31 - 4 for _ in range(10_000))


async def test_a_prompt_alone_gets_an_image_with_metadata_and_every_debug_key(stub):
    before = datetime.now(UTC) - timedelta(seconds=1)
    answer = await stub.GenerateImage(messages.ImageRequest(prompt="a red fox"))
    assert (answer.error, answer.format, answer.image_data[:8]) == ("", "image/png", b"\x89PNG\r\n\x1a\n")
    assert UUID(answer.request_id)
    told = answer.metadata
    assert before <= told.generated_at.ToDatetime(UTC) <= datetime.now(UTC)
    assert (told.model != "", told.generation_time_ms > 0, 0 <= told.seed < 2**31) == (True, True, True)
    assert told.debug_info.keys() >= DEBUG
    assert (told.debug_info["width"], told.debug_info["height"]) == ("512", "512")
    assert (told.debug_info["steps"], told.debug_info["guidance_scale"]) == ("25", "7.5")


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 128, "height": 128},
        {"width": 1024, "height": 1024},
        {"steps": 1},
        {"steps": 100},
        {"guidance_scale": 1.0},
        {"guidance_scale": 20.0},
        {"seed": -1},
        {"seed": 2**31 - 1},
        {"style": "watercolour of ours"},
    ],
    ids=str,
)
async def test_what_the_contract_allows_is_taken_to_the_edge_of_its_range(stub, settings):
    asked = messages.ImageRequest(prompt="a red fox", settings=messages.ImageSettings(**settings))
    answer = await stub.GenerateImage(asked)
    assert (answer.error, len(answer.image_data) > 0) == ("", True)
    if settings.get("seed", -1) >= 0:
        assert answer.metadata.seed == settings["seed"]


async def test_four_variations_of_a_drawn_seed_follow_each_other(stub):
    asked = messages.ImageVariationsRequest(
        base_request=messages.ImageRequest(prompt="a fox"), num_variations=4
    )
    answers = [one async for one in stub.GenerateImageVariations(asked)]
    first = answers[0].metadata.seed
    assert [one.metadata.seed for one in answers] == [first, first + 1, first + 2, first + 3]
    assert [one.metadata.debug_info["variation_index"] for one in answers] == ["0", "1", "2", "3"]
    assert len({one.image_data for one in answers}) == 4


async def test_every_listed_model_has_the_contracts_words_and_keys(stub):
    models = (await stub.GetImageModels(messages.ModelRequest())).models
    assert [one.id for one in models[:2]] == LISTED
    for one in models:
        assert (set(one.capabilities) <= WORDS, set(one.parameters) >= PARAMETERS) == (True, True)
        assert re.fullmatch(r"\d+\.\d\d MB", one.parameters["memory_usage"])
        assert re.fullmatch(r"\d+x\d+(, \d+x\d+)*", one.parameters["supported_sizes"])
        assert re.match(r"loaded$|not_loaded$|loading$|error: ", one.parameters["status"])
        assert [int(one.parameters[name]) >= 0 for name in ("load_count", "error_count")] == [True, True]


async def test_every_model_that_draws_from_words_can_be_asked_for_by_its_id(stub):
    ids = [one.id for one in (await stub.GetImageModels(messages.ModelRequest())).models[:12]]
    asked = [stub.GenerateImage(messages.ImageRequest(prompt="a fox", model=name)) for name in ids[:8]]
    answers = await asyncio.gather(*asked)
    assert {name: one.error for name, one in zip(ids, answers, strict=False)} == dict.fromkeys(ids[:8], "")
