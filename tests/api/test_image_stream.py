import pytest

from limner.api.image_stream import Sketches


@pytest.mark.parametrize(
    ("wanted", "way", "shown"),
    [
        (0, [(0.2, b"a"), (0.5, b"b"), (1.0, b"c")], [None, None, None]),
        (1, [(0.2, b"a"), (0.5, b"b"), (1.0, b"c")], [None, 0, None]),
        (3, [(0.25, b"a"), (0.3, b"b"), (0.5, b"c"), (0.75, b"d"), (1.0, b"e")], [0, None, 1, 2, None]),
        (3, [(0.9, b"a"), (0.9, b"a"), (0.9, b"b"), (1.0, b"c")], [0, None, 1, 2]),
        (2, [(0.5, None), (0.6, b"a"), (0.9, b"a")], [None, 0, None]),
    ],
)
def test_a_sketch_is_due_at_each_equal_part_of_the_way_and_none_is_shown_twice(wanted, way, shown):
    sketches = Sketches(wanted)
    assert [sketches.next(done, preview) for done, preview in way] == shown
