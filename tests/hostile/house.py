"""The whole service as `limner serve` runs it, over a vendor scripted in this process, inside a net."""

import json
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import pytest
import uvicorn

from limner.api.app import create_app
from limner.api.head import BoundedHead
from limner.app import Limner
from limner.catalog.model import Model, Price, Sizes, Steps
from limner.cli.listening import listen
from limner.config import Settings
from limner.mcp.http import McpDoor
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket
from tests.api.fakes import png

MAX_BODY = 64 << 10
MAX_UPLOAD = 1 << 20
MAX_ECHO = 200
MODEL = Model(
    id="sketch",
    name="Sketch",
    description="Draws one shade of grey",
    provider="easel",
    ref="sketch-1",
    tier="fast",
    operations=frozenset({"generate", "edit", "inpaint", "image-to-image", "variation", "upscale"}),
    sizes=Sizes(default=(64, 64), max_side=512),
    steps=Steps(default=4, max=50, fast=2, standard=4, quality=8, ultra=16),
    max_count=4,
    max_inputs=4,
    styles=("flat",),
    price=Price(usd=0, unit="image", source="free", read_on="2026-11-20"),
)


class Easel(Provider):
    """Draws at once, for nothing."""

    name = "easel"
    base_url = "http://127.0.0.1:9/"
    recovery = Recovery.TICKETED
    needs_key = False

    async def submit(self, call: Call) -> Outcome:
        return Pending({}, after_s=0.001)

    async def poll(self, ticket: Ticket) -> Outcome:
        return Done((png(64, 64, 7),) * 4, (1, 2, 3, 4))


@dataclass
class Net:
    """Every connection out of this process but those to the server under test."""

    own: set[int] = field(default_factory=set)
    """Ports of the server."""
    asked: list[str] = field(default_factory=list)
    """What was called, in order."""
    names: dict[str, str] = field(default_factory=dict)
    """Host names and their addresses; no other is known."""
    leads: dict[str, int] = field(default_factory=dict)
    """Public addresses, each played by a loopback port."""

    @contextmanager
    def cast(self) -> Iterator["Net"]:
        """Around everything this process does."""
        with pytest.MonkeyPatch.context() as patch:
            connect, resolve = socket.socket.connect, socket.getaddrinfo

            def connecting(sock, address):
                if sock.family not in (socket.AF_INET, socket.AF_INET6) or address[1] in self.own:
                    return connect(sock, address)
                self.asked.append(f"{address[0]}:{address[1]}")
                if address[0] in self.leads:
                    return connect(sock, ("127.0.0.1", self.leads[address[0]]))
                raise ConnectionRefusedError(f"nobody at {address}")

            def resolving(host, port, *args, **kwargs):
                name = self.names.get(host, host)
                if isinstance(name, str) and name.endswith(".example"):
                    raise socket.gaierror(socket.EAI_NONAME, "no such name")
                return resolve(name, port, *args, **kwargs)

            patch.setattr(socket.socket, "connect", connecting)
            patch.setattr(socket, "getaddrinfo", resolving)
            yield self


@dataclass(frozen=True)
class House:
    """A running server."""

    url: str
    home: Path
    net: Net
    web: httpx.Client

    @property
    def place(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def left(self) -> tuple[dict[str, int], list[str]]:
        """Rows by table, and the files outside the journal."""
        with closing(sqlite3.connect(f"file:{self.home / 'limner.db'}?mode=ro", uri=True)) as journal:
            tables = [
                name for (name,) in journal.execute("SELECT name FROM sqlite_master WHERE type='table'")
            ]
            rows = {
                name: journal.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
                for name in tables
                if "fts" not in name
            }
        files = [str(one.relative_to(self.home)) for one in self.home.rglob("*") if one.is_file()]
        return rows, sorted(one for one in files if not one.startswith(("limner.db", "lock", "logs")))

    def say(self, sent: bytes, *, whole: bool = True) -> bytes:
        """What the server answers to these very bytes on a connection of their own."""
        with socket.create_connection(self.place, timeout=20) as wire:
            try:
                wire.sendall(sent)
                if whole:
                    wire.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: wire.recv(65_536), b""))
            except TimeoutError:
                raise  # an answer was due
            except OSError:
                return b""  # it hung up on us, which is an answer


@contextmanager
def serving(home: Path, **settings: object) -> Iterator[tuple[str, Limner]]:
    """The address of a real server over a real Limner, in a thread of its own."""
    limner = Limner(Settings(home=home, **settings), providers={"easel": Easel}, models=[MODEL])
    door = McpDoor(limner, ceiling=None)
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            create_app(limner, max_body_bytes=MAX_BODY, max_upload_bytes=MAX_UPLOAD, doors=[door]),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            http=BoundedHead,
        )
        server = uvicorn.Server(config)

        async def serve() -> None:
            async with limner, door.running():
                await server.serve(sockets=[listener])

        thread = threading.Thread(target=anyio.run, args=(serve,))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", limner
        finally:
            server.should_exit = True
            thread.join()


# -- what a clean refusal looks like ---------------------------------------------------------------------

_INSIDE = re.compile(r'Traceback|File "|site-packages|limner[/.](api|core|store|app)|pydantic|sqlite|Errno')


def shaped(path: str, body: object) -> bool:
    """Whether an error is in the shape of the door at `path`."""
    match path.split("/")[1:3]:
        case ["v1", "images" | "models" | "moderations"]:
            return set(body["error"]) == {"message", "type", "param", "code"}
        case ["unified" | "projects" | "storage" | "health", *_]:
            return set(body) == {"detail"}
        case ["generate-image" | "chat" | "health-check", *_]:
            return body["success"] is False and {"error", "code"} <= set(body)
        case ["models" | "hf-inference", *_]:
            return set(body) == {"error"} and isinstance(body["error"], str)
        case ["sdapi", *_]:
            return set(body) == {"error", "detail", "body", "errors"}
        case ["mcp", *_]:
            return body["jsonrpc"] == "2.0" and set(body["error"]) >= {"code", "message"}
        case _:
            return {"code", "message"} <= set(body["error"]) <= {"code", "message", "field", "details"}


def echoed(answer: str, sent: str) -> bool:
    """More than 200 characters of the caller's own come back."""
    span = MAX_ECHO + 1
    return any(answer[at : at + span] in sent for at in range(len(answer) - span + 1))


@contextmanager
def named(name: object) -> Iterator[None]:
    """Says which of many requests it was that went wrong."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"the request: {str(name)[:120]!r}")
        raise


def clean(answer: httpx.Response, *statuses: int, shape: str | None = None) -> None:
    """A refusal in the door's own words: nothing of our inside, nothing of the caller's but a little."""
    request = answer.request
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    assert answer.headers["x-request-id"]
    assert (answer.status_code == 405) <= ("allow" in answer.headers)
    assert not _INSIDE.search(answer.text), answer.text[:500]
    sent = request.content if isinstance(request.stream, httpx.ByteStream) else b""
    assert not echoed(answer.text, sent.decode("utf-8", "replace") + str(request.url))
    assert len(answer.content) < 12_000
    if answer.content:
        assert shaped(shape or request.url.path, json.loads(answer.content)), answer.text[:300]
