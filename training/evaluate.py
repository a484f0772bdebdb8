"""How often a generated picture shows what was asked, by the attribute reader.

`python -m training.evaluate MODEL --count 300 --json figures.json` writes prompts by chance, draws them
with the shipped files, reads them back and prints a table. The reader and its own accuracy on drawn
pictures are in `training/reader.json`.
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from training.captions import caption
from training.sampler import Sampler
from training.scenes import Spec, draw_spec

HERE = Path(__file__).parent


class ReadBack:
    """The exported reader: pictures to the names of what it sees."""

    def __init__(self, folder: Path = HERE) -> None:
        self.classes: dict[str, list[str]] = json.loads((folder / "reader.json").read_text())["classes"]
        self.session = onnxruntime.InferenceSession(str(folder / "reader.onnx"))

    def read(self, pictures: NDArray[np.uint8]) -> list[dict[str, str]]:
        small = np.stack(
            [cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA) for picture in pictures]
        )
        batch = small.transpose(0, 3, 1, 2).astype(np.float32) / 255  # [B, 3, 128, 128]
        logits = dict(zip(self.classes, self.session.run(list(self.classes), {"image": batch}), strict=True))
        return [
            {fact: names[int(logits[fact][index].argmax())] for fact, names in self.classes.items()}
            for index in range(len(pictures))
        ]


def asked(spec: Spec) -> dict[str, str]:
    """What a reader should see. A boat that was placed nowhere is at sea."""
    return {
        "subject": spec.subject or "none",
        "time": spec.time,
        "style": spec.style,
        "weather": spec.weather,
        "color": spec.shown_color or "none",
        "count": str(spec.count),
        "setting": spec.shown_setting,
    }


def prompts_by_chance(count: int, seed: int) -> list[tuple[Spec, str]]:
    """Facts and a sentence that names every fact which is not the usual one."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        spec = draw_spec(rng)
        found.append((spec, caption(spec, rng)))
    return found


def evaluate(
    model: Path, count: int, *, seed: int, steps: int | None, guidance: float | None, threads: int
) -> dict[str, object]:
    sampler, reader = Sampler(model, threads), ReadBack()
    orders = prompts_by_chance(count, seed)
    right: Counter[str] = Counter()
    by_value: dict[str, list[int]] = {}
    wrong: list[dict[str, str]] = []
    for start in range(0, count, 8):
        part = orders[start : start + 8]
        pictures = sampler.draw(
            [text for _, text in part],
            [seed + start + i for i in range(len(part))],
            steps=steps,
            guidance=guidance,
        )
        for (spec, text), seen in zip(part, reader.read(pictures), strict=True):
            for fact, value in asked(spec).items():
                hit = int(seen[fact] == value)
                right[fact] += hit
                tally = by_value.setdefault(f"{fact}: {value}", [0, 0])
                tally[0], tally[1] = tally[0] + hit, tally[1] + 1
                if not hit:
                    wrong.append({"prompt": text, "fact": fact, "asked": value, "seen": seen[fact]})
    shares = {fact: round(right[fact] / count, 4) for fact in reader.classes}
    return {"pictures": count, "seed": seed, "accuracy": shares, "by value": by_value, "wrong": wrong}


def table(figures: dict[str, object]) -> str:
    lines = [f"| attribute | right of {figures['pictures']} |", "|---|---|"]
    accuracy, by_value = figures["accuracy"], figures["by value"]
    assert isinstance(accuracy, dict)
    assert isinstance(by_value, dict)
    lines += [f"| {fact} | {100 * share:.1f} % |" for fact, share in accuracy.items()]
    lines += ["", "| asked | right |", "|---|---|"]
    lines += [f"| {name} | {hits} of {total} |" for name, (hits, total) in sorted(by_value.items())]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = evaluate(
        given.model,
        given.count,
        seed=given.seed,
        steps=given.steps,
        guidance=given.guidance,
        threads=given.threads,
    )
    print(table(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
