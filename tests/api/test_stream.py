import anyio
import pytest

from limner.api import stream
from limner.api.app import create_app
from limner.api.stream import event
from limner.core.request import GenerateRequest


def test_an_event_is_its_id_name_and_data():
    assert event("queued", b'{"seq"', b":1}", number=1) == b'id: 1\nevent: queued\ndata: {"seq":1}\n\n'
    assert event("progress", b"{}") == b"event: progress\ndata: {}\n\n"


def scope(path: str) -> dict:
    return {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "server": ("limner.test", None),
        "scheme": "http",
    }


async def test_a_client_that_leaves_ends_the_watch_and_not_the_job(limner):
    limner.hangs = True
    job = await limner.generate(GenerateRequest(prompt="a red fox"))
    arrived, gone = anyio.Event(), anyio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if b"event: running" in message.get("body", b""):
            arrived.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(create_app(limner), scope(f"/v1/jobs/{job.id}/events"), receive, send)
        with anyio.fail_after(5):
            await arrived.wait()
            assert not limner.left.is_set()
            gone.set()
            await limner.left.wait()
    assert (await limner.read(job.id)).cancel_requested is False


async def test_a_silent_stream_is_kept_alive(limner, monkeypatch):
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 0.01)
    limner.hangs = True
    job = await limner.generate(GenerateRequest(prompt="a red fox"))
    comments = anyio.Event()

    async def receive():
        await comments.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message.get("body") == b": keep-alive\n\n":
            comments.set()

    with anyio.fail_after(5):
        await create_app(limner)(scope(f"/v1/jobs/{job.id}/events"), receive, send)
    assert comments.is_set()


@pytest.mark.parametrize("path", ["/v1/jobs/job-0001/events"])
async def test_a_stream_that_ended_says_so(limner, path):
    await limner.generate(GenerateRequest(prompt="a red fox"))
    sent = []

    async def receive():
        await anyio.sleep_forever()

    async def send(message):
        sent.append(message)

    with anyio.fail_after(5):
        await create_app(limner)(scope(path), receive, send)
    assert [message.get("more_body") for message in sent][-2:] == [True, False]
