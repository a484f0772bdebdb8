"""The simulator: a server on this machine with every vendor below its own name."""

import errno
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiohttp import web

from limner.core.errors import SetupError
from limner.simulator import find, gate
from limner.simulator.admin import Admin, reset
from limner.simulator.faults import Fault, Kind, Schedule
from limner.simulator.journal import Asked, Bill
from limner.simulator.vendor import Vendor
from limner.simulator.world import Stage, World

MAX_BODY_BYTES = 64 * 1024 * 1024
_FOREIGN_HOST = "127.0.0.2"
_GRACE_S = 2.0


class Simulator:
    """`async with Simulator(seed=7) as sim:` answers at `sim.url` until the block ends.

    `vendors` are classes, None for all that are installed; `speed` is how many times faster than the vendors
    work is done; port 0 is any that is free; `public_url` is what clients call it by where that is not its
    host and port. Entering raises `SetupError` for a port it cannot have.
    """

    def __init__(
        self,
        *,
        seed: int | None = 7,
        vendors: Iterable[type[Vendor]] | None = None,
        schedule: Schedule | None = None,
        speed: float = 20.0,
        host: str = "127.0.0.1",
        port: int = 0,
        public_url: str | None = None,
    ) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self._kinds = list(find.installed().values() if vendors is None else vendors)
        self._host, self._port, self._public_url = host, port, public_url
        self._stage = Stage(seed=seed, schedule=schedule or Schedule(), speed=speed)
        self.vendors: Mapping[str, Vendor] = {
            kind.name: kind(World(self._stage, kind.name)) for kind in self._kinds
        }
        self._stage.keys = tuple(
            key for vendor in self.vendors.values() for key in (vendor.key, *vendor.further_keys) if key
        )
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            app = self._application()
            main = _listen(self._host, self._port)
            stack.callback(main.close)
            twin = _listen(self._host, 0)
            stack.callback(twin.close)
            far = _foreign_listener()
            stack.callback(far.close)
            await _serve(stack, app, main, twin)
            await _serve(stack, self._foreign(), far)
            stack.callback(self.stop)
            self._stage.url = _url(main) if self._public_url is None else self._public_url.rstrip("/")
            self._stage.twin_url, self._stage.foreign_url = _url(twin), _url(far)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return self._stage.url

    def base(self, vendor: str) -> str:
        """The base address that Limner is given for a vendor."""
        return f"{self.url}/{vendor}{self.vendors[vendor].base}"

    def key(self, vendor: str) -> str:
        """The vendor's good key; empty when it needs none."""
        return self.vendors[vendor].key

    def fault(
        self,
        kind: Kind,
        vendor: str | None = None,
        times: int = 1,
        *,
        after_s: float | None = None,
        **match: str,
    ) -> None:
        """Let the next `times` orders that fit (0: all) go wrong; `path`, `prompt` and `model` choose them.

        Raises `ValueError` for a vendor, kind or word that does not exist.
        """
        if vendor not in (None, *self.vendors):
            raise ValueError(f"there is no vendor {vendor!r}; there are: {', '.join(self.vendors)}")
        waits = {} if after_s is None else {"after_s": after_s}
        fields = {"fault": kind, "vendor": vendor, "times": times, "match": match} | waits
        self._stage.script.add(Fault.model_validate(fields))

    @property
    def bill(self) -> Bill:
        """What was charged."""
        return self._stage.bill

    def requests(self, vendor: str | None = None, path: str | None = None) -> list[Asked]:
        """What was asked, oldest first; `path` is a part of the path."""
        return self._stage.journal.read(vendor, path)

    @property
    def foreign_asks(self) -> int:
        """How often somebody asked the host that nobody should ask."""
        return self._stage.foreign_asks

    @property
    def mistakes(self) -> list[str]:
        """Exceptions in the vendors' own handlers: faults of the simulator, none of which were asked for."""
        return self._stage.mistakes

    def advance(self, seconds: float) -> None:
        """Let time pass at once for addresses and jobs."""
        self._stage.advance(seconds)

    def stop(self) -> None:
        """Let those who hang or wait go; leaving the block does it, too."""
        self._stage.stopped.set()

    def reset(self) -> None:
        """As if just started."""
        reset(self._stage, self.vendors)

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._astray])
        app.add_routes(Admin(self._stage, self.vendors).routes())
        for vendor in self.vendors.values():
            for route in (*vendor.routes(), gate.files(vendor)):
                door = gate.door(vendor, route)
                for prefix in (vendor.name, *vendor.also_under):
                    app.router.add_route(route.method, f"/{prefix}{route.path}", door)
        return app

    @web.middleware
    async def _astray(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        lost = request.match_info.http_exception
        vendor = self.vendors.get(request.path.split("/")[1])
        if lost is None or vendor is None:
            return await handler(request)
        return await gate.astray(vendor, lost)(request)

    def _foreign(self) -> web.Application:
        async def give(request: web.Request) -> web.Response:
            self._stage.foreign_asks += 1
            return gate.given(self._stage.foreign_files.get(request.match_info["id"], self._stage.now()))

        app = web.Application()
        app.router.add_route("*", "/{id:[^/]*}{rest:.*}", give)
        return app


async def _serve(stack: AsyncExitStack, app: web.Application, *listeners: socket.socket) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    for listener in listeners:
        await web.SockSite(runner, listener).start()


def _listen(host: str, port: int) -> socket.socket:
    """Take a port. Raises `SetupError` that names it and the way out."""
    if not 0 <= port <= 65535:
        raise SetupError(f"a port is from 0 (any that is free) to 65535, not {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=1024)
    except OSError as error:
        raise SetupError(_no_port(error, host, port)) from error


def _no_port(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            other = port % 65535 + 1
            return f"port {port} at {host} is in use by another program; choose another, as in --port {other}"
        case errno.EACCES:
            return f"port {port} at {host} may not be taken by this user; choose one above 1023 with --port"
        case _:
            return f"the simulator cannot listen at {host}, port {port}: {error}; 127.0.0.1 is the usual host"


def _foreign_listener() -> socket.socket:
    """A host of its own; macOS has only one loopback address, there it is a port of its own."""
    try:
        return _listen(_FOREIGN_HOST, 0)
    except SetupError:
        return _listen("127.0.0.1", 0)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
