"""Schema steps on a database in use: it keeps its rows."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playhouse.migrations import Runner
from playhouse.schema_diff import diff_models

from app import create_app
from app.config import Settings
from app.errors import StoreUnavailable
from app.store import models, queries
from app.store.db import database
from app.store.db.database import in_transaction
from app.store.models import (
    Booking,
    HeldTime,
    OutboxEmail,
    OutboxStatus,
    Therapist,
    TimelineEntry,
)
from app.store.queries import earnings, metrics
from tests.harness.databases import empty_database

ROWS_OF_STEP_2 = (
    "INSERT INTO therapist (id, slug, name, email, email_key, timezone, rate_minor, currency,"
    " offers_free_consultation, headline, about, specialisms, is_paused, is_hidden, streak,"
    " streak_told, score, median_answer_s, tie_seed, created_at) VALUES (1, 'asha', 'Asha Rao',"
    " 'asha@therapists.example', 'asha@therapists.example', 'Europe/London', 6000, 'GBP', TRUE,"
    " '', '', '', FALSE, FALSE, 0, 0, 100.0, 10800, 7, 1)",
    "INSERT INTO client (id, email, email_key, name, timezone, created_at)"
    " VALUES (1, 'dee@clients.example', 'dee@clients.example', 'Dee Stone', 'UTC', 1)",
    "INSERT INTO booking (id, reference, therapist_id, client_id, kind, status, requested_at,"
    " answer_by, expires_at, starts_at, ends_at, fee_minor, currency, uses_free_consultation,"
    " epoch, sequence, ended_by_deactivation, completes_at) VALUES (1, 'MB-ABCDEF', 1, 1, 'paid',"
    " 'accepted', 1, 2, 3, 4, 5, 6000, 'GBP', FALSE, 1, 0, FALSE, 6)",
    "INSERT INTO timeline_entry (booking_id, event, by, via, at, facts)"
    " VALUES (1, 'requested', 'client', 'page', 1, '{}'), (1, 'accepted', 'therapist', 'link', 2,"
    " '{}')",
    "INSERT INTO outbox_email (about, kind, role, ordinal, booking_id, thread, facts, status,"
    " created_at, due_at, attempts) VALUES"
    " ('MB-ABCDEF', 'booking_requested', 'therapist', 1, 1, 't', '{}', 'sent', 1, 1, 1),"
    " ('MB-ABCDEF', 'booking_accepted', 'client', 1, 1, 'c', '{}', 'queued', 2, 2, 0)",
    "INSERT INTO heartbeat (name, at) VALUES ('scheduler', 1)",
    "INSERT INTO suppression (address_key, reason, at) VALUES"
    " ('dee@clients.example', 'recipient: 550 5.1.1 no', 1)",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database in use whose schema is that of the second step."""
    for url in empty_database(request, tmp_path):
        database.bind(url)
        with database.connection():
            Runner(database.db.obj, str(database.MIGRATIONS)).up("0002_suppression")
            for line in ROWS_OF_STEP_2:
                database.db.execute_sql(line)
        yield url


@pytest.mark.both_databases
def test_a_database_in_use_takes_the_later_steps_and_keeps_its_rows(before: str) -> None:
    app: Flask = create_app(Settings(database_url=before))
    before_upgrade = {table: rows(table) for table in KEPT_TABLES}
    steps = database.pending_upgrades()
    assert steps[0] == "0003_figures"
    assert database.upgrade() == steps
    assert database.upgrade() == []
    with database.connection():
        assert not diff_models(database.db.obj, models.TABLES)
        for table in KEPT_TABLES:
            pairs = zip(before_upgrade[table], rows(table), strict=True)
            assert all(kept(table, old).items() <= new.items() for old, new in pairs)
        assert set(metrics.moves()) == {("requested", "page", 1), ("accepted", "link", 1)}
        assert metrics.emails()[OutboxStatus.SENT] == 1
        assert OutboxEmail.select().count() == 2
        assert "heartbeat" not in database.db.get_tables()
    metrics_page = app.test_client().get("/metrics").text
    assert 'mindsum_outbox_emails{status="queued"} 1.0' in metrics_page
    assert "mindsum_schema_current 1.0" in metrics_page


KEPT_TABLES = ("therapist", "client", "booking", "timeline_entry", "outbox_email")
# They move to the client's bookings.
MOVED = {"client": {"name", "timezone"}}


def kept(table: str, row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in MOVED.get(table, ())}


REPLACEMENTS = (
    "INSERT INTO booking (id, reference, therapist_id, client_id, kind, status, requested_at,"
    " answer_by, expires_at, starts_at, ends_at, fee_minor, currency, uses_free_consultation,"
    " epoch, sequence, ended_by_deactivation, completes_at) VALUES (2, 'MB-GHJKMN', 1, 1, 'paid',"
    " 'requested', 1, 2, 3, 4, 5, 6000, 'GBP', FALSE, 1, 0, FALSE, 6), (3, 'MB-PQRSTV', 1, 1,"
    " 'paid', 'requested', 1, 2, 3, 4, 5, 6000, 'GBP', FALSE, 1, 0, FALSE, 6)",
    "INSERT INTO timeline_entry (booking_id, event, by, via, at, facts) VALUES"
    """ (2, 'requested', 'client', 'link', 3, '{"fee_minor": 6000, "instead_of": "MB-ABCDEF"}'),"""
    """ (2, 'declined', 'therapist', 'link', 3, '{"refund_minor": 6000}'),"""
    """ (3, 'requested', 'client', 'link', 3, '{"fee_minor": 6000, "instead_of": "MB-UNKNWN"}')""",
)


@pytest.mark.both_databases
def test_what_a_booking_replaces_moves_from_the_facts_to_its_column(before: str) -> None:
    with database.connection():
        for line in REPLACEMENTS:
            database.db.execute_sql(line)
    database.upgrade()
    with database.connection():
        first, second, orphan = Booking.select().order_by(Booking.id)
        assert (first.replaces, second.replaces, orphan.replaces) == (None, first, None)
        assert queries.replacements_of(first) == [second]
        assert [
            (each.booking_id, each.event, each.facts)
            for each in TimelineEntry.select().order_by(TimelineEntry.id)
        ] == [
            (1, "requested", {}),
            (1, "accepted", {}),
            (2, "requested", {"fee_minor": 6000}),
            (2, "declined", {"refund_minor": 6000}),
            (3, "requested", {"fee_minor": 6000}),
        ]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("stored", "zone"),
    [("localtime", "UTC"), ("Factory", "UTC"), ("It's/Gone", "UTC"), ("Asia/Tokyo", "Asia/Tokyo")],
)
def test_a_stored_zone_that_is_none_becomes_utc(before: str, stored: str, zone: str) -> None:
    quoted = stored.replace("'", "''")
    with database.connection():
        for table in ("therapist", "client"):
            database.db.execute_sql(f"UPDATE {table} SET timezone = '{quoted}'")
    database.upgrade()
    assert rows("therapist")[0]["timezone"] == zone
    assert rows("booking")[0]["client_timezone"] == zone


EARNINGS = (
    # Half past eleven in the evening of 31 October in London, and of 30 June, already July there.
    (1, "completed", "therapist", 5400, "GBP", datetime(2026, 10, 31, 23, 30, tzinfo=UTC)),
    (1, "completed", "commission", 600, "GBP", datetime(2026, 10, 31, 23, 30, tzinfo=UTC)),
    (2, "no_show", "therapist", 4500, "GBP", datetime(2026, 6, 30, 23, 30, tzinfo=UTC)),
    (3, "completed", "therapist", 3000, "EUR", datetime(2026, 7, 9, tzinfo=UTC)),
    (3, "requested", "held", 6000, "EUR", datetime(2026, 7, 1, tzinfo=UTC)),
)


@pytest.mark.both_databases
def test_what_was_earned_is_summed_by_the_months_of_the_therapist(before: str) -> None:
    with database.connection():
        database.db.execute_sql(REPLACEMENTS[0])
        for booking, event, account, amount, currency, at in EARNINGS:
            database.db.execute_sql(
                "INSERT INTO ledger_line (booking_id, event, account, amount_minor, currency, at)"
                f" VALUES ({booking}, '{event}', '{account}', {amount}, '{currency}',"
                f" {at.timestamp() * 1_000_000:.0f})"
            )
    database.upgrade()
    with database.connection():
        asha = Therapist.get(slug="asha")
        sums = [
            (each.month, each.currency, each.sessions, each.payout_minor, each.fee_minor)
            for each in earnings.months(asha)
        ]
        assert sums == [
            ("2026-10", "GBP", 1, 5400, 6000),
            ("2026-07", "EUR", 1, 3000, 6000),
            ("2026-07", "GBP", 1, 4500, 6000),
        ]
        in_transaction(earnings.recount)(asha)
        assert len(earnings.months(asha)) == 3


NAMES = ("Dr. Dee Stone", "Rao, Asha", "Hello Rao,,")


@pytest.mark.both_databases
def test_names_and_zones_move_from_clients_to_all_their_bookings(before: str) -> None:
    with database.connection():
        for line in REPLACEMENTS[:1]:
            database.db.execute_sql(line)
        for number, name in enumerate(NAMES[1:], start=2):
            database.db.execute_sql(
                "INSERT INTO client (id, email, email_key, name, timezone, created_at)"
                f" VALUES ({number}, 'c{number}', 'c{number}', '{name}', 'Asia/Tokyo', 1)"
            )
            database.db.execute_sql(f"UPDATE booking SET client_id = {number} WHERE id = {number}")
        database.db.execute_sql("UPDATE client SET name = 'Dr. Dee Stone' WHERE id = 1")
        database.db.execute_sql("UPDATE therapist SET name = 'Prof. Rao, Åsa'")
        database.db.execute_sql("UPDATE therapist SET specialisms = 'Ängste, SLEEP'")
    database.upgrade()
    named = [
        (each["client_name"], each["client_given_name"], each["client_timezone"])
        for each in rows("booking")
    ]
    assert named == [
        ("Dr. Dee Stone", "Dee", "UTC"),
        ("Rao, Asha", "Asha", "Asia/Tokyo"),
        ("Hello Rao,,", "Hello", "Asia/Tokyo"),
    ]
    therapist = rows("therapist")[0]
    assert therapist["given_name"] == "Åsa"
    assert therapist["name_search"] == "prof. rao, asa"
    assert therapist["specialisms_search"] == "angste, sleep"
    assert not {"name", "given_name", "timezone"} & set(rows("client")[0])


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("reason", "is_kept"),
    [
        ("recipient: 550 5.1.1 unknown user ***", True),
        ("content: 550 5.2.1 disabled", True),
        ("recipient: 556 5.1.10 null MX", True),
        ("recipient: 550 no such user", False),
        ("recipient: 552 5.2.2 over quota", False),
        ("recipient: 550 Too many messages, slow down", False),
        ("recipient: 550 5.1.15 new", False),
    ],
)
def test_of_the_suppressed_addresses_those_with_proof_stay_for_seven_days(
    before: str, reason: str, is_kept: bool
) -> None:
    with database.connection():
        database.db.execute_sql(f"UPDATE suppression SET reason = '{reason}', at = 5")
    database.upgrade()
    kept = [(row["at"], row["until"], row["doubts"]) for row in rows("suppression")]
    assert kept == ([(5, 5 + 7 * 24 * HOURS, 0)] if is_kept else [])


@pytest.mark.both_databases
def test_emails_that_wait_know_their_recipients_domain(before: str) -> None:
    with database.connection():
        database.db.execute_sql("UPDATE client SET email = 'Dee@Clients.Example'")
    database.upgrade()
    assert [row["domain"] for row in rows("outbox_email")] == ["", "clients.example"]


HOURS = 3_600_000_000
START = 1000 * HOURS


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("accepted_before", "status", "first_before", "second_before"),
    [
        (100, "accepted", 26, 1),
        (29, "accepted", 26, 1),
        (28, "accepted", None, 1),
        (24.5, "accepted", None, 1),
        (3, "accepted", None, None),
        (100, "completed", 24, 1),
    ],
)
def test_stored_reminders_move_to_before_free_cancelling_ends(
    before: str,
    accepted_before: float,
    status: str,
    first_before: int | None,
    second_before: int | None,
) -> None:
    accepted_at = START - int(accepted_before * HOURS)
    with database.connection():
        database.db.execute_sql(
            f"UPDATE booking SET starts_at = {START}, answered_at = {accepted_at},"
            f" status = '{status}', day_reminder_due_at = {START - 24 * HOURS},"
            f" hour_reminder_due_at = {START - HOURS}"
        )
    database.upgrade()
    step = importlib.import_module("app.store.migrations.0007_reminders")
    for _ in range(2):
        row = rows("booking")[0]
        kept = row["day_reminder_due_at"], row["hour_reminder_due_at"]
        assert kept == tuple(
            hours and START - hours * HOURS for hours in (first_before, second_before)
        )
        with database.connection():
            step.up(None, database.db.obj)


def rows(table: str) -> list[dict[str, Any]]:
    with database.connection():
        found = database.db.execute_sql(f"SELECT * FROM {table} ORDER BY id")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_only_its_owner_can_read_a_new_sqlite_file_and_its_log(tmp_path: Path) -> None:
    database.bind(f"sqlite:///{tmp_path / 'new' / 'mindsum.db'}")
    assert database.upgrade()
    with database.connection():
        database.db.execute_sql("DELETE FROM booking")
        modes = {each.name: each.stat().st_mode & 0o777 for each in (tmp_path / "new").iterdir()}
    del modes["mindsum.db.lock"]
    assert modes == dict.fromkeys(("mindsum.db", "mindsum.db-wal", "mindsum.db-shm"), 0o600)


def test_a_database_file_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database.bind(f"sqlite:///{tmp_path / 'file' / 'mindsum.db'}")
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        database.upgrade()


def add_person(number: int, email: str, key: str, table: str = "client") -> None:
    """A copy of the first therapist or client, with another address."""
    columns = [name for name in rows(table)[0] if name not in ("id", "email", "email_key", "slug")]
    named = {"id": str(number), "email": f"'{email}'", "email_key": f"'{key}'"}
    if table == "therapist":
        named["slug"] = f"'t{number}'"
    into, values = ", ".join([*named, *columns]), ", ".join([*named.values(), *columns])
    with database.connection():
        database.db.execute_sql(
            f"INSERT INTO {table} ({into}) SELECT {values} FROM {table} WHERE id = 1"
        )


def keys(table: str, column: str = "email_key") -> dict[int, str]:
    return {each["id"]: each[column] for each in rows(table)}


@pytest.mark.both_databases
def test_keys_follow_the_stored_address_and_nobody_is_lost(before: str) -> None:
    add_person(2, "dee@faß.example", "dee@fass.example")
    add_person(3, "ıda@x.example", "ıda@x.example")
    add_person(4, "Straße@x.example", "strasse@x.example")
    add_person(5, "erased-5@erased.invalid", "erased-5@erased.invalid")
    add_person(2, "Asha@Bücher.example", "asha@bücher.example", "therapist")
    with database.connection():
        database.db.execute_sql(
            "INSERT INTO suppression (address_key, reason, at) VALUES"
            " ('dee@fass.example', 'recipient: 550 5.1.1 no', 1),"
            " ('gone@bücher.example', 'recipient: 550 5.1.1 no', 1)"
        )
    database.upgrade()
    assert keys("client") == {
        1: "dee@clients.example",
        2: "dee@xn--fa-hia.example",
        3: "ıda@x.example",
        4: "straße@x.example",
        5: "erased-5@erased.invalid",
    }
    assert keys("therapist") == {1: "asha@therapists.example", 2: "asha@xn--bcher-kva.example"}
    assert set(keys("suppression", "address_key").values()) == {
        "dee@clients.example",
        "dee@xn--fa-hia.example",
        "gone@xn--bcher-kva.example",
    }


@pytest.mark.both_databases
def test_two_rows_of_one_client_become_one_and_two_of_a_therapist_stay_two(before: str) -> None:
    add_person(2, "dee@bücher.example", "dee@bücher.example")
    add_person(3, "dee@xn--bcher-kva.example", "dee@xn--bcher-kva.example")
    add_person(4, "de\u0301e@x.example", "de\u0301e@x.example")
    add_person(5, "dée@x.example", "dée@x.example")
    add_person(2, "asha@bücher.example", "asha@bücher.example", "therapist")
    add_person(3, "asha@xn--bcher-kva.example", "asha@xn--bcher-kva.example", "therapist")
    with database.connection():
        for line in REPLACEMENTS[:1]:
            database.db.execute_sql(line)
        database.db.execute_sql("UPDATE booking SET client_id = id")
        database.db.execute_sql("UPDATE booking SET uses_free_consultation = TRUE")
        database.db.execute_sql("UPDATE outbox_email SET client_id = 2, booking_id = NULL")
        database.db.execute_sql(
            "INSERT INTO suppression (address_key, reason, at) VALUES"
            " ('dee@bücher.example', 'recipient: 550 5.1.1 no', 1),"
            " ('dee@xn--bcher-kva.example', 'recipient: 551 5.1.6 no', 2)"
        )
    database.upgrade()
    assert keys("client") == {
        1: "dee@clients.example",
        3: "dee@xn--bcher-kva.example",
        5: "dée@x.example",
    }
    assert keys("booking", "client_id") == {1: 1, 2: 3, 3: 3}
    assert set(keys("outbox_email", "client_id").values()) == {3}
    assert [each["uses_free_consultation"] in (1, True) for each in rows("booking")] == [
        True,
        False,
        True,
    ]
    second, third = keys("therapist")[2], keys("therapist")[3]
    assert third == "asha@xn--bcher-kva.example"
    assert second not in ("", third)
    dead = keys("suppression", "address_key").values()
    assert sorted(dead) == ["dee@clients.example", "dee@xn--bcher-kva.example"]


def test_bookings_from_before_moves_keep_their_time_and_their_revoked_links(before: str) -> None:
    with database.connection():
        database.db.execute_sql("UPDATE booking SET epoch = 3")
        database.db.execute_sql(
            "INSERT INTO held_time (therapist_id, cell_at, booking_id) VALUES (1, 900, 1)"
        )
    database.upgrade()
    with database.connection():
        booking, held = Booking.get(), HeldTime.get()
        assert (booking.oldest_epoch, booking.moves, booking.asked_times) == (3, 0, 1)
        assert booking.open_proposal is None
        assert (held.booking, held.pending, held.proposal) == (booking, None, None)
        assert {entry.ordinal for entry in booking.timeline} == {1}
