import pytest
from PIL import Image, ImageChops, ImageStat

from limner.imaging.convert import convert
from limner.imaging.decode import decode
from limner.imaging.metadata import embed
from limner.imaging.sniff import InvalidImage, Kind, sniff
from tests.imaging.pictures import painted, picture, recipe, saved


def error(left, right):
    """Mean difference per sample, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(left, right)).mean)


@pytest.mark.parametrize("to", ["png", "jpeg", "webp"])
def test_a_picture_that_is_already_so_stays_as_it_is(to):
    data = embed(picture(to), recipe())
    assert convert(data, to, quality=5) is data


@pytest.mark.parametrize("to", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("quality", [None, 0, 50, 90, 91, 100])
def test_a_converted_picture_looks_the_same(form, to, quality):
    converted = convert(picture(form), to, quality)
    assert sniff(converted) == Kind(to, 48, 32)
    if not form.endswith("alpha") and quality not in {0, 50}:
        assert error(decode(converted), painted()) < 4


@pytest.mark.parametrize("to", ["jpeg", "webp"])
def test_the_same_picture_gives_the_same_bytes(to):
    assert convert(picture("png"), to) == convert(picture("png"), to)
    assert convert(picture("png"), to) == convert(picture("png"), to, {"jpeg": 90, "webp": 88}[to])


def test_to_png_nothing_is_lost():
    assert decode(convert(picture("webp-lossless-alpha"), "png")).tobytes() == painted(mode="RGBA").tobytes()


def test_transparency_becomes_white_in_jpeg():
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 8, 16))
    image = decode(convert(saved(clear, "png"), "jpeg", 95))
    assert error(image.crop((0, 0, 8, 16)), Image.new("RGB", (8, 16), (0, 0, 255))) < 3
    assert error(image.crop((8, 0, 16, 16)), Image.new("RGB", (8, 16), "white")) < 3


def test_transparency_stays_in_webp():
    image = decode(convert(saved(painted(mode="RGBA"), "png"), "webp"))
    assert image.getchannel("A").tobytes() == painted(mode="RGBA").getchannel("A").tobytes()


@pytest.mark.parametrize(("quality", "sampling"), [(90, 2), (91, 1)])
def test_colours_are_kept_at_full_resolution_above_ninety(quality, sampling):
    data = convert(picture("png"), "jpeg", quality)
    assert data[data.index(b"\xff\xc0") + 11] == sampling << 4 | sampling


@pytest.mark.parametrize("to", ["png", "jpeg", "webp"])
def test_metadata_other_than_the_colour_profile_stays_behind(to):
    source = "png" if to != "png" else "webp-lossless"
    data = embed(picture(source, icc_profile=b"a profile"), recipe("a secret"))
    converted = convert(data, to)
    assert b"secret" not in converted
    assert decode(converted).info == {"icc_profile": b"a profile"}


def test_a_picture_too_long_for_webp_is_named():
    with pytest.raises(InvalidImage) as caught:
        convert(picture("png", 20_000, 2), "webp")
    assert str(caught.value) == "20000x2 pixels do not fit in a webp file, whose sides end at 16383"


def test_what_is_no_picture_is_refused():
    with pytest.raises(InvalidImage, match="not a PNG, JPEG or WebP"):
        convert(b"no picture", "png")
