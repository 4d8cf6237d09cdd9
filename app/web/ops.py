"""For whoever runs the service: is the process up, is the house ready, how full is it."""

from collections.abc import Iterator

import peewee
from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app import clock
from app.errors import StoreUnavailable
from app.services import health
from app.services.health import Check
from app.store import database

blueprint = Blueprint("ops", __name__)

_FIGURES = {
    "enquiries_open": "Enquiries that nobody has answered yet",
    "enquiries_overdue": "Enquiries past their expiry that the scheduler has not ended yet",
    "outbox_due": "Emails that could be sent now",
    "outbox_oldest_due_age_seconds": "How long the longest-waiting email could have been sent",
    "scheduler_heartbeat_age_seconds": "How long ago a scheduler was last alive",
}


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process is up; nothing else is asked."""
    return jsonify(status="up")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Every check by name: 200 where all hold, 503 otherwise."""
    found = _checks()
    is_ready = all(check.is_ok for check in found)
    said = {check.name: {"ok": check.is_ok, "says": check.says} for check in found}
    words = "ready" if is_ready else "not ready"
    return jsonify(status=words, checks=said), 200 if is_ready else 503


@blueprint.get("/metrics")
def metrics() -> Response:
    """The figures for Prometheus, read from the database at this moment."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures())
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _checks() -> list[Check]:
    try:
        with database.connection():
            return [Check("database", is_ok=True, says="answers"), *health.checks(clock.now())]
    except (StoreUnavailable, peewee.DatabaseError) as error:
        return [Check("database", is_ok=False, says=f"does not answer ({type(error).__name__})")]


class _Figures(Collector):
    """Gauges that are asked for, not kept: every web process gives the same answer."""

    def collect(self) -> Iterator[Metric]:
        """One gauge per figure, and whether the database answered."""
        try:
            with database.connection():
                found = health.figures(clock.now())
        except (StoreUnavailable, peewee.DatabaseError):
            found = {}
        up = 1.0 if found else 0.0
        yield GaugeMetricFamily("mindsum_database_up", "Whether the database answers", value=up)
        for name, value in found.items():
            yield GaugeMetricFamily(f"mindsum_{name}", _FIGURES[name], value=value)
