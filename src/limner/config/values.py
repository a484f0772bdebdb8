"""What a setting's value may be: each kind reads text or numbers and says what it accepts."""

import os
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    GetCoreSchemaHandler,
    SecretStr,
)
from pydantic_core import CoreSchema, core_schema

_CALLER = r"[a-z0-9][a-z0-9_-]{0,63}=[\x21-\x2b\x2d-\x7e]{16,}"
_POSTGRES = (
    r"postgres(?:ql)?://"
    r"(?:[^\s:@/?#]*(?::[^\s:@/?#]*)?@)?"  # user and password
    r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]{1,5})?"  # host and port; none: a socket on this machine
    r"/[^\s/?#@]+(?:\?[^\s#]*)?"
)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, from a number or from ASCII digits: `int("٣")` is 3 in Python, a typo here."""

    low: int
    high: int

    @property
    def accepts(self) -> str:
        """For messages and the reference."""
        return f"a whole number from {self.low} to {self.high}"

    def read(self, value: object) -> int:
        """The number meant. Raises ValueError."""
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
            value = int(value)
        if type(value) is not int or not self.low <= value <= self.high:
            raise ValueError(f"must be {self.accepts}")
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))


@dataclass(frozen=True, slots=True)
class Seconds:
    """A length of time, from a number or from ASCII digits with at most one point."""

    low: float
    high: float

    @property
    def accepts(self) -> str:
        """For messages and the reference."""
        return f"a number of seconds from {self.low:g} to {self.high:g}"

    def read(self, value: object) -> float:
        """The seconds meant. Raises ValueError."""
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", value.strip()):
            value = float(value)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            raise ValueError(f"must be {self.accepts}")
        return float(value)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text that matches `pattern`, stripped; `accepts` says it for people."""

    pattern: str
    accepts: str
    lower: bool = False

    def read(self, value: object) -> str:
        """The stripped text. Raises ValueError."""
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        text = text.strip() if isinstance(text, str) else ""
        text = text.lower() if self.lower else text
        if not isinstance(value, str | SecretStr) or not re.fullmatch(self.pattern, text):
            raise ValueError(f"must be {self.accepts}")
        return text

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))


@dataclass(frozen=True, slots=True)
class Dollars:
    """An amount in US dollars, from a number or from ASCII digits with at most six decimals."""

    high: int = 1_000_000
    off: bool = False
    """The word `off` means no bound."""

    @property
    def accepts(self) -> str:
        """For messages and the reference."""
        return f"dollars from 0 to {self.high}, at most six decimals" + (", or off" if self.off else "")

    def read(self, value: object) -> Decimal | None:
        """The amount meant, None for `off`. Raises ValueError."""
        if value is None or (self.off and value == "off"):
            return None
        text = str(value).strip() if type(value) in (str, int, float, Decimal) else ""
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text) or Decimal(text) > self.high:
            raise ValueError(f"must be {self.accepts}")
        return Decimal(text)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))


@dataclass(frozen=True, slots=True)
class Pictures:
    """A number of pictures, or `off` for no bound."""

    off: bool = False

    @property
    def accepts(self) -> str:
        """For messages and the reference."""
        return "a whole number from 0 to 1000000" + (", or off" if self.off else "")

    def read(self, value: object) -> int | None:
        """The number meant, None for `off`. Raises ValueError."""
        if value is None or (self.off and value == "off"):
            return None
        try:
            return Whole(0, 1_000_000).read(value)
        except ValueError:
            raise ValueError(f"must be {self.accepts}") from None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))


@dataclass(frozen=True, slots=True)
class Names:
    """Lower-case names, from a list or from text with commas."""

    accepts: str = "names separated by commas, for example openai,replicate"

    def read(self, value: object) -> tuple[str, ...]:
        """The names, each once, in order. Raises ValueError."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"must be {self.accepts}")
        names = tuple(dict.fromkeys(part.strip().lower() for part in parts if part.strip()))
        if not all(re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) for name in names):
            raise ValueError(f"must be {self.accepts}")
        return names

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))


def folder(path: Path) -> Path:
    """An absolute path of a folder. Raises ValueError."""
    if "\x00" in str(path) or not str(path).strip():
        raise ValueError("must be the path of a folder")
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow links


def database(url: str) -> str:
    """The address of a SQLite file or a PostgreSQL database, or nothing. Raises ValueError."""
    if not url:
        return url
    if re.match(r"postgres(ql)?:", url):
        if not re.fullmatch(_POSTGRES, url):
            raise ValueError(
                "must be like postgresql://user:password@host:5432/database; "
                "in user and password, write @ : / ? # % as %40 %3A %2F %3F %23 %25"
            )
        return re.sub(r"^postgres:", "postgresql:", url)
    path = url.removeprefix("sqlite:///")
    if path == url or path.startswith(":memory:") or "?" in path or not path:
        raise ValueError(
            "must be sqlite:///path/limner.db or postgresql://user:password@host/database, or empty"
        )
    return f"sqlite:///{folder(Path(path))}"


def blob_place(url: str) -> str:
    """A folder, `memory://`, or nothing. Raises ValueError."""
    path = url.removeprefix("file://")
    if url in {"", "memory://"}:
        return url
    if "://" in path:
        raise ValueError("this version keeps its pictures in a folder; give its path, or leave it empty")
    return str(folder(Path(path)))


def named_once(keys: SecretStr) -> SecretStr:
    """Refuse two keys under one name: only one of them would count. Raises ValueError."""
    names = [pair.partition("=")[0] for pair in keys.get_secret_value().split(",")]
    if len(set(names)) != len(names):
        raise ValueError("must give each name once")
    return keys


TableName = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "letters, digits, - and _")]
"""The name of a budget or a limit."""
CallerKeys = Annotated[
    SecretStr,
    AfterValidator(named_once),
    Text(
        rf"{_CALLER}(,{_CALLER})*",
        "NAME=KEY, several with commas between; names of lower-case letters, digits, - and _; keys of at "
        "least 16 printable ASCII characters without blanks and commas",
    ),
]
Secret = Annotated[SecretStr, Text(r"[\x21-\x7e]+", "one line of printable ASCII without blanks")]
Address = Annotated[
    str,
    AfterValidator(lambda url: url.rstrip("/")),
    Text(r"(https?://[^\s/?#]+(/[^\s?#]*)?)?", "an address such as http://127.0.0.1:50053, or empty"),
]
