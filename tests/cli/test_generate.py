import functools
import hashlib
import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, get_args

import pytest
from PIL import Image

from limner.app import Limner
from limner.cli import files, session
from limner.core.request import Operation
from limner.providers.base import Call, Outcome
from tests.cli import easel
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


def test_a_quote_is_accepted_by_its_token_and_the_file_may_have_another_format(limner: Run, here: Path):
    token = limner("generate", "x", "--quote").out.split()[-1]
    ran = limner("generate", "x", "--accept", token, "-o", "fox.jpg", "--json")
    assert (ran.code, ran.json["state"], ran.json["request"]["quote"]) == (0, "succeeded", token)
    ran = limner("generate", "y", "--accept", token)
    assert (ran.code, ran.err) == (
        2,
        (
            "limner: quote was given for another request; ask for a new one at POST /v1/quotes, or leave it "
            "out\n"
        ),
    )
    ran = limner("generate", "x", "--quote", "--accept", token)
    assert ran.code == 2
    assert "--quote asks for a price and --accept orders at one; give one or the other" in ran.err


def test_a_job_that_asks_is_told_with_what_to_say_and_leaves_no_file(limner: Run, here: Path):
    ran = limner("generate", "x", "--confirm-above", "0.01")
    (found,) = limner("jobs", "--json").json
    assert (ran.code, found["state"], list(here.iterdir())) == (1, "needs_confirmation", [])
    first, second = ran.err.splitlines()[-2:]
    assert first.startswith(
        "limner: easel/sketch: price unknown; what costs more than $0.01 waits for a yes."
    )
    ways = [f"`limner jobs decide {found['id']} {one}`" for one in ("accept", "cancel")]
    assert second.strip() == f"Say {ways[0]} or {ways[1]}"
    shown = limner("jobs", found["id"]).out
    assert "asks" in shown
    assert f"limner jobs decide {found['id']} accept" in shown
    ran = limner("generate", "x", "--confirm-above", "0.01", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "needs_confirmation")


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


# -- working on pictures ---------------------------------------------------------------------------------


class Studio(easel.Easel):
    """The easel, which remembers what it was asked."""

    calls: ClassVar[list[Call]] = []

    async def submit(self, call: Call) -> Outcome:
        Studio.calls.append(call)
        return await super().submit(call)


@pytest.fixture
def studio(limner: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`limner ...` with an easel that works on pictures and has options of its own."""
    able = easel.MODEL.model_copy(
        update={
            "operations": frozenset(get_args(Operation)),
            "max_inputs": 3,
            "options": {"grain": {"type": "number"}, "mood": {"type": "string"}, "raw": {"type": "boolean"}},
        }
    )
    Studio.calls = []
    monkeypatch.setattr(
        session, "Limner", functools.partial(Limner, providers={"easel": Studio}, models=[able])
    )
    return limner


def keep(folder: Path, name: str, size: tuple[int, int] = (64, 64), mode: str = "RGB") -> bytes:
    Image.new(mode, size).save(folder / name)
    return (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("given", "operation"),
    [
        (["--input", "a.png"], "edit"),
        (["-i", "a.png", "-i", "b.png"], "edit"),
        (["--input", "a.png", "--mask", "m.png"], "inpaint"),
        (["--input", "a.png", "--scale", "2"], "upscale"),
        (["--input", "a.png", "--strength", "0.4"], "image-to-image"),
        (["--input", "a.png", "--operation", "variation"], "variation"),
        (["--input", "a.png", "--strength", "0.4", "--operation", "edit"], "edit"),
    ],
)
def test_what_is_meant_follows_from_what_is_given(studio: Run, here: Path, given: list[str], operation: str):
    sent = {name: keep(here, name) for name in ("a.png", "b.png")}
    mask = keep(here, "m.png", mode="RGBA")
    ran = studio("generate", "a fox", *given, "--json")
    assert (ran.code, ran.json["request"]["operation"]) == (0, operation)
    (call,) = Studio.calls
    assert call.inputs == tuple(sent[name] for name in given if name in sent)
    assert call.mask == (mask if "--mask" in given else None)
    assert (call.request.strength, call.request.scale) == (
        0.4 if "--strength" in given else None,
        2.0 if "--scale" in given else None,
    )
    parents = [hashlib.sha256(data).hexdigest() for data in call.inputs]
    assert ran.json["images"][0]["recipe"]["parents"] == parents


@pytest.mark.parametrize("operation", ["variation", "upscale"])
def test_some_operations_need_no_words(studio: Run, here: Path, operation: str):
    keep(here, "a.png")
    ran = studio("generate", "--input", "a.png", "--operation", operation, "--json")
    assert (ran.code, ran.json["request"]["prompt"]) == (0, "")


def test_options_are_read_as_json_else_as_text_and_the_last_of_a_name_counts(studio: Run):
    given = ("grain=0.5", "mood=calm=blue", "raw=true", 'mood="2"', "other=[1]")
    ran = studio("generate", "x", *(word for one in given for word in ("--option", one)), "--json")
    assert ran.json["request"]["options"] == {"grain": 0.5, "mood": "2", "raw": True, "other": [1]}
    assert Studio.calls[0].request.options == {"grain": 0.5, "mood": "2", "raw": True}
    assert [note["field"] for note in ran.json["receipt"]["notes"]] == ["options"]


def test_a_quote_for_pictures_buys_nothing_and_keeps_them(studio: Run, here: Path):
    keep(here, "a.png", (128, 96))
    ran = studio("generate", "x", "--input", "a.png", "--quote", "--json")
    assert (ran.code, ran.json["width"], ran.json["height"]) == (0, 128, 96)
    assert Studio.calls == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--input", "gone.png"], "gone.png cannot be read: No such file or directory"),
        (["x", "--input", "."], ". cannot be read: Is a directory"),
        (["x", "--input", "a.txt"], "the picture cannot be read: not a PNG, JPEG or WebP file"),
        (["x", "--input", "half.png"], "the picture cannot be read: png cut off"),
        (["x", "--mask", "m.png"], "--inputs inpaint takes 1 to 16 input pictures, not 0"),
        (["x", "--input", "a.png", "--operation", "inpaint"], "--mask inpaint needs a mask"),
        (
            ["x", "--input", "a.png", "--mask", "small.png"],
            "mask: is 8x8 and the picture 64x64; both must have the same size",
        ),
        (["x", "--operation", "edit"], "--inputs edit takes 1 to 16 input pictures, not 0"),
        (["x", "--operation", "paint"], "--operation must be one of 'generate', 'edit', 'inpaint'"),
        (["x", "--input", "a.png", "--strength", "1.5"], "--strength must be at most 1.0, not 1.5"),
        (["x", "--input", "a.png", "--scale", "9"], "--scale must be at most 8.0, not 9.0"),
        (["x", "--input", "a.png", "--scale", "1"], "--scale"),
        (["x", "--option", "grain"], "--option 'grain': write NAME=VALUE"),
        (["x", "--option", "=1"], "--option '=1': write NAME=VALUE"),
        (["x", "--option", "grain=much"], 'option grain: "much" is not of type "number"'),
        (["x", "--option", "grain=NaN"], "--options hold a number that JSON does not know, such as NaN"),
    ],
)
def test_a_wrong_wish_for_pictures_is_one_sentence_and_buys_nothing(
    studio: Run, here: Path, arguments: list[str], said: str
):
    whole = keep(here, "a.png")
    keep(here, "m.png", mode="RGBA")
    keep(here, "small.png", (8, 8), "RGBA")
    (here / "half.png").write_bytes(whole[:-10])
    (here / "a.txt").write_text("a fox")
    ran = studio("generate", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("limner: ")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert Studio.calls == []


def test_a_picture_with_inputs_is_made_again(studio: Run, here: Path):
    keep(here, "a.png")
    assert studio("generate", "x", "--input", "a.png", "--seed", "5", "--out", "made.png").code == 0
    assert studio("replay", "made.png").code == 0
    assert [call.inputs for call in Studio.calls] == [((here / "a.png").read_bytes(),)] * 2
