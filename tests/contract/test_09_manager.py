"""Contract 9, the Python manager, on a fresh machine: nothing set up, nothing downloaded, no GPU.

Keys, options, order of providers, errors and life cycle are proven in `tests/test_manager.py` over scripted
vendors.
"""

from io import BytesIO

import pytest
from PIL import Image

from limner import AIModelManager
from limner.config import Settings

PICTURE = {
    "image_data": bytes,
    "format": str,
    "width": int,
    "height": int,
    "model": str,
    "library": str,
    "provider": str,
    "prompt": str,
    "negative_prompt": str,
    "num_inference_steps": int,
    "guidance_scale": float,
    "seed": int,
}
ENTRY = {
    "name": str,
    "type": str,
    "model_id": str,
    "provider": str,
    "inference_engine": str,
    "loaded": bool,
    "can_load": bool,
    "size_gb": int,
    "description": str,
    "device": str,
}
KINDS = ["text", "image", "voice", "video", "audio"]


@pytest.fixture
def manager(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manager = AIModelManager(Settings(home=home))
    yield manager
    manager.close()


async def test_differs_a_fresh_machine_without_gpu_draws_and_the_dict_has_the_contracts_types(manager):
    await manager.initialize_models()
    said = await manager.generate_image("a red fox", width=64, height=64, num_inference_steps=2, seed=5)
    assert {name: type(said[name]) for name in PICTURE} == PICTURE
    assert Image.open(BytesIO(said["image_data"])).size == (64, 64)
    assert (said["format"], said["width"], said["height"]) == ("PNG", 64, 64)
    assert (said["model"], said["library"], said["provider"]) == (
        "stable-diffusion-v1-5",
        "diffusers",
        "local",
    )
    assert (said["prompt"], said["seed"], said["num_inference_steps"]) == ("a red fox", 5, 2)
    assert said["negative_prompt"] == "ugly, blurry, low quality, distorted"
    assert list(manager._loaded_pipelines) == ["stable-diffusion-v1-5"]


async def test_the_kinds_are_five_and_an_image_entry_has_the_contracts_types(manager):
    assert manager._loaded_pipelines == {}
    await manager.initialize_models()
    assert list(manager.available_models) == KINDS
    for one in manager.available_models["image"]:
        assert {name: type(one[name]) for name in ENTRY} == ENTRY
        assert one["type"] == "text-to-image"
    first = manager.available_models["image"][0]
    assert (first["name"], first["can_load"], first["device"]) == ("stable-diffusion-v1-5", True, "cpu")


def test_an_install_says_success_or_what_is_missing(manager, tmp_path):
    missing = manager.install_model("image", "stable-diffusion-v1-5")
    assert set(missing) == {"success", "error", "requirements", "available"}
    folder = tmp_path / "models" / "image" / "stable-diffusion-v1-5"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    found = manager.install_model("image", "stable-diffusion-v1-5")
    assert set(found) == {"success", "model", "type", "path", "size_gb"}
    assert (missing["success"], found["success"]) == (False, True)
    assert found["path"] == "models/image/stable-diffusion-v1-5"


async def test_without_any_model_it_is_a_value_error_with_these_words(home):
    manager = AIModelManager(Settings(home=home, disabled_providers=("local",)), providers={}, models=[])
    try:
        with pytest.raises(ValueError, match="No image generation models available"):
            await manager.generate_image("a red fox")
    finally:
        manager.close()
