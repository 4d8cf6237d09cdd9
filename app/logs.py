"""Logs for ops: one line per thing, text for a terminal or JSON for a machine."""

import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app import clock


def _by_our_clock(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {"at": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z", **event}


def _without_nothing(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value is not None}


def _on_one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank out what could break or recolour a line: a server's reply may hold anything."""
    return {
        name: "".join(each if each.isprintable() else " " for each in value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _where_not_what(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Show an exception as its type and the way to it: messages repeat people's own values."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else sys.exc_info()[1]
    if error is None:
        return event
    frames = traceback.extract_tb(error.__traceback__)
    way = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return {**event, "error": " < ".join(_chain(error)), "at_code": way}


def _chain(error: BaseException | None) -> Iterator[str]:
    """The types of an error and of what led to it."""
    while error is not None:
        yield type(error).__name__
        error = error.__cause__ or error.__context__


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at the time, for it can be redirected meanwhile."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure(log_format: Literal["text", "json"]) -> None:
    """Send every log line of this process to standard error in that format."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _without_nothing,
        _where_not_what,
        _on_one_line,
        _by_our_clock,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.processors.LogfmtRenderer(key_order=["at", "level", "event"])
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # Their chatter names peers and timings, not anything that was done for a booking.
    for noisy in ("apscheduler", "werkzeug", "_granian", "mail.log", "peewee", "flask_wtf"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
