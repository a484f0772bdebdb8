"""gRPC beside the HTTP server and alone, as processes of their own."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from limner.cli.rpc import Place, answering, place
from limner.config import load
from limner.core.errors import SetupError
from tests.api.fakes import FakeLimner
from tests.cli.conftest import ENVIRON, Run


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def taken():
    """A port that another program has."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one.getsockname()[1]


@contextmanager
def running(tmp_path: Path, *arguments: object):
    """The command until it says that gRPC answers; ended as a service manager would, with exit code 0."""
    environ = ENVIRON | {"LIMNER_HOME": str(tmp_path / "home"), "LIMNER_DISABLED_PROVIDERS": "local"}
    command = [sys.executable, "-m", "limner", *map(str, arguments)]
    with subprocess.Popen(
        command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = []
            while line := process.stdout.readline():
                said.append(line)
                if "gRPC answers" in line:
                    break
            yield process, said
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def health(port: int) -> int:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="starweave.ImageGeneration")
        return stub.Check(asked, timeout=30).status


def test_limner_serve_answers_over_both_and_says_so(tmp_path: Path):
    http, rpc = free_port(), free_port()
    with running(tmp_path, "serve", "--port", http, "--grpc-port", rpc) as (_, said):
        base = f"http://127.0.0.1:{http}"
        assert said == [
            f"Limner answers at {base} (reference: {base}/docs). Ctrl-C stops it.\n",
            f"gRPC answers at 127.0.0.1:{rpc} (plaintext).\n",
        ]
        assert health(rpc) == health_pb2.HealthCheckResponse.SERVING
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/healthz", timeout=30) as answer:
            assert answer.status == 200


def test_limner_grpc_takes_the_old_servers_options_and_says_which_mean_nothing(tmp_path: Path):
    port = free_port()
    old = ("--model-dir", "./models", "--max-models", 2, "--max-disk-cache", 10, "--cleanup-interval", 300)
    with running(tmp_path, "grpc", "--port", port, *old) as (process, said):
        assert said == [f"gRPC answers at 127.0.0.1:{port} (plaintext).\n"]
        assert health(port) == health_pb2.HealthCheckResponse.SERVING
        errors = process.stderr
        told = [errors.readline() for _ in range(4)]
    assert [re.match(r"limner: (--[a-z-]+) changes nothing here: .", line)[1] for line in told] == [
        "--model-dir",
        "--max-models",
        "--max-disk-cache",
        "--cleanup-interval",
    ]


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(limner: Run, taken: int):
    done = limner("serve", "--port", str(free_port()), "--grpc-port", str(taken))
    assert done.code == 1
    assert done.err == (
        f"limner: port {taken} at 127.0.0.1 is in use by another program; choose another, as in "
        f"--grpc-port {taken % 65535 + 1}\n"
    )
    assert limner("grpc", "--port", str(taken)).code == 1


def test_the_usual_port_taken_is_a_warning_and_no_grpc(taken: int, capsys):
    loaded = load(environ={})
    elsewhere = loaded.settings.model_copy(update={"grpc_port": taken})
    assert place(replace(loaded, settings=elsewhere)) is None
    assert capsys.readouterr().err.startswith(
        f"limner: gRPC is left out: port {taken} at 127.0.0.1 is in use"
    )


def test_half_a_certificate_is_an_error(tmp_path: Path):
    loaded = load(
        environ={"LIMNER_GRPC_CERT": str(tmp_path / "cert.pem"), "LIMNER_GRPC_PORT": str(free_port())}
    )
    with pytest.raises(SetupError, match="go together"):
        place(loaded)


def test_port_0_is_no_grpc(limner: Run, monkeypatch):
    monkeypatch.setenv("LIMNER_GRPC_PORT", "0")
    done = limner("grpc")
    assert (done.code, done.err) == (
        1,
        "limner: the setting grpc_port is 0, which means no gRPC; choose a port with --port\n",
    )


def test_help_and_a_picture_without_grpc_load_no_grpc(tmp_path: Path):
    code = (
        "import sys; from limner.cli import main; main(['--help']); main(['version']); import limner.app,"
        " limner.cli.generate; sys.exit('grpc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRON, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


async def test_a_port_that_is_taken_between_the_look_and_the_start_leaves_grpc_out_unless_it_was_chosen(
    taken, capsys
):
    limner = FakeLimner()
    limner.settings = SimpleNamespace(grpc_concurrency=1)
    where = Place("127.0.0.1", taken, None, asked_for=False)
    async with answering(limner, where) as service:
        assert service is None
    assert f"gRPC is left out: gRPC cannot listen at 127.0.0.1:{taken}" in capsys.readouterr().err
    with pytest.raises(SetupError, match="cannot listen"):
        async with answering(limner, replace(where, asked_for=True)):
            pass
