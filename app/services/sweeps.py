"""The clock's work: find what is due, and take each booking to where it should be by now."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from peewee import Expression, Field

from app import config
from app.rules import acceptance
from app.rules.acceptance import Step
from app.rules.lifecycle import Actor, Status, Via
from app.services import journal, moves, ranking, transitions
from app.services.runs import Run
from app.store import outbox, queries
from app.store.database import in_transaction
from app.store.models import Booking, IdempotentAnswer, Role, SignIn, Therapist
from app.store.queries import ACCEPTED, REQUESTED

BATCH = 500
SIGN_INS_KEPT = timedelta(days=1)
ANSWERS_KEPT = timedelta(days=2)

_log = structlog.get_logger("mindsum")


def remind_answers(now: datetime) -> Run:
    """Remind therapists whose enquiries have waited two hours and are not late yet."""
    due = REQUESTED & (Booking.reminder_due_at <= now) & (Booking.answer_by >= now)
    return _each(due, Booking.reminder_due_at, lambda booking: _chase(booking, now))


def escalate_late(now: datetime) -> Run:
    """Tell therapist, client and ops of enquiries that are late."""
    due = REQUESTED & (Booking.late_due_at < now) & (Booking.expires_at > now)
    return _each(due, Booking.late_due_at, lambda booking: _chase(booking, now))


def expire_enquiries(now: datetime) -> Run:
    """End the enquiries that nobody answered."""
    return _each(queries.overdue_expiry(now), Booking.expires_at, lambda b: _catch_up(b, now))


def complete_sessions(now: datetime) -> Run:
    """Complete the sessions that ended ten minutes ago or earlier."""
    return _each(queries.overdue_completion(now), Booking.completes_at, lambda b: _catch_up(b, now))


def apply_standing(now: datetime) -> Run:
    """Apply streaks, then compute the scores anew of therapists whom something happened to."""
    streaks = _each_therapist(
        Therapist.standing_due_at,
        now,
        lambda therapist: moves.apply_standing(therapist.id, via=Via.SCHEDULER, now=now),
    )
    scores = _each_therapist(
        Therapist.ranking_due_at, now, lambda therapist: ranking.refresh(therapist.id, now)
    )
    # A score that moves with the clock is no news; it would fill the log every five minutes.
    return streaks + Run(failed=scores.failed)


def remind_sessions(now: datetime) -> Run:
    """Remind both of an accepted session 24 h and 1 h before it starts."""
    ahead = ACCEPTED & (Booking.starts_at > now)
    hour = _each(
        ahead & (Booking.hour_reminder_due_at <= now),
        Booking.hour_reminder_due_at,
        lambda booking: _remind_session(booking, now),
    )
    day = _each(
        ahead & (Booking.day_reminder_due_at <= now),
        Booking.day_reminder_due_at,
        lambda booking: _remind_session(booking, now),
    )
    return hour + day


def purge(now: datetime) -> Run:
    """Forget sign-ins and stored answers that nothing can ask for any more."""
    old = SignIn.delete().where(SignIn.created_at < now - SIGN_INS_KEPT).execute()
    answers = (
        IdempotentAnswer.delete().where(IdempotentAnswer.created_at < now - ANSWERS_KEPT).execute()
    )
    return Run(due=old + answers, done=old + answers)


def _each(due: Expression, since: Field, act: Callable[[Booking], bool]) -> Run:
    """Do `act` to each booking that is due, each in its own transaction; one failing stops none."""
    batch = list(
        Booking.select(Booking.id, Booking.reference, since).where(due).order_by(since).limit(BATCH)
    )
    done = failed = 0
    for booking in batch:
        try:
            done += act(booking)
        except Exception:
            failed += 1
            _log.exception("sweep_failed", booking=booking.reference)
    run = Run(len(batch), done, failed, getattr(batch[0], since.name) if batch else None)
    # A full batch that moved on leaves more to do; one that did not would only come back the same.
    return run + _each(due, since, act) if len(batch) == BATCH and done else run


def _each_therapist(column: Field, now: datetime, act: Callable[[Therapist], object]) -> Run:
    due = queries.therapists_due(column, now, BATCH)
    failed = 0
    for therapist in due:
        try:
            act(therapist)
        except Exception:
            failed += 1
            _log.exception("sweep_failed", therapist=therapist.slug)
    oldest_at = getattr(due[0], column.name) if due else None
    return Run(len(due), len(due) - failed, failed, oldest_at)


@in_transaction
def _catch_up(due: Booking, now: datetime) -> bool:
    booking = moves.lock(due.reference)
    before = booking.status
    moves.catch_up(booking, via=Via.SCHEDULER, now=now)
    return bool(booking.status != before)


@in_transaction
def _chase(due: Booking, now: datetime) -> bool:
    """Take one unanswered enquiry the furthest step that is due, once."""
    booking = moves.lock(due.reference)
    if booking.status is not Status.REQUESTED:
        return False
    step = acceptance.due_step(
        requested_at=booking.requested_at,
        answer_by=booking.answer_by,
        expires_at=booking.expires_at,
        reminded=booking.reminder_due_at is None,
        late_told=booking.late_due_at is None,
        now=now,
        policy=config.current().policy,
    )
    if step is Step.REMIND:
        return _remind(booking, now)
    if step is Step.LATE:
        return _tell_late(booking, now)
    return False


def _remind(booking: Booking, now: datetime) -> bool:
    transitions.mark(booking, reminder_due_at=None)
    facts = {"answer_by": booking.answer_by.isoformat()}
    transitions.note(booking, "reminded", by=Actor.SYSTEM, via=Via.SCHEDULER, at=now, facts=facts)
    outbox.enqueue("answer_reminder", Role.THERAPIST, booking=booking, now=now)
    journal.tell("reminded", booking, answer_by=facts["answer_by"], next="late")
    return True


def _tell_late(booking: Booking, now: datetime) -> bool:
    transitions.mark(booking, reminder_due_at=None, late_due_at=None)
    facts = {"since": booking.answer_by.isoformat(), "expires_at": booking.expires_at.isoformat()}
    transitions.note(booking, "late", by=Actor.SYSTEM, via=Via.SCHEDULER, at=now, facts=facts)
    for kind, role in (
        ("answer_late", Role.THERAPIST),
        ("answer_late_client", Role.CLIENT),
        ("answer_late_ops", Role.OPS),
    ):
        outbox.enqueue(kind, role, booking=booking, now=now)
    journal.tell("late", booking, warning=True, next="expire", **facts)
    return True


@in_transaction
def _remind_session(due: Booking, now: datetime) -> bool:
    booking = moves.lock(due.reference)
    if booking.status is not Status.ACCEPTED or now >= booking.starts_at:
        return False
    hour_due = booking.hour_reminder_due_at is not None and booking.hour_reminder_due_at <= now
    day_due = booking.day_reminder_due_at is not None and booking.day_reminder_due_at <= now
    if not (hour_due or day_due):
        return False
    # After an outage both may be due; the nearer one says all that the other would have.
    if hour_due:
        transitions.mark(booking, day_reminder_due_at=None, hour_reminder_due_at=None)
    else:
        transitions.mark(booking, day_reminder_due_at=None)
    for role in (Role.CLIENT, Role.THERAPIST):
        outbox.enqueue(
            "session_reminder", role, booking=booking, ordinal=1 if hour_due else 24, now=now
        )
    journal.tell("session_reminded", booking, starts_at=booking.starts_at.isoformat())
    return True
