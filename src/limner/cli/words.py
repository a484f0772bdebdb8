"""What people and programs read: plain text without control characters, JSON, complaints."""

import sys
from typing import Any

import orjson
import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from limner.core.errors import InvalidRequest, LimnerError


def plain(text: str) -> str:
    """Text from outside, safe for a terminal: no escape sequences, no line breaks."""
    return "".join(char if char.isprintable() else " " for char in text)


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """One JSON value on stdout, UTF-8 whatever the locale."""
    sys.stdout.flush()
    data = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(data.decode())
    else:
        stream.write(data)
    sys.stdout.flush()


def warn(message: str) -> None:
    """One paragraph on stderr."""
    lines = [plain(line) for line in message.splitlines()] or [""]
    sys.stderr.write("limner: " + "\n        ".join(lines) + "\n")


def complaint(error: Exception, *, debug: bool = False) -> tuple[str, str]:
    """(code, message) for an error that ends a command."""
    if isinstance(error, LimnerError):
        return error.code, str(error)
    if isinstance(error, typer.TyperException):
        message = getattr(error, "format_message", error.__str__)()
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "limner"
        return InvalidRequest.code, f"{message.rstrip('.')}. See `{command} --help`."
    hint = "" if debug else "; LIMNER_DEBUG=1 shows where"
    return "internal", f"unexpected {type(error).__name__}: {error}{hint}"


def refusal(error: ValidationError) -> InvalidRequest:
    """What the command line gave that no request may hold, in the words of its options."""
    faults = error.errors(include_url=False)
    field = str(faults[0]["loc"][0]) if faults[0]["loc"] else None
    return InvalidRequest("; ".join(_fault(fault) for fault in faults), field)


def option(field: str) -> str:
    """How the command line spells a request's field."""
    return {"prompt": "the prompt", "count": "--n"}.get(field, "--" + field.replace("_", "-"))


def _fault(fault: ErrorDetails) -> str:
    limits = fault.get("ctx", {})
    match fault["type"]:
        case "greater_than_equal":
            said = f"must be at least {limits['ge']}, not {fault['input']}"
        case "less_than_equal":
            said = f"must be at most {limits['le']}, not {fault['input']}"
        case "literal_error":
            said = f"must be one of {limits['expected']}, not {str(fault['input'])[:60]!r}"
        case "string_pattern_mismatch":
            said = "may hold letters, digits, - and _, at most 64 in all, and begins with a letter or digit"
        case "value_error":
            said = str(limits["error"])
        case _:
            said = fault["msg"][:1].lower() + fault["msg"][1:]
    return f"{option(str(fault['loc'][0]))} {said}" if fault["loc"] else said
