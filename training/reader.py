"""The attribute reader: a small network, taught on drawn pictures, that reads a picture's facts back.

`python -m training.reader DATA OUT --minutes 10` writes `reader.pt`, `reader.onnx` and `reader.json` into
OUT, and prints how often it is right about drawn pictures it has never seen. Evaluation lets it read
generated pictures.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training import checkpoint
from training.palette import PAINT
from training.scenes import Spec
from training.subjects import SUBJECTS
from training.vocabulary import SETTINGS, STYLES, TIMES, WEATHER

SIDE = 128
FACTS: dict[str, list[str]] = {
    "subject": ["none", *SUBJECTS],
    "time": list(TIMES),
    "style": list(STYLES),
    "weather": list(WEATHER),
    "color": ["none", *PAINT],
    "count": ["1", "2", "3"],
    "setting": list(SETTINGS),
}


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.short = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.main(x) + self.short(x))


class Reader(nn.Module):
    """image [B, 3, 128, 128] in 0..1 -> logits of every fact, in the order of FACTS."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), Block(16, 32, 2), Block(32, 64, 2), Block(64, 96, 2)
        )
        self.heads = nn.ModuleList(nn.Linear(96 * 5, len(values)) for values in FACTS.values())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = self.body(image * 2 - 1)  # [B, 96, 8, 8]
        pooled = torch.cat([x.amax((2, 3)), functional.adaptive_avg_pool2d(x, 2).flatten(1)], 1)  # [B, 480]
        return tuple(head(pooled) for head in self.heads)


def answers(facts: dict[str, object]) -> list[int]:
    """The class of every fact of one scene. Its colour is the one shown, named or not."""
    spec = Spec(**facts)  # type: ignore[arg-type]  # the facts were written from a Spec
    said = {
        "subject": spec.subject or "none",
        "time": spec.time,
        "style": spec.style,
        "weather": spec.weather,
        "color": spec.shown_color or "none",
        "count": str(spec.count),
        "setting": spec.shown_setting,
    }
    return [values.index(said[fact]) for fact, values in FACTS.items()]


def shrink(pictures: np.ndarray) -> np.ndarray:
    """uint8 [N, 256, 256, 3] to [N, 128, 128, 3] by the mean of four."""
    return np.stack([cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for picture in pictures])


def load(data: Path, limit: int) -> tuple[np.ndarray, Tensor]:
    """Small pictures and their answers [N, facts]."""
    pictures, said = [], []
    for file in sorted(data.glob("pictures-*.npy"))[:limit]:
        pictures.append(shrink(np.load(file, mmap_mode="r")))
        specs = json.loads(
            Path(str(file).replace("pictures-", "specs-").replace(".npy", ".json")).read_text()
        )
        said += [answers(facts) for facts in specs]
    return np.concatenate(pictures), torch.tensor(said)


def disturb(batch: Tensor) -> Tensor:
    """What a decoder does to a picture: a little blur, noise and drift of colour."""
    if torch.rand(()) < 0.5:
        batch = functional.avg_pool2d(functional.pad(batch, (1, 1, 1, 1), mode="replicate"), 3, 1)
    drift = 1 + 0.06 * torch.randn(len(batch), 3, 1, 1)
    return (batch * drift + 0.03 * torch.rand(len(batch), 1, 1, 1) * torch.randn_like(batch)).clamp(0, 1)


def as_batch(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(255)


def score(model: Reader, pictures: np.ndarray, said: Tensor) -> dict[str, float]:
    model.eval()
    right = torch.zeros(len(FACTS))
    with torch.inference_mode():
        for start in range(0, len(pictures), 100):
            guesses = model(as_batch(pictures[start : start + 100]))
            for index, guess in enumerate(guesses):
                right[index] += (guess.argmax(1) == said[start : start + 100, index]).sum()
    model.train()
    return {fact: round(float(value) / len(pictures), 4) for fact, value in zip(FACTS, right, strict=True)}


def export(model: Reader, path: Path) -> None:
    model.eval()
    torch.onnx.export(
        model,
        (torch.zeros(2, 3, SIDE, SIDE),),
        str(path),
        input_names=["image"],
        output_names=list(FACTS),
        dynamo=False,
        dynamic_axes={name: {0: "batch"} for name in ("image", *FACTS)},
        opset_version=17,
    )


def train(
    data: Path, out: Path, minutes: float, *, batch: int = 64, rate: float = 2e-3, held: int = 1500
) -> None:
    torch.manual_seed(0)
    pictures, said = load(data, 5)
    pictures, said, kept, truth = pictures[held:], said[held:], pictures[:held], said[:held]
    model = Reader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=2e-2)
    clock, step, order = checkpoint.Clock(), 0, torch.empty(0, dtype=torch.long)
    while (done := clock.seconds / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 100) * max(0.01, 1 - done)
        if len(order) < batch:
            order = torch.randperm(len(pictures))
        chosen, order = order[:batch], order[batch:]
        with torch.autocast("cpu", torch.bfloat16):
            guesses = model(disturb(as_batch(pictures[chosen.numpy()])))
        loss = sum(
            (functional.cross_entropy(g.float(), said[chosen, i]) for i, g in enumerate(guesses)),
            torch.zeros(()),
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(
                f"{step} {clock.seconds:.0f}s loss {loss.item():.3f} {score(model, kept[:400], truth[:400])}",
                flush=True,
            )
    figures = score(model, kept, truth)
    checkpoint.save({"model": model.state_dict()}, out / "reader.pt")
    export(model, out / "reader.onnx")
    (out / "reader.json").write_text(
        json.dumps({"side": SIDE, "classes": FACTS, "drawn": {"pictures": held, **figures}}, indent=1) + "\n"
    )
    print("held out", figures, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    train(given.data, given.out, given.minutes)


if __name__ == "__main__":
    main()
