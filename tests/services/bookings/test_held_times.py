"""Held time: every session that touches a span is found, without reading a long past."""

import re
from datetime import timedelta

import pytest

from app.rules.lifecycle import Status
from app.store import queries
from app.store.db import database
from app.store.models import Booking
from app.store.queries import directory
from app.store.queries.bookings import holding
from tests.scenarios.story import Story

pytestmark = pytest.mark.both_databases

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("minutes", [1, 50, 24 * 60])
def test_a_session_of_any_length_holds_its_time_to_the_last_minute(
    story: Story, minutes: int
) -> None:
    booking = story.ask()
    starts_at, ends_at = booking.starts_at, booking.starts_at + minutes * MINUTE
    Booking.update(ends_at=ends_at).where(Booking.id == booking.id).execute()
    therapist = booking.therapist
    for from_at, until_at, spans in (
        (starts_at - DAY, starts_at, []),
        (starts_at - DAY, starts_at + MINUTE, [(starts_at, ends_at)]),
        (ends_at - MINUTE, ends_at + DAY, [(starts_at, ends_at)]),
        (ends_at, ends_at + DAY, []),
    ):
        assert queries.taken_spans(therapist, from_at, until_at, story.now).held == spans
        busy = directory.busy_spans([therapist.id], from_at, until_at, story.now)
        assert busy == {therapist.id: spans}


def test_only_the_days_around_the_span_are_read_of_a_long_past(story: Story) -> None:
    booking = story.ask()
    columns = {**booking.__data__, "status": Status.ACCEPTED}
    del columns["id"]
    rows = [
        {
            **columns,
            "reference": f"MB-{number}",
            "starts_at": booking.starts_at - number * DAY,
            "ends_at": booking.ends_at - number * DAY,
        }
        for number in range(1, 500)
    ]
    held = Booking.select(Booking.starts_at, Booking.ends_at).where(
        Booking.therapist == booking.therapist_id,
        holding(booking.starts_at, booking.ends_at, story.now),
    )
    with database.db.atomic():
        for start in range(0, len(rows), 25):
            Booking.insert_many(rows[start : start + 25]).execute()
        database.db.execute_sql("ANALYZE")
        plan = plan_of(*held.sql())
    assert "booking_calendar" in plan
    bounds = plan.partition("booking_calendar")[2]
    assert "starts_at >" in bounds
    assert "starts_at <" in bounds


def plan_of(sql: str, params: list[object]) -> str:
    """The index that the database reads, and its bounds."""
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite() else "EXPLAIN "
    rows = database.db.execute_sql(explain + sql, params).fetchall()
    lines = [str(row[-1]) for row in rows if "Filter:" not in str(row[-1])]
    return re.sub(r"starts_at([<>])", r"starts_at \1", "\n".join(lines))
