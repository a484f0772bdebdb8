"""`limner generate --host --port`: the options of the clients before Limner, against a real gRPC server."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.cli.draw_rpc import target
from limner.core.errors import InvalidRequest
from limner.rpc.server import RpcServer
from tests.api.fakes import png
from tests.cli.conftest import Run
from tests.rpc.fakes import Fake


class Served:
    """A server in a thread of its own: the command blocks this one."""

    def __init__(self) -> None:
        self.limner: Fake
        self.port = 0
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._up.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._down, self.limner = asyncio.get_running_loop(), asyncio.Event(), Fake()
        async with RpcServer(self.limner, "127.0.0.1", 0, places=4) as server:
            self.port = server.port
            self._up.set()
            await self._down.wait()


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as running:
        yield running


def test_every_option_of_the_old_client_is_taken(limner: Run, served: Served, here: Path):
    done = limner(
        *("generate", "--prompt", "a fox", "--out", "image.png", "--model", "house", "--width", "256"),
        *(
            "--height",
            "128",
            "--steps",
            "9",
            "--guidance_scale",
            "7.5",
            "--seed",
            "5",
            "--style",
            "house style",
        ),
        *("--host", "localhost", "--port", str(served.port)),
    )
    assert (done.code, done.out) == (0, "image.png\n")
    assert done.err == "limner: house, seed 5, 1.0 s\n"
    assert (here / "image.png").read_bytes() == png(256, 128, 5)
    order = served.limner.orders[0]
    assert (order.model, order.size, order.steps) == ("house", (256, 128), 9)
    assert (order.guidance_scale, order.seed, order.style) == (7.5, 5, "house style")


def test_a_prompt_and_a_port_are_enough(limner: Run, served: Served, here: Path):
    done = limner("generate", "a fox", "--port", str(served.port), "--json")
    order = served.limner.orders[0]
    assert (order.size, order.steps, order.guidance_scale) == ((512, 512), 20, 7.5)
    assert order.seed is not None
    assert 1 <= order.seed <= 1_000_000
    assert done.json["saved"] == ["image.png"]
    assert (done.json["model"], done.json["seed"]) == ("house", order.seed)
    assert (here / "image.png").is_file()


def test_a_refusal_of_the_server_is_said_and_nothing_is_saved(limner: Run, served: Served, here: Path):
    done = limner("generate", "a fox", "--width", "5", "--port", str(served.port))
    assert (done.code, done.out) == (1, "")
    assert done.err == "limner: Invalid request: Width must be between 128 and 1024\n"
    assert list(here.iterdir()) == []


def test_a_server_with_keys_gets_the_key_of_this_machine(limner: Run, served: Served, monkeypatch):
    served.limner.keys = {"a-key-of-mia-0001": "local"}
    done = limner("generate", "a fox", "--port", str(served.port))
    assert (done.code, done.err) == (
        1,
        f"limner: localhost:{served.port}: this server asks for a key\n",
    )
    monkeypatch.setenv("LIMNER_API_KEYS", "mia=a-key-of-mia-0001")
    assert limner("generate", "a fox", "--port", str(served.port)).code == 0


def test_nobody_there_is_said_with_the_way_out(limner: Run):
    done = limner("generate", "a fox", "--port", "9")
    assert done.code == 1
    assert done.err.startswith("limner: no gRPC server answers at localhost:9; `limner serve` starts one")


@pytest.mark.parametrize(
    "more",
    [
        ("--n", "2"),
        ("--negative-prompt", "fog"),
        ("--provider", "local"),
        ("--max-cost", "1"),
        ("--format", "webp"),
        ("--quote",),
        ("--strict",),
        ("--option", "a=b"),
    ],
    ids=lambda more: more[0],
)
def test_what_grpc_has_no_words_for_is_refused(limner: Run, served: Served, more: tuple[str, ...]):
    done = limner("generate", "a fox", "--port", str(served.port), *more)
    assert done.code == 2
    assert "cannot be said over gRPC" in done.err
    assert served.limner.orders == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("a fox", "--prompt", "a hare", "--port", "9"),
        ("a fox", "--port", "70000"),
        ("a fox", "--port", "0"),
        ("a fox", "--host", "http://elsewhere"),
        ("a fox", "--host", "a b"),
        ("a fox", "--port", "9", "--out", "picture.jpg"),
        ("a fox", "--port", "9", "--width", "99999999999"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_are_refused(limner: Run, arguments: tuple[str, ...]):
    assert limner("generate", *arguments).code == 2


def test_the_prompt_as_an_option_works_without_grpc_too(limner: Run, here: Path):
    assert limner("generate", "--prompt", "a fox", "--out", "fox.png").code == 0
    assert (here / "fox.png").is_file()


@pytest.mark.parametrize(
    ("host", "port", "meant"),
    [
        (None, 9, "localhost:9"),
        ("example.org", None, "example.org:50051"),
        ("::1", 9, "[::1]:9"),
        ("[::1]", 9, "[::1]:9"),
    ],
)
def test_the_address_that_is_meant(host: str | None, port: int | None, meant: str):
    assert target(host, port) == meant


def test_an_address_with_a_scheme_is_none():
    with pytest.raises(InvalidRequest, match="without a scheme"):
        target("unix:/tmp/socket", 9)
