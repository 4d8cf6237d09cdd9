"""Logs for ops: one line per thing, text for a terminal or JSON for a machine."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app import clock


def _by_our_clock(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {"at": clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z", **event}


def _without_nothing(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {name: value for name, value in event.items() if value is not None}


def configure(log_format: Literal["text", "json"]) -> None:
    """Send every log line of this process to standard error in that format."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _without_nothing,
        structlog.processors.format_exc_info,
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
    handler = logging.StreamHandler(sys.stderr)
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
    for noisy in ("apscheduler", "werkzeug", "_granian", "mail.log"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
