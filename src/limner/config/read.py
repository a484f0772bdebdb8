"""The settings: one model, read once. Later sources win: the defaults, limner.toml, .env, the environment,
the command line. A wrong setting is refused here, with its place and what would be accepted."""

import difflib
import io
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs
from dotenv.parser import parse_stream
from dotenv.variables import parse_variables
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from limner.config.bounds import BudgetSettings, LimitSettings
from limner.config.settings import (
    BY_VARIABLE,
    FLAG,
    OF_A_PROVIDER,
    SECRETS,
    UNUSED,
    AccountSettings,
    Settings,
    masked,
)
from limner.config.values import Names, Whole
from limner.core.errors import SetupError

_ELSEWHERE = frozenset({"LIMNER_CONFIG", "LIMNER_DEBUG"})
_IN_A_FILE = [name for name in Settings.model_fields if name != "variables"]
_KUBERNETES = re.compile(r"LIMNER_(SERVICE_(HOST|PORT.*)|PORT_[0-9]+_(TCP|UDP).*)")
_EXPECTED = {
    "path_type": "must be the path of a folder",
    "string_type": "must be text",
}
_TABLES: Mapping[str, tuple[str, str, type[BaseModel]]] = {
    "accounts": ("an account", "[accounts.openai]", AccountSettings),
    "budgets": ("a budget", "[budgets.team]", BudgetSettings),
    "limits": ("a limit", "[limits.team]", LimitSettings),
}
"""What a table is, an example, and what it may hold."""
Kind = Literal["default", "limner.toml", ".env", "environment", "command line"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a setting in force came from. `name` is its name there, `line` counts from 1."""

    kind: Kind
    name: str
    path: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        match self.kind:
            case "limner.toml" | ".env":
                return f"{self.path}:{self.line}" if self.line else str(self.path)
            case "environment":
                return f"environment {self.name}"
            case "command line":
                return self.name
            case "default":
                return "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, where each came from, and what was seen and not used (name to reason)."""

    settings: Settings
    sources: Mapping[str, Source]
    unused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Given:
    """One value as it was written."""

    field: str
    value: object
    source: Source

    def complaint(self, why: str, inside: Sequence[object] = ()) -> str:
        """One line: the place, the name, the value (masked where it is secret) and what is accepted.

        `inside` leads to the part of a table that is at fault.
        """
        value = self.value
        for name in inside:
            value = value.get(name, value) if isinstance(value, dict) else value
        shown = "********" if self.field in SECRETS else masked(value)
        match self.source.kind:
            case "environment":
                return f"{self.source.name}={shown}: {why}"
            case ".env":
                return f"{self.source}: {self.source.name}={shown}: {why}"
            case "command line":
                return f"{self.source.name} {shown}: {why}"
            case "limner.toml" | "default":
                quoted = f'"{shown}"' if isinstance(value, str) and self.field not in SECRETS else shown
                name = ".".join(map(str, (self.source.name, *inside)))
                return f"{self.source}: {name} = {quoted}: {why}"


def load(
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Loaded:
    """Read all sources. `overrides` maps field to the command line's value; None means not given there.

    Raises SetupError that lists every wrong setting, one line each.
    """
    here = _current() if cwd is None else cwd
    reading = _Reading(here, os.environ if environ is None else environ)
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    dotenv = reading.dotenv()
    for layer in (reading.toml(dotenv, given), reading.from_dotenv(dotenv), reading.from_environ()):
        reading.take(layer)
    reading.take(
        _Given(name, value, Source("command line", "--" + name.replace("_", "-")))
        for name, value in given.items()
    )
    return reading.finish()


class _Reading:
    """One pass over the sources; what is wrong is collected, so that all of it is said at once."""

    def __init__(self, here: Path, environ: Mapping[str, str]) -> None:
        self.here = here
        self.environ = environ
        self.taken: dict[str, _Given] = {}
        self.wrong: list[str] = []
        self.unused: dict[str, str] = {}

    def take(self, layer: Iterable[_Given]) -> None:
        self.taken.update((given.field, given) for given in layer)

    def finish(self) -> Loaded:
        try:
            settings = Settings.model_validate({name: given.value for name, given in self.taken.items()})
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                field, *inside = fault["loc"]
                why = _expected(str(field), fault)
                self.wrong.append(self.taken[str(field)].complaint(why, inside))
            raise SetupError("\n".join(self.wrong)) from None
        if self.wrong:
            raise SetupError("\n".join(self.wrong))
        default = {name: Source("default", name) for name in Settings.model_fields}
        return Loaded(
            settings, default | {name: given.source for name, given in self.taken.items()}, self.unused
        )

    def dotenv(self) -> dict[str, tuple[str, Source]]:
        path = self.here / ".env"
        if not path.is_file():
            return {}
        found: dict[str, tuple[str, Source]] = {}
        for binding in parse_stream(io.StringIO(_text(path))):
            written = binding.original.string
            line = binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
            place = Source(".env", binding.key or "", self._shown(path), line)
            if binding.error and "LIMNER_" in written:
                self.wrong.append(f"{place}: {written.strip()[:60]!r} cannot be read; write NAME=value")
            if binding.key and binding.value is not None:
                known = {**self.environ, **{name: value for name, (value, _) in found.items()}}
                value = "".join(atom.resolve(known) for atom in parse_variables(binding.value))
                found[binding.key] = (value, place)
        return found

    def from_dotenv(self, dotenv: Mapping[str, tuple[str, Source]]) -> Iterator[_Given]:
        return self._variables(dotenv)

    def from_environ(self) -> Iterator[_Given]:
        return self._variables(
            {name: (value, Source("environment", name)) for name, value in self.environ.items()}
        )

    def _variables(self, written: Mapping[str, tuple[str, Source]]) -> Iterator[_Given]:
        """What one source of variables says, least important first: flags, old names, LIMNER_ names."""
        yield from self._flags(
            {name: given for name, given in sorted(written.items()) if FLAG.fullmatch(name) and given[0]}
        )
        yield from self._of_providers(written)
        for name in sorted(written, key=lambda name: name.startswith("LIMNER_")):
            value, source = written[name]
            if not value:
                continue  # `NAME=` is how compose files leave a variable unset
            if field := BY_VARIABLE.get(name):
                yield from self._variable(_Given(field, value, source))
            elif name in UNUSED:
                self.unused[name] = UNUSED[name]
            elif (
                name.startswith("LIMNER_")
                and name not in _ELSEWHERE
                and not _KUBERNETES.fullmatch(name)
                and not OF_A_PROVIDER.fullmatch(name)
            ):
                prefix = f"{source}: " if source.kind == ".env" else ""
                self.wrong.append(f"{prefix}{name} is not a setting of Limner{_nearest(name, BY_VARIABLE)}")

    def _variable(self, given: _Given) -> Iterator[_Given]:
        text = str(given.value)
        match given.source.name:
            case "DATABASE_URL" if not text.startswith("sqlite:"):
                self.unused["DATABASE_URL"] = (
                    "it is no SQLite file, so it is taken to be meant for another program"
                )
            case "LIMNER_PORT" if re.match(r"(tcp|udp)://", text):
                self.unused["LIMNER_PORT"] = "Kubernetes sets it for a service named limner"
            case "CIRCUIT_BREAKER_TIMEOUT_MS":
                try:
                    milliseconds = Whole(1000, 86_400_000).read(text)
                except ValueError as error:
                    self.wrong.append(given.complaint(f"{error} (milliseconds)"))
                else:
                    yield _Given(given.field, milliseconds / 1000, given.source)
            case _:
                yield given

    def _of_providers(self, written: Mapping[str, tuple[str, Source]]) -> Iterator[_Given]:
        """Everything that may be a provider's key, address or model, on top of what came before."""
        before = self.taken.get("variables")
        found = dict(before.value) if before and isinstance(before.value, dict) else {}
        last = None
        for name, (value, source) in sorted(written.items()):
            ours = name in BY_VARIABLE or name in UNUSED or _KUBERNETES.fullmatch(name)
            if value and not ours and OF_A_PROVIDER.fullmatch(name):
                found[name], last = value.strip(), source
        if last is not None:
            yield _Given("variables", found, last)

    def _flags(self, flags: Mapping[str, tuple[str, Source]]) -> Iterator[_Given]:
        off: list[str] = []
        if flags and (before := self.taken.get("disabled_providers")):
            try:
                off = list(Names().read(before.value))
            except ValueError as error:
                self.wrong.append(before.complaint(str(error)))
        for name, (value, source) in flags.items():
            match value.strip().lower():
                case "true" | "1" | "yes" | "on":
                    off = [provider for provider in off if provider != _switched(name)]
                case "false" | "0" | "no" | "off":
                    off.append(_switched(name))
                case _:
                    self.wrong.append(
                        _Given("disabled_providers", value, source).complaint("must be true or false")
                    )
            yield _Given("disabled_providers", tuple(off), source)

    def toml(
        self, dotenv: Mapping[str, tuple[str, Source]], overrides: Mapping[str, object]
    ) -> Iterator[_Given]:
        path = self._toml_path(dotenv, overrides)
        if path is None:
            return
        text, shown = _text(path), self._shown(path)
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SetupError(_toml_complaint(shown, text, error)) from None
        for name, value in table.items():
            source = Source("limner.toml", name, shown, _line_of(name, text))
            if name in _IN_A_FILE:
                yield _Given(name, value, source)
            else:
                self.wrong.append(
                    f"{source}: {name!r} is not a setting of Limner{_nearest(name, _IN_A_FILE)}"
                )

    def _toml_path(
        self, dotenv: Mapping[str, tuple[str, Source]], overrides: Mapping[str, object]
    ) -> Path | None:
        def variable(name: str) -> str:
            return self.environ.get(name) or (dotenv[name][0] if name in dotenv else "")

        if named := variable("LIMNER_CONFIG"):
            path = self.here / Path(named).expanduser()
            if not path.is_file():
                raise SetupError(f"LIMNER_CONFIG={named}: there is no such file")
            return path
        home = Path(
            str(overrides.get("home") or variable("LIMNER_HOME") or platformdirs.user_data_path("limner"))
        )
        candidates = (self.here / "limner.toml", self.here / home.expanduser() / "limner.toml")
        return next((path for path in candidates if path.is_file()), None)

    def _shown(self, path: Path) -> Path:
        return path.relative_to(self.here) if path.is_relative_to(self.here) else path


def _expected(field: str, fault: ErrorDetails) -> str:
    """What would have been accepted."""
    if error := fault.get("ctx", {}).get("error"):
        return str(error)
    noun, example, table = _TABLES.get(field, ("", "", BaseModel))
    match fault["type"]:
        case "extra_forbidden":
            return f"is not known; {noun} has {', '.join(table.model_fields)}"
        case "dict_type":
            return f"must be tables, as in {example}"
        case "model_type":
            return f"must be a table, as in {example}"
        case kind:
            return _EXPECTED.get(kind, fault["msg"])


def _switched(flag: str) -> str:
    return flag.removeprefix("ENABLE_IMAGE_GENERATION_").lower().replace("_", "-")


def _current() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise SetupError("the current folder no longer exists; go to another one") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _line_of(name: str, text: str) -> int | None:
    """Where a top-level key or table stands; tomllib does not tell."""
    key = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if key.match(line)), None)


def _toml_complaint(shown: Path, text: str, error: tomllib.TOMLDecodeError) -> str:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)", str(error))
    line = place[1] if place and place[1] else str(len(text.splitlines()))
    what = str(error).partition(" (at ")[0]
    column = f" at column {place[2]}" if place and place[2] else ""
    return f'{shown}:{line}: {what}{column}; write one `name = value` per line, text in "quotes"'


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else "; `limner config` lists them all"
