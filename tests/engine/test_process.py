import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from limner.engine import process
from tests.engine.conftest import order


@contextlib.contextmanager
def engine(model, *options, env=None, **popen):
    """A real engine on a socket this process owns, as the supervisor starts it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "limner.engine",
                "--fd",
                str(listener.fileno()),
                "--model",
                model,
                *options,
            ],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)} | (env or {}),
            **popen,
        )
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with child, httpx.Client(base_url=address, timeout=60) as http:
            try:
                yield child, http
            finally:
                child.kill()


def ended(http, id_):
    status = {"state": "queued", "version": 0}
    while status["state"] in {"queued", "drawing"}:
        status = http.get(f"/orders/{id_}", params={"wait": 30, "after": status["version"]}).json()
    return status


def test_the_process_draws_over_an_inherited_socket_and_stops_with_exit_code_0(folder):
    with engine(folder, "--threads", "1") as (child, http):
        assert http.post("/orders", json=order().model_dump(mode="json")).status_code == 202
        assert ended(http, "one")["state"] == "done"
        assert http.get("/orders/one/images/0").content.startswith(b"\x89PNG")
        assert http.get("/health").json()["threads"] == 1
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0


def test_a_stop_in_the_middle_of_a_picture_answers_the_long_poll_and_is_quick(folder):
    with engine(folder) as (child, http):
        long = order(width=1536, height=1536, steps=100, seeds=tuple(range(10)))
        http.post("/orders", json=long.model_dump(mode="json"))
        http.get("/orders/one", params={"wait": 10, "after": 3})
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0


def test_the_engine_leaves_when_its_parents_pipe_closes(folder):
    with engine(folder, "--exit-with-parent") as (child, http):
        assert http.get("/health").status_code == 200
        child.stdin.close()
        assert child.wait(10) == 0


def test_a_restart_keeps_the_address_and_gives_the_same_bytes(folder):
    drawn = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "limner.engine", "--fd", str(listener.fileno()), "--model", folder]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        for _ in range(2):
            with subprocess.Popen(command, pass_fds=[listener.fileno()], env=env) as child:
                with httpx.Client(base_url=address, timeout=60) as http:
                    assert http.post("/orders", json=order().model_dump(mode="json")).status_code == 202
                    ended(http, "one")
                    drawn.append(http.get("/orders/one/images/0").content)
                child.kill()
    assert drawn[0] == drawn[1]


def test_the_token_comes_from_the_environment(folder):
    with engine(folder, env={"LIMNER_ENGINE_TOKEN": "secret"}) as (_, http):
        assert http.get("/health").status_code == 401
        assert http.get("/health", headers={"authorization": "Bearer secret"}).status_code == 200


@pytest.mark.parametrize("damage", ["altered", "missing", "no manifest"])
def test_broken_weights_end_the_process_with_code_3_and_the_way_out_as_its_last_line(
    folder, tmp_path, damage
):
    copy = shutil.copytree(folder, tmp_path / "copy")
    match damage:
        case "altered":
            (copy / "unet.onnx").write_bytes(b"x")
        case "missing":
            (copy / "unet.onnx").unlink()
        case "no manifest":
            (copy / "model.json").unlink()
    with engine(copy) as (child, _):
        assert child.wait(30) == 3
        *_, last = child.stderr.read().splitlines()
    assert last.startswith("limner engine: ")
    assert ("model.json" if damage == "no manifest" else "unet.onnx") in last
    assert last.endswith("reinstall the package: pip install --force-reinstall limner")


def test_a_wrong_argument_is_exit_code_2():
    with pytest.raises(SystemExit) as caught:
        process.main(["--paint", "blue"])
    assert caught.value.code == 2


def test_at_least_one_core_is_used():
    assert 1 <= process.cores() <= (os.cpu_count() or 1)
