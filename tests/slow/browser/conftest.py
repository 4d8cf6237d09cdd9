"""One Chromium for each module, and one site for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Locator

from app import config, create_app
from app.config import Settings
from app.store.db import database
from tests.harness.browser_site import DESKTOP, Person, chromium, served, window
from tests.harness.databases import sqlite_copy
from tests.harness.smtp_server import LOOPBACK, MailServer, unused_port

Arrive = Callable[..., Person]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one module only: Playwright keeps an event loop in this thread."""
    with chromium() as started:
        yield started


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A SQLite database: a page looks the same on both kinds."""
    return sqlite_copy(request, tmp_path)


@pytest.fixture
def app(database_url: str, mail: MailServer) -> Iterator[Flask]:
    """The application on loopback, with the mail server."""
    port = unused_port()
    settings = Settings(
        database_url=database_url,
        mail_server=LOOPBACK,
        mail_port=mail.port,
        public_url=f"http://{LOOPBACK}:{port}",
        secret_key="a key for the tests",
        ratelimit_enabled=False,
        # These people press at once; test_robots.py tells of the page that asks.
        press_guard=False,
        ops_sign_in=("olu@ops.example",),
    )
    built = create_app(settings)
    with served(built, port), built.app_context(), database.connection():
        yield built


@pytest.fixture
def arrive(browser: Browser, app: Flask, mail: MailServer) -> Iterator[Arrive]:
    """`arrive(width, scripts=True, zone="UTC")`: another person with a browser."""
    with ExitStack() as leaving:

        def person(width: int = DESKTOP, *, scripts: bool = True, zone: str = "UTC") -> Person:
            context = window(browser, width, scripts=scripts, zone=zone)
            leaving.callback(context.close)
            return Person(context, app, mail, config.current().public_url)

        yield person


def day_of(person: Person, on: str) -> Locator:
    """The times of that day, such as `2026-11-04`, once its button in the month was pressed."""
    times = person.page.locator(f'fieldset[data-day="{on}"]')
    if not times.is_visible():
        person.page.locator(f'.month-days button[value="{on}"]').click()
        times.wait_for()
    return times


def confirm(person: Person) -> Person:
    """Show that the address typed on the request form is theirs, from the email to the booking."""
    assert person.heading == "One step left: check your email"
    return person.read("confirm_request").follow("Confirm Request").press("Confirm Request")
