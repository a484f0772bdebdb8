"""`limner simulate`: the vendors' stand-ins on this machine, until Ctrl-C."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from pydantic import SecretStr
from rich.table import Table

from limner.app import Limner
from limner.cli import session, view
from limner.config import AccountSettings, Settings
from limner.core.errors import InvalidRequest, SetupError
from limner.simulator.app import Simulator
from limner.simulator.faults import Schedule

DEFAULT_PORT = 8091


def run(
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    seed: int | None = None,
    faults: str = "",
    speed: float = 20.0,
    *,
    public_url: str | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C. Port 0 is any that is free; `public_url` is what clients call it by.

    Raises `InvalidRequest` for a wrong argument and `SetupError` for a port it cannot have.
    """
    if not 0 <= port <= 65535:
        raise InvalidRequest(f"--port must be from 0 (any that is free) to 65535, not {port}", "port")
    if not speed > 0:
        raise InvalidRequest(f"--speed must be above 0, not {speed:g}", "speed")
    simulator = Simulator(
        seed=seed, schedule=Schedule.parse(faults), speed=speed, host=host, port=port, public_url=public_url
    )

    async def serve() -> None:
        async with simulator:
            _tell(simulator)
            await anyio.sleep_forever()

    try:
        session.run(serve)
    except KeyboardInterrupt:
        return  # to be stopped is how it ends


@asynccontextmanager
async def beside(settings: Settings, faults: str, seed: int | None) -> AsyncIterator[Limner]:
    """A Limner, not yet entered, whose every account is a stand-in that runs beside it."""
    async with Simulator(seed=seed, schedule=Schedule.parse(faults)) as simulator:
        view.out().print(
            f"Every vendor is a stand-in at {simulator.url}: no key is used, nothing is charged. "
            f"Pictures and journal are apart from yours, in {_apart(settings)}.",
            markup=False,
        )
        yield Limner(simulated(settings, simulator))


def simulated(settings: Settings, simulator: Simulator) -> Settings:
    """The settings with every account at the simulator, and all that is kept apart from the real things.

    Raises `SetupError` when the folder for that cannot be made.
    """
    apart = _apart(settings)
    try:
        apart.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{apart} cannot be made: {error.strerror}") from error
    accounts = {name: _account(simulator, name) for name in simulator.vendors}
    return settings.model_copy(
        update={
            "database_url": f"sqlite:///{apart / 'limner.db'}",
            "blob_url": str(apart / "storage"),
            "accounts": accounts,
            "variables": {},
        }
    )


def _apart(settings: Settings) -> Path:
    return settings.home / "simulated"


def _account(simulator: Simulator, name: str) -> AccountSettings:
    key = simulator.key(name)
    return AccountSettings(
        url=simulator.base(name).rstrip("/"),
        key=SecretStr(key) if key else None,
        model=simulator.vendors[name].any_model,
    )


def _tell(simulator: Simulator) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("provider", "base address", "key"):
        table.add_column(title, overflow="fold")  # whole, so that it can be copied
    for name in simulator.vendors:
        table.add_row(name, simulator.base(name), simulator.key(name) or "(none needed)")
    out = view.out()
    out.print(f"The simulator answers at {simulator.url}. Nothing it does costs anything. Ctrl-C stops it.\n")
    out.print(table)
    out.print(
        "\nTo see a fault, write [[emu:rate_limited]] into a prompt, or:\n"
        f'  curl -d \'{{"fault": "cut_after"}}\' {simulator.url}/__emu/faults\n'
        f"All faults, the bill and the journal: {simulator.url}/",
        markup=False,
    )
