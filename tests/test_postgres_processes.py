"""A server and a worker, each a process with an engine, on one PostgreSQL journal; the worker is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import limner
from tests import postgres

pytestmark = pytest.mark.crash
_PATIENCE_S = 60.0
_COMMAND = "import sys; from limner.cli import main; sys.exit(main())"
_JOBS = 10


@pytest.fixture
def start(tmp_path):
    """Start `limner` with these arguments; it is gone when the test ends."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    environ |= {
        "PYTHONPATH": str(Path(limner.__file__).parents[1]),
        "LIMNER_HOME": str(tmp_path / "home"),
        "LIMNER_LEASE_S": "1",
        "LIMNER_CONCURRENCY": "2",
        "LIMNER_ENGINE_THREADS": "1",
    }
    with ExitStack() as stack, (tmp_path / "log").open("ab") as log:

        def run(url, *args):
            process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, *args],
                env=environ | {"LIMNER_DATABASE_URL": url},
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield run


def until(condition, log):
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end, log.read_text()[-4000:]
        time.sleep(0.05)


def test_a_killed_workers_jobs_are_finished_by_those_who_live(start, tmp_path):
    server, log = postgres.server(), tmp_path / "log"
    with postgres.fresh(migrated=False) as name, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        door, worker = (
            start(server.url(name), "serve", "--port", f"{port}"),
            start(server.url(name), "worker"),
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as http:
            until(lambda: _ready(http), log)
            body = {"width": 128, "height": 128, "steps": 20}
            jobs = [
                http.post("/v1/jobs", json={"prompt": "a fox", "seed": n, **body}).raise_for_status().json()
                for n in range(_JOBS)
            ]
            owners = "SELECT count(DISTINCT lease_owner) FROM jobs"
            until(lambda: server.ask(name, owners) == [(2,)], log)
            worker.send_signal(signal.SIGKILL)
            finished = "SELECT count(*) FROM jobs WHERE state = 'succeeded'"
            until(lambda: server.ask(name, finished) == [(_JOBS,)], log)
            for job in jobs:
                (image,) = http.get(f"/v1/jobs/{job['id']}").json()["images"]
                assert http.get(f"/v1/images/{image['id']}").status_code == 200
        door.send_signal(signal.SIGTERM)
        assert door.wait(_PATIENCE_S) == 0
        assert server.ask(name, "SELECT count(*) FROM artifacts") == [(_JOBS,)]
        assert server.ask(name, "SELECT count(*) FROM jobs WHERE lease_owner IS NOT NULL") == [(0,)]


def _ready(http) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
