import time
from uuid import UUID

from limner.core.ids import uuid7


def test_an_id_is_a_version_7_uuid_that_holds_the_time():
    before = time.time_ns() // 1_000_000
    identity = UUID(uuid7())
    after = time.time_ns() // 1_000_000
    assert (identity.version, identity.variant) == (7, "specified in RFC 4122")
    assert before <= identity.int >> 80 <= after


def test_ids_sort_by_time_and_never_meet():
    earlier = [uuid7() for _ in range(200)]
    time.sleep(0.002)
    later = [uuid7() for _ in range(200)]
    assert max(earlier) < min(later)
    assert len({*earlier, *later}) == 400
