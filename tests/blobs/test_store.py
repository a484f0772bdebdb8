import asyncio
import errno
import hashlib
import os
import subprocess
import sys
import time

import pytest
from obstore.exceptions import GenericError

from limner.blobs.store import Blobs
from limner.core.errors import InvalidRequest, NotFound, SetupError, StorageError

DATA = b"picture bytes"
DIGEST = hashlib.sha256(DATA).hexdigest()
LARGE = bytes(range(256)) * 2000


@pytest.fixture(params=["folder", "memory"])
def blobs(request, tmp_path):
    return Blobs(tmp_path / "storage" if request.param == "folder" else "memory://")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "storage"


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def place(folder, data=DATA):
    digest = hashlib.sha256(data).hexdigest()
    return folder / "blobs" / digest[:2] / digest


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def failing(code):
    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    return fail


async def nothing(digests):
    return ()


@pytest.mark.parametrize("data", [DATA, b"", LARGE])
async def test_what_is_put_is_there_under_its_digest(blobs, data):
    digest = await blobs.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert await blobs.get(digest) == data


async def test_a_picture_put_twice_is_stored_once(folder):
    blobs = Blobs(folder)
    assert await blobs.put(DATA) == await blobs.put(DATA) == DIGEST
    assert files(folder) == [f"blobs/{DIGEST[:2]}/{DIGEST}"]


async def test_an_unknown_digest_is_not_found(blobs):
    with pytest.raises(NotFound, match=f"no picture {DIGEST} in "):
        await blobs.get(DIGEST)


async def test_a_kept_answer_can_be_read_replaced_and_dropped(blobs):
    key = "018f3a3e-0000-7000-8000-000000000000-1/0"
    assert await blobs.kept(key) is None
    await blobs.keep(key, b"first")
    await blobs.keep(key, LARGE)
    assert await blobs.kept(key) == LARGE
    await blobs.drop(key)
    await blobs.drop(key)
    assert await blobs.kept(key) is None


@pytest.mark.parametrize(
    "key", ["", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a/", ".hidden", "a\n", "a\0b", "ü"]
)
async def test_a_key_that_could_leave_the_folder_is_refused(blobs, key):
    for act in (blobs.keep(key, b""), blobs.kept(key), blobs.drop(key)):
        with pytest.raises(InvalidRequest, match="is not a key"):
            await act


@pytest.mark.parametrize("digest", ["", "..", DIGEST[:-1], DIGEST.upper(), DIGEST + "\n", "../" + DIGEST[3:]])
async def test_what_is_no_digest_is_refused(blobs, digest):
    with pytest.raises(InvalidRequest, match="is not a digest"):
        await blobs.get(digest)


@pytest.mark.parametrize(
    "path", ["fox.png", "images/p/../x.png", "images/a/b/c/d.png", "blobs/a/b/c", "/images/a/b/c"]
)
async def test_a_picture_is_shown_in_the_images_folder_only(blobs, path):
    await blobs.put(DATA)
    with pytest.raises(InvalidRequest, match="images/project/provider/file"):
        await blobs.link(DIGEST, path)


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
async def test_a_folder_may_be_given_as_a_path_or_an_address(folder, form):
    await Blobs(form.format(folder)).put(DATA)
    assert place(folder).read_bytes() == DATA


async def test_blanks_in_a_file_address_are_percent_encoded(tmp_path):
    await Blobs(f"file://{tmp_path}/my%20pictures").put(DATA)
    assert place(tmp_path / "my pictures").read_bytes() == DATA


@pytest.mark.parametrize("url", ["s3://bucket", "http://x/y", "", "file://host/share", "memory://x"])
def test_other_addresses_are_refused_with_those_that_work(url):
    with pytest.raises(SetupError) as caught:
        Blobs(url)
    assert str(caught.value) == (
        f"blob_url {url!r} is not known: give a folder, file:///path/of/a/folder, or memory://"
    )


def test_opening_a_store_touches_nothing(folder):
    assert str(Blobs(folder)) == str(folder)
    assert not folder.exists()


@pytest.mark.parametrize("damaged", [b"", DATA[:-3], b"X" * len(DATA), DATA + b"more"])
async def test_a_damaged_file_is_replaced_when_the_picture_comes_again(folder, damaged):
    path = place(folder)
    path.parent.mkdir(parents=True)
    path.write_bytes(damaged)
    await Blobs(folder).put(DATA)
    assert path.read_bytes() == DATA


async def test_many_tasks_may_put_the_same_picture_at_once(folder):
    blobs = Blobs(folder)
    assert (
        await asyncio.gather(*(blobs.put(LARGE) for _ in range(20)))
        == [hashlib.sha256(LARGE).hexdigest()] * 20
    )
    assert files(folder) == [str(place(folder, LARGE).relative_to(folder))]


async def test_bytes_are_on_disk_before_their_name_and_the_name_before_the_return(folder, monkeypatch):
    blobs = Blobs(folder)
    await blobs.keep("warm", b"")
    story = []
    names = {}
    sync, replace, open_ = os.fsync, os.replace, os.open

    def opened(path, *args):
        descriptor = open_(path, *args)
        names[descriptor] = str(path).removeprefix(f"{folder}/")
        return descriptor

    def fsync(descriptor):
        story.append(("fsync", names[descriptor]))
        sync(descriptor)

    def rename(source, target):
        story.append(("rename", str(target).removeprefix(f"{folder}/")))
        replace(source, target)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "replace", rename)
    await blobs.keep("order/0", DATA)
    unfinished = story[0][1]
    assert unfinished.startswith("unfinished/")
    assert story == [
        ("fsync", unfinished),
        ("rename", "answers/order/0"),
        ("fsync", "answers"),  # the new folder's own name
        ("rename", "answers/order/0"),
        ("fsync", "answers/order"),
    ]


async def test_a_short_write_is_carried_on(folder, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    digest = await Blobs(folder).put(LARGE)
    assert place(folder, LARGE).read_bytes() == LARGE
    assert digest == hashlib.sha256(LARGE).hexdigest()


def test_a_killed_process_leaves_no_half_written_file(folder):
    code = (
        "import asyncio, itertools, sys; from limner.blobs.store import Blobs\n"
        "async def main():\n"
        "    blobs = Blobs(sys.argv[1])\n"
        "    for n in itertools.count():\n"
        "        await blobs.keep(f'k/{n}', bytes([n % 256]) * 1_000_000)\n"
        "        print(n, flush=True)\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        confirmed = int([writer.stdout.readline() for _ in range(5)][-1])
        writer.kill()
    kept = {path.name: path.read_bytes() for path in (folder / "answers/k").iterdir()}
    assert kept == {name: bytes([int(name) % 256]) * 1_000_000 for name in kept}
    assert set(kept) >= {str(n) for n in range(confirmed + 1)}


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
@pytest.mark.parametrize("act", ["put", "keep", "probe"])
async def test_a_full_disk_leaves_nothing_behind_and_names_the_way_out(folder, monkeypatch, call, act):
    blobs = Blobs(folder)
    await blobs.keep("before", b"before")
    acts = {
        "put": lambda: blobs.put(DATA),
        "keep": lambda: blobs.keep("answer/0", DATA),
        "probe": blobs.probe,
    }
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.ENOSPC))
        with pytest.raises(SetupError if act == "probe" else StorageError) as caught:
            await acts[act]()
    assert str(caught.value) == (
        f"cannot write to the picture folder {folder} (No space left on device): "
        "free some space there, or set blob_url to a folder on another disk"
    )
    assert files(folder) == ["answers/before"]


async def test_a_disk_that_fills_up_midway_leaves_no_half_written_file(folder, monkeypatch):
    blobs = Blobs(folder)
    write, left = os.write, [50_000]

    def filling(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", filling)
        with pytest.raises(StorageError, match="free some space"):
            await blobs.put(LARGE)
    assert files(folder) == []
    await blobs.put(LARGE)
    assert place(folder, LARGE).read_bytes() == LARGE


async def test_a_read_only_disk_names_the_way_out(folder, monkeypatch):
    monkeypatch.setattr(os, "open", failing(errno.EROFS))
    with pytest.raises(
        StorageError, match=r"\(Read-only file system\): let this user write there, or set blob_url"
    ):
        await Blobs(folder).put(DATA)


async def test_a_disk_that_fails_otherwise_is_a_storage_error_for_every_act(folder, monkeypatch):
    blobs = Blobs(folder)
    await blobs.put(DATA)
    monkeypatch.setattr(os, "stat", failing(errno.EIO))
    monkeypatch.setattr("pathlib.Path.unlink", failing(errno.EIO))
    acts = (blobs.get(DIGEST), blobs.put(DATA), blobs.drop("a"), blobs.sweep(0, nothing))
    for act in acts:
        with pytest.raises(StorageError, match=r"\(Input/output error\): check that the disk is mounted"):
            await act


async def test_a_file_in_place_of_the_folder_is_named(folder):
    folder.write_text("in the way")
    blobs = Blobs(folder)
    with pytest.raises(SetupError) as caught:
        await blobs.probe()
    assert str(caught.value).startswith(f"cannot write to the picture folder {folder} (")
    assert "a file stands where a folder is needed" in str(caught.value)
    with pytest.raises(StorageError, match="a file stands where"):
        await blobs.put(DATA)
    assert await blobs.kept("a") is None
    await blobs.drop("a")


async def test_a_probe_leaves_no_trace(blobs, folder):
    await blobs.probe()
    assert not folder.exists() or files(folder) == []


async def test_a_picture_is_shown_without_being_stored_twice(folder):
    blobs = Blobs(folder)
    await blobs.put(DATA)
    for _ in range(2):
        await blobs.link(DIGEST, "images/default/engine/fox.png")
    shown = folder / "images/default/engine/fox.png"
    assert shown.samefile(place(folder))
    assert files(folder) == [str(place(folder).relative_to(folder)), "images/default/engine/fox.png"]


async def test_a_name_that_showed_another_picture_shows_the_new_one(folder):
    blobs = Blobs(folder)
    await blobs.link(await blobs.put(b"old"), "images/default/engine/fox.png")
    await blobs.link(await blobs.put(DATA), "images/default/engine/fox.png")
    assert (folder / "images/default/engine/fox.png").read_bytes() == DATA
    assert await blobs.get(hashlib.sha256(b"old").hexdigest()) == b"old"


async def test_a_folder_restored_without_its_workplace_shows_pictures_too(folder):
    blobs = Blobs(folder)
    await blobs.link(await blobs.put(b"old"), "images/default/engine/fox.png")
    await blobs.put(DATA)
    (folder / "unfinished").rmdir()
    await blobs.link(DIGEST, "images/default/engine/fox.png")
    assert (folder / "images/default/engine/fox.png").read_bytes() == DATA


async def test_a_picture_that_cannot_be_shown_is_a_storage_error(folder):
    blobs = Blobs(folder)
    await blobs.put(DATA)
    (folder / "images").write_text("in the way")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        await blobs.link(DIGEST, "images/default/engine/fox.png")


async def test_a_disk_without_hard_links_gets_a_copy(folder, monkeypatch):
    blobs = Blobs(folder)
    await blobs.put(DATA)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    await blobs.link(DIGEST, "images/default/engine/fox.png")
    shown = folder / "images/default/engine/fox.png"
    assert shown.read_bytes() == DATA
    assert not shown.samefile(place(folder))


async def test_only_a_stored_picture_can_be_shown(blobs):
    with pytest.raises(NotFound, match=f"no picture {DIGEST}"):
        await blobs.link(DIGEST, "images/default/engine/fox.png")


async def test_a_memory_store_has_nothing_to_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blobs = Blobs("memory://")
    await blobs.put(DATA)
    await blobs.link(DIGEST, "images/default/engine/fox.png")
    assert list(tmp_path.iterdir()) == []


async def test_pictures_are_stored_read_only_since_people_open_them_in_the_folder(folder):
    await Blobs(folder).put(DATA)
    assert place(folder).stat().st_mode & 0o222 == 0


async def test_a_sweep_removes_what_nothing_refers_to(blobs):
    wanted, orphan = await blobs.put(DATA), await blobs.put(LARGE)
    await blobs.keep("answer/0", b"raw")
    asked = []

    async def referenced(digests):
        asked.extend(digests)
        return {wanted}

    assert await blobs.sweep(-1, referenced) == 1
    assert sorted(asked) == sorted([wanted, orphan])
    assert await blobs.get(wanted) == DATA
    assert await blobs.kept("answer/0") == b"raw"
    with pytest.raises(NotFound):
        await blobs.get(orphan)


async def test_a_sweep_leaves_young_pictures_alone(blobs):
    digest = await blobs.put(DATA)
    assert await blobs.sweep(60, nothing) == 0
    assert await blobs.get(digest) == DATA


async def test_a_picture_put_again_is_young_again(folder):
    blobs = Blobs(folder)
    await blobs.put(DATA)
    age(place(folder), 3600)
    await blobs.put(DATA)
    assert await blobs.sweep(60, nothing) == 0


async def test_a_picture_put_again_during_a_sweep_stays(folder):
    blobs = Blobs(folder)
    await blobs.put(DATA)
    age(place(folder), 3600)

    async def referenced(digests):
        await blobs.put(DATA)
        return ()

    assert await blobs.sweep(60, referenced) == 0
    assert await blobs.get(DIGEST) == DATA


async def test_a_sweep_removes_the_shown_name_and_what_a_crash_left(folder):
    blobs = Blobs(folder)
    await blobs.put(DATA)
    await blobs.link(DIGEST, "images/default/engine/fox.png")
    await blobs.link(await blobs.put(LARGE), "images/default/engine/cat.png")
    age(place(folder), 3600)
    for name, seconds in (("old", 3600), ("new", 0)):
        (folder / "unfinished" / name).write_bytes(b"half")
        age(folder / "unfinished" / name, seconds)
    assert await blobs.sweep(60, nothing) == 1
    assert files(folder) == [
        str(place(folder, LARGE).relative_to(folder)),
        "images/default/engine/cat.png",
        "unfinished/new",
    ]


async def test_an_object_store_that_fails_is_a_storage_error_in_one_line(monkeypatch):
    blobs = Blobs("memory://")

    async def fail(*_args):
        raise GenericError("bucket is gone\n\nDebug source: ...")

    for name in ("put_async", "get_async", "delete_async", "head_async"):
        monkeypatch.setattr(f"obstore.{name}", fail)
    acts = (
        ("write to", blobs.put(DATA)),
        ("read", blobs.get(DIGEST)),
        ("remove from", blobs.drop("a")),
        ("read", blobs.link(DIGEST, "images/a/b/c.png")),
    )
    for verb, act in acts:
        with pytest.raises(StorageError) as caught:
            await act
        assert (
            str(caught.value) == f"cannot {verb} the picture store memory:// (bucket is gone): check blob_url"
        )
    with pytest.raises(SetupError, match="bucket is gone"):
        await blobs.probe()


async def test_a_picture_put_unsynced_is_there_at_once_and_secured_later(blobs):
    digest = await blobs.put(DATA, synced=False)
    assert await blobs.get(digest) == DATA
    assert await blobs.secure(digest, len(DATA)) is True


async def test_what_is_missing_or_cut_off_cannot_be_secured(folder):
    blobs = Blobs(folder)
    digest = await blobs.put(DATA, synced=False)
    assert await blobs.secure("0" * 64, 5) is False
    place(folder).chmod(0o644)
    place(folder).write_bytes(DATA[:5])
    assert await blobs.secure(digest, len(DATA)) is False


async def test_only_a_synced_picture_waits_for_the_disk(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    blobs = Blobs(folder)
    await blobs.put(DATA)
    assert synced != []
    place(folder).unlink()
    synced.clear()
    await blobs.put(DATA, synced=False)
    assert synced == []


async def test_a_bucket_secures_what_is_whole():
    blobs = Blobs("memory://")
    digest = await blobs.put(DATA, synced=False)
    assert await blobs.secure(digest, len(DATA)) is True
    assert await blobs.secure(digest, 1) is False
    assert await blobs.secure("0" * 64, 1) is False


@pytest.mark.parametrize(("start", "size"), [(0, 4), (3, 7), (9, 100), (10, 5), (0, 0)])
async def test_a_part_of_a_picture_is_what_stands_there(blobs, start, size):
    data = b"0123456789"
    digest = await blobs.put(data)
    assert await blobs.part(digest, start, size) == data[start : start + size]


async def test_a_part_of_a_picture_that_is_not_there_is_not_found(blobs):
    with pytest.raises(NotFound, match="no picture"):
        await blobs.part("0" * 64, 0, 4)
