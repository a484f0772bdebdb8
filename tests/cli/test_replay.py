from pathlib import Path

import pytest
from PIL import Image

from limner import building
from tests.cli.conftest import Run


def test_a_picture_tells_how_it_was_made(limner: Run):
    limner("generate", "a fox", "--seed", "3", "--style", "flat")
    ran = limner("inspect", "picture.png")
    facts = {
        label: value.strip() for label, value in (line.split(maxsplit=1) for line in ran.out.splitlines())
    }
    assert facts["format"].startswith("png, 64 x 64, ")
    told = {name: facts[name] for name in ("prompt", "model", "seed", "style")}
    assert told == {"prompt": "a fox", "model": "sketch at easel", "seed": "3", "style": "flat"}
    assert limner("inspect", "picture.png", "--json").json["recipe"]["request"]["seed"] == 3


def test_a_picture_made_elsewhere_tells_nothing(limner: Run, here: Path):
    Image.new("RGB", (8, 8)).save(here / "other.png")
    assert "none: the file tells nothing about how it was made" in limner("inspect", "other.png").out
    ran = limner("replay", "other.png")
    assert (ran.code, ran.err) == (
        2,
        "limner: other.png holds no recipe of Limner, so it cannot be made again\n",
    )


def test_what_is_no_picture_is_refused(limner: Run, here: Path):
    (here / "text.png").write_text("hello")
    for name in ("text.png", "gone.png"):
        ran = limner("inspect", name)
        assert (ran.code, ran.out) == (2, "")
        assert "Traceback" not in ran.err


def test_a_replay_makes_the_same_bytes(limner: Run, here: Path):
    limner("generate", "a fox", "--seed", "3")
    ran = limner("replay", "picture.png", "--out", "again.png")
    assert (ran.code, ran.out) == (0, "again.png\nequal: the same bytes again\n")
    assert (here / "again.png").read_bytes() == (here / "picture.png").read_bytes()


def test_a_replay_of_one_of_several_makes_the_same_bytes(limner: Run):
    limner("generate", "a fox", "--seed", "3", "--n", "2", "--out", "fox.png")
    assert limner("replay", "fox-2.png").code == 0


def test_a_replay_names_what_differs(limner: Run, monkeypatch: pytest.MonkeyPatch):
    limner("generate", "a fox", "--seed", "3")
    monkeypatch.setattr(building, "__version__", "9.9.9")
    ran = limner("replay", "picture.png", "--json")
    assert (ran.code, ran.json["equal"]) == (1, False)
    assert ran.json["differences"] == [
        "limner: 0.1.0 then, 9.9.9 now",
        "the pixels are the same; only the text in the file differs",
    ]
    said = limner("replay", "picture.png")
    assert (said.code, said.out.splitlines()[:2]) == (1, ["different:", "  limner: 0.1.0 then, 9.9.9 now"])
