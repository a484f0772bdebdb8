import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from limner.cli import simulate
from limner.core.errors import InvalidRequest, SetupError
from limner.simulator import find
from tests.cli.conftest import ENVIRON
from tests.simulator.easel import Easel

PROGRAM = "from limner.cli import simulate; simulate.run(port=0, seed=7, faults='*:slow=0.1')"


@pytest.fixture
def running():
    program = [sys.executable, "-W", "error", "-c", PROGRAM]
    with subprocess.Popen(program, env=ENVIRON, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_told_to_stop(running, number):
    lines = [running.stdout.readline()]
    url = re.search(r"answers at (http://127\.0\.0\.1:\d+)\. ", lines[0])[1]
    while "curl" not in lines[-1]:
        lines.append(running.stdout.readline())
    with urllib.request.urlopen(f"{url}/__emu") as answer:
        overview = json.load(answer)
    running.send_signal(number)
    running.communicate(timeout=20)
    assert (running.returncode, overview["url"], overview["seed"]) == (0, url, 7)
    shown = [line.split() for line in lines]
    for vendor in overview["vendors"]:
        key = [vendor["key"]] if vendor["key"] else ["(none", "needed)"]
        assert [vendor["name"], vendor["base_url"], *key] in shown
    assert f'  curl -d \'{{"fault": "cut_after"}}\' {url}/__emu/faults\n' in lines


async def stopped():
    raise KeyboardInterrupt


def test_each_vendor_is_told_with_its_address_and_key(monkeypatch, capsys):
    monkeypatch.setattr(find, "installed", lambda: {"easel": Easel})
    monkeypatch.setattr(simulate.anyio, "sleep_forever", stopped)
    simulate.run(port=0, public_url="http://simulator:8091")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[2:4] == [
        "provider  base address                     key",
        "easel     http://simulator:8091/easel/v1/  easel-emu",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": 70_000}, "--port must be from 0 .any that is free. to 65535, not 70000"),
        ({"speed": 0.0}, "--speed must be above 0, not 0"),
        ({"speed": float("nan")}, "--speed must be above 0, not nan"),
        ({"faults": "slow"}, "'slow' is no fault by chance"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(options, said):
    with pytest.raises(InvalidRequest, match=said):
        simulate.run(**options)


def test_a_port_in_use_is_named_with_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            SetupError, match=rf"port {port} at 127\.0\.0\.1 is in use .* as in --port {port + 1}"
        ):
            simulate.run(port=port)
