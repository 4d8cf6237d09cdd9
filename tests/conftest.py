"""Fixtures for all tests: the application, a mail server, a clock to move, and the cast."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import clock, config, create_app, flask_config
from app.config import Settings
from app.mailer import Mailer
from app.services import access_trail
from app.store.db import database
from app.web import page_cache
from app.web.security import limiter
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import MONDAY, Cast, read_cast
from tests.scenarios.story import Story

pytest_plugins = [
    "tests.harness.databases",
    "tests.harness.examples",
    "tests.harness.figures",
    "tests.harness.tiers",
]

# Settings of this machine, or in a file .env here, must not change the tests: an empty variable
# means the default. Processes that tests start inherit these.
os.environ.update(dict.fromkeys(map(str.upper, Settings.model_fields), ""))
for _terminal in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_terminal, None)


@pytest.fixture(scope="session")
def session_mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def mail(session_mail: MailServer) -> MailServer:
    """A mail server on loopback that has taken nothing yet."""
    session_mail.clear()
    return session_mail


@pytest.fixture
def settings(database_url: str, mail: MailServer) -> Settings:
    """Settings for one of the databases and the mail server."""
    return Settings(
        database_url=database_url,
        mail_server="127.0.0.1",
        mail_port=mail.port,
        public_url="http://mindsum.test",
        secret_key="a key for the tests",
        api_keys=("test-api-key",),
        ops_sign_in=("olu@ops.example", "pia@ops.example"),
        # tests/web/public/test_confirm.py tells of the step between the form and the booking.
        confirm_address="never",
        # tests/web/links/test_press.py tells of the page that asks.
        press_guard=False,
        ratelimit_enabled=False,
    )


@pytest.fixture
def fresh_app(settings: Settings) -> Iterator[Flask]:
    """An application that has served no request, for a test that changes it."""
    built = create_app(settings)
    built.testing = True
    with built.app_context(), database.connection():
        yield built


@pytest.fixture(scope="session")
def shared_app(sqlite_template: Path) -> Flask:
    """One application for all tests: making it costs more than most tests."""
    built = create_app(
        Settings(database_url=f"sqlite:///{sqlite_template}", ratelimit_enabled=False)
    )
    built.testing = True
    return built


@pytest.fixture
def app(shared_app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The application on this test's database and mail server."""
    before = dict(shared_app.config)
    config.use(settings)
    database.bind(settings.database_url)
    shared_app.config.update(flask_config(settings))
    shared_app.extensions["mailer"] = Mailer(shared_app)
    limiter.enabled = settings.ratelimit_enabled
    access_trail.tries.clear()
    # A test sees at once what it has changed.
    monkeypatch.setattr(page_cache, "SECONDS", 0.0)
    with shared_app.app_context(), database.connection():
        yield shared_app
    shared_app.config.clear()
    shared_app.config.update(before)


@pytest.fixture
def at(time_machine: Any) -> Any:
    """`at(instant)` moves the clock; it stands still until moved again."""

    def move_to(instant: datetime) -> datetime:
        time_machine.move_to(instant, tick=False)
        return clock.now()

    return move_to


@pytest.fixture
def cast(app: Flask, at: Any) -> Cast:
    """The therapists, on Monday morning."""
    at(MONDAY)
    return read_cast()


@pytest.fixture
def story(app: Flask, mail: MailServer, cast: Cast, at: Any) -> Story:
    """The cast, and functions for what people do."""
    return Story(app, mail, at)
