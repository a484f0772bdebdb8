"""A model of a few kilobytes with a real one's signature, for tests about the engine and not about art."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

CHANNELS, WIDTH, TOKENS, FACTOR, NATIVE_PX = 4, 8, 6, 8, 128
WORDS = ["<pad>", "<bos>", "<eos>", "<unk>", "a", "red", "blue", "fox", "snow"]
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def build(folder: Path) -> Path:
    """Write the model into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    _tokenizer().save(str(folder / "tokenizer.json"))
    _text_encoder(folder, rng)
    _unet(folder, rng)
    _decoder(folder, rng)
    _encoder(folder, rng)
    describe(folder)
    return folder


def describe(folder: Path, **changes: object) -> None:
    """Write ``model.json`` for the files as they are now."""
    files = [path for path in folder.iterdir() if path.name != "model.json"]
    manifest = {
        "name": "tiny",
        "version": "1",
        "latent_channels": CHANNELS,
        "factor": FACTOR,
        "max_tokens": TOKENS,
        "pad_id": 0,
        "bos_id": 1,
        "eos_id": 2,
        "unk_id": 3,
        "schedule": "squaredcos_cap_v2",
        "train_steps": 1000,
        "prediction": "v_prediction",
        "spacing": "trailing",
        "native_px": NATIVE_PX,
        "default_steps": 10,
        "default_guidance": 4.0,
        "preview": {"matrix": [[0.2, 0, 0], [0, 0.2, 0], [0, 0, 0.2], [0.1, 0.1, 0.1]], "bias": [0.5] * 3},
        "vocabulary": {"subjects": ["fox"]},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (folder / "model.json").write_text(json.dumps(manifest | changes))


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    return tokenizer


def _text_encoder(folder: Path, rng: np.random.Generator) -> None:
    _save(
        folder / "text_encoder.onnx",
        [helper.make_node("Gather", ["words", "ids"], ["hidden"])],
        {"words": rng.standard_normal((len(WORDS), WIDTH))},
        [("ids", INT, ["b", TOKENS])],
        ("hidden", ["b", TOKENS, WIDTH]),
    )


def _unet(folder: Path, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["mixed"], pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["c", "axis"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "project"], ["colour"]),
        helper.make_node("Unsqueeze", ["colour", "last_axes"], ["field"]),
        helper.make_node("Add", ["mixed", "field"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["bounded"]),
        helper.make_node("Unsqueeze", ["t", "all_axes"], ["t4"]),
        helper.make_node("Div", ["t4", "thousand"], ["late"]),
        helper.make_node("Sub", ["bounded", "late"], ["out"]),
    ]
    constants = {
        "kernel": rng.standard_normal((CHANNELS, CHANNELS, 3, 3)) * 0.2,
        "project": rng.standard_normal((WIDTH, CHANNELS)),
        "axis": np.array([1]),
        "last_axes": np.array([2, 3]),
        "all_axes": np.array([1, 2, 3]),
        "thousand": np.array(1000.0),
    }
    inputs = [
        ("x", FLOAT, ["b", CHANNELS, "h", "w"]),
        ("t", FLOAT, ["b"]),
        ("c", FLOAT, ["b", TOKENS, WIDTH]),
    ]
    _save(folder / "unet.onnx", nodes, constants, inputs, ("out", ["b", CHANNELS, "h", "w"]))


def _decoder(folder: Path, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("Conv", ["z", "kernel"], ["cells"]),
        helper.make_node("DepthToSpace", ["cells"], ["wide"], blocksize=FACTOR),
        helper.make_node("Tanh", ["wide"], ["image"]),
    ]
    kernel = np.tile(rng.standard_normal((3, CHANNELS)), (FACTOR * FACTOR, 1))[..., None, None]
    _save(
        folder / "vae_decoder.onnx",
        nodes,
        {"kernel": kernel},
        [("z", FLOAT, ["b", CHANNELS, "h", "w"])],
        ("image", ["b", 3, "high", "wide_"]),
    )


def _encoder(folder: Path, rng: np.random.Generator) -> None:
    nodes = [
        helper.make_node("SpaceToDepth", ["image"], ["cells"], blocksize=FACTOR),
        helper.make_node("Conv", ["cells", "kernel"], ["z"]),
    ]
    kernel = rng.standard_normal((CHANNELS, 3 * FACTOR * FACTOR, 1, 1)) / FACTOR**2
    _save(
        folder / "vae_encoder.onnx",
        nodes,
        {"kernel": kernel},
        [("image", FLOAT, ["b", 3, "high", "wide"])],
        ("z", ["b", CHANNELS, "h", "w"]),
    )


def _save(path, nodes, constants, inputs, output) -> None:
    stored = [numpy_helper.from_array(_narrow(value), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(*declared) for declared in inputs],
        [helper.make_tensor_value_info(output[0], FLOAT, output[1])],
        stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _narrow(value: np.ndarray) -> np.ndarray:
    return value.astype(np.int64 if value.dtype.kind == "i" else np.float32)
