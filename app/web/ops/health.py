"""For whoever runs the service: is the process up, is the house ready, how does it fare."""

import peewee
from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app import clock
from app.errors import StoreUnavailable
from app.services.ops import health
from app.services.ops.health import Check
from app.store.db import database
from app.web.ops import request_metrics
from app.web.ops.metrics import StoredFigures

blueprint = Blueprint("ops", __name__)

_figures = CollectorRegistry(auto_describe=False)
_figures.register(StoredFigures())
request_metrics.add_to(_figures)


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
    """The figures for Prometheus, as they are at this moment."""
    return Response(generate_latest(_figures), content_type=CONTENT_TYPE_LATEST)


def _checks() -> list[Check]:
    try:
        with database.connection():
            return health.checks(clock.now())
    except (StoreUnavailable, peewee.DatabaseError) as error:
        return [Check("database", is_ok=False, says=f"does not answer ({type(error).__name__})")]
