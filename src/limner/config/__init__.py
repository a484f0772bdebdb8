"""Settings: one model, read once. Seen by `app` and `cli` only; everybody else is handed values."""

from limner.config.read import Loaded, Source, load
from limner.config.settings import ALIASES, FLAGS, SECRETS, UNUSED, LogFormat, LogLevel, Settings, shown
from limner.config.values import Names

__all__ = [
    "ALIASES",
    "FLAGS",
    "SECRETS",
    "UNUSED",
    "Loaded",
    "LogFormat",
    "LogLevel",
    "Names",
    "Settings",
    "Source",
    "load",
    "shown",
]
