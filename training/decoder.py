"""Sharpens the decoder on latents that no longer move: `python -m training.decoder DATA AE OUT --minutes 15`.

The encoder is frozen, so everything the denoiser learned stays true. Latents get a little noise, as
generated ones have.
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from torch import nn
from torch.nn import functional

from training import checkpoint
from training.autoencoder import Crops, picture_loss, psnr


def train(data: Path, before: Path, out: Path, minutes: float, *, rate: float, batch: int, side: int) -> None:
    torch.manual_seed(3)
    model = AutoencoderTiny.from_pretrained(before).to(memory_format=torch.channels_last)
    model.encoder.requires_grad_(False)
    crops = Crops(data, side, seed=5)
    held = Crops(data, 256, seed=2).draw(8).contiguous(memory_format=torch.channels_last)
    print(f"before psnr {psnr(model, held):.2f}", flush=True)
    optimizer = torch.optim.AdamW(model.decoder.parameters(), lr=rate, betas=(0.9, 0.99))
    clock, step = checkpoint.Clock(), 0
    while (done := clock.seconds / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 40) * max(0.02, 1 - done)
        true = crops.draw(batch).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latents = model.encoder(true).float()
            spread = 0.12 * torch.rand(batch, 1, 1, 1)
            made = model.decoder(latents + spread * torch.randn_like(latents)).float()
        loss = picture_loss(made, true, 0.7) + 1.0 * functional.mse_loss(made, true)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.decoder.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(
                f"{step} {clock.seconds:.0f}s loss {loss.item():.4f} psnr {psnr(model, held):.2f}", flush=True
            )
            model.save_pretrained(out)
    model.save_pretrained(out)
    print(f"done {step} steps psnr {psnr(model, held):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "before", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--side", type=int, default=96)
    given = parser.parse_args()
    torch.set_num_threads(1)
    train(
        given.data,
        given.before,
        given.out,
        given.minutes,
        rate=given.rate,
        batch=given.batch,
        side=given.side,
    )


if __name__ == "__main__":
    main()
