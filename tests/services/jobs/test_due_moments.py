"""The email of a step is due at the time of the step, however late the step is taken; purging."""

from datetime import timedelta

import pytest

from app.rules.lifecycle import Actor, Via
from app.services import auth
from app.services.bookings import transitions
from app.services.jobs import due
from app.store.models import OutboxEmail, SignIn
from tests.scenarios.story import ELI, Story, total

HALF_AN_HOUR = timedelta(minutes=30)


def due_of(kind: str) -> set[timedelta]:
    """How long before they were written the emails of that kind were due."""
    rows = OutboxEmail.select().where(OutboxEmail.kind == kind)
    return {each.created_at - each.due_at for each in rows}


STEPS: dict[str, tuple[float, str]] = {
    "a reminder": (2.5, "answer_reminder"),
    "lateness": (3.5, "answer_late_client"),
    "expiry": (24.5, "booking_expired"),
}


@pytest.mark.parametrize(("after_h", "kind"), STEPS.values(), ids=STEPS)
def test_the_email_of_a_step_is_due_at_the_time_of_the_step(
    story: Story, after_h: float, kind: str
) -> None:
    story.ask()
    story.wait(hours=after_h)
    story.sweep()
    assert due_of(kind) == {HALF_AN_HOUR}


def test_so_is_the_email_of_an_expiry_that_a_page_performs(story: Story) -> None:
    booking = story.ask()
    story.wait(hours=24.5)
    transitions.refresh(booking.reference, via=Via.PAGE, now=story.now)
    assert due_of("booking_expired") == due_of("enquiry_expired") == {HALF_AN_HOUR}


@pytest.mark.parametrize(("before_h", "ordinal"), [(25.5, 24), (0.5, 1)])
def test_a_session_reminder_is_due_at_its_time(story: Story, before_h: float, ordinal: int) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.starts_at - timedelta(hours=before_h))
    story.sweep()
    assert due_of("session_reminder") == {HALF_AN_HOUR}
    reminders = OutboxEmail.select().where(OutboxEmail.kind == "session_reminder")
    assert {each.ordinal for each in reminders} == {ordinal}


def five_cancelled(story: Story) -> None:
    for day in range(3, 8):
        doomed = story.ask("asha", starts_at=story.now.replace(hour=11) + timedelta(days=day))
        story.accept(doomed)
        story.cancel(doomed, by=Actor.THERAPIST)


@pytest.mark.parametrize("completes_first", [False, True])
def test_emails_of_a_streak_are_due_since_the_cancellation_that_caused_them(
    story: Story, completes_first: bool
) -> None:
    done = story.ask("asha", starts_at=story.now + timedelta(hours=4))
    story.accept(done)
    story.at(done.completes_at - HALF_AN_HOUR)
    five_cancelled(story)
    story.ask(
        "asha", client=ELI, starts_at=story.now.replace(hour=15, minute=0) + timedelta(days=9)
    )
    story.wait(minutes=30)
    if completes_first:
        assert total(due.complete_sessions(story.now)).done == 1
    story.sweep()
    kinds = ("account_deactivated", "account_alert", "booking_expired", "enquiry_expired")
    assert [due_of(kind) for kind in kinds] == [{HALF_AN_HOUR}] * 4


def test_a_purge_deletes_in_batches_until_nothing_old_is_left(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PURGE_BATCH", 2)
    for _ in range(5):
        auth.request_sign_in("asha@therapists.example", "/dashboard", story.now)
        # Later ones are not merged into the one that waits.
        story.wait(minutes=20)
    story.wait(days=1)
    auth.request_sign_in("asha@therapists.example", "/dashboard", story.now)
    assert [part.done for part in due.purge(story.now)] == [2, 2, 1]
    assert SignIn.select().count() == 1
