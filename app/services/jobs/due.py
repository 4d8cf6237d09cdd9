"""The clock's work: find what is due, and take each booking to where it should be by now."""

from datetime import datetime, timedelta

from app.rules import acceptance
from app.rules.acceptance import Step
from app.rules.lifecycle import Actor, Status, Via
from app.services.bookings import log, transitions
from app.services.jobs.batching import each_booking, each_therapist, in_turn
from app.services.jobs.result import JobResult, PartialResults
from app.services.therapists import ranking
from app.store import outbox, queries
from app.store.db.database import in_transaction
from app.store.models import Booking, IdempotentAnswer, Role, SignIn, Therapist
from app.store.queries import ACCEPTED, REQUESTED

SIGN_INS_KEPT = timedelta(days=1)
ANSWERS_KEPT = timedelta(days=2)
FORGOTTEN_AT_ONCE = 1000


def remind_answers(now: datetime) -> PartialResults:
    """Remind therapists whose enquiries have waited two hours and are not late yet."""
    due = REQUESTED & (Booking.reminder_due_at <= now) & (Booking.answer_by >= now)
    return each_booking(due, Booking.reminder_due_at, lambda booking: _chase(booking, now))


def escalate_late(now: datetime) -> PartialResults:
    """Tell therapist, client and ops of enquiries that are late."""
    due = REQUESTED & (Booking.late_due_at < now) & (Booking.expires_at > now)
    return each_booking(due, Booking.late_due_at, lambda booking: _chase(booking, now))


def expire_enquiries(now: datetime) -> PartialResults:
    """End the enquiries that nobody answered."""
    return each_booking(
        queries.overdue_expiry(now), Booking.expires_at, lambda b: _catch_up(b, now)
    )


def complete_sessions(now: datetime) -> PartialResults:
    """Complete the sessions that ended ten minutes ago or earlier."""
    return each_booking(
        queries.overdue_completion(now), Booking.completes_at, lambda b: _catch_up(b, now)
    )


def apply_standing(now: datetime) -> PartialResults:
    """Apply streaks, then compute the scores anew of therapists whom something happened to."""
    standings = each_therapist(
        Therapist.standing_due_at,
        now,
        lambda therapist: transitions.apply_standing(therapist.id, via=Via.SCHEDULER, now=now),
    )
    return in_turn(standings, _scores(now))


def _scores(now: datetime) -> PartialResults:
    for part in each_therapist(
        Therapist.ranking_due_at, now, lambda therapist: ranking.refresh(therapist.id, now)
    ):
        # A score that moves with the clock is no news; it would fill the log every five minutes.
        yield JobResult(failed=part.failed)


def remind_sessions(now: datetime) -> PartialResults:
    """Remind both of an accepted session 24 h and 1 h before it starts."""
    ahead = ACCEPTED & (Booking.starts_at > now)
    return in_turn(
        *(
            each_booking(ahead & (due_at <= now), due_at, lambda each: _remind_session(each, now))
            for due_at in (Booking.hour_reminder_due_at, Booking.day_reminder_due_at)
        )
    )


def take_every_step(now: datetime) -> JobResult:
    """Take everything to where it should be by now, as the jobs in turn do; what it came to."""
    jobs = (
        remind_answers,
        escalate_late,
        expire_enquiries,
        complete_sessions,
        apply_standing,
        remind_sessions,
    )
    return sum((part for job in jobs for part in job(now)), JobResult())


def purge(now: datetime) -> PartialResults:
    """Delete sign-in links and stored API answers that are too old to be used."""
    for table, kept_until in (
        (SignIn, now - SIGN_INS_KEPT),
        (IdempotentAnswer, now - ANSWERS_KEPT),
    ):
        while forgotten := _forget(table, kept_until):
            yield JobResult(due=forgotten, done=forgotten)


@in_transaction
def _forget(table: type[SignIn | IdempotentAnswer], before: datetime) -> int:
    # Not all at once: after a long outage there are many, and nobody else could write meanwhile.
    old = table.select(table.id).where(table.created_at < before).limit(FORGOTTEN_AT_ONCE)
    return int(table.delete().where(table.id.in_(old)).execute())


def _catch_up(booking: Booking, now: datetime) -> bool:
    before = booking.status
    transitions.catch_up(booking, via=Via.SCHEDULER, now=now)
    return bool(booking.status != before)


def _chase(booking: Booking, now: datetime) -> bool:
    """Take one unanswered enquiry the furthest step that is due, once."""
    if booking.status is not Status.REQUESTED:
        return False
    step = acceptance.due_step(
        remind_at=booking.reminder_due_at,
        answer_by=booking.answer_by,
        expires_at=booking.expires_at,
        late_announced=booking.late_due_at is None,
        now=now,
    )
    if step is Step.REMIND:
        return _remind(booking, now)
    if step is Step.LATE:
        return _tell_late(booking, now)
    return False


def _remind(booking: Booking, now: datetime) -> bool:
    transitions.set_reminders(booking, reminder_due_at=None)
    facts = {"answer_by": booking.answer_by.isoformat()}
    transitions.add_timeline_entry(
        booking, "reminded", by=Actor.SYSTEM, via=Via.SCHEDULER, at=now, facts=facts
    )
    outbox.enqueue(
        "answer_reminder", Role.THERAPIST, booking=booking, due_at=booking.reminder_due_at, now=now
    )
    log.booking_event("reminded", booking, answer_by=facts["answer_by"], next="late")
    return True


def _tell_late(booking: Booking, now: datetime) -> bool:
    transitions.set_reminders(booking, reminder_due_at=None, late_due_at=None)
    facts = {"since": booking.answer_by.isoformat(), "expires_at": booking.expires_at.isoformat()}
    transitions.add_timeline_entry(
        booking, "late", by=Actor.SYSTEM, via=Via.SCHEDULER, at=now, facts=facts
    )
    for kind, role in (
        ("answer_late", Role.THERAPIST),
        ("answer_late_client", Role.CLIENT),
        ("answer_late_ops", Role.OPS),
    ):
        outbox.enqueue(kind, role, booking=booking, due_at=booking.late_due_at, now=now)
    log.booking_event("late", booking, warning=True, next="expire", **facts)
    return True


def _remind_session(booking: Booking, now: datetime) -> bool:
    if booking.status is not Status.ACCEPTED or now >= booking.starts_at:
        return False
    hour_due = booking.hour_reminder_due_at is not None and booking.hour_reminder_due_at <= now
    day_due = booking.day_reminder_due_at is not None and booking.day_reminder_due_at <= now
    if not (hour_due or day_due):
        return False
    # After an outage both may be due; the nearer one says all that the other would have.
    if hour_due:
        transitions.set_reminders(booking, day_reminder_due_at=None, hour_reminder_due_at=None)
    else:
        transitions.set_reminders(booking, day_reminder_due_at=None)
    ordinal = 1 if hour_due else 24
    due_at = booking.hour_reminder_due_at if hour_due else booking.day_reminder_due_at
    for role in (Role.CLIENT, Role.THERAPIST):
        outbox.enqueue(
            "session_reminder", role, booking=booking, ordinal=ordinal, due_at=due_at, now=now
        )
    log.booking_event("session_reminded", booking, starts_at=booking.starts_at.isoformat())
    return True
