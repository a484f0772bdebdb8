"""Settings: one model, read once. Seen by `app` and `cli` only; everybody else is handed values."""

from limner.config.accounts import Account, accounts_of
from limner.config.bounds import BudgetSettings, LimitSettings
from limner.config.read import Loaded, Source, load
from limner.config.settings import (
    ALIASES,
    NOT_VARIABLES,
    SECRETS,
    UNUSED,
    AccountSettings,
    LogFormat,
    LogLevel,
    Settings,
    shown,
)
from limner.config.values import Names

__all__ = [
    "ALIASES",
    "NOT_VARIABLES",
    "SECRETS",
    "UNUSED",
    "Account",
    "AccountSettings",
    "BudgetSettings",
    "LimitSettings",
    "Loaded",
    "LogFormat",
    "LogLevel",
    "Names",
    "Settings",
    "Source",
    "accounts_of",
    "load",
    "shown",
]
