import asyncio

from limner.core import room as rooms
from limner.core.room import LARGE, Room, make_room

MB = 1 << 20


async def visit(room, size, entered, leave):
    async with room.seat():
        await make_room(size)
        entered.append(size)
        await leave.wait()


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_answers_wait_for_room_and_are_read_in_turn():
    room, entered, first, rest = Room(4 * MB), [], asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(visit(room, 3 * MB, entered, first))
        await turns()
        tasks.create_task(visit(room, 2 * MB, entered, rest))
        tasks.create_task(visit(room, 1 * MB, entered, rest))
        await turns()
        assert entered == [3 * MB]
        first.set()
        await turns()
        assert entered == [3 * MB, 2 * MB, 1 * MB]
        rest.set()
    assert room._free == 4 * MB


async def test_small_answers_and_those_outside_of_a_seat_never_wait():
    room = Room(0)
    await make_room(9 * MB)
    async with room.seat():
        await make_room(LARGE - 1)
    assert room._free == 0


async def test_an_answer_larger_than_the_room_is_read_at_once():
    room = Room(MB)
    async with room.seat():
        await make_room(2 * MB)
    assert room._free == MB


async def test_what_was_paid_is_read_in_the_end_room_or_not(monkeypatch):
    monkeypatch.setattr(rooms, "_PATIENCE_S", 0.01)
    room, entered, leave = Room(MB), [], asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(visit(room, MB, entered, leave))
        await turns()
        async with room.seat():
            await make_room(MB)
            assert entered == [MB]
        leave.set()
    assert (room._free, len(room._waiting)) == (MB, 0)


async def test_who_stops_waiting_keeps_nobody_from_coming_after():
    room, entered, leave = Room(2 * MB), [], asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(visit(room, MB, entered, leave))
        await turns()
        stopped = tasks.create_task(visit(room, 2 * MB, entered, leave))
        await turns()
        tasks.create_task(visit(room, MB, entered, leave))
        await turns()
        assert entered == [MB]
        stopped.cancel()
        await turns()
        assert entered == [MB, MB]
        leave.set()
    assert room._free == 2 * MB


async def test_an_order_holds_its_largest_answer_since_each_takes_the_place_of_the_one_before():
    room = Room(8 * MB)
    async with room.seat():
        for size, free in ((MB, 7 * MB), (3 * MB, 5 * MB), (2 * MB, 5 * MB)):
            await make_room(size)
            assert room._free == free
    assert room._free == 8 * MB
