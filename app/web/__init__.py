"""Who asks: every page, link and API call; each endpoint parses, calls one use case, answers."""

from flask import Flask

from app.config import Settings
from app.web import auth, errors, messages, security, template_filters, visits
from app.web.api import endpoints
from app.web.client import choose, manage
from app.web.dashboard import earnings, home, profile, ranking, sessions
from app.web.demo import mailbox
from app.web.links import answer
from app.web.ops import health, request_metrics
from app.web.public import directory

_ROOMS = (
    directory,
    answer,
    manage,
    choose,
    auth,
    home,
    sessions,
    profile,
    ranking,
    earnings,
    messages,
    endpoints,
    health,
)


def register(app: Flask, settings: Settings) -> None:
    """Hang every blueprint and hook on the application."""
    request_metrics.register(app)
    security.register(app, settings)
    visits.register(app)
    template_filters.register(app)
    errors.register(app)
    auth.login.init_app(app, add_context_processor=False)
    for room in _ROOMS:
        app.register_blueprint(room.blueprint)
    app.register_blueprint(messages.letterbox)
    if settings.demo_dir is not None:
        app.register_blueprint(mailbox.blueprint)
