"""The autoencoder: 256 px pictures as 32x32 cells of six numbers, and back.

`python -m training.autoencoder DATA OUT --minutes 8` trains both halves; `python -m training.encode` then
writes the latents, and `training.decoder` sharpens the second half on latents that no longer move.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from diffusers.models.unets.unet_2d_blocks import AutoencoderTinyBlock
from torch import Tensor, nn
from torch.nn import functional

from training import checkpoint

LATENTS = 6
ENCODER_WIDTH, DECODER_WIDTH = 32, 40


def build() -> AutoencoderTiny:
    """A small AutoencoderTiny that starts near 'shrink by eight and enlarge again' in its first three
    channels.
    """
    model = AutoencoderTiny(
        encoder_block_out_channels=(ENCODER_WIDTH,) * 4,
        decoder_block_out_channels=(DECODER_WIDTH,) * 4,
        latent_channels=LATENTS,
        num_encoder_blocks=(0, 1, 1, 2),
        num_decoder_blocks=(3, 2, 1, 0),
    )
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    part.bias.zero_()
        for part in model.modules():
            if isinstance(part, AutoencoderTinyBlock):
                part.conv[4].weight.mul_(0.15)
        _pass_through_encoder([part for part in model.encoder.layers if isinstance(part, nn.Conv2d)])
        _pass_through_decoder([part for part in model.decoder.layers if isinstance(part, nn.Conv2d)])
    return model.to(memory_format=torch.channels_last)


def _pass_through_encoder(convs: list[nn.Conv2d]) -> None:
    """Channels 0..2 carry the picture's mean colour through every stride."""
    first, *middle, last = convs
    first.weight.mul_(0.5)
    first.weight[:3] = 0
    last.weight.mul_(0.3)
    last.weight[:3] = 0
    for conv in middle:
        conv.weight.mul_(0.1)
        conv.weight[:, :, 1:, 1:] += torch.eye(ENCODER_WIDTH)[:, :, None, None] / 4
    for channel in range(3):
        first.weight[channel, channel, 1, 1] = 1
        last.weight[channel, channel, 1, 1] = 3
        last.bias[channel] = -1.5


def _pass_through_decoder(convs: list[nn.Conv2d]) -> None:
    first, *middle, last = convs
    first.weight[:3] = 0
    for conv in middle:
        conv.weight.mul_(0.1)
        conv.weight[:, :, 1, 1] += torch.eye(DECODER_WIDTH)
    last.weight.mul_(0.03)
    for channel in range(3):
        first.weight[channel, channel, 1, 1] = 1 / 3
        first.bias[channel] = 0.5
        last.weight[channel, channel, 1, 1] = 1


class Crops:
    """Square cuts of drawn pictures, at the latents' grid of eight pixels; `detail` of them around the
    subject.
    """

    def __init__(self, data: Path, side: int, seed: int) -> None:
        files = sorted(data.glob("pictures-*.npy"))
        self.pictures = [np.load(file, mmap_mode="r") for file in files]
        self.masks = [np.load(str(file).replace("pictures-", "masks-")) for file in files]
        self.side, self.rng = side, np.random.default_rng(seed)

    def draw(self, count: int) -> Tensor:
        cuts = np.stack([self._cut() for _ in range(count)])
        return to_unit(cuts)

    def _cut(self) -> np.ndarray:
        part = int(self.rng.integers(len(self.pictures)))
        index = int(self.rng.integers(len(self.pictures[part])))
        room = (256 - self.side) // 8 + 1
        y, x = (int(value) for value in self.rng.integers(0, room, 2))
        inside = np.argwhere(self.masks[part][index] > 128)
        if len(inside) and self.rng.random() < 0.6:
            middle = inside[int(self.rng.integers(len(inside)))]
            y, x = (int(np.clip(value - self.side // 16, 0, room - 1)) for value in middle)
        return np.asarray(self.pictures[part][index, 8 * y : 8 * y + self.side, 8 * x : 8 * x + self.side])


def to_unit(pictures: np.ndarray) -> Tensor:
    """uint8 [B, H, W, 3] to float [B, 3, H, W] in -1..1, channels last in memory."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def differences(picture: Tensor) -> tuple[Tensor, Tensor]:
    return picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]


def picture_loss(made: Tensor, true: Tensor, edge_weight: float) -> Tensor:
    """Mean distance of the colours and of their steps: the second keeps edges sharp."""
    edges = sum(
        (functional.l1_loss(a, b) for a, b in zip(differences(made), differences(true), strict=True)),
        torch.tensor(0.0),
    )
    return functional.l1_loss(made, true) + edge_weight * edges


def _spread_loss(latents: Tensor) -> Tensor:
    """Keeps every channel near mean 0 and variance 1."""
    mean, variance = latents.mean((0, 2, 3)), latents.var((0, 2, 3))
    return mean.pow(2).mean() + (variance - 1 - variance.clamp_min(1e-4).log()).mean()


def psnr(model: AutoencoderTiny, pictures: Tensor) -> float:
    with torch.inference_mode():
        error = (model.decoder(model.encoder(pictures)).clamp(-1, 1) - pictures).pow(2).mean((1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())


def train(data: Path, out: Path, minutes: float, *, rate: float, batch: int, side: int) -> None:
    torch.manual_seed(0)
    model, crops = build(), Crops(data, side, seed=1)
    held = Crops(data, 256, seed=2).draw(8).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=1e-4)
    clock, step = checkpoint.Clock(), 0
    while (done := clock.seconds / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 40) * min(1, max(0.03, (1 - done) / 0.5))
        true = crops.draw(batch).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = model.encoder(true).float()
            noise = torch.randn_like(latents) * (0.05 * torch.rand(batch, 1, 1, 1))
            made = model.decoder(latents + noise)
        loss = picture_loss(made.float(), true, 0.6) + 0.01 * _spread_loss(latents)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(
                f"{step} {clock.seconds:.0f}s loss {loss.item():.4f} psnr {psnr(model, held):.2f}", flush=True
            )
    model.save_pretrained(out)
    print(f"done {step} steps psnr {psnr(model, held):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    train(given.data, given.out, given.minutes, rate=given.rate, batch=given.batch, side=given.side)


if __name__ == "__main__":
    main()
