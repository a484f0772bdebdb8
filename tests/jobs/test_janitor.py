from limner.blobs.store import Blobs
from limner.core.errors import StorageError
from limner.jobs.janitor import Janitor
from tests.fakes import Desk, done, limner, opened, rows, until, vendor

HELD = "SELECT count(*) FROM answers"


async def drawn(home, count=1):
    """One finished job; its pictures and the folder they are in."""
    async with limner(home, vendor(Desk([done(count)]))) as app:
        job = await app.draw("a red fox", count=count)
    return job.images, home / "storage" / "blobs"


async def tidied(home, age_s=0.0):
    async with opened(home) as store:
        return await Janitor(store, Blobs(home / "storage")).tidy(age_s)


async def test_a_raw_answer_is_held_until_its_pictures_are_secured(tmp_path):
    await drawn(tmp_path)
    assert rows(tmp_path, HELD) == [(1,)]
    assert await tidied(tmp_path) == 1
    assert rows(tmp_path, HELD) == [(0,)]


async def test_answers_of_jobs_that_ended_just_now_stay(tmp_path):
    await drawn(tmp_path)
    assert await tidied(tmp_path, age_s=60.0) == 0
    assert rows(tmp_path, HELD) == [(1,)]


async def test_a_picture_lost_to_a_power_cut_is_made_again_from_its_answer(tmp_path):
    images, folder = await drawn(tmp_path, count=3)
    lost = folder / images[1].digest[:2] / images[1].digest
    whole = lost.read_bytes()
    lost.unlink()
    assert await tidied(tmp_path) == 1
    assert lost.read_bytes() == whole


async def test_a_picture_cut_off_by_a_power_cut_is_made_whole(tmp_path):
    images, folder = await drawn(tmp_path)
    cut = folder / images[0].digest[:2] / images[0].digest
    whole = cut.read_bytes()
    cut.chmod(0o644)
    cut.write_bytes(b"")
    await tidied(tmp_path)
    assert cut.read_bytes() == whole


async def test_the_next_owner_tidies_at_once(tmp_path):
    await drawn(tmp_path)
    async with limner(tmp_path, vendor(Desk())):
        await until(lambda: rows(tmp_path, HELD) == [(0,)])


async def test_a_disk_that_refuses_leaves_the_answers_for_later(tmp_path, monkeypatch):
    await drawn(tmp_path)
    tries = []

    async def refuse(self, digest, size_bytes):
        tries.append(digest)
        raise StorageError("the disk is away")

    monkeypatch.setattr(Blobs, "secure", refuse)
    async with limner(tmp_path, vendor(Desk())):
        await until(lambda: len(tries) == 1)
    assert rows(tmp_path, HELD) == [(1,)]
