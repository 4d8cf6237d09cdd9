"""Who asks: every page, link and API call; each endpoint parses, calls one use case, answers."""

from flask import Flask

from app.config import Settings
from app.web import directory, errors, ops, requests, security, viewing


def register(app: Flask, settings: Settings) -> None:
    """Hang every blueprint and hook on the application."""
    security.register(app, settings)
    requests.register(app)
    viewing.register(app)
    errors.register(app)
    app.register_blueprint(ops.blueprint)
    app.register_blueprint(directory.blueprint)
