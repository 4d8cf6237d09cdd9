"""Logs for ops: one line per event, as text or JSON."""

import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app import clock


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {"at": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z", **event}


def _drop_none(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value is not None}


def _replace_control_characters(
    _logger: WrappedLogger, _method: str, event: EventDict
) -> EventDict:
    # A mail server's reply may hold anything, also what breaks or recolours a line.
    return {
        name: "".join(each if each.isprintable() else " " for each in value)
        if isinstance(value, str) and not value.isprintable()
        else value
        for name, value in event.items()
    }


def _name_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its types and the lines it passed; messages may repeat addresses."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else sys.exc_info()[1]
    if error is None:
        return event
    frames = traceback.extract_tb(error.__traceback__)
    lines = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return {**event, "error": " < ".join(_causes(error)), "at_code": lines}


def _causes(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield type(error).__name__
        error = error.__cause__ or error.__context__


class _StandardErrorHandler(logging.StreamHandler[TextIO]):
    # `sys.stderr` is looked up for each line, since it can be replaced while the process runs.

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def configure(log_format: Literal["text", "json"]) -> None:
    """Send this process's log lines to standard error in that format."""
    shared: list[Processor] = [
        # The name of the API key that a request came with.
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _drop_none,
        _name_exception,
        _replace_control_characters,
        _add_time,
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
    handler = _StandardErrorHandler()
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
    # Their lines are about connections and timings, and about no booking.
    for noisy in ("apscheduler", "werkzeug", "_granian", "mail.log", "peewee", "flask_wtf"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # It logs each pattern that it tries, and its own faults, which we expect.
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)
