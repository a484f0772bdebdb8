import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from limner.cli import files
from tests.cli.conftest import Run


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: look(path)[1] for path in sorted(folder.iterdir())}


def look(path: Path) -> tuple[str | None, tuple[int, int]]:
    with Image.open(path) as image:
        return image.format, image.size


def test_a_prompt_becomes_a_file_and_a_receipt(limner: Run, here: Path):
    ran = limner("generate", "a red fox", "--seed", "5")
    assert (ran.code, ran.out) == (0, "picture.png\n")
    lines = [line.split(maxsplit=1) for line in ran.err.splitlines() if line.startswith("  ")]
    facts = {label: value.strip() for label, value in lines}
    assert facts["model"] == "sketch at easel"
    assert facts["size"].startswith("64 x 64, png, ")
    assert facts["seed"] == "5"
    assert facts["cost"] == "price unknown"
    assert facts["time"].endswith(" s")
    assert sizes(here) == {"picture.png": (64, 64)}


def test_a_second_picture_takes_the_next_free_name(limner: Run, here: Path):
    (here / "picture.png").write_bytes(b"mine")
    assert limner("generate", "x").out == "picture-2.png\n"
    assert limner("generate", "x").out == "picture-3.png\n"
    assert (here / "picture.png").read_bytes() == b"mine"


def test_several_pictures_are_numbered(limner: Run, here: Path):
    ran = limner("generate", "x", "--n", "2", "--seed", "7", "--out", "fox.png")
    assert (ran.code, ran.out) == (0, "fox-1.png\nfox-2.png\n")
    assert "seed   7, 8" in ran.err
    assert set(sizes(here)) == {"fox-1.png", "fox-2.png"}


def test_a_named_file_is_replaced_and_its_suffix_decides_the_format(limner: Run, here: Path):
    (here / "fox.webp").write_bytes(b"old")
    assert limner("generate", "x", "-o", "fox.webp").out == "fox.webp\n"
    assert look(here / "fox.webp")[0] == "WEBP"
    assert limner("generate", "x", "--out", "fox.jpg", "--format", "png").code == 0
    assert look(here / "fox.jpg")[0] == "PNG"


def test_a_folder_takes_the_picture_under_its_own_name(limner: Run, here: Path):
    assert limner("generate", "x", "--format", "jpg", "--out", "made/").out == "made/picture.jpg\n"
    assert look(here / "made" / "picture.jpg")[0] == "JPEG"


def test_sizes_and_both_spellings_are_read(limner: Run):
    wish = (
        "--size",
        "64x96",
        "--guidance_scale",
        "2.5",
        "--negative_prompt",
        "fog",
        "--steps",
        "3",
        "--json",
    )
    request = limner("generate", "x", "--style", "flat", *wish).json["request"]
    told = {
        name: request[name]
        for name in ("width", "height", "guidance_scale", "negative_prompt", "steps", "style")
    }
    assert told == {
        "width": 64,
        "height": 96,
        "guidance_scale": 2.5,
        "negative_prompt": "fog",
        "steps": 3,
        "style": "flat",
    }


def test_json_prints_the_job_and_where_it_was_saved(limner: Run):
    ran = limner("generate", "x", "--json", "--project", "shop")
    assert (ran.code, ran.json["state"], ran.json["saved"]) == (0, "succeeded", ["picture.png"])
    assert ran.json["images"][0]["path"].startswith("/storage/images/shop/easel/")


def test_a_quote_draws_nothing(limner: Run, here: Path):
    ran = limner("generate", "x", "--quote", "--quality", "ultra")
    facts = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert ran.code == 0
    assert facts["model"].strip() == "sketch at easel (fast)"
    assert facts["cost"].strip() == "price unknown"
    assert limner("generate", "x", "--quote", "--json").json["model"] == "sketch"
    assert list(here.iterdir()) == []
    assert limner("jobs", "--json").json == []


def test_a_dash_reads_the_prompt_from_stdin(limner: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO("ein Füchslein\n".encode())))
    assert limner("generate", "-", "--json").json["request"]["prompt"] == "ein Füchslein"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\xff")))
    ran = limner("generate", "-")
    assert (ran.code, ran.err) == (2, "limner: the prompt on stdin is not UTF-8 text (byte 0)\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--width", "30000", "--height", "64"], "--width must be at most 4096, not 30000"),
        (["x", "--n", "0"], "--n must be at least 1, not 0"),
        (["x", "--seed", "-1"], "--seed must be at least 0, not -1"),
        (["x", "--width", "64"], "width was given without height; give both or neither"),
        (
            ["x", "--size", "64"],
            "--size: '64' is not a size; write WIDTHxHEIGHT in pixels, for example 512x512.",
        ),
        (
            ["x", "--size", "64x64", "--width", "64"],
            "--size says what --width and --height say; give one or the other.",
        ),
        (["x", "--steps", "٣"], "'٣' is not a whole number; write it in digits, for example 512."),
        (["x", "--guidance-scale", "nan"], "'nan' is not a number; write it in digits, for example 7.5."),
        (
            ["x", "--quality", "best"],
            "--quality must be one of 'fast', 'standard', 'quality' or 'ultra', not 'best'",
        ),
        (["x", "--format", "gif"], "'gif' is no picture format; choose png, jpeg or webp."),
        (
            ["x", "--out", "a.gif"],
            "--out a.gif: .gif is no picture format; use .png, .jpg or .webp, or give --format",
        ),
        (["x", "--out", "no/a.png"], "--out: there is no folder no; make it first or choose another"),
        ([" "], "the prompt is empty; say what the picture shows"),
        (["x\ud800"], "the prompt is not valid Unicode at position 1 (a lone surrogate); send UTF-8 text"),
        (["x", "--model", "sketsh"], "unknown model 'sketsh'; did you mean 'sketch'?"),
        (["x", "--provider", "zzz"], "unknown provider 'zzz'; known: easel"),
        ([], "the prompt is empty; say what the picture shows"),
        (["x", "--widht", "3"], "No such option: --widht"),
    ],
)
def test_a_wrong_wish_is_refused_in_one_sentence_before_anything_is_drawn(
    limner: Run, here: Path, arguments: list[str], said: str
):
    ran = limner("generate", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("limner: ")
    assert said in ran.err
    assert "Traceback" not in ran.err
    told = limner("generate", *arguments, "--json")
    assert (told.code, told.err, told.json["error"]["code"]) == (2, "", "invalid_request")
    assert said in told.json["error"]["message"]
    assert list(here.iterdir()) == []


def test_a_vendors_refusal_is_an_error_and_leaves_no_file(limner: Run, here: Path):
    ran = limner("generate", "rejected")
    assert (ran.code, ran.out) == (1, "")
    assert "easel: draws no such thing" in ran.err
    assert list(here.iterdir()) == []


def test_a_folder_that_takes_no_file_is_told_before_anything_is_drawn(
    limner: Run, monkeypatch: pytest.MonkeyPatch, here: Path
):
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    ran = limner("generate", "x")
    assert (ran.code, ran.err) == (1, f"limner: --out: {here} cannot be written: Read-only file system\n")


def test_a_picture_that_cannot_be_saved_is_kept_and_can_be_saved_later(
    limner: Run, monkeypatch: pytest.MonkeyPatch, here: Path, tmp_path: Path
):
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.Place, "save", full)
        ran = limner("generate", "x")
    assert ran.code == 1
    assert (
        "No space left on device. The picture is not lost: it is kept in " + str(tmp_path / "home") in ran.err
    )
    job_id = limner("jobs", "--json").json[0]["id"]
    assert f"`limner jobs {job_id} --out PATH`" in ran.err
    assert limner("jobs", job_id, "--out", "later.png").out == "later.png\n"
    assert look(here / "later.png")[1] == (64, 64)
