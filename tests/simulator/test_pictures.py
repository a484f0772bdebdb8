import io

import pytest
from PIL import Image

from limner.simulator.pictures import Drawing, draw

FOX = Drawing("easel", "a red fox in the snow, watercolor", 96, 64, seed=5)


def opened(data):
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (256, 256), (512, 768)])
def test_a_picture_has_exactly_the_size_and_the_format_asked_for(form, size):
    picture = opened(draw(Drawing("easel", "a fox", *size), form))
    assert (picture.size, picture.format, picture.mode) == (size, form.upper(), "RGB")


def test_the_same_drawing_gives_the_same_bytes_and_any_other_gives_others():
    others = [
        Drawing("other", FOX.prompt, 96, 64, seed=5),
        Drawing("easel", "a red fox", 96, 64, seed=5),
        Drawing("easel", FOX.prompt, 96, 64, seed=6),
        Drawing("easel", FOX.prompt, 96, 64, seed=5, index=1),
    ]
    assert draw(FOX) == draw(FOX)
    assert len({draw(one) for one in [FOX, *others]}) == 5


def test_a_picture_has_many_colours():
    assert len(opened(draw(FOX)).getcolors(maxcolors=96 * 64)) > 500


def test_an_edit_shows_its_source_below_the_label():
    source = io.BytesIO()
    Image.new("RGB", (400, 400), (200, 40, 40)).save(source, "PNG")
    picture = opened(draw(Drawing("easel", "warmer", 256, 256, source=source.getvalue())))
    assert picture.getpixel((128, 150)) == (150, 30, 30)


def test_an_edit_with_no_room_for_its_source_is_still_a_picture():
    assert opened(draw(Drawing("easel", "warmer", 3, 3, source=draw(FOX)))).size == (3, 3)


@pytest.mark.parametrize("source", [b"", b"no picture", draw(FOX)[:200]])
def test_a_source_that_is_no_picture_is_refused(source):
    with pytest.raises(ValueError, match=r"^the source is no picture"):
        draw(Drawing("easel", "warmer", 64, 64, source=source))


@pytest.mark.parametrize("size", [(0, 64), (64, -1), (8193, 64)])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=f"a picture has 1 to 8192 pixels a side, not {size[0]}x{size[1]}"):
        draw(Drawing("easel", "a fox", *size))


@pytest.mark.parametrize(
    "prompt", ["", "\ud800 lone", "\0\n\t\x1b[31m", "x" * 5000, "word " * 5000, "夕暮れの灯台 🦊"]
)
def test_any_prompt_can_be_drawn(prompt):
    assert opened(draw(Drawing("easel", prompt, 128, 128))).size == (128, 128)
