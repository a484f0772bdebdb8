"""One Limner's surroundings: its home, its settings, its database."""

import os
import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from limner.config import Settings, load
from limner.lab.harm import Weather
from limner.lab.vendors import Account

LEASE_S = 3.0
REST_S = 3.0
"""How long a breaker stays open."""


@dataclass(slots=True)
class House:
    """Where the processes of a run live. `database` is a URL, empty for a file of its own."""

    folder: Path
    database: str = ""
    more: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()

    @property
    def home(self) -> Path:
        """Limner's home."""
        return self.folder / "home"

    @property
    def log(self) -> Path:
        """What all processes say."""
        return self.folder / "log"

    @property
    def weather(self) -> Path:
        """See `harm.Weather`."""
        return self.folder / "weather"

    @property
    def url(self) -> str:
        """The database as SQLAlchemy names it."""
        return self.database or f"sqlite:///{self.home / 'limner.db'}"

    def sky(self) -> Weather:
        """The weather, to be changed."""
        return Weather(self.weather, write=True)

    def furnish(self, accounts: Iterable[Account], tables: str = "") -> None:
        """Write the settings: an account at every stand-in, and `tables` as they are."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.ports = self.ports or (free_port(), free_port())
        written = "\n".join(_table(one) for one in accounts)
        (self.folder / "limner.toml").write_text(f"{written}\n{tables}")

    def environ(self) -> dict[str, str]:
        """What every process is started with."""
        given = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
        given |= {
            "LIMNER_CONFIG": str(self.folder / "limner.toml"),
            "LIMNER_HOME": str(self.home),
            "LIMNER_PORT": str(self.ports[0]),
            "LIMNER_GRPC_PORT": "0",
            "LIMNER_PUBLIC_URL": f"http://127.0.0.1:{self.ports[0]}",
            "LIMNER_LOG_LEVEL": "warning",
            "LIMNER_LOG_FORMAT": "json",
            "LIMNER_LEASE_S": f"{LEASE_S:g}",
            "LIMNER_BREAKER_WINDOW_S": f"{REST_S:g}",
            "LIMNER_DISABLED_PROVIDERS": "local",
        }
        if self.database:
            given["LIMNER_DATABASE_URL"] = self.database
        return given | dict(self.more)

    def settings(self) -> Settings:
        """As those processes read them."""
        return load(cwd=self.folder, environ=self.environ()).settings


def free_port() -> int:
    """A port nobody listens at. Below those that connections are given: a server that was killed finds its
    own again, and nobody who looks for it in vain connects to himself."""
    while True:
        port = random.randrange(15_000, 32_000)  # noqa: S311 - any will do
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _table(account: Account) -> str:
    lines = [f"[accounts.{account.provider}]", f'url = "{account.url}"']
    if account.key:
        lines.append(f'key = "{account.key}"')
    if account.model:
        lines.append(f'model = "{account.model}"')
    return "\n".join(lines) + "\n"
