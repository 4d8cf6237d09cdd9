"""Requesting a session: what a request needs, what it holds, what it writes."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from app.errors import (
    DomainError,
    FreeConsultationUsed,
    InvalidFields,
    NotFound,
    SlotTaken,
    TherapistUnavailable,
)
from app.rules.lifecycle import Kind
from app.services.therapists import accounts, profile
from app.services.therapists.profile import Away
from app.store import queries
from app.store.db import database
from app.store.models import TABLES, Booking, HeldTime, LedgerLine, OutboxEmail, Writing
from tests.scenarios.story import ELI, Story, at_once

TUESDAY = datetime(2026, 11, 3, tzinfo=UTC)


def rows() -> dict[str, int]:
    return {table.__name__: table.select().count() for table in TABLES}


@pytest.mark.both_databases
def test_a_request_writes_booking_timeline_emails_money_and_held_time_at_once(
    story: Story,
) -> None:
    booking = story.ask(note="I have not slept for a week.")
    assert story.timeline(booking) == [("requested", "client", "api")]
    assert story.balances(booking) == {"client": -6000, "held": 6000}
    assert [str(each.role) for each in OutboxEmail.select().order_by(OutboxEmail.id)] == [
        "therapist",
        "client",
    ]
    assert HeldTime.select().where(HeldTime.booking == booking).count() == 4
    assert booking.reference.startswith("MB-")


def test_completion_and_the_last_moment_for_a_no_show_follow_from_the_end(story: Story) -> None:
    times = story.ask().times
    assert times.completes_at == times.ends_at + timedelta(minutes=10)
    assert times.no_show_until == times.ends_at + timedelta(days=7, minutes=10)


@pytest.mark.both_databases
def test_the_note_is_encrypted_at_rest(story: Story) -> None:
    booking = story.ask(note="I have not slept for a week.")
    stored = database.db.execute_sql("SELECT body FROM writing").fetchone()[0]
    assert "slept" not in stored
    assert Writing.get(Writing.booking == booking).body == "I have not slept for a week."


def paused(_story: Story) -> None:
    accounts.pause("asha", on=True)


def away(story: Story) -> None:
    noon = TUESDAY + timedelta(hours=12)
    profile.add_time_off("asha", Away(TUESDAY + timedelta(hours=10, minutes=30), noon), story.now)


def without_free(story: Story) -> None:
    profile.update("asha", {"offers_free_consultation": False}, story.now)


def booked(story: Story) -> None:
    story.ask(starts_at=TUESDAY + timedelta(hours=10, minutes=30), client=ELI)


def nothing(_story: Story) -> None:
    """Change nothing."""


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("before", "wanted", "error", "named"),
    [
        (nothing, {"therapist": "unknown"}, NotFound, "therapist"),
        (nothing, {"starts_at": TUESDAY + timedelta(hours=8, minutes=30)}, InvalidFields, "open"),
        (nothing, {"starts_at": TUESDAY + timedelta(hours=10, minutes=5)}, InvalidFields, "open"),
        (nothing, {"starts_at": TUESDAY + timedelta(hours=16, minutes=30)}, InvalidFields, "open"),
        (
            nothing,
            {"starts_at": TUESDAY - timedelta(hours=11, seconds=1)},
            InvalidFields,
            "4 hours",
        ),
        (nothing, {"starts_at": TUESDAY + timedelta(days=61)}, InvalidFields, "60 days"),
        (away, {}, InvalidFields, "open"),
        (without_free, {"kind": Kind.FREE_CONSULTATION}, InvalidFields, "no free consultation"),
        (paused, {}, TherapistUnavailable, "not taking"),
        (booked, {}, SlotTaken, "taken"),
    ],
)
def test_a_refused_request_names_what_is_wrong_and_leaves_nothing(
    story: Story,
    before: Callable[[Story], None],
    wanted: dict[str, object],
    error: type[DomainError],
    named: str,
) -> None:
    before(story)
    rows_before = rows()
    with pytest.raises(error, match=named):
        story.ask(**{"starts_at": TUESDAY + timedelta(hours=10), **wanted})
    assert rows() == rows_before


@pytest.mark.parametrize(
    ("ahead", "is_open"),
    [
        (timedelta(hours=4), True),
        (timedelta(hours=4) - timedelta(seconds=1), False),
    ],
)
def test_the_notice_is_at_least_four_hours_to_the_second(
    story: Story, ahead: timedelta, is_open: bool
) -> None:
    starts_at = TUESDAY + timedelta(hours=15)
    story.at(starts_at - ahead)
    if is_open:
        assert story.ask(starts_at=starts_at).expires_at == starts_at
    else:
        with pytest.raises(InvalidFields):
            story.ask(starts_at=starts_at)


def test_a_session_that_begins_as_another_ends_is_open(story: Story) -> None:
    profile.update("asha", {"rate_minor": 5000}, story.now)
    story.ask(starts_at=TUESDAY + timedelta(hours=10), kind=Kind.FREE_CONSULTATION)
    next_one = story.ask(starts_at=TUESDAY + timedelta(hours=10, minutes=30), client=ELI)
    assert next_one.fee_minor == 5000


def test_an_enquiry_holds_its_time_until_the_clock_ends_it_even_if_no_job_has_run(
    story: Story,
) -> None:
    first = story.ask(starts_at=TUESDAY + timedelta(days=3, hours=10))
    story.at(first.expires_at - timedelta(seconds=1))
    with pytest.raises(SlotTaken):
        story.ask(starts_at=first.starts_at, client=ELI)
    story.at(first.expires_at)
    story.ask(starts_at=first.starts_at, client=ELI)
    assert story.reload(first).status == "expired"


def test_a_hidden_therapist_can_be_booked_through_the_direct_link(story: Story) -> None:
    accounts.hide("asha", on=True)
    assert story.ask().status == "requested"
    assert "asha" not in [each.slug for each in queries.listed_therapists(story.now)]


@pytest.mark.both_databases
def test_the_price_is_the_rate_at_the_time_of_the_request(story: Story) -> None:
    booking = story.ask()
    profile.update("asha", {"rate_minor": 9900}, story.now)
    assert story.reload(booking).fee_minor == 6000


@pytest.mark.both_databases
def test_of_many_simultaneous_requests_for_one_time_one_succeeds(story: Story) -> None:
    clients = [(f"Client {n}", f"client{n}@clients.example", "Europe/London") for n in range(12)]
    ten = TUESDAY + timedelta(hours=10)
    outcomes = at_once([partial(story.ask, starts_at=ten, client=each) for each in clients])
    assert Counter(type(each) for each in outcomes) == {Booking: 1, SlotTaken: 11}
    assert Booking.select().count() == 1
    assert LedgerLine.select().count() == 2


@pytest.mark.both_databases
def test_the_database_itself_refuses_to_hold_a_time_twice(story: Story) -> None:
    first = story.ask(starts_at=TUESDAY + timedelta(hours=10))
    other = story.ask(starts_at=TUESDAY + timedelta(hours=14), client=ELI)
    held = HeldTime.get(HeldTime.booking == first)
    with pytest.raises(database.peewee.IntegrityError), database.db.atomic():
        HeldTime.insert(
            therapist=first.therapist_id, cell_at=held.cell_at, booking=other.id
        ).execute()


def test_a_second_free_consultation_is_refused_whatever_the_case_of_the_address(
    story: Story,
) -> None:
    story.ask(starts_at=TUESDAY + timedelta(hours=10), kind=Kind.FREE_CONSULTATION)
    shouting = ("Dee", "DEE@Clients.Example", "Europe/London")
    with pytest.raises(FreeConsultationUsed):
        story.ask(
            starts_at=TUESDAY + timedelta(hours=12), kind=Kind.FREE_CONSULTATION, client=shouting
        )
