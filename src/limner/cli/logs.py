"""Where log lines go: always stderr, so that stdout belongs to answers."""

import logging
import sys
from typing import Any

import structlog

from limner.config import LogFormat, LogLevel


def configure(level: LogLevel, form: LogFormat) -> None:
    """Show what Limner and its libraries log. `auto`: coloured on a terminal, else JSON."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    end: list[Any] = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    if not console:  # the console renderer draws exceptions itself
        end = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
        )
    )
    number = getattr(logging, level.upper())
    logging.basicConfig(level=max(number, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("limner").setLevel(number)
    if number > logging.DEBUG:
        for chatty in ("uvicorn", "alembic", "mcp"):  # that it starts and stops, we say ourselves
            logging.getLogger(chatty).setLevel(logging.WARNING)
