"""Endpoints for operators: /healthz, /readyz and /metrics."""

import peewee
from flask import Blueprint, Response, jsonify, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app import api_keys, clock, config
from app.errors import StoreUnavailable
from app.services.ops import health
from app.services.ops.health import Check
from app.store.db import database
from app.version import VERSION
from app.web.ops import request_metrics
from app.web.ops.metrics import DatabaseMetrics

blueprint = Blueprint("ops", __name__)

_registry = CollectorRegistry(auto_describe=False)
_registry.register(DatabaseMetrics())
request_metrics.add_to(_registry)


@blueprint.before_request
def require_key() -> Response | None:
    """Of what tells how the service fares, where MONITORING_KEY says so."""
    key, given = config.current().monitoring_key, request.authorization
    if key is None or request.endpoint == "ops.healthz":
        return None
    token = given.token if given is not None and given.type == "bearer" else None
    if token is not None and api_keys.is_same(token, key):
        return None
    challenge = {"WWW-Authenticate": 'Bearer realm="Mindsum Bookings monitoring"'}
    return Response("Please send MONITORING_KEY.\n", 401, challenge, mimetype="text/plain")


@blueprint.get("/healthz")
def healthz() -> Response:
    return jsonify(status="up", version=VERSION)


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Every check by name; 503 unless all are ok."""
    checks = _checks()
    is_ready = all(check.is_ok for check in checks)
    by_name = {check.name: {"ok": check.is_ok, "says": check.says} for check in checks}
    status = "ready" if is_ready else "not ready"
    return jsonify(status=status, checks=by_name), 200 if is_ready else 503


@blueprint.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(_registry), content_type=CONTENT_TYPE_LATEST)


def _checks() -> list[Check]:
    try:
        with database.connection():
            return health.checks(clock.now())
    except (StoreUnavailable, peewee.DatabaseError) as error:
        return [Check("database", is_ok=False, says=f"does not answer ({type(error).__name__})")]
