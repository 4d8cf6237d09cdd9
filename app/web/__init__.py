"""Who asks: every page, link and API call; each endpoint parses, calls one use case, answers."""

from flask import Flask

from app.config import Settings
from app.web import (
    account,
    api,
    choosing,
    client,
    dashboard,
    directory,
    durations,
    earnings,
    errors,
    links,
    mailbox,
    messages,
    ops,
    practice,
    profile,
    ranking_page,
    security,
    viewing,
    visits,
)

_ROOMS = (
    directory,
    links,
    client,
    choosing,
    account,
    dashboard,
    practice,
    profile,
    ranking_page,
    earnings,
    messages,
    api,
    ops,
)


def register(app: Flask, settings: Settings) -> None:
    """Hang every blueprint and hook on the application."""
    durations.register(app)
    security.register(app, settings)
    visits.register(app)
    viewing.register(app)
    errors.register(app)
    account.login.init_app(app, add_context_processor=False)
    for room in _ROOMS:
        app.register_blueprint(room.blueprint)
    app.register_blueprint(messages.letterbox)
    if settings.demo_dir is not None:
        app.register_blueprint(mailbox.blueprint)
