"""Writes what ships: ONNX files whose weights are stored in half precision, the tokenizer and `model.json`.

`python -m training.export AE TEXT CHECKPOINT DATA OUT [--diffusers FOLDER]`. Weights are read as float16 and
cast to float32 when a session loads, so that files are half the size and the arithmetic is the trained one's.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast

from training import text, vocabulary
from training.autoencoder import LATENTS, to_unit
from training.denoiser import Model
from training.unet import FOLD

FILES = ("text_encoder.onnx", "unet.onnx", "vae_decoder.onnx", "vae_encoder.onnx", "tokenizer.json")


class TextPart(nn.Module):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, ids: Tensor) -> Tensor:
        return self.encoder(ids).last_hidden_state


class DecoderPart(nn.Module):
    """Scaled latents to a picture; the scale is undone inside."""

    def __init__(self, vae: AutoencoderTiny, scale: float) -> None:
        super().__init__()
        self.decoder, self.scale = vae.decoder, scale

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(z / self.scale).clamp(-1, 1)


class EncoderPart(nn.Module):
    def __init__(self, vae: AutoencoderTiny, scale: float) -> None:
        super().__init__()
        self.encoder, self.scale = vae.encoder, scale

    def forward(self, image: Tensor) -> Tensor:
        return self.encoder(image) * self.scale


def halve(path: Path) -> None:
    """Stores every large float32 weight as float16 with a cast behind it."""
    model = onnx.load(str(path))
    graph, casts = model.graph, []
    for weight in list(graph.initializer):
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < 64:
            continue
        small = numpy_helper.from_array(
            numpy_helper.to_array(weight).astype(np.float16), weight.name + ".half"
        )
        graph.initializer.remove(weight)
        graph.initializer.append(small)
        casts.append(
            helper.make_node(
                "Cast", [small.name], [weight.name], name=weight.name + ".cast", to=TensorProto.FLOAT
            )
        )
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    del graph.value_info[:]
    onnx.save(model, str(path))


def _write(
    module: nn.Module, inputs: dict[str, Tensor], output: str, axes: dict[str, dict[int, str]], path: Path
) -> None:
    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=[output],
        dynamic_axes=axes,
        dynamo=False,
        opset_version=17,
    )
    halve(path)


def write_graphs(model: Model, vae: AutoencoderTiny, scale: float, out: Path) -> None:
    """The four ONNX files. Heights and widths are latents' (eight pixels), batch sizes are free."""
    cells = {0: "batch", 2: "height", 3: "width"}
    ids = torch.ones(2, text.LENGTH, dtype=torch.long)
    _write(
        TextPart(model.text),
        {"ids": ids},
        "hidden",
        {"ids": {0: "batch"}, "hidden": {0: "batch"}},
        out / "text_encoder.onnx",
    )
    noisy = {
        "x": torch.randn(2, LATENTS, 32, 32),
        "t": torch.tensor([9.0, 500.0]),
        "c": torch.randn(2, text.LENGTH, text.WIDTH),
    }
    axes = {"x": cells, "t": {0: "batch"}, "c": {0: "batch"}, "out": cells}
    _write(model.denoiser, noisy, "out", axes, out / "unet.onnx")
    _write(
        DecoderPart(vae, scale),
        {"z": torch.randn(2, LATENTS, 32, 32)},
        "image",
        {"z": cells, "image": cells},
        out / "vae_decoder.onnx",
    )
    _write(
        EncoderPart(vae, scale),
        {"image": torch.randn(2, 3, 256, 256)},
        "z",
        {"image": cells, "z": cells},
        out / "vae_encoder.onnx",
    )


def check(model: Model, out: Path) -> dict[str, float]:
    """The largest difference of each graph from torch, relative to the output's spread, at another size
    than traced.
    """
    found = {}
    x, t, c = (
        torch.randn(3, LATENTS, 24, 40),
        torch.tensor([1.0, 300.0, 999.0]),
        torch.randn(3, text.LENGTH, text.WIDTH),
    )
    ids = torch.randint(0, 50, (5, text.LENGTH))
    with torch.inference_mode():
        wanted = {"unet": model.denoiser(x, t, c), "text_encoder": model.text(ids).last_hidden_state}
    given = {"unet": {"x": x.numpy(), "t": t.numpy(), "c": c.numpy()}, "text_encoder": {"ids": ids.numpy()}}
    for name, true in wanted.items():
        made = onnxruntime.InferenceSession(str(out / f"{name}.onnx")).run(None, given[name])[0]
        found[name] = float(np.abs(made - true.numpy()).max() / true.std().clamp_min(1e-3))
    return found


def preview(vae: AutoencoderTiny, scale: float, pictures: np.ndarray) -> dict[str, list]:
    """The best linear map from scaled latents to RGB in 0..1, for cheap previews while a picture is drawn."""
    images = to_unit(pictures)
    with torch.inference_mode():
        latents = vae.encoder(images) * scale  # [B, C, 32, 32]
    colors = (functional.avg_pool2d(images, 8) + 1) / 2  # [B, 3, 32, 32]
    flat = latents.permute(0, 2, 3, 1).reshape(-1, LATENTS).numpy()
    known = np.concatenate([flat, np.ones((len(flat), 1), np.float32)], 1)
    solved = np.linalg.lstsq(known, colors.permute(0, 2, 3, 1).reshape(-1, 3).numpy(), rcond=None)[0].round(5)
    return {"matrix": solved[:-1].tolist(), "bias": solved[-1].tolist()}


def words() -> dict[str, object]:
    tables = {
        "subject": vocabulary.SUBJECTS,
        "setting": vocabulary.SETTINGS,
        "time": vocabulary.TIMES,
        "weather": vocabulary.WEATHER,
        "style": vocabulary.STYLES,
        "color": vocabulary.COLORS,
        "count": vocabulary.COUNTS,
        "position": vocabulary.POSITIONS,
        "size": vocabulary.SIZES,
    }
    return {**tables, "filler": sorted(set(vocabulary.FILLER))}


def describe(out: Path, shown: dict[str, list], steps: int, guidance: float) -> None:
    """`enlarge` says how to draw above `native_px`: enlarge the picture, then code and decode it."""
    card = {
        "name": "starter",
        "version": "1",
        "latent_channels": LATENTS,
        "factor": 8,
        "max_tokens": text.LENGTH,
        "pad_id": text.PAD,
        "bos_id": text.BOS,
        "eos_id": text.EOS,
        "unk_id": text.UNKNOWN,
        "schedule": "squaredcos_cap_v2",
        "train_steps": 1000,
        "prediction": "v_prediction",
        "spacing": "trailing",
        "native_px": 256,
        "default_steps": steps,
        "default_guidance": guidance,
        "preview": shown,
        "enlarge": "pixels",
        "vocabulary": words(),
        "files": {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in FILES},
    }
    (out / "model.json").write_text(json.dumps(card, indent=1) + "\n")


def write_diffusers(model: Model, vae: AutoencoderTiny, scale: float, tokenizer: Path, folder: Path) -> None:
    """The parts as diffusers and transformers save them. The unet works on latents folded two by two
    (pixel_unshuffle).
    """
    model.denoiser.unet.save_pretrained(folder / "unet")
    vae.register_to_config(scaling_factor=scale)
    vae.save_pretrained(folder / "vae")
    model.text.save_pretrained(folder / "text_encoder")
    PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer),
        model_max_length=text.LENGTH,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    ).save_pretrained(folder / "tokenizer")
    DPMSolverMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        final_sigmas_type="zero",
    ).save_pretrained(folder / "scheduler")
    (folder / "fold.json").write_text(json.dumps({"fold": FOLD}) + "\n")


def load_model(tokenizer: Path, checkpoint: Path, kind: str) -> tuple[Model, float]:
    """The weights of a checkpoint (`average` or, as they were last, `weights`), and the latents' scale."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model = Model(Tokenizer.from_file(str(tokenizer)).get_vocab_size())
    model.load_state_dict(state[kind])
    return model.eval(), state["scale"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("autoencoder", "text", "checkpoint", "data", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.5)
    parser.add_argument("--kind", choices=("average", "weights"), default="average")
    parser.add_argument("--diffusers", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tokenizer = given.text / "tokenizer.json"
    model, scale = load_model(tokenizer, given.checkpoint, given.kind)
    vae = AutoencoderTiny.from_pretrained(given.autoencoder).eval()
    write_graphs(model, vae, scale, given.out)
    shutil.copy(tokenizer, given.out / "tokenizer.json")
    pictures = np.load(next(iter(sorted(given.data.glob("pictures-*.npy")))), mmap_mode="r")[:160]
    describe(given.out, preview(vae, scale, np.asarray(pictures)), given.steps, given.guidance)
    print("difference from torch", check(model, given.out))
    sizes = {name: (given.out / name).stat().st_size for name in (*FILES, "model.json")}
    print(
        {name: f"{size / 1e6:.2f} MB" for name, size in sizes.items()}, f"{sum(sizes.values()) / 1e6:.2f} MB"
    )
    if given.diffusers:
        write_diffusers(model, vae, scale, tokenizer, given.diffusers)


if __name__ == "__main__":
    main()
