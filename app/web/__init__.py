"""Who asks: every page, link and API call; each endpoint parses, calls one use case, answers."""

from flask import Flask

from app.config import Settings


def register(app: Flask, settings: Settings) -> None:
    """Hang every blueprint and hook on the application."""
