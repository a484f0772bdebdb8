import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.core.errors import Malformed
from limner.jobs.answer import pack, unpack
from limner.providers.base import Done

DONES = st.builds(
    Done,
    images=st.lists(st.binary(max_size=200), max_size=4).map(tuple),
    seeds=st.lists(st.integers(0, 2**63 - 1), max_size=4).map(tuple),
    cost_usd=st.one_of(st.none(), st.text(max_size=12)),
    engine=st.one_of(st.none(), st.text(max_size=12)),
)


@given(DONES)
def test_an_answer_comes_back_as_it_was_packed(done):
    assert unpack(pack(done)) == (done, ())
    assert unpack(pack(done, ("a" * 64, "b" * 64))) == (done, ("a" * 64, "b" * 64))


@given(DONES, st.data())
def test_an_answer_cut_short_is_never_taken_for_a_whole_one(done, data):
    packed = pack(done)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(Malformed, match="a kept answer"):
        unpack(packed[:cut])


def test_bytes_too_many_are_said_to_be_so():
    packed = pack(Done((b"abc",)))
    with pytest.raises(Malformed, match=rf"has {len(packed) + 1} bytes where its head says {len(packed)}"):
        unpack(packed + b"!")
