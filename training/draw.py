"""Draws the training set: `python -m training.draw OUT --first 0 --count 4000`.

One file of pictures, one of masks and one of facts for each run, so that runs can go side by side and be
added to.
"""

import argparse
import json
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.scenes import draw_spec, render


def draw(out: Path, first: int, count: int, scale: int) -> None:
    """Writes `pictures-N.npy` [count, S, S, 3], `masks-N.npy` [count, S / 8, S / 8] and `specs-N.json`."""
    out.mkdir(parents=True, exist_ok=True)
    pictures = np.empty((count, 256 * scale, 256 * scale, 3), np.uint8)
    masks = np.empty((count, 32 * scale, 32 * scale), np.uint8)
    facts = []
    for index in range(count):
        spec = draw_spec(random.Random(f"spec{first + index}"))
        pictures[index], masks[index] = render(spec, first + index, scale=scale)
        facts.append(asdict(spec))
    np.save(out / f"masks-{first:06}.npy", masks)
    (out / f"specs-{first:06}.json").write_text(json.dumps(facts))
    np.save(out / f"part-{first:06}.npy", pictures)
    (out / f"part-{first:06}.npy").rename(out / f"pictures-{first:06}.npy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument(
        "--scale", type=int, default=1, help="2 draws 512 px, for the details of large pictures"
    )
    given = parser.parse_args()
    draw(given.out, given.first, given.count, given.scale)


if __name__ == "__main__":
    main()
