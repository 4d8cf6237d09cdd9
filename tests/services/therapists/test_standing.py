"""Cancelling too often: from the first warning to the reactivated account."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.errors import TherapistUnavailable
from app.rules.lifecycle import Actor, Kind, Via
from app.rules.ranking import rounded
from app.rules.standing import StandingStep
from app.services import availability
from app.services.bookings import cancel, transitions
from app.services.jobs import due as sweeps
from app.services.ops import replay
from app.services.therapists import ranking, standing
from app.store import queries
from app.store.db import database
from app.store.models import Booking, OutboxEmail, StandingEntry, Therapist
from tests.scenarios.story import ELI, Story, total

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
ASHA = "asha@therapists.example"
OPS = "ops@mindsum.invalid"
STEPS = {
    "streak_warning",
    "account_flagged",
    "account_deactivated",
    "account_reactivated",
    "account_alert",
}


def asha() -> Therapist:
    return queries.therapist_by_slug("asha")


def accepted(story: Story, day: int = 2, hour: int = 10, kind: Kind = Kind.PAID) -> Booking:
    at = story.now.replace(hour=hour, minute=0, second=0, microsecond=0) + day * DAY
    booking = story.ask(starts_at=at, kind=kind)
    story.accept(booking)
    return booking


def cancels(story: Story, times: int) -> None:
    """Asha cancels `times` accepted sessions, one after the other."""
    for _ in range(times):
        story.cancel(accepted(story, day=3, hour=15), Actor.THERAPIST)


def completes(story: Story) -> None:
    """Asha holds one session, and the scheduler runs."""
    story.at(accepted(story).completes_at)
    story.sweep()


def steps_told(story: Story) -> list[tuple[str, str]]:
    """Run the scheduler twice; the (kind, recipient) of the emails about the account."""
    story.sweep()
    story.sweep()
    return [(kind, to) for kind, to in story.deliver() if kind in STEPS]


def listed(story: Story) -> list[str]:
    return [therapist.slug for therapist in queries.listed_therapists(story.now)]


def test_the_whole_story_from_warned_to_reactivated(story: Story) -> None:
    cancels(story, 3)
    assert steps_told(story) == [("streak_warning", ASHA)]
    assert (asha().streak, asha().flagged_at, asha().score) == (3, None, 100)

    completes(story)
    assert asha().streak == 0
    assert steps_told(story) == []

    cancels(story, 4)
    assert steps_told(story) == [("account_flagged", ASHA), ("account_alert", OPS)]
    assert asha().flagged_at == story.now
    assert asha().score == 50
    assert listed(story)[-1] == "asha"

    completes(story)
    assert (asha().streak, asha().flagged_at, asha().score) == (0, None, 100)
    assert steps_told(story) == []

    kept = [accepted(story, day=4), accepted(story, day=5)]
    open_one = story.ask(starts_at=kept[0].starts_at + DAY / 24, client=ELI)
    story.deliver()
    cancels(story, 5)
    story.deliver()
    story.sweep()
    story.sweep()
    sent = story.sent()
    told = [(mail.kind, mail.rcpt_tos[0]) for mail in sent]
    assert sorted(told) == [
        ("account_alert", OPS),
        ("account_deactivated", ASHA),
        ("booking_expired", ELI[1]),
        ("enquiry_expired", ASHA),
    ]
    alert = next(mail.parsed for mail in sent if mail.rcpt_tos[0] == OPS)
    text = alert.get_body(("plain",)).get_content()
    assert all(booking.reference in text for booking in kept)
    assert open_one.reference not in text
    offer = next(mail.parsed for mail in sent if mail.rcpt_tos[0] == ELI[1])
    assert "/link/choose/" in offer.get_body(("plain",)).get_content()
    assert story.reload(open_one).status == "expired"
    assert [story.reload(booking).status for booking in kept] == ["accepted", "accepted"]
    assert asha().state == "deactivated"
    assert "asha" not in listed(story)
    with pytest.raises(TherapistUnavailable):
        story.ask(starts_at=story.now.replace(hour=14, minute=0) + 3 * DAY, client=ELI)
    assert open_times(story) == []

    assert standing.reactivate("asha", story.now)
    assert not standing.reactivate("asha", story.now), "it was already given back"
    assert steps_told(story) == [("account_reactivated", ASHA)]
    assert (asha().streak, asha().flagged_at) == (0, None)
    assert asha().state == "active"
    assert "asha" in listed(story)
    assert open_times(story)
    cancels(story, 3)
    assert steps_told(story) == [("streak_warning", ASHA)], "the count starts again"
    assert list(replay.find_differences(story.now)) == []


def open_times(story: Story) -> list[object]:
    return list(
        availability.open_times(
            asha(), Kind.PAID, from_at=story.now, until_at=story.now + 9 * DAY, now=story.now
        )
    )


def decline(story: Story) -> None:
    story.decline(story.ask())


def withdraw(story: Story) -> None:
    story.withdraw(story.ask())


def let_expire(story: Story) -> None:
    story.at(story.ask().expires_at)


def client_cancels(story: Story) -> None:
    story.cancel(accepted(story), Actor.CLIENT)


def client_cancels_late(story: Story) -> None:
    booking = accepted(story)
    story.at(booking.starts_at - SECOND)
    story.cancel(booking, Actor.CLIENT)


def report_a_no_show_before_completion(story: Story) -> None:
    booking = accepted(story)
    story.at(booking.ends_at)
    cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)
    story.at(booking.completes_at)


def cancel_the_same_again(story: Story) -> None:
    booking = Booking.select().where(Booking.status == "cancelled_by_therapist").first()
    story.cancel(booking, Actor.THERAPIST)


def cancel_what_has_started(story: Story) -> None:
    booking = accepted(story)
    story.at(booking.starts_at)
    story.cancel(booking, Actor.THERAPIST)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "happens",
    [
        decline,
        withdraw,
        let_expire,
        client_cancels,
        client_cancels_late,
        report_a_no_show_before_completion,
        cancel_the_same_again,
        cancel_what_has_started,
    ],
)
def test_it_neither_adds_to_the_streak_nor_resets_it(
    story: Story, happens: Callable[[Story], None]
) -> None:
    cancels(story, 2)
    happens(story)
    story.sweep()
    assert asha().streak == 2
    cancels(story, 1)
    assert steps_told(story) == [("streak_warning", ASHA)]


def test_a_free_session_counts_like_any_other(story: Story) -> None:
    cancels(story, 2)
    story.cancel(accepted(story, kind=Kind.FREE_CONSULTATION), Actor.THERAPIST)
    assert steps_told(story) == [("streak_warning", ASHA)]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("offset", "streak"), [(-SECOND, 3), (timedelta(0), 1), (SECOND, 1)], ids=str
)
def test_a_completion_that_is_due_counts_before_a_later_cancellation_without_any_sweep(
    story: Story, offset: timedelta, streak: int
) -> None:
    held = accepted(story, day=1)
    doomed = accepted(story, day=3)
    cancels(story, 2)
    now = story.at(held.completes_at + offset)
    terms = cancel.terms_of_cancelling(story.reload(doomed), by=Actor.THERAPIST, now=now)
    story.cancel(doomed, Actor.THERAPIST)
    assert terms is not None
    assert terms.streak == asha().streak == streak
    order = [
        entry.event
        for entry in StandingEntry.select().order_by(StandingEntry.id)
        if entry.booking_id in (held.id, doomed.id)
    ]
    assert order == (["cancelled"] if streak == 3 else ["completed", "cancelled"])


@pytest.mark.parametrize("reported_after_days", [0, 7])
def test_a_no_show_reported_after_completion_changes_no_streak(
    story: Story, reported_after_days: int
) -> None:
    cancels(story, 2)
    booking = accepted(story)
    story.at(booking.completes_at)
    story.sweep()
    cancels(story, 1)
    assert asha().streak == 1
    story.at(booking.completes_at + reported_after_days * DAY)
    outcome = cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)
    assert outcome.booking.status == "no_show"
    assert asha().streak == 1


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("times", "told"),
    [
        (1, []),
        (2, []),
        (3, [("streak_warning", ASHA)]),
        (4, [("account_flagged", ASHA), ("account_alert", OPS)]),
        (5, [("account_deactivated", ASHA), ("account_alert", OPS)]),
        (6, [("account_deactivated", ASHA), ("account_alert", OPS)]),
    ],
)
def test_of_several_steps_due_at_once_only_the_furthest_is_emailed(
    story: Story, times: int, told: list[tuple[str, str]]
) -> None:
    cancels(story, times)
    assert steps_told(story) == told
    assert (asha().flagged_at is not None) == (times >= 4)
    assert list(replay.find_differences(story.now)) == []


@pytest.mark.both_databases
def test_each_step_is_emailed_when_it_is_reached(story: Story) -> None:
    told = []
    for _ in range(6):
        cancels(story, 1)
        told += [kind for kind, _ in steps_told(story)]
        if asha().deactivated_at is not None:
            break
    assert told == [
        "streak_warning",
        "account_flagged",
        "account_alert",
        "account_deactivated",
        "account_alert",
    ]
    assert asha().streak == 5


def test_a_new_streak_warns_again(story: Story) -> None:
    for _ in range(2):
        cancels(story, 3)
        assert steps_told(story) == [("streak_warning", ASHA)]
        completes(story)


@pytest.mark.both_databases
def test_several_schedulers_apply_each_step_once(
    story: Story,
) -> None:
    cancels(story, 5)
    therapist_id, now = asha().id, story.now
    together = threading.Barrier(4)
    steps: list[StandingStep | None] = []

    def one_scheduler() -> None:
        with database.connection():
            together.wait()
            steps.append(transitions.apply_standing(therapist_id, via=Via.SCHEDULER, now=now))

    crowd = [threading.Thread(target=one_scheduler) for _ in range(4)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert sorted(steps, key=str) == [None, None, None, StandingStep.DEACTIVATE]
    before = asha().__data__
    assert transitions.apply_standing(therapist_id, via=Via.SCHEDULER, now=now) is None
    assert asha().__data__ == before
    about_account = OutboxEmail.select().where(OutboxEmail.kind.in_(STEPS))
    assert sorted(email.kind for email in about_account) == ["account_alert", "account_deactivated"]


def test_a_sweep_reads_only_therapists_with_a_new_event(story: Story) -> None:
    story.sweep()
    cancels(story, 1)
    due = queries.therapists_due(Therapist.standing_due_at, story.now, 10, [])
    assert [therapist.slug for therapist in due] == ["asha"]
    story.sweep()
    assert queries.therapists_due(Therapist.standing_due_at, story.now, 10, []) == []


@pytest.mark.parametrize("by_scheduler", [True, False], ids=["scheduler", "client asks"])
def test_a_completion_in_the_same_minute_does_not_undo_a_deactivation(
    story: Story, by_scheduler: bool
) -> None:
    held = accepted(story, day=1)
    open_one = story.ask(starts_at=held.starts_at + 4 * DAY, client=ELI)
    story.at(held.completes_at - 30 * SECOND)
    open_two = story.ask(starts_at=held.starts_at + 3 * DAY, client=ELI)
    cancels(story, 5)
    story.deliver()
    story.at(held.completes_at + SECOND)
    if not by_scheduler:
        story.ask("bran", starts_at=story.now.replace(hour=16, minute=0, second=0) + DAY)
        transitions.refresh(held.reference, via=Via.LINK, now=story.now)
    assert [kind for kind, _ in steps_told(story)] == ["account_deactivated", "account_alert"]
    assert asha().state == "deactivated"
    assert (asha().streak, asha().flagged_at) == (0, None)
    assert story.reload(held).status == "completed"
    assert story.reload(open_one).status == "expired"
    assert story.reload(open_two).status == "expired"
    assert list(replay.find_differences(story.now)) == []


def test_a_deactivated_therapist_still_manages_sessions_and_stays_deactivated(
    story: Story,
) -> None:
    held, doomed = accepted(story, day=1), accepted(story, day=5)
    cancels(story, 5)
    story.sweep()
    story.at(held.completes_at)
    story.sweep()
    assert story.reload(held).status == "completed"
    assert (asha().streak, asha().flagged_at) == (0, None)
    assert asha().state == "deactivated"
    story.cancel(doomed, Actor.THERAPIST)
    story.deliver()
    assert steps_told(story) == []
    assert asha().streak == 1
    assert list(replay.find_differences(story.now)) == []


def test_an_enquiry_that_had_expired_by_the_clock_is_not_ended_by_the_deactivation(
    story: Story,
) -> None:
    unanswered = story.ask(starts_at=story.now + 5 * DAY, client=ELI)
    story.at(unanswered.expires_at)
    cancels(story, 5)
    total(sweeps.apply_standing(story.now))
    ended = story.reload(unanswered)
    assert (ended.status, ended.ended_at) == ("expired", unanswered.expires_at)
    assert not ended.ended_by_deactivation


def test_a_reactivated_account_shows_the_score_that_its_factors_make(story: Story) -> None:
    cancels(story, 5)
    story.sweep()
    story.sweep()
    assert (asha().state, asha().score) == ("deactivated", 50)
    assert standing.reactivate("asha", story.now)
    made = ranking.compute(asha(), story.now).score
    assert asha().shown_score == rounded(made) == 100


def test_an_account_deactivated_again_is_not_told_that_it_was_reactivated(story: Story) -> None:
    cancels(story, 5)
    story.sweep()
    story.deliver()
    standing.reactivate("asha", story.now)
    cancels(story, 5)
    story.sweep()
    told = [kind for kind, address in story.deliver() if address == ASHA]
    assert "account_deactivated" in told
    assert "account_reactivated" not in told
    skipped = OutboxEmail.get(OutboxEmail.kind == "account_reactivated")
    assert (skipped.status, skipped.last_error) == (
        "skipped", "the account has been deactivated again",
    )  # fmt: skip


def test_an_account_that_is_not_deactivated_is_not_reactivated(story: Story) -> None:
    cancels(story, 4)
    story.sweep()
    assert not standing.reactivate("asha", story.now)
    assert asha().streak == 4
    assert asha().flagged_at is not None
