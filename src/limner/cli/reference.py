"""Writes docs/settings.md and docs/cli.md from the code: `python -m limner.cli.reference --write`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic.fields import FieldInfo

from limner.cli import provider_pages
from limner.cli.app import app
from limner.config import ALIASES, NOT_VARIABLES, SECRETS, UNUSED, Settings

_MADE = "<!-- Written by `python -m limner.cli.reference --write`; change the code instead. -->"
_SETTINGS = """# Settings

Every setting has a name in `limner.toml`, and the same name in capitals after `LIMNER_` in the
environment. Later sources win:

1. the defaults below
2. `limner.toml` in the current folder, else in the home folder; `LIMNER_CONFIG=path` names another file
3. `.env` in the current folder
4. the environment
5. the command line

A wrong value, an unknown name in `limner.toml` and an unknown `LIMNER_` variable are refused at the start,
all together, each with its file and line. A variable that is set but empty counts as not set. Numbers are
written in ASCII digits; relative paths start at the current folder. `limner config` shows what is in
force and where it came from, with secrets masked.

```toml
# limner.toml
port = 8010
engine_threads = 4
disabled_providers = ["openai"]
```
"""
_OLD = """
## Names from before

These variables are read too. Within one source the `LIMNER_` name wins over them.

| variable | setting |
|---|---|
"""
_NOTES = """
`CIRCUIT_BREAKER_TIMEOUT_MS` is in milliseconds. A `DATABASE_URL` that is no SQLite file is taken to be
meant for another program: it is left alone, and `limner config` says so. A flag is `true` or `false`
(also `1` `0`, `yes` `no`, `on` `off`); where it is not set, the provider is on. The variables that
Kubernetes sets for a service named `limner` are left alone.

Known, and without use in this version: """
_CLI = """# Command line

`limner COMMAND --help` says the same in the terminal. Answers go to stdout, all else to stderr. Options
with a hyphen where older clients had an underscore are read in both spellings.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it failed: the reason is on stderr |
| 2 | a wrong argument or request; nothing was done |
| 130 | interrupted by Ctrl-C or SIGTERM; the job was cancelled |

With `--json` a command prints one JSON value on stdout, and an error as
`{"error": {"code": ..., "message": ...}}`. `LIMNER_DEBUG=1` or `--debug` shows the traceback of an error.
Where a server owns the home folder, the commands go through it.
"""


def settings_page() -> str:
    """docs/settings.md."""
    rows = (_setting(name, field) for name, field in Settings.model_fields.items())
    old = [f"| `{variable}` | `{name}` |" for variable, name in ALIASES.items()]
    old.append("| `ENABLE_IMAGE_GENERATION_<PROVIDER>` | `disabled_providers`, for that provider |")
    table = "\n".join(("| setting | default | accepted | what |", "|---|---|---|---|", *rows))
    unused = ", ".join(f"`{name}`" for name in sorted(UNUSED))
    return f"{_MADE}\n\n{_SETTINGS}\n{table}\n{_OLD}" + "\n".join(old) + f"\n{_NOTES}{unused}.\n"


def _setting(name: str, field: FieldInfo) -> str:
    default = "the user's data folder" if name == "home" else _default(field.default)
    what = (field.description or "") + (" Secret: masked wherever it is shown." if name in SECRETS else "")
    return f"| `{name}` | {default} | {_accepted(name, field)} | {what} |"


def _default(value: object) -> str:
    if value is None:
        return "unset"
    if value == {}:
        return "none"
    return "empty" if value in ("", ()) else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _accepted(name: str, field: FieldInfo) -> str:
    """What the field's own check says it accepts."""
    if name in NOT_VARIABLES:
        return "the environment's" if name == "variables" else "tables"
    found = next(_checks(field), None)
    return found or {"database_url": "`sqlite:///path`, or empty"}.get(name, "a path")


def _checks(field: FieldInfo) -> Iterator[str]:
    parts: list[Any] = [*field.metadata]
    for inner in getattr(field.annotation, "__args__", ()):
        parts += getattr(inner, "__metadata__", ())
    yield from (part.accepts for part in parts if hasattr(part, "accepts"))


def cli_page() -> str:
    """docs/cli.md."""
    group: Any = typer.main.get_command(app)  # typer keeps its click classes to itself
    sections = "\n".join(_command(name, command) for name, command in group.commands.items())
    return f"{_MADE}\n\n{_CLI}\n{sections}"


def _command(name: str, command: Any) -> str:  # noqa: ANN401 - typer keeps its click classes to itself
    context = typer.Context(command, info_name=f"limner {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## limner {name}", "", command.help, "", "```", f"limner {name} {usage}", "```", ""]
    rows = [_parameter(part) for part in command.params if part.name != "help"]
    if rows:
        lines += ["| option | what |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _parameter(part: Any) -> str:  # noqa: ANN401 - typer keeps its click classes to itself
    takes = "" if getattr(part, "is_flag", False) else f" {part.metavar or 'TEXT'}"
    named = part.param_type_name == "option"
    names = ", ".join(f"`{name}`" for name in part.opts)
    title = f"{names}{takes}" if named else f"`{part.metavar}`".replace("|", "\\|")
    default = (
        f" [default: {part.default}]" if isinstance(part.default, int) and part.default and takes else ""
    )
    return f"| {title} | {part.help}{default} |"


def main(argv: Sequence[str]) -> int:
    """Write the pages, or say which differ from the code. 0 when all is well."""
    docs = Path(__file__).parents[3] / "docs"
    pages = {docs / "settings.md": settings_page(), docs / "cli.md": cli_page(), **provider_pages.pages(docs)}
    if argv == ["--write"]:
        for path, text in pages.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    if argv != ["--check"]:
        sys.stderr.write("usage: python -m limner.cli.reference --write | --check\n")
        return 2
    stale = [
        path for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        sys.stderr.write(f"{path} is not what the code says; run python -m limner.cli.reference --write\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
