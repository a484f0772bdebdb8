from pathlib import Path

import pytest

from limner.config import Settings
from limner.core.errors import InvalidRequest, NotFound, StorageError, TimedOut, Unknown
from limner.core.events import Ended, JobEvent
from limner.core.request import GenerateRequest
from limner.sync import SyncLimner
from tests.cli import easel
from tests.fakes import model, png


def limner(home: Path) -> SyncLimner:
    return SyncLimner(Settings(home=home), **easel.INSTALLED)


def test_every_verb_answers_without_async(tmp_path: Path):
    with limner(tmp_path / "home") as painter:
        request = GenerateRequest(prompt="a fox", seed=3)
        assert painter.estimate(request).model == "sketch"
        job = painter.draw("a fox", seed=3, width=64, height=64)
        image = job.images[0]
        assert (job.state, image.seed) == ("succeeded", 3)
        assert painter.read(job.id) == job
        assert painter.jobs(limit=5) == [job]
        assert painter.image(image.id) == image
        assert painter.thumbnail(image, 16)[8:12] == b"WEBP"
        assert painter.models() == (easel.MODEL,)
        assert [status.name for status in painter.providers()] == ["easel"]
        assert painter.save(image, tmp_path / "fox.png") == tmp_path / "fox.png"
        assert (tmp_path / "fox.png").read_bytes() == painter.open(image)
        assert painter.save(image, tmp_path) == tmp_path / image.file


def test_a_job_is_watched_with_a_plain_loop_and_cancelled(tmp_path: Path):
    with limner(tmp_path) as painter:
        job = painter.generate("slow")
        painter.cancel(job.id)
        with painter.watch(job.id) as messages:
            seen = list(messages)
        assert isinstance(seen[0], JobEvent)
        assert seen[0].type == "queued"
        assert isinstance(seen[-1], Ended)
        assert seen[-1].job.state == "canceled"


def test_errors_arrive_as_themselves(tmp_path: Path):
    with limner(tmp_path) as painter, pytest.raises(NotFound):
        painter.read("nothing")
    with pytest.raises(InvalidRequest), limner(tmp_path) as painter:
        painter.draw(" ")


def test_a_picture_that_cannot_be_written_is_still_kept(tmp_path: Path):
    with limner(tmp_path / "home") as painter:
        image = painter.draw("a fox").images[0]
        with pytest.raises(StorageError, match="No such file or directory; Limner still keeps the picture"):
            painter.save(image, tmp_path / "none" / "fox.png")


def test_a_second_limner_on_the_same_home_is_refused_and_leaves_nothing_behind(tmp_path: Path):
    with limner(tmp_path) as painter:
        with pytest.raises(Exception, match="owns"), limner(tmp_path):
            pass
        assert painter.jobs() == []


def test_lost_orders_are_decided_on_without_async(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def lose(_easel, _call):
        raise TimedOut("no answer")

    async def tell(_easel, _call):
        raise Unknown("2 orders look like this one")

    monkeypatch.setattr(easel.Easel, "submit", lose)
    monkeypatch.setattr(easel.Easel, "find", tell)
    models = [model("easel", usd="0.04", id="sketch")]
    with SyncLimner(Settings(home=tmp_path), **easel.INSTALLED | {"models": models}) as painter:
        job = painter.draw("a fox")
        (lost,) = painter.lost()
        assert (job.state, lost.job_id) == ("needs_confirmation", job.id)
        assert painter.reconcile().left == (lost,)
        assert painter.decide(job.id, "delivered", by="Ada", picture=png()).state == "succeeded"
