import json
import os
import re
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from limner.core.request import Policy
from limner.imaging import exif, jpeg
from limner.imaging.metadata import Inspection, embed, extract, parameters, read
from limner.imaging.sniff import InvalidImage
from tests.imaging.pictures import SAVED, painted, picture, pixels, recipe, saved

PROMPTS = [
    "a red fox",
    "ein Fuchs, Öl auf Leinwand",
    "雪の中の赤い狐 🦊",
    'two\nlines\r\nand: a colon, "quotes" and \\',
    "Negative prompt: none\nSteps: 3, Sampler: x",
    "x" * 10_000,
    "狐" * 10_000,
    "🦊" * 10_000,
]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)
SAYS_SOMETHING = TEXT.filter(lambda text: any(c.isprintable() and not c.isspace() for c in text))


def parsed(text):
    """What AUTOMATIC1111 makes of its text: modules/infotext_utils.py, `parse_generation_parameters`."""
    pattern = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    prompt, negative, in_negative = "", "", False
    *lines, last = text.strip().split("\n")
    assert len(pattern.findall(last)) >= 3
    for raw in lines:
        line = raw.strip()
        if line.startswith("Negative prompt:"):
            in_negative = True
            line = line[16:].strip()
        if in_negative:
            negative += ("" if negative == "" else "\n") + line
        else:
            prompt += ("" if prompt == "" else "\n") + line
    found = {key: json.loads(value) if value[:1] == '"' else value for key, value in pattern.findall(last)}
    return prompt, negative, found


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(name, body):
    data = picture("png")
    return data[:33] + chunk(name, body) + data[33:]


def test_the_parameters_are_the_text_that_others_write():
    made = recipe("a red fox,\nin the snow", "blurry", guidance_scale=7.5)
    assert parameters(made) == (
        "a red fox,\nin the snow\n"
        "Negative prompt: blurry\n"
        "Steps: 20, CFG scale: 7.5, Seed: 42, Size: 48x32, Model: limner-small, Provider: engine, "
        "Version: Limner 0.1.0"
    )


def test_what_is_not_known_is_left_out_and_enough_is_left_to_be_recognised():
    made = recipe(width=None, height=None, steps=None, guidance_scale=None, seed=None)
    assert parsed(parameters(made)) == (
        "a red fox",
        "",
        {"Model": "limner-small", "Provider": "engine", "Version": "Limner 0.1.0"},
    )


@pytest.mark.parametrize("model", ["a, b", "a: b", 'say "fox"', "狐\n狐", "C:\\models\\x, y"])
def test_a_value_that_could_be_misread_is_quoted(model):
    assert parsed(parameters(recipe("fox", "dog", model)))[2]["Model"] == model


def test_the_parameters_tell_the_prompt_that_was_sent():
    made = recipe("a red fox, watercolor").model_copy(update={"prompt": "a red fox"})
    assert parameters(made).startswith("a red fox, watercolor\nSteps: 20, ")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_recipe_comes_back_and_the_pixels_stay(form, prompt):
    data, made = picture(form), recipe(prompt, prompt)
    carrying = embed(data, made)
    assert extract(carrying) == made
    assert pixels(carrying) == pixels(data)


@settings(deadline=None)
@given(
    st.sampled_from(list(SAVED)),
    SAYS_SOMETHING,
    st.none() | TEXT,
    SAYS_SOMETHING.map(lambda text: text[:200]),
)
def test_any_recipe_comes_back(form, prompt, negative, model):
    made = recipe(prompt, negative, model, policy=Policy(deadline_s=3.5))
    carrying = embed(picture(form), made)
    assert extract(carrying) == made
    assert read(carrying).parameters == parameters(made)


def test_embedding_twice_replaces(form):
    once = embed(picture(form), recipe("a red fox"))
    assert embed(embed(picture(form), recipe("a blue dog " * 50)), recipe("a red fox")) == once
    assert embed(once, recipe("a red fox")) == once


def test_what_is_embedded_depends_on_nothing_but_the_recipe():
    code = (
        "from tests.imaging.pictures import SAVED, picture, recipe\n"
        "from limner.imaging.metadata import embed\n"
        "print([embed(picture(form), recipe('狐')).hex() for form in SAVED])"
    )
    run = [sys.executable, "-c", code]
    said = [subprocess.check_output(run, env={**os.environ, "PYTHONHASHSEED": seed}) for seed in "12"]
    assert said[0] == said[1]


def test_a_png_says_it_where_others_look_right_after_the_header():
    made = recipe("ein Fuchs, Öl")
    data = embed(picture("png"), made)
    with Image.open(BytesIO(data)) as image:
        assert image.info == {"parameters": parameters(made), "limner": made.model_dump_json()}
    assert data[33 + 4 : 33 + 19] == b"tEXtparameters\0"


def test_a_png_takes_utf8_where_latin1_does_not_do():
    made = recipe("狐")
    data = embed(picture("png"), made)
    with Image.open(BytesIO(data)) as image:
        assert image.info["parameters"] == parameters(made)
    assert data[33 + 4 : 33 + 19] == b"iTXtparameters\0"


@pytest.mark.parametrize("form", [form for form in SAVED if form != "png"])
def test_exif_says_it_where_others_look(form):
    made = recipe("赤い狐 🦊")
    with Image.open(BytesIO(embed(picture(form), made))) as image:
        found = image.getexif()
        inner = found.get_ifd(ExifTags.IFD.Exif)
    assert found[ExifTags.Base.Software] == "Limner 0.1.0"
    comment = inner[ExifTags.Base.UserComment]
    assert comment[:8] == b"UNICODE\0"
    assert comment[8:].decode("utf-16-be") == parameters(made)
    assert inner[ExifTags.Base.MakerNote] == b"Limner\0" + made.model_dump_json().encode()


def test_a_prompt_too_long_for_exif_costs_a_jpeg_the_duplicate_text_only():
    made = recipe("狐" * 9_000)
    data = embed(picture("jpeg"), made)
    assert (read(data).parameters, read(data).recipe, data.count(b"\xff\xe1")) == (None, made, 1)
    assert jpeg.RECIPE not in data


def test_a_recipe_too_long_for_exif_goes_into_segments_of_its_own():
    made = recipe("🦊" * 10_000, "🦊" * 10_000)
    data = embed(picture("jpeg"), made)
    assert (read(data).parameters, read(data).recipe, data.count(jpeg.RECIPE)) == (None, made, 2)
    assert extract(data.replace(jpeg.RECIPE + b"\2", jpeg.RECIPE + b"\3")) is None


def test_the_parameters_stay_when_only_the_recipe_is_too_long():
    made = recipe("x" * 10_000, "€" * 10_000).model_copy(update={"prompt": "🦊" * 10_000})
    data = embed(picture("jpeg"), made)
    assert (read(data).parameters, read(data).recipe) == (parameters(made), made)


def test_a_jpeg_keeps_its_first_segment_first_and_its_orientation():
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    data = embed(picture("jpeg", exif=turned, comment=b"by hand"), recipe())
    assert data[2:4] == b"\xff\xe0"
    with Image.open(BytesIO(data)) as image:
        assert image.getexif()[ExifTags.Base.Orientation] == 6
    assert read(data).other == {"Software": "Limner 0.1.0", "Comment": "by hand"}


def test_a_webp_keeps_its_orientation_profile_and_animation():
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 3
    frames = {"save_all": True, "append_images": [painted().rotate(180)], "duration": 100}
    data = embed(picture("webp", exif=turned, icc_profile=b"profile", xmp=b"<x/>", **frames), recipe())
    with Image.open(BytesIO(data)) as image:
        assert (image.n_frames, image.info["icc_profile"], image.info["xmp"]) == (2, b"profile", b"<x/>")
        assert image.getexif()[ExifTags.Base.Orientation] == 3
    assert data.index(b"EXIF") < data.index(b"XMP ")


def test_transparency_survives_in_a_webp_made_extended():
    data = picture("webp-lossless-alpha")
    assert data[12:16] == b"VP8L"
    assert pixels(embed(data, recipe()))[1] == "RGBA"


def test_a_foreign_picture_tells_what_it_carries():
    info = PngInfo()
    info.add_text("parameters", "fox\nSteps: 20, Sampler: Euler a, CFG scale: 7")
    info.add_text("prompt", '{"3": {}}', zip=True)
    info.add_itxt("workflow", '{"狐": 1}', zip=True)
    info.add_itxt("Title", "雪")
    data = picture("png", pnginfo=info)
    assert read(data) == Inspection(
        format="png",
        width=48,
        height=32,
        size_bytes=len(data),
        parameters="fox\nSteps: 20, Sampler: Euler a, CFG scale: 7",
        other={"prompt": '{"3": {}}', "workflow": '{"狐": 1}', "Title": "雪"},
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_a_foreign_photograph_tells_camera_and_comment(form, order):
    tags = Image.Exif()
    tags.endian = order
    tags[ExifTags.Base.Make] = 'workflow:{"a": 1}'
    tags[ExifTags.Base.Model] = 'prompt:{"b": 2}'
    tags[ExifTags.Base.ImageDescription] = "a fox"
    tags[ExifTags.Base.Artist] = "me"
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + "a fox 狐".encode("utf-16-le")
    data = picture(form, exif=tags)
    assert {"<": b"II\x2a\0", ">": b"MM\0\x2a"}[order] in data
    assert read(data).model_dump(exclude={"size_bytes"}) == {
        "format": form,
        "width": 48,
        "height": 32,
        "recipe": None,
        "parameters": "a fox 狐",
        "other": {"workflow": '{"a": 1}', "prompt": '{"b": 2}', "ImageDescription": "a fox", "Artist": "me"},
    }


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        (b"ASCII\0\0\0a fox\0\0", "a fox"),
        (b"\0\0\0\0\0\0\0\0caf\xc3\xa9", "café"),
        (b"UNICODE\0" + "a fox".encode("utf-16-be"), "a fox"),
        (b"UNICODE\0" + "a fox".encode("utf-16-le"), "a fox"),
        (b"UNICODE\0\xd8", "\ufffd"),
        (b"ASCII", ""),
    ],
)
def test_comments_are_read_in_each_encoding_that_is_met(comment, text):
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    assert read(picture("jpeg", exif=tags)).parameters == text


def test_a_picture_without_texts_tells_its_size(form):
    data = picture(form)
    assert read(data) == Inspection(format=form.partition("-")[0], width=48, height=32, size_bytes=len(data))
    assert extract(data) is None


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"limner": 1}', "\x00", "{" + '"a":' * 5000])
def test_a_recipe_that_cannot_be_read_is_none(text):
    assert extract(with_chunk(b"tEXt", b"limner\0" + text.encode())) is None


def test_a_text_that_unpacks_to_very_much_is_not_unpacked():
    bomb = zlib.compress(bytes(50_000_000))
    said = "(unreadable: more than 1,048,576 bytes when unpacked)"
    assert read(with_chunk(b"zTXt", b"prompt\0\0" + bomb)).other == {"prompt": said}
    assert read(with_chunk(b"iTXt", b"prompt\0\1\0\0\0" + bomb)).other == {"prompt": said}
    assert read(with_chunk(b"tEXt", b"a\0" + bytes(2**20 + 1))).other == {
        "a": "(1,048,577 bytes: too long to show)"
    }


def test_many_texts_are_read_up_to_a_limit_together():
    data = picture("png")
    texts = b"".join(chunk(b"zTXt", b"%d\0\0" % n + zlib.compress(bytes(10**6))) for n in range(100))
    assert list(read(data[:33] + texts + data[33:]).other) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("name", "body", "other"),
    [
        (b"iTXt", b"a\0", {"a": "(unreadable: index out of range)"}),
        (b"iTXt", b"a\0\0\0no end", {"a": "(unreadable: not enough values to unpack (expected 3, got 1))"}),
        (
            b"zTXt",
            b"a\0\0junk",
            {"a": "(unreadable: Error -3 while decompressing data: incorrect header check)"},
        ),
        (b"tEXt", b"no separator", {}),
        (b"tEXt", b"\0no name", {}),
        (b"tEXt", b"x" * 80 + b"\0name too long", {}),
    ],
)
def test_a_malformed_text_says_so_and_spoils_nothing_else(name, body, other):
    assert read(with_chunk(name, body)).other == other


@pytest.mark.parametrize("cut", [40, 60, -12, -4])
def test_a_png_cut_off_is_refused(cut):
    data = picture("png")[:cut]
    for act in (read, extract, lambda data: embed(data, recipe())):
        with pytest.raises(InvalidImage, match="png"):
            act(data)


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_segments_that_end_outside_the_file_are_refused(form):
    data = picture(form, exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0")
    data = data[:-20] if form == "webp" else data.replace(b"\xff\xc4\0", b"\xff\xc4\xff")
    with pytest.raises(InvalidImage, match=r"says|ends outside"):
        embed(data, recipe())


@settings(deadline=None)
@given(st.sampled_from(list(SAVED)), st.data())
def test_a_damaged_file_is_read_or_refused(form, data):
    broken = bytearray(embed(picture(form), recipe("狐", "x")))
    limit = data.draw(st.sampled_from([200, len(broken)]))
    for _ in range(data.draw(st.integers(1, 10))):
        broken[data.draw(st.integers(0, min(limit, len(broken)) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(broken[: data.draw(st.integers(0, len(broken)))])
    for damaged in (bytes(broken), cut):
        for act in (read, lambda data: embed(data, recipe())):
            with suppress(InvalidImage):
                act(damaged)


@settings(deadline=None)
@given(st.sampled_from([b"MM\0\x2a", b"II\x2a\0", b"Exif\0\0MM\0\x2a"]), st.binary(max_size=300))
def test_any_exif_is_read_without_a_fault(head, block):
    exif.unpack(head + block)


def test_a_directory_that_points_at_itself_or_far_away_is_read_once():
    loop = b"MM\0\x2a\0\0\0\x08" + struct.pack(">HHHII", 1, 0x8769, 4, 1, 8)
    far = b"MM\0\x2a" + struct.pack(">I", 2**32 - 1)
    assert (exif.unpack(loop), exif.unpack(far)) == (exif.Exif(), exif.Exif())


@pytest.mark.parametrize("value", [b"\0\0\0\0", b"\0\x09\0\0", b"\xff\xff\xff\xff"])
@pytest.mark.parametrize("kind", [3, 4])
def test_an_orientation_that_does_not_exist_is_not_carried_on(kind, value):
    block = b"MM\0\x2a\0\0\0\x08" + struct.pack(">HHHI", 1, 0x0112, kind, 1) + value + bytes(4)
    data = picture("jpeg", exif=b"Exif\0\0" + block)
    assert embed(data, recipe()) == embed(picture("jpeg"), recipe())


def test_a_picture_that_went_through_another_program_keeps_its_recipe():
    made = recipe("狐")
    with Image.open(BytesIO(embed(picture("jpeg"), made))) as image:
        again = saved(image, "webp", exif=image.info["exif"])
    assert (extract(again), read(again).parameters) == (made, parameters(made))


def test_a_long_prompt_whose_letters_end_in_a_zero_byte_is_not_turned_around():
    made = recipe("一" * 1000)
    assert read(embed(picture("jpeg"), made)).parameters == parameters(made)
