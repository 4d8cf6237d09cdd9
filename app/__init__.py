"""Mindsum Bookings: create_app wires the application together."""

import gc
from typing import TYPE_CHECKING

from app.libraries import import_without

# First of all, since it decides where every zone is read.
from emails import zones as zones

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Settings


# For tracebacks in colours, which we never write: a tenth of a web worker's start and memory.
import_without("rich", ("structlog",))


def create_app(settings: "Settings | None" = None) -> "Flask":
    """From `settings`, or else the environment. Raises ConfigError, one line, for a bad setting."""
    is_collecting = gc.isenabled()
    # What is imported stays; looking for garbage in it would take a sixth of the start.
    gc.disable()
    try:
        return _create(settings)
    finally:
        if is_collecting:
            gc.enable()


def _create(settings: "Settings | None") -> "Flask":
    # Imported here, so that importing one module of this package does not import all others.
    from app import clock, config, logs, web  # noqa: PLC0415
    from app.mailer import Mailer  # noqa: PLC0415
    from app.store.db import database  # noqa: PLC0415

    settings = settings or config.load()
    config.use(settings)
    logs.configure(settings.log_format)
    if settings.demo_dir is not None:
        clock.follow(settings.demo_dir / "clock")
    database.bind(settings.database_url)
    app = web.Application(__name__, static_folder=None)
    app.config.update(flask_config(settings))
    app.extensions["mailer"] = Mailer(app)
    web.register(app, settings)
    return app


def _storage_options(uri: str) -> dict[str, float]:
    is_redis = uri.startswith("redis")
    return {"socket_connect_timeout": 1.0, "socket_timeout": 1.0} if is_redis else {}


def flask_config(settings: "Settings") -> dict[str, object]:
    # Under the names that Flask and its extensions read.
    return {
        "SECRET_KEY": settings.secret_key,
        "SECRET_KEY_FALLBACKS": list(settings.secret_key_fallbacks),
        # Holds the token of forms and the message of the next page. As in web/cookies.py, no other
        # host can set a cookie of this name.
        "SESSION_COOKIE_NAME": "__Host-mindsum" if settings.is_production else "mindsum",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.is_production,
        # A page may stay open for as long as its session lasts.
        "WTF_CSRF_TIME_LIMIT": None,
        "RATELIMIT_ENABLED": settings.ratelimit_enabled,
        "RATELIMIT_STORAGE_URI": settings.ratelimit_storage_uri,
        "RATELIMIT_HEADERS_ENABLED": True,
        # If the counts cannot be read, people must still be able to book: each process then counts
        # for itself, and soon, since it waits no longer than this.
        "RATELIMIT_SWALLOW_ERRORS": True,
        "RATELIMIT_IN_MEMORY_FALLBACK_ENABLED": True,
        "RATELIMIT_STORAGE_OPTIONS": _storage_options(settings.ratelimit_storage_uri),
        "MAIL_SERVER": settings.mail_server,
        "MAIL_PORT": settings.mail_port,
        "MAIL_USE_TLS": settings.mail_use_tls,
        "MAIL_USE_SSL": settings.mail_use_ssl,
        "MAIL_USERNAME": settings.mail_username,
        "MAIL_PASSWORD": settings.mail_password,
        "MAIL_DEFAULT_SENDER": settings.mail_default_sender,
        "MAIL_TIMEOUT": settings.mail_timeout,
        "DKIM_KEY": settings.dkim_key,
        "DKIM_SELECTOR": settings.dkim_selector,
    }
