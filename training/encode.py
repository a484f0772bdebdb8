"""Latents of the drawn pictures: `python -m training.encode DATA AE OUT` (parts go side by side with --part
0/2).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny

from training.autoencoder import to_unit


@torch.inference_mode()
def encode_file(model: AutoencoderTiny, pictures: np.ndarray) -> np.ndarray:
    """float16 [N, C, 32, 32]."""
    parts = []
    for start in range(0, len(pictures), 16):
        batch = to_unit(np.asarray(pictures[start : start + 16])).contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(model.encoder(batch).float().half().numpy())
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--part", default="0/1")
    given = parser.parse_args()
    torch.set_num_threads(1)
    part, parts = (int(value) for value in given.part.split("/"))
    model = AutoencoderTiny.from_pretrained(given.autoencoder).eval().to(memory_format=torch.channels_last)
    given.out.mkdir(parents=True, exist_ok=True)
    for file in sorted(given.data.glob("pictures-*.npy"))[part::parts]:
        latents = encode_file(model, np.load(file, mmap_mode="r"))
        np.save(given.out / file.name.replace("pictures-", "latents-"), latents)
        print(file.name, latents.astype(np.float32).std((0, 2, 3)).round(2), flush=True)


if __name__ == "__main__":
    main()
