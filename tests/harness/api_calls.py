"""Calls to the HTTP API, and what a refusal must look like."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app import clock
from app.rules.lifecycle import Actor, Move, Via
from app.services.bookings import transitions
from app.store import queries
from tests.scenarios.cast import TUESDAY_10

KEY = {"Authorization": "Bearer test-api-key"}
SECOND = timedelta(seconds=1)
DEE = {"name": "Dee Stone", "email": "dee@clients.example", "timezone": "America/New_York"}
ELI = {"name": "Eli Ford", "email": "eli@clients.example", "timezone": "Europe/London"}

Call = Callable[..., TestResponse]


def z(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def wanted(**more: Any) -> dict[str, Any]:
    body = {"therapist": "asha", "client": DEE, "starts_at": z(TUESDAY_10), "kind": "paid"}
    return {**body, **more}


def caller(app: Flask) -> Call:
    """`call(method, path, body=None, **headers)`: one request to the API, with a good key."""

    def send(method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return app.test_client().open(
            f"/api/v1/{path}",
            method=method,
            data=raw,
            headers={**KEY, "Content-Type": "application/json", **headers},
        )

    return send


def assert_problem(response: TestResponse, status: int, code: str, *fields: str) -> dict[str, Any]:
    problem: dict[str, Any] = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (status, code), problem
    assert response.mimetype == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"].endswith(f"/api/problems/{code}")
    assert problem["title"]
    assert problem["detail"]
    assert [each["field"] for each in problem.get("errors", [])] == list(fields)
    return problem


def accept(reference: str) -> None:
    booking = queries.booking_by_reference(reference)
    transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=clock.now())
