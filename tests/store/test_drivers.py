"""A process imports the driver of its own database, and nothing that only a terminal needs."""

import os
import subprocess
import sys

import pytest

from tests.harness.processes import ROOT

WORK = """
import sys
from datetime import UTC, datetime
from app import config, create_app
app = create_app(config.load())
from app.services.therapists.accounts import NewTherapist, add_therapist
from app.store import queries
from app.store.db import database
database.upgrade()
assert database.pending_upgrades() == []
asha = NewTherapist("asha", "Asha Rao", "asha@t.example", "UTC", 6000, ())
with database.connection():
    add_therapist(asha, datetime.now(UTC))
    assert queries.therapist_by_slug("asha").name == "Asha Rao"
assert app.test_client().get("/therapists/asha").status_code == 200
print(*sorted({"psycopg", "rich"} & set(sys.modules)))
"""


@pytest.mark.both_databases
def test_a_process_loads_the_driver_of_its_own_database_and_no_tables_for_terminals(
    database_url: str,
) -> None:
    environment = os.environ | {"DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    drivers = "psycopg" if database_url.startswith("postgresql") else ""
    assert done.stdout.strip() == drivers, done.stderr
