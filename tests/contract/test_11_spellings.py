"""Contract 11: each surface keeps its own spelling of one idea; inside there is one.

The same wish is said at every door, and what arrives at the vendor is looked at.
"""

import grpc
import httpx
import pytest

from limner import AIModelManager
from limner.api.app import create_app
from limner.catalog.model import Sizes
from limner.chat.commands import Taste, order
from limner.chat.names import provider_of as chat_provider
from limner.core.errors import InvalidRequest, Unavailable
from limner.core.job import provider_of
from limner.providers.base import Done
from limner.providers.find import installed
from limner.router.policy import ORDERS
from limner.rpc import starweave_pb2 as messages
from limner.rpc.asked import order as rpc_order
from limner.rpc.server import RpcServer
from limner.rpc.starweave_pb2_grpc import ImageGenerationServiceStub
from tests import fakes
from tests.api.test_unified import PROJECT

SD = "stable-diffusion-v1-5"
ANY = Sizes(default=(64, 64), min_side=8, max_side=2048)


async def drawn(call):
    width, height = call.request.size
    return Done((fakes.png(width, height),), (call.request.seed or 0,))


def house(home, desk, provider="comfyui"):
    """One vendor, free and the user's own, who draws what any client calls Stable Diffusion 1.5."""
    names = (SD, f"runwayml/{SD}")
    model = fakes.model(provider, "0", sizes=ANY, stands_in_for=names, aliases=("maker/fine",), guidance=2.0)
    return fakes.limner(home, fakes.vendor(desk, provider), models=[model])


class Doors:
    """Every surface over one Limner."""

    def __init__(self, limner, http, stub):
        self.limner, self.http, self.stub = limner, http, stub

    async def grpc(self, **settings):
        given = messages.ImageSettings(**settings) if settings else None
        return await self.stub.GenerateImage(messages.ImageRequest(prompt="a fox", settings=given))

    async def unified(self, **fields):
        sent = {"prompt": "a fox", "project_id": PROJECT} | fields
        return (await self.http.post("/unified/generate", json=sent)).json()


@pytest.fixture
def desk():
    return fakes.Desk([drawn])


@pytest.fixture
async def doors(home, desk):
    async with house(home, desk) as limner, RpcServer(limner, "127.0.0.1", 0, places=10) as server:
        transport = httpx.ASGITransport(create_app(limner))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            yield Doors(limner, http, ImageGenerationServiceStub(channel))


@pytest.fixture
def manager(home, desk):
    made = AIModelManager(
        fakes.settings(home),
        providers={"comfyui": fakes.vendor(desk, "comfyui")},
        models=[fakes.model("comfyui", "0", sizes=ANY, stands_in_for=(SD,), guidance=2.0)],
    )
    yield made
    made.close()


def sent(desk):
    return desk.calls[-1].request


async def test_steps_are_25_over_grpc_30_at_unified_a_preset_in_commands_and_25_in_the_manager(doors, desk):
    await doors.grpc()
    over_grpc = sent(desk).steps
    await doors.unified()
    assert (over_grpc, sent(desk).steps) == (25, 30)
    assert order("a fox", Taste()).steps == 20


async def test_the_manager_calls_them_num_inference_steps_and_takes_25(manager, desk):
    said = await manager.generate_image("a fox", size="64x64")
    assert (said["num_inference_steps"], sent(desk).steps) == (25, 25)


@pytest.mark.parametrize(("scale", "taken"), [(1.0, True), (20.0, True), (20.5, False), (0.5, False)])
async def test_guidance_is_1_to_20_over_grpc(scale, taken):
    asked = messages.ImageRequest(prompt="a fox", settings=messages.ImageSettings(guidance_scale=scale))
    if taken:
        assert rpc_order(asked).guidance_scale == scale
    else:
        with pytest.raises(InvalidRequest, match=r"between 1\.0 and 20\.0"):
            rpc_order(asked)


@pytest.mark.parametrize(("scale", "status"), [(1, 200), (30, 200), (30.5, 422), (0.5, 422)])
async def test_guidance_is_1_to_30_at_unified(doors, scale, status):
    body = {"prompt": "a fox", "project_id": PROJECT, "guidance_scale": scale}
    assert (await doors.http.post("/unified/generate", json=body)).status_code == status


async def test_guidance_is_free_in_the_manager(manager):
    said = await manager.generate_image("a fox", size="64x64", guidance_scale=0)
    assert isinstance(said["guidance_scale"], float)


async def test_size_is_128_to_1024_over_grpc_and_to_2048_at_unified(doors):
    assert (await doors.grpc(width=2048)).error.startswith("Invalid request: Width")
    assert (await doors.unified(width=2048, height=128))["status"] == "completed"
    assert (await doors.grpc(width=128, height=128)).error == ""


async def test_the_seed_0_is_real_over_grpc_refused_at_unified_and_any_int_in_the_manager(doors, desk):
    await doors.grpc(seed=0)
    assert sent(desk).seed == 0
    body = {"prompt": "a fox", "project_id": PROJECT, "seed": 0}
    assert (await doors.http.post("/unified/generate", json=body)).status_code == 422


async def test_the_managers_seed_is_any_int_or_none(manager):
    assert [
        (await manager.generate_image("a fox", size="64x64", seed=seed))["seed"] for seed in (-5, 0, None)
    ] == [
        -5,
        0,
        None,
    ]


async def test_the_format_is_a_mime_type_over_grpc_a_word_at_unified_and_upper_case_in_the_manager(doors):
    assert (await doors.grpc()).format == "image/png"
    assert (await doors.unified())["images"][0]["format"] == "png"


async def test_the_managers_format_is_upper_case(manager):
    assert (await manager.generate_image("a fox", size="64x64"))["format"] == "PNG"


async def test_a_failure_is_in_band_over_grpc_and_200_failed_at_unified_and_a_status_at_the_press(
    doors, desk
):
    desk.submits = [Unavailable("no paint")]
    assert (await doors.grpc()).error != ""
    answer = await doors.http.post("/unified/generate", json={"prompt": "a fox", "project_id": PROJECT})
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    body = {"prompt": "a fox", "provider": "comfyui", "model": "maker/fine"}
    pressed = await doors.http.post("/generate-image", json=body)
    assert (pressed.status_code >= 400, "error" in pressed.json()) == (True, True)


async def test_a_failure_is_an_exception_in_the_manager(manager, desk):
    desk.submits = [fakes.ProviderError("no paint")]
    with pytest.raises(Exception, match="no paint"):
        await manager.generate_image("a fox", size="64x64")


@pytest.mark.parametrize(
    ("world", "names"),
    [
        ("unified", ("leonardo", "runware", "gemini", "comfyui")),
        ("two-phase", ("openai", "together", "gemini", "replicate")),
        ("commands", ("ollama", "groq", "huggingface", "openai")),
    ],
)
def test_three_worlds_of_providers_are_one_registry(world, names):
    assert ORDERS[world] == names
    assert set(names) <= set(installed())


@pytest.mark.parametrize(
    ("spelled", "ours"),
    [
        ("leonardo_ai", "leonardo"),
        ("runware_ai", "runware"),
        ("gemini", "gemini"),
        ("openai", "openai"),
    ],
)
def test_every_spelling_of_a_provider_is_known_at_every_door(spelled, ours):
    assert (provider_of(spelled), chat_provider(spelled)) == (ours, ours)


def test_the_commands_ollama_local_is_ollama():
    assert chat_provider("ollama_local") == "ollama"


async def test_a_provider_of_one_world_is_taken_at_another(home, desk):
    limner = fakes.limner(
        home,
        fakes.vendor(desk, "ollama"),
        models=[fakes.model("ollama", "0", sizes=ANY, aliases=("maker/fine",))],
    )
    transport = httpx.ASGITransport(create_app(limner))
    async with limner, httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
        for name in ("ollama", "ollama_local"):
            sent_ = {"prompt": "a fox", "project_id": PROJECT, "provider": name}
            answer = (await http.post("/unified/generate", json=sent_)).json()
            assert (answer["status"], answer["provider"]) == ("completed", "ollama")
            body = {"prompt": "a fox", "provider": name, "model": "maker/fine"}
            assert (await http.post("/generate-image", json=body)).status_code == 200


async def test_the_default_model_is_stable_diffusion_v1_5_wherever_it_is_local(doors, manager):
    assert (await doors.grpc()).metadata.debug_info["requested_model"] == f"runwayml/{SD}"


async def test_the_managers_default_model_is_it_too(manager):
    assert (await manager.generate_image("a fox", size="64x64"))["model"] == SD
