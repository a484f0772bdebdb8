import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import uvicorn

from limner.api.app import create_app
from limner.app import Limner
from limner.cli.remote import Remote, _said, by_code, frames, parse
from limner.config import Settings
from limner.core.errors import (
    Conflict,
    InvalidRequest,
    LimnerError,
    NotFound,
    RateLimited,
    TimedOut,
    Unavailable,
    Unknown,
)
from limner.core.events import Ended, JobEvent, Progress
from limner.core.request import GenerateRequest
from tests.cli import easel
from tests.fakes import model, png

FOX = GenerateRequest(prompt="a fox", seed=3)


@asynccontextmanager
async def served(home: Path) -> AsyncIterator[tuple[Limner, Remote]]:
    """A real server over a real Limner with the easel, and a client of it."""
    async with Limner(Settings(home=home), **easel.INSTALLED) as limner:
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(limner), log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server._serve, [listening])
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await anyio.sleep(0.01)
            async with Remote(f"http://127.0.0.1:{listening.getsockname()[1]}/") as remote:
                yield limner, remote
            server.should_exit = True


async def test_every_verb_answers_as_limner_itself(tmp_path: Path):
    async with served(tmp_path) as (limner, remote):
        assert await remote.estimate(FOX) == await limner.estimate(FOX)
        job = await remote.draw(FOX)
        assert (job.state, job) == ("succeeded", await limner.read(job.id))
        assert await remote.read(job.id) == job
        assert await remote.jobs(state="succeeded", limit=5) == [job]
        assert await remote.jobs(state="failed") == []
        assert await remote.image(job.images[0].id) == job.images[0]
        assert await remote.open(job.images[0]) == await limner.open(job.images[0])
        assert await remote.models() == limner.models()
        assert await remote.providers() == await limner.providers()
        assert await remote.keep(png()) == await limner.keep(png())


async def test_lost_orders_are_listed_asked_about_and_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def lose(_easel, _call):
        raise TimedOut("no answer")

    async def tell(_easel, _call):
        raise Unknown("2 orders look like this one")

    monkeypatch.setattr(easel.Easel, "find", tell)
    monkeypatch.setitem(easel.INSTALLED, "models", [model("easel", usd="0.04", id="sketch")])
    async with served(tmp_path) as (limner, remote):
        with monkeypatch.context() as patched:
            patched.setattr(easel.Easel, "submit", lose)
            jobs = [await remote.draw(FOX) for _ in range(2)]
        assert await remote.lost() == await limner.lost()
        assert [one.outcome for one in (await remote.reconcile()).findings] == ["silent", "silent"]
        brought = await remote.decide(jobs[0].id, "delivered", by="Ada", picture=png())
        assert (brought.state, brought) == ("succeeded", await limner.read(jobs[0].id))
        assert (await remote.decide(jobs[1].id, "write_off", by="Ada")).error.code == "written_off"
        with pytest.raises(Conflict, match="was decided before: write_off by Ada"):
            await remote.decide(jobs[1].id, "pay_again", by="Bob")
        assert await remote.lost() == ()


async def test_a_job_is_watched_to_its_end_and_cancelled(tmp_path: Path):
    async with served(tmp_path) as (_, remote):
        job = await remote.generate(GenerateRequest(prompt="slow"))
        seen = []
        async with remote.watch(job.id) as messages:
            async for message in messages:
                if isinstance(message, Progress) and not any(isinstance(one, Progress) for one in seen):
                    await remote.cancel(job.id)
                seen.append(message)
        assert isinstance(seen[0], JobEvent)
        assert (seen[0].type, seen[0].seq) == ("queued", 1)
        assert isinstance(seen[-1], Ended)
        assert seen[-1].job.state == "canceled"
        stored = [message for message in seen if isinstance(message, JobEvent)]
        async with remote.watch(job.id, after=stored[0].seq) as messages:
            later = [message async for message in messages]
        assert later == [*stored[1:], seen[-1]]


async def test_errors_are_the_same_classes(tmp_path: Path):
    async with served(tmp_path) as (_, remote):
        with pytest.raises(NotFound):
            await remote.read("nothing")
        with pytest.raises(NotFound):
            async with remote.watch("nothing") as messages:
                await anext(messages)
        with pytest.raises(InvalidRequest) as caught:
            await remote.generate(GenerateRequest(prompt="x", model="zzz"))
        assert caught.value.field == "model"
        await remote.generate(FOX, key="one")
        with pytest.raises(Conflict):
            await remote.generate(GenerateRequest(prompt="other"), key="one")


async def test_a_server_that_is_gone_is_said_to_be_unavailable(unused_tcp_port: int):
    async with Remote(f"http://127.0.0.1:{unused_tcp_port}") as remote:
        with pytest.raises(
            Unavailable, match=f"the Limner at http://127.0.0.1:{unused_tcp_port} does not answer"
        ):
            await remote.jobs()


async def test_events_are_read_however_they_are_cut():
    async def chunks() -> AsyncIterator[bytes]:
        for (
            byte
        ) in b': keep-alive\n\nid: 1\nevent: progress\ndata: {"job_id":"j","fraction":0.5}\n\nevent: x':
            yield bytes([byte])

    found = [frame async for frame in frames(chunks())]
    assert found == [{"id": "1", "event": "progress", "data": '{"job_id":"j","fraction":0.5}'}]
    assert parse(found[0]) == Progress(job_id="j", fraction=0.5)


def test_an_error_in_the_stream_is_raised():
    with pytest.raises(NotFound, match="gone"):
        parse({"event": "error", "data": '{"error": {"code": "not_found", "message": "gone"}}'})


def test_a_code_finds_its_class_and_an_unknown_one_the_first():
    assert isinstance(by_code("rate_limited", "x"), RateLimited)
    assert type(by_code("something new", "x")) is LimnerError


@pytest.mark.parametrize(
    ("code", "name"), [("no_route", "reasons"), ("exhausted", "failures")], ids=["no route", "exhausted"]
)
def test_the_reasons_of_each_candidate_come_with_the_error(code, name):
    error = _said({"error": {"code": code, "message": "m", "details": {"easel/m": "resting"}}})
    assert (str(error), getattr(error, name)) == ("m", {"easel/m": "resting"})
