"""The gRPC service beside the HTTP server, and alone."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from limner.app import Limner
from limner.cli import session, view, words
from limner.cli.listening import authority, listen
from limner.cli.logs import configure
from limner.config import Loaded, Settings, load
from limner.core.errors import SetupError
from limner.core.text import LOOPBACK_NAME

if TYPE_CHECKING:
    from limner.rpc.server import RpcServer, Tls

_UNUSED = {
    "--model-dir": "models are set up as providers; `limner models` lists them",
    "--max-models": "the engine keeps its models by the memory there is",
    "--max-disk-cache": "pictures are kept until they are deleted",
    "--cleanup-interval": "tidying goes by itself",
}
"""Options of the server before Limner that are taken and have no meaning here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service listens, checked before anything is started."""

    host: str
    port: int
    tls: "Tls | None"
    asked_for: bool = True
    """Somebody chose it; else a port that is taken leaves gRPC out."""

    @property
    def address(self) -> str:
        """As a client on this machine names it."""
        return authority(self.host, self.port)


def place(loaded: Loaded) -> Place | None:
    """Where gRPC is to answer; None when nobody asked for the usual port and another program has it.

    Raises `SetupError`.
    """
    settings = ("grpc_host", "grpc_port", "grpc_cert", "grpc_key")
    chosen = any(loaded.sources[name].kind != "default" for name in settings)
    try:
        return replace(_wanted(loaded.settings, "--grpc-port"), asked_for=chosen)
    except SetupError as error:
        if chosen:
            raise
        words.warn(f"gRPC is left out: {error}, or --grpc-port 0 for none")
        return None


def _wanted(settings: Settings, option: str) -> Place:
    """The place that is set, free a moment ago. Raises `SetupError`."""
    # Its handlers at a fork are for children that use it. Ours are other programs, and each start of the
    # engine would leave a line in the log.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from limner.rpc.server import read_tls

    tls = read_tls(settings.grpc_cert, settings.grpc_key)
    host = settings.grpc_host or settings.host
    listen(host, settings.grpc_port, option).close()
    return Place(host, settings.grpc_port, tls)


@asynccontextmanager
async def answering(limner: Limner, where: Place | None) -> AsyncIterator["RpcServer | None"]:
    """The service while the block runs, over a Limner that is entered. None: nothing."""
    if where is None:
        yield None
        return
    from limner.rpc.server import RpcServer

    places = limner.settings.grpc_concurrency
    try:
        service = RpcServer(limner, where.host, where.port, places=places, tls=where.tls)
    except SetupError as error:  # somebody took the port since it was tried
        if where.asked_for:
            raise
        words.warn(f"gRPC is left out: {error}")
        yield None
        return
    async with service as server:
        yield server


def say(limner: Limner, where: Place) -> None:
    """Where it answers, and who may ask."""
    if not limner.settings.callers and not LOOPBACK_NAME.fullmatch(where.host.strip("[]")):
        words.warn(
            "anybody who reaches the gRPC port may order pictures; LIMNER_API_KEYS makes it ask for a key"
        )
    kind = "plaintext" if where.tls is None else "TLS"
    view.out().print(f"gRPC answers at {where.address} ({kind}).", markup=False)


def grpc(*, host: str | None, port: int | None, unused: Mapping[str, object]) -> None:
    """The gRPC service alone, until SIGTERM or Ctrl-C. `unused` are given options without a meaning here."""
    for name, given in unused.items():
        if given is not None:
            words.warn(f"{name} changes nothing here: {_UNUSED[name]}")
    loaded = load(overrides={"grpc_host": host, "grpc_port": port})
    configure(loaded.settings.log_level, loaded.settings.log_format)
    if loaded.settings.grpc_port == 0:
        raise SetupError("the setting grpc_port is 0, which means no gRPC; choose a port with --port")
    where = _wanted(loaded.settings, "--port")

    async def serve() -> None:
        async with Limner(loaded.settings) as limner, answering(limner, where):
            say(limner, where)
            await anyio.sleep_forever()

    with contextlib.suppress(KeyboardInterrupt):  # to be stopped is how it ends
        session.run(serve)
