import json
import shutil

import pytest

from limner.engine import weights
from limner.engine.backend import Broken
from limner.engine.onnx_backend import OnnxBackend
from tests.engine import tiny

WAY_OUT = "reinstall the package: pip install --force-reinstall limner"


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def open_(folder):
    return OnnxBackend(folder, weights.manifest(folder), threads=1)


def test_the_card_says_what_the_model_is(folder):
    card = weights.card(folder, weights.manifest(folder))
    assert (card.id, card.name, card.version, card.loaded) == ("tiny", "tiny", "1", False)
    assert card.bytes == sum(p.stat().st_size for p in folder.iterdir() if p.name != "model.json")


def test_the_id_is_the_name_as_an_identifier(folder):
    known = weights.manifest(folder).model_copy(update={"name": "Limner Starter (v2)"})
    assert known.id == "limner-starter-v2"


def test_a_missing_folder_is_named_with_the_way_out(tmp_path):
    with pytest.raises(Broken, match=r"model\.json: No such file.*" + WAY_OUT):
        weights.manifest(tmp_path)


def test_a_manifest_with_a_wrong_field_names_the_field(copy):
    tiny.describe(copy, schedule="wavy")
    with pytest.raises(Broken, match=r"model\.json: schedule: .*" + WAY_OUT):
        weights.manifest(copy)


def test_a_manifest_that_is_not_json_is_broken(copy):
    (copy / "model.json").write_text("{")
    with pytest.raises(Broken, match=r"model\.json: not JSON: .*" + WAY_OUT):
        weights.manifest(copy)


@pytest.mark.parametrize("name", ["unet.onnx", "text_encoder.onnx", "vae_decoder.onnx", "tokenizer.json"])
def test_an_altered_file_is_named(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(Broken, match=rf"{name}: .*sha256 differs.*" + WAY_OUT):
        open_(copy)


def test_a_missing_file_is_named(copy):
    (copy / "unet.onnx").unlink()
    with pytest.raises(Broken, match=r"unet\.onnx: No such file.*" + WAY_OUT):
        open_(copy)


def test_a_file_the_manifest_does_not_know_is_broken(copy):
    manifest = json.loads((copy / "model.json").read_text())
    del manifest["files"]["unet.onnx"]
    (copy / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(Broken, match=r"unet\.onnx"):
        open_(copy)


@pytest.mark.parametrize("name", ["unet.onnx", "tokenizer.json"])
def test_a_file_that_is_as_described_but_unreadable_is_named_in_one_line(copy, name):
    (copy / name).write_bytes(b"not a model")
    tiny.describe(copy)
    with pytest.raises(Broken, match=name) as caught:
        open_(copy)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(WAY_OUT)
