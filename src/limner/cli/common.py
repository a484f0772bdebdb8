"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from limner.cli import options

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, errors too.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show what Limner does, and tracebacks.")]
Out = Annotated[str | None, typer.Option("--out", "-o", metavar="PATH", help="File or folder to save to.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A PNG, JPEG or WebP picture.")]


def whole(*names: str, text: str) -> Any:  # noqa: ANN401 - typer's own factories are untyped too
    """An option that takes a whole number."""
    return typer.Option(*names, parser=options.whole, metavar="N", help=text)
