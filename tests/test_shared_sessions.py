"""Behind PgBouncer each transaction may run in another session, so nothing may outlive it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest

from app.store.db import database
from app.store.db.postgresql import LIMITS
from app.store.models import Therapist
from tests.harness.databases import beside, postgresql_tool

PREPARED = "SELECT COUNT(*) FROM pg_prepared_statements"
LOCKS = "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.fixture
def empty(postgresql_url: str) -> Iterator[str]:
    """A PostgreSQL database without a schema."""
    postgresql_tool("createdb", f"--maintenance-db={postgresql_url}", "empty")
    url = beside(postgresql_url, "empty")
    database.bind(url)
    yield url
    database.bind(postgresql_url)
    postgresql_tool("dropdb", f"--maintenance-db={postgresql_url}", "empty")


def number(sql: str) -> int:
    return int(database.db.execute_sql(sql).fetchone()[0])


def test_no_statement_is_prepared_however_often_it_is_used(postgresql_url: str) -> None:
    database.bind(postgresql_url)
    with database.connection():
        for _ in range(20):
            assert not Therapist.select().where(Therapist.slug == "unknown").exists()
            with database.db.atomic():
                Therapist.update(streak=0).where(Therapist.slug == "unknown").execute()
        assert number(PREPARED) == 0


def test_if_one_step_fails_no_step_is_applied_and_a_later_upgrade_applies_all(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = database.MIGRATIONS, tmp_path / "steps"
    shutil.copytree(good, bad)
    fails = "def up(migrator, db):\n    db.execute_sql('SELECT no_such_column')\n"
    (bad / "0099_fails.py").write_text(fails)
    monkeypatch.setattr(database, "MIGRATIONS", bad)
    with pytest.raises(peewee.ProgrammingError, match="no_such_column"):
        database.upgrade()
    with database.connection():
        assert database.db.get_tables() == []
        assert number(LOCKS) == 0
    monkeypatch.setattr(database, "MIGRATIONS", good)
    assert len(database.upgrade()) == len(list(good.glob("0*.py")))


def test_a_schema_step_has_the_time_limits_of_every_transaction(
    empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows = "".join(
        f"    assert db.execute_sql('SHOW {name}').fetchone() == ({value!r},)\n"
        for name, value in LIMITS.items()
    )
    (tmp_path / "0001_shows.py").write_text(f"def up(migrator, db):\n{shows}")
    monkeypatch.setattr(database, "MIGRATIONS", tmp_path)
    assert database.upgrade() == ["0001_shows"]
