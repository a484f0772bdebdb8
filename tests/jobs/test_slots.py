from limner.jobs.slots import Slot, Slots


def test_there_are_as_many_slots_as_were_said():
    slots = Slots(2, 0)
    assert [slots.reserve() for _ in range(3)] == [True, True, False]
    slots.give_back()
    assert slots.reserve()


def test_a_job_that_waits_leaves_its_slot_and_returns_whether_or_not_one_is_free():
    slots, told = Slots(1, 1), []
    slots.on_free(lambda: told.append(slots.free))
    slots.reserve()
    waiting = Slot(slots, 0.0)
    waiting.leave()
    waiting.leave()
    assert (slots.free, waiting.waiting, told) == (1, True, [1])
    slots.reserve()
    waiting.back()
    waiting.back()
    assert (slots.free, waiting.waiting, slots.reserve()) == (-1, False, False)
    waiting.close()
    assert (slots.free, told) == (0, [1, 0])


def test_where_too_many_wait_already_a_job_keeps_its_slot():
    slots = Slots(2, 1)
    first, second = (Slot(slots, 0.0) for _ in range(2) if slots.reserve())
    first.leave()
    second.leave()
    assert (slots.free, second.waiting) == (1, False)
    first.close()
    second.leave()
    assert (slots.free, second.waiting) == (2, True)
