"""One visit, one database connection."""

from contextlib import ExitStack

from flask import Flask, g, request

from app.store.db import database

_WITHOUT_DATABASE = frozenset(
    {None, "static", "bootstrap.static", "ops.healthz", "ops.readyz", "ops.metrics"}
)


def _begin() -> None:
    if request.endpoint not in _WITHOUT_DATABASE:
        with ExitStack() as opened:
            opened.enter_context(database.connection())
            g.connection = opened.pop_all()


def _end(_error: BaseException | None) -> None:
    connection: ExitStack | None = g.pop("connection", None)
    if connection is not None:
        connection.close()


def register(app: Flask) -> None:
    """Hold a connection from the first hook of a request to its end."""
    app.before_request(_begin)
    app.teardown_request(_end)
