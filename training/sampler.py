"""Draws with the exported files and nothing but numpy, tokenizers and onnxruntime, the way the engine
does.
"""

import json
import math
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

Floats = NDArray[np.float32]


def signal_levels(steps: int = 1000) -> NDArray[np.float64]:
    """The cosine schedule's cumulative alphas."""

    def level(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - level((i + 1) / steps) / level(i / steps), 0.999) for i in range(steps)]
    return np.cumprod(1 - np.array(betas, np.float32)).astype(np.float64)


class Sampler:
    """The shipped model. `threads` are onnxruntime's."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.card = json.loads((folder / "model.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        length = self.card["max_tokens"]
        self.tokenizer.enable_truncation(length)
        self.tokenizer.enable_padding(length=length, pad_id=self.card["pad_id"], pad_token="<pad>")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.parts = {
            name: onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options)
            for name in ("text_encoder", "unet", "vae_decoder", "vae_encoder")
        }

    def hidden(self, prompts: list[str]) -> Floats:
        ids = np.array([encoding.ids for encoding in self.tokenizer.encode_batch(prompts)], np.int64)
        return self.parts["text_encoder"].run(None, {"ids": ids})[0]

    def draw(
        self,
        prompts: list[str],
        seeds: list[int],
        *,
        px: int = 256,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> NDArray[np.uint8]:
        """Pictures [N, px, px, 3]: one seed for each prompt."""
        side = px // self.card["factor"]
        shape = (self.card["latent_channels"], side, side)
        noise = np.stack([np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds])
        latents = self.refine(
            prompts, noise, steps or self.card["default_steps"], guidance or self.card["default_guidance"]
        )
        return self.decode(latents)

    def decode(self, latents: Floats) -> NDArray[np.uint8]:
        image = self.parts["vae_decoder"].run(None, {"z": latents})[0]
        return ((image + 1) * 127.5).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)

    def refine(self, prompts: list[str], x: Floats, steps: int, guidance: float) -> Floats:
        """DPM-Solver++ of the second order, from noise to latents."""
        levels = signal_levels(self.card["train_steps"])
        times = np.round(np.arange(1000, 0, -1000 / steps)).astype(int) - 1
        texts = np.concatenate([self.hidden(prompts), self.hidden([""] * len(prompts))])
        before: tuple[Floats, float] | None = None
        for index in range(steps):
            a, s = math.sqrt(levels[times[index]]), math.sqrt(1 - levels[times[index]])
            t = np.full(2 * len(x), times[index], np.float32)
            out = self.parts["unet"].run(
                None, {"x": np.concatenate([x, x]).astype(np.float32), "t": t, "c": texts}
            )[0]
            wanted, free = out[: len(x)], out[len(x) :]
            clean = a * x - s * (free + guidance * (wanted - free))
            if index + 1 == steps:
                return clean.astype(np.float32)
            an, sn = math.sqrt(levels[times[index + 1]]), math.sqrt(1 - levels[times[index + 1]])
            here, there = math.log(a / s), math.log(an / sn)
            ahead = clean
            if before is not None:
                ratio = (here - before[1]) / (there - here)
                ahead = clean + (clean - before[0]) / (2 * ratio)
            x = (sn / s * x - an * math.expm1(here - there) * ahead).astype(np.float32)
            before = (clean, here)
        return x

    def draw_large(self, prompts: list[str], seeds: list[int]) -> NDArray[np.uint8]:
        """512 px: a 256 px picture enlarged, then coded and decoded, which gives it its edges back.

        Latents themselves must not be enlarged (they are not smooth: lines become lattices). The denoiser may
        draw over the enlarged picture from little noise, up to a third of the schedule: that is all it has
        learnt about large pictures. From more it puts a second, small subject in.
        """
        small = self.draw(prompts, seeds)
        wide = np.stack([_twice(picture) for picture in small])
        image = wide.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1  # [N, 3, 512, 512]
        return self.decode(self.parts["vae_encoder"].run(None, {"image": image})[0])


def _twice(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    return np.asarray(Image.fromarray(picture).resize((2 * width, 2 * height), Image.Resampling.LANCZOS))
