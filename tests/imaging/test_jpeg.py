import pytest

from limner.imaging import jpeg
from limner.imaging.sniff import InvalidImage
from tests.imaging.pictures import picture


def test_fill_bytes_and_markers_without_a_body_stay_where_they_are():
    odd = b"\xff\x01\xff\xff"
    data = picture("jpeg")
    with_odd = data[:20] + odd + data[20:]
    block = b"MM\0\x2a\0\0\0\x08\0\0"
    assert jpeg.with_exif(with_odd, block) == jpeg.with_exif(data, block).replace(block, block + odd)
    assert jpeg.exif_of(jpeg.with_exif(with_odd, block)) == block


def test_exif_that_stands_before_the_first_segment_is_replaced_too():
    data = picture("jpeg")
    foreign = b"\xff\xe1\0\x0aExif\0\0II"
    assert jpeg.with_exif(data[:2] + foreign + data[2:], b"MM").count(b"Exif\0\0") == 1


def test_a_file_without_pixels_is_refused():
    data = picture("jpeg")
    with pytest.raises(InvalidImage) as caught:
        jpeg.with_exif(data[: data.index(b"\xff\xda")], b"MM")
    assert str(caught.value) == f"jpeg without pixels: no scan follows byte {data.index(bytes([255, 0xDA]))}"
