"""Every statement of the scheduler finds its rows by an index, however many there are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.rules.lifecycle import Actor
from app.scheduler.process import run_once
from app.services import auth
from app.store import claiming
from app.store.db import database
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total

pytestmark = pytest.mark.both_databases

# They have a row for each job, upgrade, paused domain, held part, or form sent a moment ago.
SMALL = {"job_figures", "schema_migration", "mail_pause", "hold", "asked_email"}
READS_ROWS = re.compile(r"\s*(SELECT|UPDATE|DELETE)\b", re.IGNORECASE)
# By name or by the alias that the plan shows.
SCANNED = {
    True: re.compile(r"^SCAN (?!CONSTANT)(\w+)\b(?! USING)", re.MULTILINE),
    False: re.compile(r"Seq Scan on (\w+)"),
}
ALIASES = re.compile(r'"?(\w+)"? AS "?(\w+)"?')

Statements = dict[str, Any]


@contextmanager
def recorded() -> Iterator[Statements]:
    """The statements of the block that look for rows, with values of one run."""
    bound: Any = database.db.obj
    execute, found = bound.execute_sql, Statements()

    def note(sql: str, params: Any = None) -> Any:
        if READS_ROWS.match(sql) and "sqlite_master" not in sql:
            found.setdefault(sql, params)
        return execute(sql, params)

    bound.execute_sql = note
    try:
        yield found
    finally:
        del bound.execute_sql


def scans(sql: str, params: Any) -> set[str]:
    """The tables that the database would read as a whole."""
    names = {alias: table for table, alias in ALIASES.findall(sql)}
    found = SCANNED[database.is_sqlite()].findall(plan(sql, params))
    return {names.get(each, each) for each in found} - SMALL


def plan(sql: str, params: Any) -> str:
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite() else "EXPLAIN "
    rows = database.db.execute_sql(explain + sql, params).fetchall()
    return "\n".join(str(row[-1]) for row in rows)


@contextmanager
def without_scans() -> Iterator[None]:
    """Small tables are read as a whole unless there is no other way."""
    with database.connection():
        if database.is_sqlite():
            yield
            return
        database.db.execute_sql("SET enable_seqscan = off")
        yield
        database.db.execute_sql("RESET enable_seqscan")


def test_the_scheduler_reads_no_table_as_a_whole(story: Story, app: Flask) -> None:
    with recorded() as statements:
        run_once(app)
        first = story.ask()
        story.accept(first)
        story.ask("bran", client=ELI, starts_at=story.now + timedelta(hours=54))
        auth.request_sign_in("asha@therapists.example", "/dashboard", story.now)
        with FaultyServer({f"rcpt {DEE[1]}": "550 5.1.1 no such mailbox"}) as server:
            total(sender_to(app, server.port).deliver())
        for hours in (2, 2, 24, 24):
            story.wait(hours=hours)
            run_once(app)
        next_week = story.now.replace(hour=10) + timedelta(days=7)
        story.cancel(story.ask(starts_at=next_week), by=Actor.CLIENT)
        story.wait(days=70)
        run_once(app)
    assert len(statements) > 50
    with without_scans():
        found = {
            sql: tables for sql, params in statements.items() if (tables := scans(sql, params))
        }
    assert found == {}


def test_a_claim_looks_at_each_thread_alone_though_statistics_say_that_nothing_waits(
    story: Story,
) -> None:
    """Otherwise all that wait are compared with each other: with 8,000 a claim took six seconds."""
    database.db.execute_sql("ANALYZE")
    story.ask()
    with recorded() as statements:
        assert len(claiming.claim(story.now, 4)) == 2
    (sql,) = [each for each in statements if "AS waiting" in each]
    with without_scans():
        shown = plan(sql, statements[sql])
    by_thread = r"outbox_thread .*\(thread=\?" if database.is_sqlite() else r"Index Cond: \(+thread"
    assert re.search(by_thread, shown), shown
