import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from limner.imaging.decode import decode
from limner.imaging.sniff import InvalidImage
from tests.imaging.pictures import SAVED, painted, picture, saved

STATE = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width, height, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def test_a_picture_comes_out_as_rgb_or_with_its_transparency(form):
    image = decode(picture(form))
    assert (image.size, image.mode) == ((48, 32), "RGBA" if form.endswith("alpha") else "RGB")


def test_a_lossless_picture_comes_out_as_it_was():
    assert decode(picture("png")).tobytes() == painted().tobytes()


@pytest.mark.parametrize(
    ("image", "mode", "first", "last"),
    [
        (Image.linear_gradient("L"), "RGB", (0, 0, 0), (255, 255, 255)),
        (Image.new("1", (4, 4), 1), "RGB", (255, 255, 255), (255, 255, 255)),
        (Image.new("LA", (4, 4), (9, 100)), "RGBA", (9, 9, 9, 100), (9, 9, 9, 100)),
        (painted().quantize(8), "RGB", None, None),
        (Image.frombytes("I;16", (2, 1), b"\0\0\xff\xff"), "RGB", (0, 0, 0), (255, 255, 255)),
        (Image.frombytes("I;16", (2, 1), b"\x80\x80\x40\x40"), "RGB", (128, 128, 128), (64, 64, 64)),
    ],
)
def test_every_mode_of_png_becomes_colour(image, mode, first, last):
    plain = decode(saved(image, "png"))
    assert plain.mode == mode
    if first is not None:
        assert (plain.getpixel((0, 0)), plain.getpixel((plain.width - 1, plain.height - 1))) == (first, last)


def test_a_palette_with_a_clear_colour_keeps_its_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    plain = decode(saved(image, "png", transparency=0))
    assert [plain.getpixel((0, 0)), plain.getpixel((1, 0))] == [(255, 0, 0, 0), (0, 255, 0, 255)]


def test_a_cmyk_jpeg_becomes_rgb_without_its_profile_for_ink():
    image = decode(saved(painted().convert("CMYK"), "jpeg", icc_profile=b"ink"))
    assert (image.mode, image.info) == ("RGB", {})


def test_a_colour_profile_is_kept_and_nothing_else():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode(picture("jpeg", icc_profile=profile, comment=b"x")).info == {"icc_profile": profile}


def test_too_many_pixels_are_refused_before_any_is_decoded():
    with pytest.raises(InvalidImage) as caught:
        decode(png(50_000, 50_000, chunk(b"IDAT", zlib.compress(bytes(100)))))
    assert str(caught.value) == "png of 50000x50000 pixels; at most 64,000,000 pixels are decoded"


def test_the_limit_can_be_lowered_to_the_very_pixel():
    assert decode(picture("png"), max_pixels=48 * 32).size == (48, 32)
    with pytest.raises(InvalidImage, match="at most 1,535 pixels"):
        decode(picture("png"), max_pixels=48 * 32 - 1)


def test_the_limit_never_rises_above_that_of_the_library():
    with pytest.raises(InvalidImage, match="at most 89,478,485 pixels"):
        decode(png(10_000, 10_000), max_pixels=10**9)


def test_a_text_that_unpacks_to_very_much_is_refused():
    bomb = chunk(b"zTXt", b"bomb\0\0" + zlib.compress(bytes(50_000_000)))
    with pytest.raises(InvalidImage, match="cannot be decoded"):
        decode(png(1, 1, bomb, chunk(b"IDAT", zlib.compress(bytes(4)))))


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused(form, part):
    data = picture(form, 256, 256)
    with pytest.raises(InvalidImage):
        decode(data[: int(len(data) * part)])


def test_a_png_that_lacks_only_its_end_is_refused():
    data = picture("png")
    with pytest.raises(InvalidImage, match=f"png cut off after {len(data) - 12} bytes"):
        decode(data[:-12])


def test_a_picture_with_something_after_it_is_fine():
    assert decode(picture("png") + bytes(10_000)).size == (48, 32)


@pytest.mark.parametrize("data", [b"", b"not a picture", b"GIF89a" + bytes(40)])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(InvalidImage):
        decode(data)


@settings(deadline=None)
@given(st.sampled_from(list(SAVED)), st.data())
def test_a_damaged_picture_is_decoded_or_refused(form, data):
    broken = bytearray(picture(form))
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode(bytes(broken), max_pixels=1_000_000)
    except InvalidImage:
        return
    assert image.mode in {"RGB", "RGBA"}


def test_the_library_is_left_as_it_was():
    decode(picture("png"))
    assert STATE == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK)
