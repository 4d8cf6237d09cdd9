"""Therapists with thousands of stored sessions: their calendar feed, and their searches."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from app import config
from app.rules.lifecycle import Actor, Kind, Status, Via
from app.services.therapists import feed
from app.store.db import database
from app.store.models import Booking, Client, Therapist, TimelineEntry
from tests.harness.calendar_programs import Read, read_by_both
from tests.harness.page_stories import sign_in
from tests.harness.soak import runs
from tests.scenarios.bulk_copies import numbered_reference
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor, counted_queries

pytestmark = pytest.mark.both_databases

COUNT = runs(1_200, 10_000)
HOUR, LENGTH = timedelta(hours=1), timedelta(minutes=50)
# One each hour: across the clock changes of London and New York, in SOAK those of spring too.
FIRST_AT = datetime(2026, 10, 20, 0, 30, tzinfo=UTC)
NAMES = ("Dee Stone", "Zo\u00eb Okonkwo-Lind", "Eli Park", "\u674e\u5c0f\u9f99")


@pytest.fixture
def sessions(story: Story) -> list[Booking]:
    """Asha's: of four, the first is an enquiry if it is ahead, and the others are sessions."""
    asha = Therapist.get(Therapist.slug == "asha")
    clients = [_client(f"c{number}@clients.example", story.now) for number in range(len(NAMES))]
    rows = [_row(number, asha, clients, story.now) for number in range(COUNT)]
    with database.db.atomic():
        for start in range(0, COUNT, 500):
            Booking.insert_many(rows[start : start + 500]).execute()
        made = list(Booking.select().order_by(Booking.starts_at))
        entries = [
            {
                "booking": each, "event": "accepted", "by": Actor.THERAPIST, "via": Via.LINK,
                "at": each.answered_at, "facts": {},
            }
            for each in made
            if each.answered_at
        ]  # fmt: skip
        for start in range(0, len(entries), 500):
            TimelineEntry.insert_many(entries[start : start + 500]).execute()
    database.db.execute_sql("ANALYZE")
    return made


def _client(address: str, now: datetime) -> Client:
    made: Client = Client.create(email=address, email_key=address, created_at=now)
    return made


def _row(number: int, asha: Therapist, clients: list[Client], now: datetime) -> dict[str, Any]:
    starts_at, name = FIRST_AT + number * HOUR, NAMES[number % len(NAMES)]
    requested_at = FIRST_AT - timedelta(days=1)
    is_open = number % 4 == 0 and starts_at > now + HOUR
    is_over = starts_at + HOUR < now
    return {
        "reference": numbered_reference(number),
        "therapist": asha,
        "client": clients[number % len(clients)],
        "client_name": name,
        "client_given_name": name.partition(" ")[0],
        "client_timezone": "Europe/London",
        "kind": Kind.PAID,
        "status": Status.REQUESTED if is_open else Status.COMPLETED if is_over else Status.ACCEPTED,
        "requested_at": requested_at,
        "answer_by": requested_at + 3 * HOUR,
        "expires_at": starts_at,
        "starts_at": starts_at,
        "ends_at": starts_at + LENGTH,
        "fee_minor": 6000,
        "currency": "GBP",
        "answered_at": None if is_open else requested_at + HOUR,
        "completes_at": starts_at + HOUR,
    }


def entry_of(booking: Booking) -> Read:
    is_open = booking.status is Status.REQUESTED
    return (
        f"{booking.reference}@mindsum-bookings",
        0,
        "TENTATIVE" if is_open else "CONFIRMED",
        f"{'Request from' if is_open else 'Session with'} {booking.client_given_name}",
        booking.starts_at,
        booking.ends_at,
        booking.answered_at or booking.requested_at,
    )


def test_a_feed_of_thousands_of_stored_sessions_is_read_by_two_programs_across_clock_changes(
    story: Story, sessions: list[Booking], visitor: Visitor
) -> None:
    address = feed.address(feed.start("asha", story.now)) or ""
    path = address.removeprefix(config.current().public_url)
    with counted_queries() as seen:
        answer = visitor.get(path)
    assert answer.status_code == 200
    assert len([each for each in seen if each.startswith("SELECT")]) == 2
    read = read_by_both(answer.data)
    assert read == [entry_of(each) for each in sessions]
    for zone in ("Europe/London", "America/New_York"):
        offsets = {each[4].astimezone(ZoneInfo(zone)).utcoffset() for each in read}
        assert len(offsets) == 2, zone
    same = {"If-None-Match": answer.headers["ETag"]}
    story.wait(minutes=5)
    unchanged = visitor.get(path, headers=same)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    story.cancel(sessions[-1], Actor.THERAPIST)
    changed = visitor.get(path, headers=same)
    assert changed.status_code == 200
    assert read_by_both(changed.data) == read[:-1]


@contextmanager
def explained() -> Iterator[tuple[list[str], list[str]]]:
    """All statements, and how the database finds the bookings that a search looks through."""
    statements, plans = list[str](), list[str]()
    execute = database.db.obj.execute_sql

    def noted(sql: str, values: Any = None) -> Any:
        statements.append(sql)
        if "client_given_name" in sql and "JOIN" not in sql:
            verb = "EXPLAIN QUERY PLAN" if database.is_sqlite() else "EXPLAIN"
            plan = execute(f"{verb} {sql}", values).fetchall()
            plans.append(" ".join(str(row[-1]) for row in plan))
        return execute(sql, values)

    database.db.obj.execute_sql = noted
    try:
        yield statements, plans
    finally:
        del database.db.obj.execute_sql


def test_my_sessions_are_searched_by_days_through_an_index_and_in_as_few_queries(
    app: Flask, story: Story, sessions: list[Booking]
) -> None:
    asha = another_visitor(app)
    sign_in(app, story.mail, asha, "asha@therapists.example")
    address = "/dashboard/sessions"
    wanted = sessions[200]
    day = f"{wanted.starts_at:%Y-%m-%d}"
    with counted_queries() as few:
        asha.get(f"{address}?q=nobody")
    for query, count in (
        (f"from={day}&to={day}", 24),
        (f"q=zoe&from={day}&to={day}", 6),
        (f"q={wanted.reference.lower()}", 1),
        (f"q=dee+{wanted.reference}", 1),
        ("q=okonkwo", COUNT // 4),
        ("q=\u5c0f", COUNT // 4),
    ):
        with explained() as (statements, plans):
            page = asha.get(f"{address}?{query}")
        assert f"{'One booking' if count == 1 else f'{count} bookings'}, newest" in page.text, query
        # The rows that are shown are read by their numbers.
        assert len(statements) <= len(few) + 2
        [plan] = plans
        if "from=" in query:
            assert "booking_calendar" in plan
            assert re.search(r"starts_at\)? ?<", plan)
