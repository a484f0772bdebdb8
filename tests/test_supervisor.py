import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest

from limner.supervisor import Supervisor
from tests.fakes import until

SERVE = """
import http.server, os, socket, sys, threading
listener = socket.socket(fileno=int(sys.argv[1]))
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.getpid()} {os.environ['LIMNER_ENGINE_TOKEN']}".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer(listener.getsockname(), Door, bind_and_activate=False)
server.socket = listener
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


@asynccontextmanager
async def supervised(monkeypatch, code, *arguments):
    supervisor = Supervisor()
    command = [sys.executable, "-c", code, str(supervisor._socket.fileno()), *arguments]
    monkeypatch.setattr(supervisor, "_command", lambda: command)
    async with asyncio.TaskGroup() as tasks:
        supervisor.start(tasks)
        try:
            yield supervisor
        finally:
            await supervisor.stop()


async def ask(supervisor) -> list[str]:
    async with aiohttp.ClientSession() as http, http.get(supervisor.url) as answer:
        return (await answer.text()).split()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_caller_who_comes_before_the_engine_waits_and_is_served(monkeypatch):
    async with supervised(monkeypatch, SERVE) as supervisor:
        assert await ask(supervisor) == [str(supervisor.pid), supervisor.token]
        assert supervisor.obstacle is None


async def test_a_killed_engine_comes_back_at_the_same_address(monkeypatch):
    async with supervised(monkeypatch, SERVE) as supervisor:
        url = supervisor.url
        first, _ = await ask(supervisor)
        os.kill(int(first), signal.SIGKILL)
        await until(lambda: supervisor.restarts == 1)
        second, _ = await ask(supervisor)
        assert (supervisor.url, first != second, is_alive(int(first))) == (url, True, False)


async def test_stopping_leaves_no_child_and_frees_the_address(monkeypatch):
    async with supervised(monkeypatch, SERVE) as supervisor:
        pid = int((await ask(supervisor))[0])
    assert not is_alive(pid)
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(supervisor)


async def test_an_engine_that_will_not_leave_is_made_to(monkeypatch):
    monkeypatch.setattr("limner.supervisor._LEAVE_S", 0.2)
    async with supervised(monkeypatch, STUBBORN) as supervisor:
        await until(lambda: supervisor.pid)
        pid = supervisor.pid
    assert not is_alive(pid)


@pytest.mark.parametrize("code", [2, 3])
async def test_what_a_restart_cannot_mend_is_given_up_at_once_with_the_engines_own_words(monkeypatch, code):
    script = (
        f"import sys; sys.stderr.write('noise\\nunet.onnx: sha256 differs; reinstall\\n'); sys.exit({code})"
    )
    async with supervised(monkeypatch, script) as supervisor:
        await until(lambda: supervisor.obstacle)
        assert supervisor.obstacle == "the engine cannot start: unet.onnx: sha256 differs; reinstall"
        assert (supervisor.restarts, supervisor.pid) == (0, None)
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(supervisor)


async def test_an_engine_that_leaves_without_a_word_is_told_by_its_code(monkeypatch):
    async with supervised(monkeypatch, "import sys; sys.exit(3)") as supervisor:
        await until(lambda: supervisor.obstacle)
        assert supervisor.obstacle == "the engine cannot start: exit code 3"


async def test_a_crash_loop_is_given_up(monkeypatch):
    async with supervised(monkeypatch, "import sys; sys.exit(1)") as supervisor:
        await until(lambda: supervisor.obstacle, 30)
        assert supervisor.obstacle == "the engine died 5 times within a minute, last with code 1"
        assert supervisor.restarts == 4


async def test_a_program_that_cannot_be_started_is_an_obstacle_and_not_a_crash(monkeypatch):
    async with supervised(monkeypatch, "") as supervisor:
        await supervisor.stop()
    supervisor = Supervisor()
    monkeypatch.setattr(supervisor, "_command", lambda: ["/nowhere/python"])
    async with asyncio.TaskGroup() as tasks:
        supervisor.start(tasks)
        await until(lambda: supervisor.obstacle)
    assert "the engine cannot start: " in supervisor.obstacle
    assert "/nowhere/python" in supervisor.obstacle


async def test_an_endless_line_on_stderr_ends_nothing(monkeypatch):
    code = "import sys; sys.stderr.write('x' * 300_000 + '\\n'); sys.exit(3)"
    async with supervised(monkeypatch, code) as supervisor:
        await until(lambda: supervisor.obstacle)
        assert supervisor.obstacle.endswith("xxx")


def test_the_real_command_hands_over_the_socket_and_the_threads():
    supervisor = Supervisor(threads=3)
    command = supervisor._command()
    supervisor._socket.close()
    assert command[1:] == [
        "-P",
        "-m",
        "limner.engine",
        "--fd",
        command[5],
        "--exit-with-parent",
        "--threads",
        "3",
    ]
