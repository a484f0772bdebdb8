"""The door over the real Limner: simulated vendors with their bill, and the engine on this machine."""

import asyncio
import io
from contextlib import asynccontextmanager
from decimal import Decimal

import grpc
import pytest
from PIL import Image

from limner.app import Limner
from limner.cli.simulate import simulated
from limner.config import Settings
from limner.rpc import starweave_pb2 as messages
from limner.rpc.server import RpcServer
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub
from limner.simulator.fixture import simulator  # noqa: F401 - a fixture
from tests.rpc.conftest import LARGE

MODEL = "gpt-image-1"
FOX = messages.ImageRequest(prompt="a fox", model=MODEL)
KEY = (("idempotency-key", "order-1"),)


@asynccontextmanager
async def opened(settings):
    async with (
        Limner(settings) as limner,
        RpcServer(limner, "127.0.0.1", 0, places=10) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", LARGE) as channel,
    ):
        yield limner, ImageGenerationServiceStub(channel)


@pytest.fixture
async def house(simulator, home):  # noqa: F811 - the fixture above
    async with opened(simulated(Settings(home=home, disabled_providers=("local",)), simulator)) as found:
        yield found


def size(data):
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return image.size


async def test_a_bought_picture_comes_whole_with_what_it_cost(house, simulator):  # noqa: F811 - the fixture
    limner, stub = house
    call = stub.GenerateImage(FOX)
    answer = await call
    told = {name: value for name, value in await call.trailing_metadata()}  # noqa: C416 - no mapping in older ones
    assert (answer.error, answer.format) == ("", "image/png")
    assert answer.metadata.model in {model.id for model in limner.models() if model.provider == "openai"}
    assert size(answer.image_data) == (1024, 1024)
    assert simulator.bill.orders() == 1
    assert Decimal(told["x-limner-cost-usd"]) == simulator.bill.usd() > 0
    assert told["x-limner-job"] == answer.request_id == answer.metadata.debug_info["job_id"]


async def test_a_client_that_leaves_and_comes_again_pays_once(house, simulator):  # noqa: F811 - the fixture
    limner, stub = house
    simulator.fault("slow", "openai", after_s=0.3)
    leaving = stub.GenerateImage(FOX, metadata=KEY)
    async with asyncio.timeout(30):
        while not await limner.jobs():  # noqa: ASYNC110 - another task's doing is awaited from outside
            await asyncio.sleep(0.01)
    leaving.cancel()
    answer = await stub.GenerateImage(FOX, metadata=KEY)
    assert answer.error == ""
    assert [job.id for job in await limner.jobs()] == [answer.request_id]
    assert simulator.bill.orders() == 1


async def test_a_refusal_of_the_vendor_is_a_message(house, simulator):  # noqa: F811 - the fixture
    _, stub = house
    simulator.fault("refused", "openai")
    answer = await stub.GenerateImage(FOX)
    assert answer.error != ""
    assert (answer.image_data, answer.HasField("metadata")) == (b"", False)


async def test_on_a_fresh_machine_the_default_model_is_drawn_here_and_that_is_told(home):
    async with opened(Settings(home=home)) as (_, stub):
        small = messages.ImageSettings(width=128, height=136, steps=2, seed=3)
        asked = messages.ImageRequest(prompt="a red fox", settings=small)
        answer, again = [await stub.GenerateImage(asked) for _ in range(2)]
        assert (answer.error, answer.metadata.model, answer.metadata.seed) == ("", "starter", 3)
        assert size(answer.image_data) == (128, 136)
        assert again.image_data == answer.image_data
        told = answer.metadata.debug_info
        assert (told["requested_model"], told["provider"]) == ("runwayml/stable-diffusion-v1-5", "local")
        assert "runwayml/stable-diffusion-v1-5 is not set up here; starter draws instead" in told["notes"]
        base = messages.ImageVariationsRequest(base_request=asked, num_variations=2)
        varied = [one async for one in stub.GenerateImageVariations(base)]
        assert [(one.error, one.metadata.seed) for one in varied] == [("", 3), ("", 4)]
        assert varied[0].image_data == answer.image_data
        models = (await stub.GetImageModels(messages.ModelRequest())).models
        assert models[0].parameters["status"] == "loaded"
        assert models[1].description.endswith("starter draws instead")
