"""Where log lines go: always stderr, so that stdout belongs to answers."""

import logging
import sys
from typing import Any

import structlog

from limner.config import LogFormat, LogLevel


def configure(level: LogLevel, form: LogFormat) -> None:
    """Set up structlog and the libraries' own logging. `auto`: coloured on a terminal, else JSON."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    end = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    if console:
        shared.pop()  # the console renderer draws exceptions itself
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, end],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, end],
        )
    )
    logging.basicConfig(level=max(number, logging.INFO), handlers=[handler], force=True)
    if number > logging.DEBUG:
        logging.getLogger("uvicorn").setLevel(logging.WARNING)  # that it starts and stops, we say ourselves
