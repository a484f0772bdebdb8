import pytest

from limner.core.errors import InvalidRequest
from limner.imaging.decode import decode
from limner.imaging.sniff import InvalidImage, Kind, sniff
from limner.imaging.thumbnail import thumbnail
from tests.imaging.pictures import picture


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((512, 512), 256, (256, 256)),
        ((1000, 500), 256, (256, 128)),
        ((500, 1000), 100, (50, 100)),
        ((1000, 3), 100, (100, 1)),
        ((48, 32), 256, (48, 32)),
        ((48, 32), 1, (1, 1)),
    ],
)
def test_the_longer_side_shrinks_to_the_side_asked_for_and_never_grows(size, side, expected):
    assert sniff(thumbnail(picture("png", *size), side)) == Kind("webp", *expected)


def test_the_same_picture_gives_the_same_bytes(form):
    assert thumbnail(picture(form), 16) == thumbnail(picture(form), 16)


def test_transparency_is_kept():
    assert decode(thumbnail(picture("webp-lossless-alpha"), 16)).mode == "RGBA"


@pytest.mark.parametrize("side", [-1, 0, 2049])
def test_a_side_out_of_range_is_refused(side):
    with pytest.raises(InvalidRequest) as caught:
        thumbnail(picture(), side)
    assert (str(caught.value), caught.value.field) == (
        f"a thumbnail of side {side}; give 1 to 2048 pixels",
        "side",
    )


def test_what_is_no_picture_is_refused():
    with pytest.raises(InvalidImage):
        thumbnail(b"no picture")
