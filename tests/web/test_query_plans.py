"""Every read of a page finds its rows by an index, however many bookings there are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from app.store.db import database
from app.store.db.database import db
from app.store.models import Booking
from tests.harness.page_stories import sign_in, sign_in_as_ops
from tests.scenarios import full_site
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor

pytestmark = pytest.mark.both_databases

# One row for each thing that ops did or a mail server refused: few.
SMALL = {"hold", "mail_pause", "suppression"}
ALIAS = re.compile(r'"(\w+)" AS "(\w+)"')
# `SCAN t1`, but not `SCAN t1 USING INDEX …`, which reads in the index's order.
SCANNED = {
    True: re.compile(r"^SCAN (\w+)$"),
    False: re.compile(r"Seq Scan on (\w+)"),
}


@contextmanager
def scans() -> Iterator[list[tuple[str, str]]]:
    """(table, statement) of each read of a whole table in the block."""
    found: list[tuple[str, str]] = []
    execute = db.obj.execute_sql

    def explained(sql: str, values: Any = None) -> Any:
        if sql.startswith("SELECT"):
            verb = "EXPLAIN QUERY PLAN" if database.is_sqlite() else "EXPLAIN"
            plan = [str(row[-1]) for row in execute(f"{verb} {sql}", values).fetchall()]
            aliases = {alias: name for name, alias in ALIAS.findall(sql)}
            names = [name for line in plan for name in SCANNED[database.is_sqlite()].findall(line)]
            found.extend((aliases.get(name, name), sql) for name in names)
        return execute(sql, values)

    db.obj.execute_sql = explained
    try:
        yield found
    finally:
        del db.obj.execute_sql


@pytest.fixture
def without_small_tables(story: Story) -> Iterator[None]:
    """PostgreSQL reads a whole table only where it has no index for what is wanted."""
    if not database.is_sqlite():
        db.execute_sql("SET enable_seqscan = off")
    yield
    if not database.is_sqlite():
        db.execute_sql("RESET enable_seqscan")


def test_a_read_without_an_index_is_noticed(story: Story, without_small_tables: None) -> None:
    with scans() as found:
        list(Booking.select().where(Booking.client_name == "Dee"))
        list(Booking.select().where(Booking.reference == "MB-222222"))
    assert [table for table, _ in found] == ["booking"]


@pytest.mark.parametrize("whose", ["visitors", "therapists", "ops"])
def test_no_page_reads_a_whole_table(
    app: Flask, story: Story, without_small_tables: None, whose: str
) -> None:
    bookings = full_site.fill(story)
    visitor = another_visitor(app)
    with app.test_request_context():
        paths = {
            "visitors": lambda: [
                *full_site.public(),
                *full_site.files(),
                *full_site.by_link(bookings),
            ],
            "therapists": lambda: full_site.for_asha(bookings),
            # Jobs are checked as by /readyz, which reads the first and last text.
            "ops": lambda: [path for path in full_site.for_ops(bookings) if path != "/ops/jobs"],
        }[whose]()
    if whose == "therapists":
        sign_in(app, story.mail, visitor, "asha@therapists.example")
    if whose == "ops":
        sign_in_as_ops(app, story.mail, visitor)
    read = {path: scanned(visitor, path) for path in paths}
    assert {path: found for path, found in read.items() if found} == {}


def scanned(visitor: Visitor, path: str) -> list[tuple[str, str]]:
    with scans() as found:
        assert visitor.get(path).status_code < 500
    return [(table, sql) for table, sql in found if table not in SMALL]
