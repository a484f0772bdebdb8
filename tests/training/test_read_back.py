"""Generated pictures, read back by the small network that was taught on drawn ones: most show what was
asked.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tokenizers import Tokenizer

ROOT = Path(__file__).parents[2]
STARTER, TRAINING = ROOT / "src/limner/engine/starter", ROOT / "training"

# prompt, subject, time, style
ASKED = (
    ("a lighthouse by the sea at dusk, watercolor", "lighthouse", "dusk", "watercolor"),
    ("a castle in the mountains at sunset, oil painting", "castle", "sunset", "oil painting"),
    ("a house in the snow at night", "house", "night", "flat"),
    ("a windmill in a meadow, cartoon", "windmill", "day", "flat"),
    ("a sailboat on the sea at sunrise, watercolor", "sailboat", "sunrise", "watercolor"),
    ("a yellow hot air balloon over the mountains", "balloon", "day", "flat"),
    ("a blue car in the city at night, neon", "car", "night", "neon"),
    ("a rocket in the desert at sunset, pixel art", "rocket", "sunset", "pixel art"),
    ("a robot in the city at dusk", "robot", "dusk", "flat"),
    ("a black cat, line art", "cat", "day", "line art"),
    ("a fox in a forest at dawn", "fox", "sunrise", "flat"),
    ("an owl in a forest at night, pixel art", "owl", "night", "pixel art"),
    ("a white rabbit in a meadow, watercolor", "rabbit", "day", "watercolor"),
    ("a tree in a meadow at sunset, oil painting", "tree", "sunset", "oil painting"),
    ("a pink flower at twilight, line art", "flower", "dusk", "line art"),
    ("a red mushroom in a forest, neon", "mushroom", "day", "neon"),
    ("a red lighthouse at midnight", "lighthouse", "night", "flat"),
    ("a cat at sunset, ink sketch", "cat", "sunset", "line art"),
    ("a green robot at sunrise, neon", "robot", "sunrise", "neon"),
    ("a fox in the snow at dusk, watercolour", "fox", "dusk", "watercolor"),
    ("a purple car at noon, pixel art", "car", "day", "pixel art"),
    ("a house by the sea in the evening", "house", "sunset", "flat"),
    ("a white sailboat in the moonlight", "sailboat", "night", "flat"),
    ("an orange mushroom in the morning, oil painting", "mushroom", "sunrise", "oil painting"),
)
STEPS = 8


@dataclass(frozen=True, slots=True)
class Noise:
    """Signal and noise of the cosine schedule at one step."""

    t: int
    a: float
    s: float

    @property
    def log_ratio(self) -> float:
        return math.log(self.a / self.s)


def schedule(card: dict, steps: int) -> list[Noise]:
    def level(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    total = card["train_steps"]
    betas = [min(1 - level((i + 1) / total) / level(i / total), 0.999) for i in range(total)]
    kept = np.cumprod(1 - np.array(betas))
    times = np.round(np.arange(total, 0, -total / steps)).astype(int) - 1
    return [Noise(int(t), math.sqrt(kept[t]), math.sqrt(1 - kept[t])) for t in times]


@pytest.fixture(scope="module")
def seen() -> list[dict[str, str]]:
    """What the reader sees in a picture of each prompt."""
    card = json.loads((STARTER / "model.json").read_text())
    parts = {
        name: onnxruntime.InferenceSession(str(STARTER / f"{name}.onnx"))
        for name in ("text_encoder", "unet", "vae_decoder")
    }
    reader = onnxruntime.InferenceSession(str(TRAINING / "reader.onnx"))
    classes = json.loads((TRAINING / "reader.json").read_text())["classes"]
    tokenizer = Tokenizer.from_file(str(STARTER / "tokenizer.json"))
    tokenizer.enable_truncation(card["max_tokens"])
    tokenizer.enable_padding(length=card["max_tokens"], pad_id=card["pad_id"])
    ids = np.array([e.ids for e in tokenizer.encode_batch([*(row[0] for row in ASKED), ""])], np.int64)
    hidden = parts["text_encoder"].run(None, {"ids": ids})[0]  # [N + 1, L, D]
    read = []
    for index in range(len(ASKED)):
        texts = np.stack([hidden[index], hidden[-1]])
        picture = parts["vae_decoder"].run(None, {"z": draw(parts["unet"], card, texts, seed=index)})[0]
        small = Image.fromarray(
            ((picture[0] + 1) * 127.5).round().astype(np.uint8).transpose(1, 2, 0)
        ).resize((128, 128), Image.Resampling.BOX)
        image = np.asarray(small, np.float32).transpose(2, 0, 1)[None] / 255  # [1, 3, 128, 128]
        logits = reader.run(list(classes), {"image": image})
        read.append(
            {
                fact: names[int(row[0].argmax())]
                for (fact, names), row in zip(classes.items(), logits, strict=True)
            }
        )
    return read


def draw(unet: onnxruntime.InferenceSession, card: dict, texts: np.ndarray, seed: int) -> np.ndarray:
    """DPM-Solver++ of the second order; latents [1, C, 32, 32]."""
    x = np.random.default_rng(seed).standard_normal((1, card["latent_channels"], 32, 32), np.float32)
    noises, before = schedule(card, STEPS), None
    for here, there in zip(noises, [*noises[1:], None], strict=True):
        t = np.full(2, here.t, np.float32)
        wanted, free = unet.run(None, {"x": np.concatenate([x, x]), "t": t, "c": texts})[0][:, None]
        clean = here.a * x - here.s * (free + card["default_guidance"] * (wanted - free))
        if there is None:
            return clean.astype(np.float32)
        gap, ahead = there.log_ratio - here.log_ratio, clean
        if before is not None:
            ahead = clean + (clean - before[0]) * gap / (2 * (here.log_ratio - before[1]))
        x = (there.s / here.s * x - there.a * math.expm1(-gap) * ahead).astype(np.float32)
        before = (clean, here.log_ratio)
    raise AssertionError("a schedule ends")


@pytest.mark.parametrize(
    ("fact", "column", "share"), [("subject", 1, 0.75), ("time", 2, 0.85), ("style", 3, 0.85)]
)
def test_most_pictures_show_what_was_asked(
    seen: list[dict[str, str]], fact: str, column: int, share: float
) -> None:
    wrong = [
        f"{row[0]}: {what[fact]}" for row, what in zip(ASKED, seen, strict=True) if what[fact] != row[column]
    ]
    assert 1 - len(wrong) / len(ASKED) >= share, wrong
