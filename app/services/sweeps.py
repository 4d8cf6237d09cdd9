"""The clock's work: find what is due, and take each booking to where it should be by now."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from peewee import Expression, Field

from app.errors import StoreUnavailable
from app.rules import acceptance
from app.rules.acceptance import Step
from app.rules.lifecycle import Actor, Status, Via
from app.services import journal, moves, ranking, timekeeping, transitions
from app.services.runs import Parts, Run
from app.store import outbox, queries
from app.store.database import in_transaction
from app.store.models import Booking, IdempotentAnswer, Role, SignIn, Therapist
from app.store.queries import ACCEPTED, REQUESTED

BATCH = 25
SIGN_INS_KEPT = timedelta(days=1)
ANSWERS_KEPT = timedelta(days=2)
FORGOTTEN_AT_ONCE = 1000

_log = structlog.get_logger("mindsum")


def remind_answers(now: datetime) -> Parts:
    """Remind therapists whose enquiries have waited two hours and are not late yet."""
    due = REQUESTED & (Booking.reminder_due_at <= now) & (Booking.answer_by >= now)
    return _each(due, Booking.reminder_due_at, lambda booking: _chase(booking, now))


def escalate_late(now: datetime) -> Parts:
    """Tell therapist, client and ops of enquiries that are late."""
    due = REQUESTED & (Booking.late_due_at < now) & (Booking.expires_at > now)
    return _each(due, Booking.late_due_at, lambda booking: _chase(booking, now))


def expire_enquiries(now: datetime) -> Parts:
    """End the enquiries that nobody answered."""
    return _each(queries.overdue_expiry(now), Booking.expires_at, lambda b: _catch_up(b, now))


def complete_sessions(now: datetime) -> Parts:
    """Complete the sessions that ended ten minutes ago or earlier."""
    return _each(queries.overdue_completion(now), Booking.completes_at, lambda b: _catch_up(b, now))


def apply_standing(now: datetime) -> Parts:
    """Apply streaks, then compute the scores anew of therapists whom something happened to."""
    yield from _each_therapist(
        Therapist.standing_due_at,
        now,
        lambda therapist: moves.apply_standing(therapist.id, via=Via.SCHEDULER, now=now),
    )
    scores = _each_therapist(
        Therapist.ranking_due_at, now, lambda therapist: ranking.refresh(therapist.id, now)
    )
    for part in scores:
        # A score that moves with the clock is no news; it would fill the log every five minutes.
        yield Run(failed=part.failed)


def remind_sessions(now: datetime) -> Parts:
    """Remind both of an accepted session 24 h and 1 h before it starts."""
    ahead = ACCEPTED & (Booking.starts_at > now)
    yield from _each(
        ahead & (Booking.hour_reminder_due_at <= now),
        Booking.hour_reminder_due_at,
        lambda booking: _remind_session(booking, now),
    )
    yield from _each(
        ahead & (Booking.day_reminder_due_at <= now),
        Booking.day_reminder_due_at,
        lambda booking: _remind_session(booking, now),
    )


def purge(now: datetime) -> Parts:
    """Forget sign-ins and stored answers that nothing can ask for, and mend what a clock left."""
    timekeeping.mend(now)
    for table, kept_until in (
        (SignIn, now - SIGN_INS_KEPT),
        (IdempotentAnswer, now - ANSWERS_KEPT),
    ):
        while forgotten := _forget(table, kept_until):
            yield Run(due=forgotten, done=forgotten)


@in_transaction
def _forget(table: type[SignIn | IdempotentAnswer], before: datetime) -> int:
    # Not all at once: after a long outage there are many, and nobody else could write meanwhile.
    old = table.select(table.id).where(table.created_at < before).limit(FORGOTTEN_AT_ONCE)
    return int(table.delete().where(table.id.in_(old)).execute())


def _each(due: Expression, since: Field, act: Callable[[Booking], bool]) -> Parts:
    """Do `act` to each booking that is due, longest overdue first; one that fails stops none."""
    failed: list[int] = []
    while True:
        left = due & Booking.id.not_in(failed) if failed else due
        # Most of the time nothing is, and nobody need be kept from writing to find that out.
        if not queries.therapists_of_due(left, since, 1):
            return
        try:
            run = _batch(left, since, act)
        except StoreUnavailable:
            raise
        except Exception:
            # One of them cannot be done; taken one by one, the others can.
            run = _one_by_one(left, since, act, failed)
        yield run
        # What was left as it is would only come back the same.
        if not run.done and not run.failed:
            return


@in_transaction
def _batch(due: Expression, since: Field, act: Callable[[Booking], bool]) -> Run:
    """Take a batch in one transaction, with its therapists locked: a commit each would be slow."""
    therapists = queries.therapists_of_due(due, since, BATCH)
    queries.lock_therapists(therapists)
    theirs = due & Booking.therapist.in_(therapists)
    bookings = list(queries.with_therapist_and_client(theirs).order_by(since).limit(BATCH))
    done = sum(act(booking) for booking in bookings)
    return Run(len(bookings), done, 0, getattr(bookings[0], since.name) if bookings else None)


def _one_by_one(
    due: Expression, since: Field, act: Callable[[Booking], bool], failed: list[int]
) -> Run:
    run = Run()
    for booking in list(queries.with_therapist_and_client(due).order_by(since).limit(BATCH)):
        since_at = getattr(booking, since.name)
        try:
            run += Run(1, _alone(booking.reference, act), 0, since_at)
        except Exception:
            failed.append(booking.id)
            run += Run(1, 0, 1, since_at)
            _log.exception("sweep_failed", booking=booking.reference)
    return run


@in_transaction
def _alone(reference: str, act: Callable[[Booking], bool]) -> bool:
    return act(moves.lock(reference))


def _each_therapist(column: Field, now: datetime, act: Callable[[Therapist], object]) -> Parts:
    """Do `act` to each therapist for whom `column` has come; one that fails stops none."""
    failed: list[int] = []
    while due := queries.therapists_due(column, now, BATCH, failed):
        for therapist in due:
            try:
                act(therapist)
            except Exception:
                failed.append(therapist.id)
                _log.exception("sweep_failed", therapist=therapist.slug)
        went_wrong = sum(therapist.id in failed for therapist in due)
        yield Run(len(due), len(due) - went_wrong, went_wrong, getattr(due[0], column.name))


def _catch_up(booking: Booking, now: datetime) -> bool:
    before = booking.status
    moves.catch_up(booking, via=Via.SCHEDULER, now=now)
    return bool(booking.status != before)


def _chase(booking: Booking, now: datetime) -> bool:
    """Take one unanswered enquiry the furthest step that is due, once."""
    if booking.status is not Status.REQUESTED:
        return False
    step = acceptance.due_step(
        remind_at=booking.reminder_due_at,
        answer_by=booking.answer_by,
        expires_at=booking.expires_at,
        late_told=booking.late_due_at is None,
        now=now,
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


def _remind_session(booking: Booking, now: datetime) -> bool:
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
