"""The command line. Commands import their weight when they run, so that `limner --help` answers at once."""

import os
import sys
from collections.abc import Sequence

import typer

from limner.core.errors import Canceled, InvalidRequest

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0, 1 when it failed, 2 for a wrong argument, 130 when it was interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    from limner.cli.app import app

    try:
        code = app(args=arguments, prog_name="limner", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost edge: people get a sentence, not a traceback
        return _complain(_innermost(error), arguments)
    if code == INTERRUPTED:
        _say(Canceled.code, "interrupted", arguments)
    return code if isinstance(code, int) else 0


def _reader_left() -> int:
    """`limner jobs | head`: what is still buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _innermost(error: Exception) -> Exception:
    """What a task group wrapped."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _complain(error: Exception, arguments: Sequence[str]) -> int:
    from limner.cli import words

    debug = "--debug" in arguments or bool(os.environ.get("LIMNER_DEBUG"))
    if debug:
        import traceback

        traceback.print_exception(error)
    usage = isinstance(error, typer.TyperException | InvalidRequest)
    code, message = words.complaint(error, debug=debug)
    _say(code, message, arguments)
    if isinstance(error, typer.TyperException):
        return int(getattr(error, "exit_code", USAGE))
    return USAGE if usage else FAILED


def _say(code: str, message: str, arguments: Sequence[str]) -> None:
    from limner.cli import words

    if "--json" in arguments:
        words.print_json({"error": {"code": code, "message": message}})
    else:
        words.warn(message)
