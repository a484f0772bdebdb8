"""The sheet of pictures in the docs: `python -m training.sheet MODEL OUT.jpg` draws the prompts below,
first seeds only.
"""

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from training.sampler import Sampler

PROMPTS = (
    "a lighthouse by the sea at dusk, watercolor",
    "a fox in the snow at night",
    "a castle in the mountains at sunset, oil painting",
    "a pink cat in the city at night, neon",
    "a white rabbit in a meadow at sunrise, watercolor",
    "a blue robot in the desert, pixel art",
    "a yellow car in the city, rain",
    "a rocket over the mountains at night, pixel art",
    "three balloons over a meadow at sunrise",
    "an owl at night, line art",
    "a windmill in a meadow, cloudy, oil painting",
    "a sailboat on the sea at sunset, watercolor",
    "two mushrooms in a forest, fog",
    "a pink flower, line art",
    "a house at dusk, snowing",
    "a green tree in a meadow, oil painting",
    "a purple owl at dusk, cartoon",
    "a car in the city at sunset, neon",
    "two cats by the sea at sunrise",
    "mountains at sunrise, watercolor",
    "a white sailboat at sunset, line art",
    "a robot at sunset, pixel art",
    "a red mushroom at night, neon",
    "a cat in the rain",
)


def sheet(pictures: list[Image.Image], labels: tuple[str, ...], columns: int, cell: int) -> Image.Image:
    """Pictures in rows with their prompts below."""
    strip = 30
    font = ImageFont.load_default(size=cell // 17)
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * (cell + 8) + 8, rows * (cell + strip) + 8), "white")
    pen = ImageDraw.Draw(page)
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = 8 + index % columns * (cell + 8), 8 + index // columns * (cell + strip)
        page.paste(picture.resize((cell, cell), Image.Resampling.LANCZOS), (x, y))
        _label(pen, label, x=x, y=y + cell + 1, width=cell, font=font)
    return page


def _label(
    pen: ImageDraw.ImageDraw,
    label: str,
    *,
    x: int,
    y: int,
    width: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    line, row = "", 0
    for word in label.split():
        longer = f"{line} {word}".strip()
        if line and pen.textlength(longer, font=font) > width:
            pen.text((x, y + row * 13), line, fill="black", font=font)
            line, row = word, row + 1
        else:
            line = longer
    pen.text((x, y + row * 13), line, fill="black", font=font)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--cell", type=int, default=200)
    parser.add_argument("--large", action="store_true", help="512 px in two stages")
    given = parser.parse_args()
    sampler, pictures = Sampler(given.model), []
    for start in range(0, len(PROMPTS), 8):
        part = list(PROMPTS[start : start + 8])
        seeds = [given.seed + start + i for i in range(len(part))]
        if given.large:
            made = sampler.draw_large(part, seeds)
        else:
            made = sampler.draw(part, seeds, steps=given.steps, guidance=given.guidance)
        pictures += [Image.fromarray(picture) for picture in made]
    page = sheet(pictures, PROMPTS, 6, given.cell)
    page.save(given.out, **({"quality": 88} if given.out.suffix in (".jpg", ".webp") else {}))


if __name__ == "__main__":
    main()
