"""Real processes: the installed engine, signals, the server."""

import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from tests.cli.conftest import ENVIRON

LIMNER = [sys.executable, "-c", "import sys; from limner.cli import main; sys.exit(main())"]
PATIENCE_S = 60


def environ(here: Path) -> dict[str, str]:
    return {**ENVIRON, "LIMNER_HOME": str(here.parent / "home")}


def run(here: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*LIMNER, *arguments],
        cwd=here,
        env=environ(here),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextmanager
def started(here: Path, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [*LIMNER, *arguments],
        cwd=here,
        env=environ(here),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        guard = threading.Timer(PATIENCE_S, process.kill)
        guard.start()
        try:
            yield process
        finally:
            guard.cancel()
            process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_two_commands_make_a_picture_and_the_same_picture_again(here: Path):
    drawn = run(here, "generate", "a red fox", "--size", "64x64", "--steps", "2", "--seed", "1")
    assert (drawn.returncode, drawn.stdout) == (0, "picture.png\n")
    again = run(here, "replay", "picture.png")
    assert (again.returncode, again.stdout) == (0, "equal: the same bytes again\n")


def test_ctrl_c_cancels_the_job_and_leaves_no_file(here: Path):
    with started(
        here, "generate", "a red fox", "--n", "10", "--steps", "100", "--size", "1024x1024"
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "limner: drawing\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.endswith(" ended as canceled\nlimner: interrupted\n")
    assert list(here.iterdir()) == []
    assert [job["state"] for job in orjson.loads(run(here, "jobs", "--json").stdout)] == ["canceled"]


def test_a_server_answers_the_commands_of_its_home_and_stops_when_told(here: Path):
    port = free_port()
    with started(here, "serve", "--port", str(port)) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{port}"
        assert server.stdout.readline().startswith(
            f"Limner answers at {address} (reference: {address}/docs)."
        )
        with urllib.request.urlopen(f"{address}/healthz") as answer:
            assert orjson.loads(answer.read())["status"] == "ok"
        drawn = run(here, "generate", "a red fox", "--size", "64x64", "--steps", "2", "--json")
        assert (drawn.returncode, orjson.loads(drawn.stdout)["saved"]) == (0, ["picture.png"])
        with urllib.request.urlopen(address + orjson.loads(drawn.stdout)["images"][0]["path"]) as answer:
            assert answer.read() == (here / "picture.png").read_bytes()
        second = run(here, "serve", "--port", str(free_port()))
        assert second.returncode == 1
        assert f"serving {address}) owns {here.parent / 'home'}" in second.stderr
        busy = run(here, "serve", "--port", str(port))
        assert busy.returncode == 1
        assert busy.stderr == (
            f"limner: port {port} at 127.0.0.1 is in use by another program; "
            f"choose another, as in --port {port % 65535 + 1}\n"
        )
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_S) == 0


def test_a_server_that_others_can_reach_says_that_it_asks_for_no_key(here: Path):
    with started(here, "serve", "--host", "0.0.0.0", "--port", str(free_port())) as server:
        assert server.stdout is not None
        server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        _, told = server.communicate(timeout=PATIENCE_S)
    assert "anybody who reaches this address may order pictures" in told
