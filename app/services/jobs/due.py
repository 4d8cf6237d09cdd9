"""The sweeps: find what has fallen due, and take each booking to where it should be now."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from peewee import Expression

from app import config
from app.rules import acceptance, reminders
from app.rules.acceptance import Step
from app.rules.lifecycle import Actor, Status, Via
from app.rules.reminders import Reminder
from app.services import limits, sessions
from app.services.bookings import holds, log, transitions
from app.services.inbound import personal_data
from app.services.jobs import retention
from app.services.jobs.batching import each_booking, each_therapist
from app.services.jobs.result import JobResult, PartialResults
from app.services.therapists import ranking
from app.store import outbox, queries
from app.store.db.database import in_transaction
from app.store.db.statements import Statement
from app.store.models import (
    AccessEntry,
    Booking,
    EmailLimit,
    IdempotentAnswer,
    InboundMessage,
    LimitUse,
    OutboxEmail,
    PendingRequest,
    Role,
    SignIn,
    SignInSession,
    Table,
    Therapist,
)
from app.store.queries import ACCEPTED, REQUESTED, DueBookings

# Counted from their creation.
SIGN_INS_KEPT = timedelta(days=1)
API_ANSWERS_KEPT = timedelta(days=2)
PURGE_BATCH = 1000
# Of one run; after very many bookings all scores take minutes.
RANKING_S = 10.0
PURGE_EVERY = timedelta(hours=1)


_UNANSWERED = DueBookings(
    Booking.reminder_due_at,
    lambda now: REQUESTED & (Booking.reminder_due_at <= now) & (Booking.answer_by >= now),
)
_ASKED_TO_MOVE = DueBookings(
    Booking.reminder_due_at,
    lambda now: ACCEPTED & (Booking.proposed_until > now) & (Booking.reminder_due_at <= now),
)
_LATE = DueBookings(
    Booking.late_due_at,
    lambda now: REQUESTED & (Booking.late_due_at < now) & (Booking.expires_at > now),
)
_EXPIRED = DueBookings(Booking.expires_at, queries.overdue_expiry)
_LAPSED = DueBookings(Booking.proposed_until, queries.lapsed_proposal)
_OVER = DueBookings(Booking.completes_at, queries.overdue_completion)
# Each with how long before the start it must be.
_SESSIONS_AHEAD = tuple(
    (
        DueBookings(
            due_at,
            lambda now, until, due_at=due_at: (
                ACCEPTED & (Booking.starts_at > until) & (due_at <= now)
            ),
        ),
        before,
    )
    for due_at, before in (
        (Booking.hour_reminder_due_at, timedelta(0)),
        (Booking.day_reminder_due_at, reminders.FIRST_GOES_UNTIL),
    )
)


def remind_answers(now: datetime) -> PartialResults:
    yield from each_booking(_UNANSWERED, [now], lambda booking: _chase_answer(booking, now))
    yield from each_booking(_ASKED_TO_MOVE, [now], lambda booking: _chase_move(booking, now))


def escalate_late(now: datetime) -> PartialResults:
    return each_booking(_LATE, [now], lambda booking: _chase_answer(booking, now))


def expire_enquiries(now: datetime) -> PartialResults:
    yield from each_booking(_EXPIRED, [now], lambda booking: _catch_up(booking, now))
    yield from each_booking(_LAPSED, [now], lambda booking: _catch_up(booking, now))


def complete_sessions(now: datetime) -> PartialResults:
    return each_booking(_OVER, [now], lambda booking: _catch_up(booking, now))


def apply_standing(now: datetime) -> PartialResults:
    def apply(therapist: Therapist) -> bool:
        transitions.apply_standing(therapist.id, via=Via.SCHEDULER, now=now)
        return True

    yield from each_therapist(
        Therapist.standing_due_at, now, lambda therapist: lambda: apply(therapist)
    )
    ends_s = time.monotonic() + RANKING_S
    for part in each_therapist(
        Therapist.ranking_due_at, now, lambda therapist: ranking.prepare_refresh(therapist.id, now)
    ):
        # Scores change with the clock alone; counted as due, they would be logged all the time.
        yield JobResult(failed=part.failed)
        if time.monotonic() > ends_s:
            # Standing comes first again; the next run goes on with the most overdue.
            return


def remind_sessions(now: datetime) -> PartialResults:
    for due, before in _SESSIONS_AHEAD:
        yield from each_booking(
            due, [now, now + before], lambda booking: _remind_session(booking, now)
        )


def run_all_sweeps(now: datetime) -> JobResult:
    """All sweeps once; the sum of their results."""
    sweeps = (
        remind_answers,
        escalate_late,
        expire_enquiries,
        complete_sessions,
        apply_standing,
        remind_sessions,
    )
    return sum((part for sweep in sweeps for part in sweep(now)), JobResult())


def purge_pending(now: datetime) -> PartialResults:
    """Free the time of requests whose address was not confirmed in time; delete ended ones."""
    for therapist in queries.therapists_with_ended_holds(now):
        if released := _release_ended(therapist, now):
            yield JobResult(due=released, done=released)
    while deleted := _delete_pending(now):
        yield JobResult(due=deleted, done=deleted)


@in_transaction
def _release_ended(therapist: Therapist, now: datetime) -> int:
    # A therapist that somebody else has locked is left to the next run.
    is_free = queries.lock_therapist_if_free(therapist.id)
    return holds.release_ended(therapist, now) if is_free else 0


_ENDED_PENDING = Statement[PendingRequest](
    lambda now, limit: (
        PendingRequest.select(PendingRequest.id, PendingRequest.told_by)
        .where(PendingRequest.expires_at <= now)
        .limit(limit)
    )
)


def _delete_pending(now: datetime) -> int:
    ended = _ENDED_PENDING.all(now, PURGE_BATCH)
    return _delete_ended(ended) if ended else 0


@in_transaction
def _delete_ended(ended: list[PendingRequest]) -> int:
    # A domain may name its owner.
    told = [pending.told_by_id for pending in ended]
    OutboxEmail.update(domain="").where(OutboxEmail.id.in_(told)).execute()
    ids = [pending.id for pending in ended]
    return int(PendingRequest.delete().where(PendingRequest.id.in_(ids)).execute())


class Purge:
    """Pending requests at every run, the rest once an hour."""

    def __init__(self) -> None:
        self._rest_at: datetime | None = None

    def __call__(self, now: datetime) -> PartialResults:
        yield from purge_pending(now)
        if self._rest_at is None or not timedelta(0) <= now - self._rest_at < PURGE_EVERY:
            self._rest_at = now
            yield from _purge_rest(now)


def purge(now: datetime) -> PartialResults:
    yield from purge_pending(now)
    yield from _purge_rest(now)


def _old(table: type[Table], is_old: Callable[[Any], Expression]) -> Statement[Any]:
    """Rows of a table that nothing needs any more at the moment that `is_old` gets."""
    return Statement(
        lambda before, limit: table.select(table.id).where(is_old(before)).limit(limit)
    )


# With how long they are kept after that moment.
_OLD = (
    (_old(EmailLimit, lambda before: EmailLimit.last_at <= before), limits.EMAILS_KEPT),
    (_old(SignIn, lambda before: SignIn.created_at < before), SIGN_INS_KEPT),
    (
        _old(IdempotentAnswer, lambda before: IdempotentAnswer.created_at < before),
        API_ANSWERS_KEPT,
    ),
    *((_old(SignInSession, is_over), after) for is_over, after in queries.WAYS_SESSIONS_END),
    (_old(LimitUse, lambda before: LimitUse.last_at <= before), limits.USES_KEPT),
    (_old(InboundMessage, lambda before: InboundMessage.received_at < before), personal_data.KEPT),
)
_OLD_TRAIL = _old(AccessEntry, lambda before: AccessEntry.at < before)


def _purge_rest(now: datetime) -> PartialResults:
    sessions.end_unlisted(now)
    trail_kept = timedelta(days=float(config.current().access_trail_days))
    for old, kept_for in (*_OLD, (_OLD_TRAIL, trail_kept)):
        # In batches, so that other writers need not wait long after an outage. Read first, so that
        # none waits where nothing is old.
        while rows := old.all(now - kept_for, PURGE_BATCH):
            deleted = _delete(type(rows[0]), [row.id for row in rows])
            yield JobResult(due=deleted, done=deleted)
    yield from retention.clear(now)


@in_transaction
def _delete(table: type[Table], ids: list[int]) -> int:
    return int(table.delete().where(table.id.in_(ids)).execute())


def _catch_up(booking: Booking, now: datetime) -> bool:
    before = booking.status, booking.proposed_until
    transitions.catch_up(booking, via=Via.SCHEDULER, now=now)
    return (booking.status, booking.proposed_until) != before


def _chase_answer(booking: Booking, now: datetime) -> bool:
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
        _remind_therapist(booking, now)
    elif step is Step.LATE:
        _report_late(booking, now)
    else:
        return False
    return True


def _remind_therapist(booking: Booking, now: datetime) -> None:
    transitions.set_reminders(booking, reminder_due_at=None)
    facts = {"answer_by": booking.answer_by.isoformat()}
    _add_line(booking, "reminded", facts, now, booking.asked_times)
    outbox.enqueue(
        "answer_reminder",
        Role.THERAPIST,
        booking=booking,
        ordinal=booking.asked_times,
        due_at=booking.reminder_due_at,
        now=now,
    )
    log.booking_event("reminded", booking, answer_by=facts["answer_by"], next="late")


def _chase_move(booking: Booking, now: datetime) -> bool:
    """Remind the therapist that the client asks for another time."""
    proposal = booking.proposal_at(now)
    if proposal is None or booking.reminder_due_at is None or booking.reminder_due_at > now:
        return False
    due_at, until = booking.reminder_due_at, proposal.until.isoformat()
    transitions.set_reminders(booking, reminder_due_at=None)
    ordinal = queries.next_ordinal(booking, "reminded")
    _add_line(booking, "reminded", {"answer_by": until}, now, ordinal)
    outbox.enqueue(
        "time_proposed",
        Role.THERAPIST,
        booking=booking,
        ordinal=outbox.random_ordinal(),
        facts={"proposed_by": str(proposal.by), "is_reminder": True},
        due_at=due_at,
        now=now,
    )
    log.booking_event("reminded", booking, answer_by=until, next="lapse")
    return True


def _add_line(
    booking: Booking, event: str, facts: dict[str, str], now: datetime, ordinal: int
) -> None:
    by, via = Actor.SYSTEM, Via.SCHEDULER
    transitions.add_timeline_entry(
        booking, event, by=by, via=via, at=now, facts=facts, ordinal=ordinal
    )


def _report_late(booking: Booking, now: datetime) -> None:
    transitions.set_reminders(booking, reminder_due_at=None, late_due_at=None)
    facts = {"since": booking.answer_by.isoformat(), "expires_at": booking.expires_at.isoformat()}
    _add_line(booking, "late", facts, now, booking.asked_times)
    for kind, role in (
        ("answer_late", Role.THERAPIST),
        ("answer_late_client", Role.CLIENT),
        ("answer_late_ops", Role.OPS),
    ):
        outbox.enqueue(
            kind,
            role,
            booking=booking,
            ordinal=booking.asked_times,
            due_at=booking.late_due_at,
            now=now,
        )
    log.booking_event("late", booking, warning=True, next="expire", **facts)


def _remind_session(booking: Booking, now: datetime) -> bool:
    if booking.status is not Status.ACCEPTED or now >= booking.starts_at:
        return False
    hour_due = booking.hour_reminder_due_at is not None and booking.hour_reminder_due_at <= now
    day_due = booking.day_reminder_due_at is not None and booking.day_reminder_due_at <= now
    if not (hour_due or (day_due and now < reminders.first_goes_until(booking.starts_at))):
        return False
    # After an outage both may be due. The later reminder says everything that the first would.
    if hour_due:
        transitions.set_reminders(booking, day_reminder_due_at=None, hour_reminder_due_at=None)
    else:
        transitions.set_reminders(booking, day_reminder_due_at=None)
    ordinal = reminders.ordinal(
        Reminder.SECOND if hour_due else Reminder.FIRST, moves=booking.moves
    )
    due_at = booking.hour_reminder_due_at if hour_due else booking.day_reminder_due_at
    for role in (Role.CLIENT, Role.THERAPIST):
        outbox.enqueue(
            "session_reminder", role, booking=booking, ordinal=ordinal, due_at=due_at, now=now
        )
    log.booking_event("session_reminded", booking, starts_at=booking.starts_at.isoformat())
    return True
