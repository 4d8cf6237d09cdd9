"""Pages, links and the API: each endpoint reads the request, calls one use case and answers."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from flask import Flask, g, request

from app.config import Settings
from app.store.db import database
from app.web import access, auth, errors, security, static_files, template_filters, zones
from app.web.api import endpoints
from app.web.client import choose, manage, move
from app.web.dashboard import (
    earnings,
    feed,
    first_steps,
    home,
    move_page,
    photo,
    profile,
    ranking,
    session_page,
    sessions,
    signed_in,
    week,
)
from app.web.links import another_time, answer, confirm, press
from app.web.ops import base as ops_base
from app.web.ops import bookings as ops_bookings
from app.web.ops import desk, health, people, request_metrics, sign_in
from app.web.ops import outbox as ops_outbox
from app.web.public import calendar_feed, directory, photos, robots, unconfirmed

_BLUEPRINTS = (
    directory.blueprint,
    photos.blueprint,
    calendar_feed.blueprint,
    unconfirmed.blueprint,
    robots.blueprint,
    answer.blueprint,
    confirm.blueprint,
    another_time.blueprint,
    manage.blueprint,
    choose.blueprint,
    move.blueprint,
    auth.blueprint,
    home.blueprint,
    week.blueprint,
    first_steps.blueprint,
    sessions.blueprint,
    session_page.blueprint,
    move_page.blueprint,
    profile.blueprint,
    photo.blueprint,
    feed.blueprint,
    signed_in.blueprint,
    ranking.blueprint,
    earnings.blueprint,
    endpoints.blueprint,
    health.blueprint,
    sign_in.blueprint,
    desk.blueprint,
    ops_bookings.blueprint,
    ops_outbox.blueprint,
    people.blueprint,
)
# Pages that are kept connect only when one is made (page_cache.py).
_WITHOUT_DATABASE = frozenset(
    {
        None,
        "directory.find",
        "directory.profile",
        "api.list_slots",
        "static",
        "robots.robots",
        "ops.healthz",
        "ops.readyz",
        "ops.metrics",
    }
)


class Application(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # None of ours is a coroutine; looking at each hook of each request takes long.
        return func


def register(app: Flask, settings: Settings) -> None:
    # Otherwise an address with doubled slashes leads to the one without.
    app.url_map.merge_slashes = False
    request_metrics.register(app)
    access.register(app)
    ops_base.register(app)
    security.register(app, settings)
    app.before_request(_open_connection)
    app.teardown_request(_close_connection)
    template_filters.register(app)
    static_files.register(app)
    zones.register(app)
    errors.register(app)
    press.register(app)
    for blueprint in _BLUEPRINTS:
        app.register_blueprint(blueprint)
    if settings.demo_dir is not None:
        # Imported on demand: it renders emails and reads a mail server, as no other page does.
        from app.web.demo import mailbox  # noqa: PLC0415

        app.register_blueprint(mailbox.blueprint)


def _open_connection() -> None:
    if request.endpoint not in _WITHOUT_DATABASE:
        with ExitStack() as stack:
            stack.enter_context(database.connection())
            g.connection = stack.pop_all()


def _close_connection(_error: BaseException | None) -> None:
    connection: ExitStack | None = g.pop("connection", None)
    if connection is not None:
        connection.close()
