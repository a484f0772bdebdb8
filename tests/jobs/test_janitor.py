import asyncio

from limner.core.errors import StorageError
from limner.jobs.janitor import Janitor
from tests.fakes import Desk, limner, request, rows, until, vendor


def answers(home):
    return rows(home, "SELECT count(*) FROM answers")[0][0]


def file_of(home, image):
    (path,) = (home / "storage").rglob(image.digest)
    return path


async def test_raw_answers_go_once_their_pictures_are_safe(home):
    async with limner(home, vendor(Desk())) as app:
        await app.draw(request())
        assert answers(home) == 1
        assert await Janitor(app._now.store, app._now.blobs).tidy(60.0) == 0
        assert answers(home) == 1
        assert await Janitor(app._now.store, app._now.blobs).tidy(-1.0) == 1
        assert answers(home) == 0


async def test_a_picture_lost_to_a_power_cut_is_made_again_from_its_answer(home):
    async with limner(home, vendor(Desk())) as app:
        (image,) = (await app.draw(request())).images
        before = await app.open(image)
        file_of(home, image).unlink()
        await Janitor(app._now.store, app._now.blobs).tidy(-1.0)
        assert await app.open(image) == before
        assert answers(home) == 0


async def test_a_new_owner_tidies_at_once_after_the_last(home):
    async with limner(home, vendor(Desk())) as app:
        await app.draw(request())
    await asyncio.sleep(0.01)
    async with limner(home, vendor(Desk())):
        await until(lambda: answers(home) == 0)


async def test_a_storage_that_refuses_leaves_the_answers_for_later(home, monkeypatch):
    async with limner(home, vendor(Desk())) as app:
        await app.draw(request())
        store, refused = app._now.store, []
        forget = store.forget_answers

        async def refuse(ids):
            if len(refused) < 2:
                refused.append(ids)
                raise StorageError("full")
            await forget(ids)

        monkeypatch.setattr(store, "forget_answers", refuse)
        monkeypatch.setattr("limner.jobs.janitor._EVERY_S", 0.001)
        monkeypatch.setattr("limner.jobs.janitor._AGE_S", -1.0)
        await asyncio.sleep(0.005)
        tidying = asyncio.ensure_future(Janitor(store, app._now.blobs).work())
        await until(lambda: answers(home) == 0)
        tidying.cancel()
        assert len(refused) == 2


async def test_files_that_no_record_names_are_swept_after_a_day(home, monkeypatch):
    orphan = b"a file whose record was never written"
    async with limner(home, vendor(Desk())) as app:
        job = await app.draw(request())
        digest = await app._now.blobs.put(orphan)
        monkeypatch.setattr("limner.jobs.janitor._ORPHAN_AGE_S", -60.0)
    async with limner(home, vendor(Desk())) as app:
        await until(lambda: not (home / "storage" / "blobs" / digest[:2] / digest).exists())
        assert await app.open(job.images[0]) != b""
