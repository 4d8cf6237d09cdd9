"""Visitors of the site, and a count of the queries that a page needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import config, create_app
from app.store.db import database
from tests.harness.api_calls import Call, caller, wanted
from tests.scenarios.cast import Cast


class Visitor(FlaskClient):
    """A browser without scripts; each request runs in a context of its own, as on a server.

    The `app` fixture keeps an application context open, and requests made inside it would share
    its `g`: the sign-in and the CSRF token of one visitor would serve all others.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return Context().run(super().open, *args, **{**kwargs, "buffered": True})


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """A visitor with an empty cookie jar."""
    return another_visitor(app)


def another_visitor(app: Flask) -> Visitor:
    """Another visitor, with an empty cookie jar of their own."""
    return Visitor(app, app.response_class, use_cookies=True)


@pytest.fixture
def limited(app: Flask) -> Iterator[Visitor]:
    """A visitor of the same site with rate limits on."""
    settings = config.current()
    yield another_visitor(create_app(settings.model_copy(update={"ratelimit_enabled": True})))
    create_app(settings)


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """Every SQL statement that runs in the block."""
    seen: list[str] = []
    original = database.db.obj.execute_sql

    def noted(sql: str, *args: Any, **kwargs: Any) -> Any:
        seen.append(sql)
        return original(sql, *args, **kwargs)

    database.db.obj.execute_sql = noted
    try:
        yield seen
    finally:
        del database.db.obj.execute_sql


@pytest.fixture
def call(app: Flask, cast: Cast) -> Call:
    """`call(method, path, body=None, **headers)`: one request to the API."""
    return caller(app)


@pytest.fixture
def ask(call: Call) -> Call:
    """`ask(**fields)`: ask for a session through the API."""
    return lambda **more: call("POST", "bookings", wanted(**more))
