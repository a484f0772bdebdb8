import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.imaging.sniff import InvalidImage, Kind, check_whole, sniff
from tests.imaging.pictures import picture

HEADERS = {"png": 33, "jpeg": 170, "webp": 30}


@pytest.mark.parametrize("size", [(1, 1), (48, 32), (640, 3)])
def test_the_header_tells_format_and_size(form, size):
    assert sniff(picture(form, *size)) == Kind(form.partition("-")[0], *size)


def test_a_progressive_jpeg_with_a_comment_is_recognised():
    assert sniff(picture("jpeg", progressive=True, comment=b"hello")) == Kind("jpeg", 48, 32)


def test_fill_bytes_and_markers_without_a_body_are_skipped():
    data = picture("jpeg")
    assert sniff(data[:2] + b"\xff\x01\xff\xff\xff" + data[2:]) == Kind("jpeg", 48, 32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the picture is empty: 0 bytes"),
        (b"<html>oops</html>", "not a PNG, JPEG or WebP file: it starts with b'<html>oops</'"),
        (b"GIF89a", "not a PNG, JPEG or WebP file: it starts with b'GIF89a'"),
        (picture("png")[:20], "png cut off after 20 bytes, within its header"),
        (picture("png").replace(b"IHDR", b"IDAT"), "png whose first chunk is not a header (IHDR)"),
        (picture("png")[:16] + bytes(4) + picture("png")[20:], "png of 0x32 pixels: a side is 0"),
        (
            picture("png")[:16] + b"\xff" * 4 + picture("png")[20:],
            "png of 4294967295x32 pixels: more than the format allows",
        ),
        (b"\xff\xd8", "jpeg cut off after 2 bytes, before its frame header"),
        (b"\xff\xd8\xff\xc0\0\x0b\x08\0", "jpeg cut off after 8 bytes, before its frame header"),
        (b"\xff\xd8\xff\xe0\0\x01xx", "jpeg segment of length 1 at byte 2"),
        (b"\xff\xd8nonsense", "jpeg with no marker where one must be, at byte 2"),
        (b"\xff\xd8\xff\xda\0\0", "jpeg whose pixels come before its frame header"),
        (picture("webp")[:20], "webp cut off after 20 bytes, within its header"),
        (picture("webp").replace(b"\x9d\x01\x2a", b"xxx"), "webp (lossy) without its frame start code"),
        (
            picture("webp-lossless")[:20] + b"x" + picture("webp-lossless")[21:],
            "webp (lossless) without its signature byte",
        ),
        (picture("webp").replace(b"VP8 ", b"EXIF"), "webp whose first chunk is b'EXIF', not a picture"),
    ],
)
def test_what_is_wrong_is_said(data, message):
    with pytest.raises(InvalidImage) as caught:
        sniff(data)
    assert str(caught.value) == message


@settings(deadline=None)
@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF1234WEBP", b""]), st.binary(max_size=80))
def test_any_bytes_give_a_size_or_invalid_image(magic, rest):
    try:
        kind = sniff(magic + rest)
    except InvalidImage:
        return
    assert kind.width > 0
    assert kind.height > 0


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_half_a_file_is_not_whole(kind):
    data = picture(kind, 300, 200)
    check_whole(data, sniff(data))
    check_whole(data + b"\0" * 20, sniff(data))
    with pytest.raises(InvalidImage, match="cut off after"):
        check_whole(data[: len(data) - 3], sniff(data))
