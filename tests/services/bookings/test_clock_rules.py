"""The three-hour rule: every boundary to the second, every step once, after any outage."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app import config
from app.rules.lifecycle import Actor
from app.services.jobs import batching, due
from app.store.models import Booking, OutboxEmail, OutboxStatus, Therapist, TimelineEntry
from tests.scenarios.story import DEE, Story, total

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
REMINDED = {("answer_reminder", "asha@therapists.example")}
LATE = {
    ("answer_late", "asha@therapists.example"),
    ("answer_late_client", "dee@clients.example"),
    ("answer_late_ops", "ops@mindsum.invalid"),
}
EXPIRED = {
    ("booking_expired", "dee@clients.example"),
    ("enquiry_expired", "asha@therapists.example"),
}
# A session that starts sooner than 24 h after the request.
SOON = 5 * HOUR


@pytest.mark.parametrize(
    ("after", "starts_in", "emails", "status"),
    [
        (2 * HOUR - SECOND, 48 * HOUR, set(), "requested"),
        (2 * HOUR, 48 * HOUR, REMINDED, "requested"),
        (2 * HOUR + SECOND, 48 * HOUR, REMINDED, "requested"),
        (3 * HOUR - SECOND, 48 * HOUR, REMINDED, "requested"),
        (3 * HOUR, 48 * HOUR, REMINDED, "requested"),
        (3 * HOUR + SECOND, 48 * HOUR, LATE, "requested"),
        (24 * HOUR - SECOND, 48 * HOUR, LATE, "requested"),
        (24 * HOUR, 48 * HOUR, EXPIRED, "expired"),
        (24 * HOUR + SECOND, 48 * HOUR, EXPIRED, "expired"),
        (SOON - SECOND, SOON, LATE, "requested"),
        (SOON, SOON, EXPIRED, "expired"),
        (SOON + SECOND, SOON, EXPIRED, "expired"),
        (30 * HOUR, 48 * HOUR, EXPIRED, "expired"),
    ],
)
def test_an_unanswered_enquiry_has_the_right_state_at_every_boundary(
    story: Story,
    after: timedelta,
    starts_in: timedelta,
    emails: set[tuple[str, str]],
    status: str,
) -> None:
    booking = story.ask(starts_at=story.now + starts_in)
    story.deliver()
    story.at(booking.requested_at + after)
    story.sweep()
    assert set(story.deliver()) == emails
    assert story.reload(booking).status == status
    for _ in range(2):
        story.sweep()
        assert story.deliver() == []


def test_reminder_lateness_and_expiry_happen_in_order_and_once(story: Story) -> None:
    booking = story.ask()
    story.deliver()
    emails = []
    for minutes in range(0, 25 * 60, 20):
        story.at(booking.requested_at + timedelta(minutes=minutes))
        story.sweep()
        emails += story.deliver()
    assert sorted(emails) == sorted(REMINDED | LATE | EXPIRED)
    assert [event for event, _, _ in story.timeline(booking)] == [
        "requested",
        "reminded",
        "late",
        "expired",
    ]


def test_an_expired_enquiry_is_refunded_and_its_expiry_dated_by_the_clock(story: Story) -> None:
    booking = story.ask()
    story.at(booking.requested_at + 30 * HOUR)
    story.sweep()
    assert story.balances(booking) == {"client": 0, "held": 0}
    assert story.reload(booking).ended_at == booking.requested_at + 24 * HOUR


def test_a_late_enquiry_can_still_be_accepted(story: Story) -> None:
    booking = story.ask()
    story.wait(hours=4)
    story.sweep()
    assert story.accept(booking).is_done


@pytest.mark.parametrize("answer", ["accept", "decline", "withdraw"])
def test_nothing_is_due_for_an_answered_enquiry(story: Story, answer: str) -> None:
    booking = story.ask()
    getattr(story, answer)(booking)
    story.deliver()
    story.wait(hours=30)
    for job in (due.remind_answers, due.escalate_late, due.expire_enquiries):
        assert total(job(story.now)).due == 0


def test_a_reminder_that_is_too_late_to_send_is_skipped(
    story: Story,
) -> None:
    booking = story.ask()
    story.deliver()
    story.at(booking.requested_at + 2 * HOUR)
    total(due.remind_answers(story.now))
    story.at(booking.requested_at + 3 * HOUR + SECOND)
    assert story.deliver() == []
    skipped = OutboxEmail.get(OutboxEmail.kind == "answer_reminder")
    assert (skipped.status, skipped.last_error) == (
        OutboxStatus.SKIPPED,
        "the enquiry is already late",
    )


@pytest.mark.parametrize(
    ("streak", "is_due", "is_deactivated", "goes_out"),
    [
        (5, True, False, False),
        (5, False, False, True),
        (4, True, False, True),
        # A completion deactivates first and leaves the enquiries to apply_standing.
        (0, True, True, False),
    ],
)
def test_nothing_asks_for_an_answer_once_the_account_is_to_be_deactivated(
    story: Story, streak: int, is_due: bool, is_deactivated: bool, goes_out: bool
) -> None:
    # Whether apply_standing has run yet must make no difference.
    booking = story.ask()
    due_at, deactivated_at = (story.now if each else None for each in (is_due, is_deactivated))
    Therapist.update(streak=streak, standing_due_at=due_at, deactivated_at=deactivated_at).execute()
    sent = {kind for kind, _ in story.deliver()}
    assert sent == ({"booking_requested", "booking_received"} if goes_out else set())
    story.sweep()
    is_expired = story.reload(booking).status == "expired"
    assert is_expired is not goes_out


@pytest.mark.both_databases
def test_after_an_outage_of_thirty_hours_one_run_brings_every_enquiry_up_to_date(
    story: Story,
) -> None:
    monday = story.now
    bookings = []
    for index in range(8):
        story.at(monday + timedelta(hours=4 * index))
        client = (f"Client {index}", f"c{index}@clients.example", "Europe/London")
        starts_at = datetime(2026, 11, 5 + index, 10, tzinfo=UTC)
        bookings.append(story.ask(starts_at=starts_at, client=client))
    story.at(monday + timedelta(hours=30))
    story.sweep()
    # Requested 30, 26, 22, 18, 14, 10, 6 and 2 hours ago.
    statuses = [story.reload(booking).status.value for booking in bookings]
    assert statuses == ["expired"] * 2 + ["requested"] * 6
    events = [[event for event, _, _ in story.timeline(booking)][1:] for booking in bookings]
    assert events == [["expired"]] * 2 + [["late"]] * 5 + [["reminded"]]
    kinds = [kind for kind, _ in story.deliver()]
    assert kinds.count("answer_late_client") == 5
    assert kinds.count("booking_expired") == 2
    assert kinds.count("answer_reminder") == 1
    assert OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.QUEUED).count() == 0


@pytest.mark.both_databases
def test_one_enquiry_that_cannot_be_handled_does_not_stop_the_others(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = story.ask(), story.ask("bran", starts_at=story.now + timedelta(hours=54))
    # The line that the sweep will write exists already, so its transaction fails.
    line = {"booking": broken, "event": "late", "by": "system", "via": "scheduler"}
    TimelineEntry.create(at=story.now, facts={}, **line)
    story.wait(hours=4)
    run = total(due.escalate_late(story.now))
    assert (run.due, run.done, run.failed) == (2, 1, 1)
    assert story.reload(broken).late_due_at is not None
    assert story.reload(whole).late_due_at is None


@pytest.mark.parametrize(
    ("before_start", "reminders"),
    [
        (26 * HOUR + SECOND, 0),
        (26 * HOUR, 1),
        (24 * HOUR, 1),
        (2 * HOUR + SECOND, 1),
        (2 * HOUR, 0),
        (HOUR + SECOND, 0),
        (HOUR, 1),
        (SECOND, 1),
        (timedelta(0), 0),
    ],
)
def test_client_and_therapist_are_reminded_of_a_session_and_after_an_outage_only_once(
    story: Story, before_start: timedelta, reminders: int
) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=49))
    story.accept(booking)
    story.deliver()
    story.at(booking.starts_at - before_start)
    story.sweep()
    reminded = [each for each in story.deliver() if each[0] == "session_reminder"]
    assert len(reminded) == 2 * reminders
    story.sweep()
    assert story.deliver() == []


def test_the_first_and_the_second_reminder_come_one_after_the_other(story: Story) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=49))
    story.accept(booking)
    story.deliver()
    for before in (26 * HOUR, HOUR):
        story.at(booking.starts_at - before)
        story.sweep()
        assert sorted(story.deliver()) == [
            ("session_reminder", "asha@therapists.example"),
            ("session_reminder", "dee@clients.example"),
        ]


def test_the_first_reminder_comes_before_the_configured_end_of_free_cancelling(
    story: Story,
) -> None:
    config.use(config.current().model_copy(update={"free_cancellation_hours": Decimal(6)}))
    booking = story.ask(starts_at=story.now + timedelta(hours=49))
    story.accept(booking)
    assert story.reload(booking).day_reminder_due_at == booking.starts_at - 8 * HOUR


def test_a_first_reminder_that_waited_too_long_in_the_outbox_is_skipped(story: Story) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=49))
    story.accept(booking)
    story.deliver()
    story.at(booking.starts_at - 26 * HOUR)
    total(due.remind_sessions(story.now))
    story.at(booking.starts_at - 2 * HOUR)
    assert story.deliver() == []


def test_a_reminder_that_was_due_before_the_session_was_accepted_is_not_sent(
    story: Story,
) -> None:
    booking = story.ask(starts_at=story.now + 6 * HOUR)
    story.accept(booking)
    story.deliver()
    story.sweep()
    assert story.deliver() == []
    story.at(booking.starts_at - HOUR)
    story.sweep()
    assert len(story.deliver()) == 2


def test_a_reminder_is_checked_again_when_it_is_sent(story: Story) -> None:
    booking = story.ask(starts_at=story.now + timedelta(hours=49))
    story.accept(booking)
    story.deliver()
    story.at(booking.starts_at - HOUR)
    total(due.remind_sessions(story.now))
    story.cancel(booking, Actor.CLIENT)
    assert "session_reminder" not in [kind for kind, _ in story.deliver()]


@pytest.mark.parametrize(
    ("after_end", "status"),
    [
        (timedelta(minutes=10) - SECOND, "accepted"),
        (timedelta(minutes=10), "completed"),
        (timedelta(days=2), "completed"),
    ],
)
def test_a_session_completes_ten_minutes_after_its_end(
    story: Story, after_end: timedelta, status: str
) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.ends_at + after_end)
    story.sweep()
    assert story.reload(booking).status == status
    if status == "completed":
        assert story.reload(booking).ended_at == booking.ends_at + timedelta(minutes=10)
        assert story.balances(booking) == {
            "client": -6000,
            "held": 0,
            "therapist": 5400,
            "commission": 600,
        }


@pytest.mark.both_databases
def test_more_bookings_than_one_batch_are_done_in_one_run(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "BATCH", 2)
    for hour in (9, 11, 13, 14, 15):
        story.ask(starts_at=datetime(2026, 11, 5, hour, tzinfo=UTC), client=DEE)
    story.wait(hours=3, seconds=1)
    run = total(due.escalate_late(story.now))
    assert (run.due, run.done, run.failed) == (5, 5, 0)
    assert Booking.select().where(Booking.late_due_at.is_null()).count() == 5
