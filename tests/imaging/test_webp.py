import pytest

from limner.imaging import webp
from limner.imaging.sniff import InvalidImage
from tests.imaging.pictures import picture


def test_the_file_says_its_new_length_and_that_it_has_exif():
    data = webp.with_exif(picture("webp"), b"odd")
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert (data[12:16], data[20]) == (b"VP8X", 0x08)
    assert data.endswith(b"EXIF\3\0\0\0odd\0")


def test_what_follows_the_file_is_left_out():
    data = picture("webp")
    assert webp.with_exif(data + b"more", b"x") == webp.with_exif(data, b"x")


def test_a_file_that_says_it_is_empty_is_refused():
    data = picture("webp")
    with pytest.raises(InvalidImage, match="webp without a chunk"):
        webp.with_exif(data[:4] + bytes(4) + data[8:], b"x")
