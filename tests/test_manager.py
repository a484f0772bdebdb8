"""Contract of the manager class that programs before Limner use in-process, line by line."""

import asyncio
import inspect
import subprocess
import sys
import threading
from io import BytesIO

import pytest
from PIL import Image

import limner
from limner import AIModelManager
from limner.catalog.model import Model, Sizes
from limner.core.errors import LimnerError, Rejected, SetupError
from limner.providers.base import Call, Done
from tests import fakes

pytestmark = pytest.mark.usefixtures("swift")
ANY_SIZE = Sizes(default=(64, 64), min_side=8, max_side=2048)
NO_MODELS = "No image generation models available"
SD = "stable-diffusion-v1-5"


async def picture(call: Call) -> Done:
    """As large as asked for."""
    width, height = call.request.size or (64, 64)
    return Done((fakes.png(width, height),), (call.request.seed or 0,))


def local(**changes) -> Model:
    return fakes.model("easel", "0", stands_in_for=(SD,), sizes=ANY_SIZE, guidance=2.0, **changes)


def cloud(**changes) -> Model:
    return fakes.model("openai", "0.04", sizes=ANY_SIZE, guidance=None, **changes)


@pytest.fixture
def desk():
    return fakes.Desk([picture])


@pytest.fixture
def build(home, desk):
    """Managers over a scripted vendor for each model, closed at the end."""
    made = []

    def of(*models: Model, **changes) -> AIModelManager:
        kinds = {one.provider: fakes.vendor(desk, one.provider) for one in models}
        manager = AIModelManager(fakes.settings(home, **changes), providers=kinds, models=list(models))
        made.append(manager)
        return manager

    yield of
    for one in made:
        one.close()


@pytest.fixture
def manager(build):
    return build(local())


async def test_the_dict_has_exactly_the_contracts_keys_and_types_and_some_of_ours(manager):
    await manager.initialize_models()
    said = await manager.generate_image("a red fox", seed=7)
    data, job = said.pop("image_data"), said.pop("job_id")
    assert isinstance(data, bytes)
    assert Image.open(BytesIO(data)).size == (512, 512)
    assert isinstance(job, str)
    assert said == {
        "format": "PNG",
        "width": 512,
        "height": 512,
        "model": SD,
        "library": "diffusers",
        "provider": "local",
        "prompt": "a red fox",
        "negative_prompt": "ugly, blurry, low quality, distorted",
        "num_inference_steps": 25,
        "guidance_scale": 7.5,
        "seed": 7,
        "seed_used": 7,
        "drawn_by": "easel/easel-model",
        "cost_usd": 0.0,
        "notes": [{"field": "model", "message": f"{SD} is not set up here; easel-model draws instead"}],
    }


async def test_the_defaults_are_those_such_programs_rely_on(manager, desk):
    said = await manager.generate_image("a red fox")
    sent = desk.calls[0].request
    assert (sent.width, sent.height, sent.steps, sent.guidance_scale) == (512, 512, 25, 7.5)
    assert sent.negative_prompt == "ugly, blurry, low quality, distorted"
    assert (said["seed"], said["seed_used"]) == (None, sent.seed)


async def test_every_option_is_drawn(manager, desk):
    said = await manager.generate_image(
        "a red fox",
        width=128,
        height=64,
        num_inference_steps=5,
        guidance_scale=3,
        seed=11,
        negative_prompt="blur",
    )
    sent = desk.calls[0].request
    assert (sent.size, sent.steps, sent.guidance_scale, sent.seed) == ((128, 64), 5, 3, 11)
    assert (sent.negative_prompt, said["width"], said["height"]) == ("blur", 128, 64)


async def test_a_size_as_one_word_is_for_local_models_too(manager):
    said = await manager.generate_image("a red fox", size="64x32", width=512)
    assert (said["width"], said["height"]) == (64, 32)


@pytest.mark.parametrize(
    ("seed", "used"), [(0, 0), (-1, 2**63 - 1), (2**63, 0), (2**70 + 5, 5), (-(2**63), 0)]
)
async def test_any_int_is_a_seed_and_given_back_as_it_came(manager, seed, used):
    said = await manager.generate_image("a red fox", seed=seed, size="64x64")
    assert (said["seed"], said["seed_used"]) == (seed, used)
    told = [one["message"] for one in said["notes"] if one["field"] == "seed"]
    assert told == ([] if seed == used else [f"drawn as {used}"])


@pytest.mark.parametrize(("guidance", "used"), [(0, 1.0), (0.5, 1.0), (99, 30.0), (7.5, 7.5)])
async def test_any_number_is_a_guidance_and_what_is_bent_is_told(manager, guidance, used):
    said = await manager.generate_image("a red fox", guidance_scale=guidance, size="64x64")
    assert said["guidance_scale"] == used
    assert any(one["field"] == "guidance_scale" for one in said["notes"]) is (guidance != used)


async def test_unknown_options_are_told_and_change_nothing(manager):
    said = await manager.generate_image("a red fox", size="64x64", scheduler="DDIM", batch=None)
    assert [one["field"] for one in said["notes"]] == ["model", "scheduler", "batch"]


async def test_local_models_come_first(build, desk):
    said = await build(local(), cloud()).generate_image("a red fox", size="64x64")
    assert (said["provider"], said["drawn_by"], said["cost_usd"]) == ("local", "easel/easel-model", 0.0)


async def test_the_cloud_comes_after_with_its_own_size_and_quality(build, desk):
    said = await build(cloud()).generate_image("a red fox", quality="hd")
    sent = desk.calls[0].request
    assert (sent.size, sent.quality) == ((1024, 1024), "quality")
    assert (said["provider"], said["library"], said["model"]) == ("openai", "openai", "openai-model")
    assert (said["cost_usd"], said["drawn_by"]) == (0.04, "openai/openai-model")
    assert (said["num_inference_steps"], said["guidance_scale"]) == (25, 7.5)


async def test_a_cloud_size_that_is_said_either_way_is_drawn(build, desk):
    manager = build(cloud())
    await manager.generate_image("a red fox", size="256x128")
    await manager.generate_image("a red fox", width=128, height=256)
    assert [call.request.size for call in desk.calls] == [(256, 128), (128, 256)]


async def test_a_price_nobody_knows_is_not_bought_unasked(build):
    manager = build(fakes.model("openai", None, sizes=ANY_SIZE))
    with pytest.raises(ValueError, match=NO_MODELS) as caught:
        await manager.generate_image("a red fox")
    assert str(caught.value) == NO_MODELS


async def test_no_models_are_a_value_error_that_says_so_and_why(build):
    with pytest.raises(ValueError, match=NO_MODELS) as caught:
        await build().generate_image("a red fox")
    assert str(caught.value) == NO_MODELS
    assert [note.partition(":")[0] for note in caught.value.__notes__] == [SD, "sdxl-1.0", "flux.1-dev"]


async def test_a_local_model_that_costs_is_none(build):
    manager = build(fakes.model("mural", "0.01", stands_in_for=(SD,), sizes=ANY_SIZE))
    await manager.initialize_models()
    assert [one["can_load"] for one in manager.available_models["image"]] == [False, False, False, True]


async def test_a_failing_local_model_raises_and_buys_nothing_and_is_no_empty_image(build, desk):
    desk.submits = [Rejected("not that")]
    with pytest.raises(LimnerError, match="not that"):
        await build(local(), cloud()).generate_image("a red fox", size="64x64")
    assert [call.model for call in desk.calls] == ["easel/one"]


def test_available_models_has_a_list_for_each_kind(manager):
    kinds = ["text", "image", "voice", "video", "audio"]
    assert manager.available_models == {kind: [] for kind in kinds}
    assert list(manager.get_available_models()) == kinds


async def test_an_entry_has_the_contracts_keys_and_cpu_counts(manager):
    await manager.initialize_models()
    assert manager.available_models["image"][0] == {
        "name": SD,
        "type": "text-to-image",
        "model_id": "runwayml/stable-diffusion-v1-5",
        "provider": "local",
        "inference_engine": "diffusers",
        "loaded": False,
        "can_load": True,
        "size_gb": 4,
        "description": "Stable Diffusion 1.5, drawn by easel/easel-model",
        "device": "cpu",
    }
    await manager.generate_image("a red fox", size="64x64")
    assert manager.available_models["image"][0]["loaded"] is True


async def test_not_yet_downloaded_means_loadable_on_a_fresh_machine(manager, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    await manager.initialize_models()
    assert manager.available_models["image"][0]["can_load"] is True
    assert not (tmp_path / "models").exists()


def test_the_local_configurations_are_the_table(manager):
    table = manager.local_model_configs["image"]
    assert {
        name: (
            one["model_id"],
            one["size_gb"],
            one["requirements"]["vram_gb"],
            one["requirements"]["ram_gb"],
            one["inference_engine"],
        )
        for name, one in table.items()
    } == {
        SD: ("runwayml/stable-diffusion-v1-5", 4, 4, 8, "diffusers"),
        "sdxl-1.0": ("stabilityai/stable-diffusion-xl-base-1.0", 7, 8, 16, "diffusers"),
        "flux.1-dev": ("black-forest-labs/FLUX.1-dev", 12, 12, 24, "comfyui"),
    }


async def test_loaded_pipelines_is_empty_at_first_and_has_one_entry_per_loaded_one(manager):
    assert manager._loaded_pipelines == {}
    for _ in range(2):
        await manager.generate_image("a red fox", size="64x64")
    assert manager._loaded_pipelines == {SD: "easel/easel-model"}


async def test_system_info_tells_the_machine(manager):
    said = manager.get_system_info()
    assert said["device"] == "cpu"
    assert said["cpu_count"] >= 1
    assert said["memory_gb"] > 0
    assert said == await manager.get_system_info()


async def test_what_is_not_awaited_and_what_is_are_the_same(manager):
    for said in (manager.get_available_models(), manager.install_model("image", SD), manager.close()):
        assert inspect.isawaitable(said)
        assert await said is said


def test_installing_says_what_is_needed(manager):
    said = manager.install_model("image", "sdxl-1.0")
    assert said["success"] is False
    assert said["requirements"] == {"vram_gb": 8, "ram_gb": 16}
    assert said["available"] == [SD, "sdxl-1.0", "flux.1-dev"]
    assert "downloads no models" in said["error"]


def test_what_lies_under_models_image_is_installed(home, tmp_path):
    folder = tmp_path / "models" / "image" / SD
    manager = AIModelManager(fakes.settings(home), models_dir=tmp_path / "models")
    folder.mkdir(parents=True)
    assert manager.install_model("image", SD)["success"] is False
    (folder / "model_index.json").write_text("{}")
    said = manager.install_model("image", SD)
    assert said == {"success": True, "model": SD, "type": "image", "path": str(folder), "size_gb": 4}


@pytest.mark.parametrize(
    ("kind", "name"), [("image", "../../etc"), ("image", ""), ("video", SD), ("", "x" * 999)]
)
def test_installing_what_nobody_knows_fails_shortly(manager, kind, name):
    said = manager.install_model(kind, name)
    assert (said["success"], said["requirements"]) == (False, {})
    assert len(said["error"]) < 250


async def test_it_starts_by_itself_when_nobody_initialized_it(manager):
    assert (await manager.generate_image("a red fox", size="64x64"))["format"] == "PNG"


async def test_initializing_twice_and_at_the_same_time_starts_once(manager):
    await asyncio.gather(*(manager.initialize_models() for _ in range(5)))
    await manager.initialize_models()
    assert [one.name for one in threading.enumerate()].count("limner") == 1


async def test_pictures_are_drawn_at_the_same_time(manager):
    said = await asyncio.gather(*(manager.generate_image("a fox", seed=n, size="64x64") for n in range(5)))
    assert [one["seed_used"] for one in said] == [0, 1, 2, 3, 4]


def test_several_event_loops_may_use_it(manager):
    asyncio.run(manager.initialize_models())
    assert asyncio.run(manager.generate_image("a red fox", size="64x64"))["width"] == 64


async def test_a_closed_one_says_so(manager):
    await manager.initialize_models()
    manager.close()
    manager.close()
    assert manager._loaded_pipelines == {}
    for call in (manager.initialize_models, lambda: manager.generate_image("a red fox")):
        with pytest.raises(SetupError, match="was closed; make another one"):
            await call()


async def test_one_that_was_never_used_closes(manager):
    manager.close()
    with pytest.raises(SetupError, match="was closed"):
        await manager.initialize_models()


async def test_closing_while_a_picture_is_drawn_ends_the_waiting(manager, desk):
    desk.submits = [fakes.never]
    async with asyncio.timeout(30):
        drawing = asyncio.create_task(manager.generate_image("a red fox", size="64x64"))
        await fakes.until(lambda: desk.calls)
        await asyncio.to_thread(manager.close)
        with pytest.raises(SetupError, match="was closed"):
            await drawing


async def test_who_stops_waiting_may_ask_again(manager, desk):
    desk.submits = [fakes.never, picture]
    drawing = asyncio.create_task(manager.generate_image("a red fox", size="64x64"))
    await fakes.until(lambda: desk.calls)
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert (await manager.generate_image("a red boat", size="64x64"))["width"] == 64


async def test_two_on_one_home_are_told_apart(build):
    first, second = build(local()), build(local())
    await first.initialize_models()
    with pytest.raises(SetupError, match="owns"):
        await second.initialize_models()
    first.close()
    await second.initialize_models()  # it may be tried again
    assert second.available_models["image"][0]["can_load"] is True


@pytest.mark.parametrize(
    ("prompt", "options", "error", "said"),
    [
        (7, {}, TypeError, "prompt must be str, not int"),
        (None, {}, TypeError, "prompt must be str, not NoneType"),
        ("", {}, ValueError, "prompt is empty"),
        ("x" * 10_001, {}, ValueError, "at most 10,000"),
        ("a\x00b", {}, ValueError, "NUL"),
        ("fox", {"width": "512"}, TypeError, "width must be int, not str"),
        ("fox", {"width": 0}, ValueError, "width"),
        ("fox", {"width": -8, "height": 64}, ValueError, "width"),
        ("fox", {"height": 10**9}, ValueError, "height"),
        ("fox", {"seed": 1.5}, TypeError, "seed must be int, not float"),
        ("fox", {"seed": True}, TypeError, "seed must be int, not bool"),
        ("fox", {"guidance_scale": "7"}, TypeError, "guidance_scale must be float, not str"),
        ("fox", {"guidance_scale": float("nan")}, ValueError, "guidance_scale"),
        ("fox", {"num_inference_steps": 0}, ValueError, "num_inference_steps must be from 1 to 100, not 0"),
        ("fox", {"num_inference_steps": 101}, ValueError, "num_inference_steps must be from 1 to 100"),
        ("fox", {"size": "big"}, ValueError, "size must be WIDTHxHEIGHT"),
        ("fox", {"size": "0x0"}, ValueError, "size must be WIDTHxHEIGHT"),
        ("fox", {"quality": "uhd"}, ValueError, "quality must be one of standard, hd"),
        ("fox", {"negative_prompt": 3}, TypeError, "negative_prompt must be str, not int"),
        ("fox", {"model": "nope"}, ValueError, "model 'nope' is not available; available: stable-"),
        ("fox", {"model": "sdxl-1.0"}, ValueError, "model 'sdxl-1.0' is not available"),
    ],
)
async def test_what_cannot_be_meant_is_a_type_or_value_error_that_names_it(
    manager, prompt, options, error, said
):
    with pytest.raises(error, match=said) as caught:
        await manager.generate_image(prompt, **options)
    assert len(str(caught.value)) < 400
    assert manager._loaded_pipelines == {}


def test_it_is_loaded_only_when_it_is_used():
    assert "AIModelManager" in limner.__all__
    code = "import sys, limner; sys.exit('limner.app' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_program_that_forgets_to_close_it_ends_all_the_same(tmp_path):
    code = (
        "import asyncio, limner; from pathlib import Path;"
        f"s = limner.Settings(home=Path({str(tmp_path)!r}), disabled_providers=('local',));"
        "m = limner.AIModelManager(s);"
        "asyncio.run(m.initialize_models()); print(len(m.available_models['image']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert ended.stdout == "3\n"
