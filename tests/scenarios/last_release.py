"""What a release leaves behind: a database, links from its emails, and what it sent.

A folder tests/data/release_* has it as JSON: rows.json (every row), links.json (links, Message-IDs
of what was still queued, the schema's last step) and wire.json (emails without their words, and
answers of the API). `python -m tests.scenarios.last_release FOLDER` writes today's.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from playhouse.migrations import Migration, Runner

from app import create_app
from app.config import Settings
from app.rules.weekly_hours import parse_windows
from app.scheduler.process import run_once
from app.services.therapists import accounts
from app.store.db import database
from app.store.models import TABLES
from tests.harness.processes import ROOT
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.scenarios import fixed_life
from tests.scenarios.fixed_life import FixedLife

DATA = ROOT / "tests" / "data" / "release_0_1"
LINKS: dict[str, Any] = json.loads((DATA / "links.json").read_text())
WIRE: dict[str, Any] = json.loads((DATA / "wire.json").read_text())
THEN = datetime.fromisoformat(LINKS["now"])
THERAPISTS = (
    ("Asha Rao", "Europe/London", 6000),
    ("Bran Cole", "America/New_York", 8000),
    ("Chi Nakamura", "Australia/Lord_Howe", 7000),
)
# The email that a link is taken from, by the name it is kept under: part of the life and purpose.
EMAILS = {
    "completed manage": "booking_accepted",
    "declined manage": "booking_declined",
    "late accept": "booking_requested",
    "late choose": "answer_late_client",
    "open accept": "booking_requested",
    "open decline": "booking_requested",
    "open session": "booking_requested",
    "upcoming manage": "booking_accepted",
}


def settings_for(url: str, mail: MailServer) -> Settings:
    return Settings(
        database_url=url,
        mail_server=LOOPBACK,
        mail_port=mail.port,
        public_url=fixed_life.PUBLIC_URL,
        secret_key=fixed_life.SECRET_KEY,
        notes_key=(fixed_life.NOTES_KEY,),
        api_keys=(fixed_life.API_KEY,),
        ratelimit_enabled=False,
        press_guard=False,
    )


def restore(url: str, folder: Path = DATA) -> None:
    """Fill an empty database as that release left it: its schema, its rows."""
    last_step = json.loads((folder / "links.json").read_text())["step"]
    database.bind(url)
    with database.connection():
        Runner(database.db.obj, str(database.MIGRATIONS)).up(last_step)
        with database.db.atomic():
            _load(json.loads((folder / "rows.json").read_text()))


def _load(tables: dict[str, list[dict[str, Any]]]) -> None:
    is_sqlite = database.is_sqlite()
    mark = "?" if is_sqlite else "%s"
    for table, rows in tables.items():
        kinds = {each.name: each.data_type for each in database.db.get_columns(table)}
        for row in rows:
            values = [
                bool(value) if kinds[name].lower() in ("bool", "boolean") else value
                for name, value in row.items()
            ]
            columns = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join([mark] * len(row))
            database.db.execute_sql(f'INSERT INTO "{table}" ({columns}) VALUES ({marks})', values)
        if rows and "id" in kinds and not is_sqlite:
            database.db.execute_sql(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), MAX(id)) FROM \"{table}\""
            )


def begin(
    url: str, mail: MailServer, patches: pytest.MonkeyPatch, move_to: Callable[[datetime], None]
) -> FixedLife:
    """Today's application on an empty database, at the start of the life that is kept."""
    move_to(fixed_life.MONDAY)
    app = create_app(settings_for(url, mail))
    # Some modules draw numbers as they are imported.
    fixed_life.fix_chance(patches)
    database.upgrade()
    with app.app_context():
        for name, zone, rate_minor in THERAPISTS:
            slug = name.split()[0].lower()
            accounts.add_therapist(
                accounts.NewTherapist(
                    slug=slug,
                    name=name,
                    email=f"{slug}@therapists.example",
                    timezone=zone,
                    rate_minor=rate_minor,
                    windows=parse_windows("Mon-Sun 09:00-17:00"),
                    meeting_url=f"https://meet.example/{slug}",
                ),
                fixed_life.MONDAY,
            )

    def sweep() -> None:
        assert run_once(app) == 0

    def received() -> list[Any]:
        return [each.parsed for each in mail.messages]

    return FixedLife(app, move_to, sweep, received)


def write(folder: Path) -> None:
    """Live that life with today's code, and keep what it leaves behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        MailServer() as mail,
        pytest.MonkeyPatch.context() as patches,
        time_machine.travel(fixed_life.MONDAY, tick=False) as clock,
    ):
        Path(place, "life.db").touch()
        life = begin(f"sqlite:///{place}/life.db", mail, patches, clock.move_to)
        made = fixed_life.live(life)
        answers, emails = [*life.answers], [fixed_life.wire(each) for each in life.received()]
        links = {
            name: life.link(kind, made[name.split()[0]], name.split()[1])
            for name, kind in EMAILS.items()
        }
        later = fixed_life.MONDAY + timedelta(days=12, hours=15)
        made["queued"] = life.ask("chi", "eli", later, "paid", "Still to be sent.")
        _write(folder / "rows.json", stored_rows())
        life.sweep()
        queued = {str(each["X-Mindsum-Email"]): each for each in life.received()[len(emails) :]}
        left = {
            "links": links,
            "made": made,
            "now": life.now.isoformat(),
            "queued": {kind: str(each["Message-ID"]) for kind, each in queued.items()},
            "step": Migration.load_directory(str(database.MIGRATIONS))[-1].name,
        }
        (folder / "links.json").write_text(json.dumps(left, indent=1, sort_keys=True) + "\n")
        _write(folder / "wire.json", {"answers": answers, "emails": emails})
        database.release()


def stored_rows() -> dict[str, list[Any]]:
    """Every row as it is stored, by table."""
    rows = {}
    with database.connection():
        for table in TABLES:
            name = table._meta.table_name
            found = database.db.execute_sql(f'SELECT * FROM "{name}"')
            columns = [each[0] for each in found.description]
            rows[name] = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    return rows


def _write(path: Path, lists: dict[str, list[Any]]) -> None:
    """One line for each element, so that a difference can be read."""
    parts = [
        f"{json.dumps(name)}: [\n"
        + ",\n".join(json.dumps(each, sort_keys=True) for each in elements)
        + "\n]"
        for name, elements in lists.items()
    ]
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
