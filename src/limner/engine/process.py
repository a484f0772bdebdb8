"""The engine as a process of its own: arguments, the socket, signals, exit codes."""

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from limner.engine import logs, onnx_backend, weights
from limner.engine.app import create_app
from limner.engine.backend import Broken
from limner.engine.book import Book
from limner.engine.painter import Painter

log = logging.getLogger("limner.engine")

TOKEN_VARIABLE = "LIMNER_ENGINE_TOKEN"  # noqa: S105  (its name, not its value)
EXIT_BROKEN = 3
STOP_S = 0.8

_STDIN = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    host: str
    port: int
    fd: int | None
    threads: int
    exit_with_parent: bool
    model: Path


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop: exit code 0; or 3, with one line on stderr, if the model cannot be used."""
    settings = _parse(argv)
    logs.configure()
    try:
        offer = onnx_backend.offer(settings.model, settings.threads)
    except Broken as error:
        return _broken(error)
    orders = Book()
    painter = Painter([offer], orders, on_broken=lambda error: os._exit(_broken(error)))
    app = create_app(painter, orders, threads=settings.threads, token=os.environ.get(TOKEN_VARIABLE, ""))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = _Server(config, orders)
    if settings.exit_with_parent:
        threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, _leave)  # uvicorn puts its own in front and, when done, repeats the signal to ours
    with _listen(settings) as listener:
        log.info("listening", extra={"address": listener.getsockname(), "threads": settings.threads})
        server.run(sockets=[listener])
    return _leave()


def cores() -> int:
    """Processor cores this process may use: by affinity and by the container's quota."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(available, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return available


class _Server(uvicorn.Server):
    """Answers those who wait before it goes, and goes within ``STOP_S`` in any case."""

    def __init__(self, config: uvicorn.Config, orders: Book) -> None:
        super().__init__(config)
        self._orders = orders

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop. The rest is in a thread: a handler may not take a lock its own thread may hold."""
        threading.Thread(target=self._hurry, name="exit", daemon=True).start()
        super().handle_exit(sig, frame)

    def _hurry(self) -> None:
        self._orders.close()
        time.sleep(STOP_S)
        _leave()


def _parse(argv: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m limner.engine", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=50053)
    parser.add_argument("--fd", type=int, help="an inherited socket that listens already")
    parser.add_argument("--threads", type=int, default=cores(), help="processor threads for one step")
    parser.add_argument("--exit-with-parent", action="store_true", help="leave when stdin reaches its end")
    parser.add_argument("--model", type=Path, default=weights.STARTER, help="folder with model.json")
    return Settings(**vars(parser.parse_args(argv)))


def _listen(settings: Settings) -> socket.socket:
    if settings.fd is not None:
        return socket.socket(fileno=settings.fd)
    return socket.create_server((settings.host, settings.port), backlog=2048)


def _leave_with_parent() -> None:
    with contextlib.suppress(OSError):  # a closed stdin is at its end
        while os.read(_STDIN, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    _leave()


def _leave(*_: object) -> NoReturn:
    """Without a farewell: the painter may be in a native call, which the interpreter must not tear down."""
    log.info("stopped")
    os._exit(0)


def _broken(error: Broken) -> int:
    sys.stderr.write(f"limner engine: {error}\n")
    sys.stderr.flush()
    return EXIT_BROKEN
