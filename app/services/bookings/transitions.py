"""Every change of a booking's status or time, and what follows: money, streak, emails, timeline."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from app import config
from app.rules import acceptance, availability, cancellation, lifecycle, reminders
from app.rules.cancellation import CancellingRule, Settlement
from app.rules.lifecycle import LIVE, MOVES, Actor, Move, Status, Verdict, Via
from app.rules.standing import StandingStep
from app.services import access_trail
from app.services.bookings import ledger, log, proposed_times
from app.services.therapists import ranking, standing
from app.store import outbox, queries
from app.store.db import statements
from app.store.db.database import in_transaction
from app.store.db.statements import Statement
from app.store.models import (
    Booking,
    HeldTime,
    ProposalEnd,
    Purpose,
    Role,
    TimelineEntry,
    Writing,
)

# (kind, recipient) of the emails that each move causes.
EMAILS: dict[Move, tuple[tuple[str, Role], ...]] = {
    Move.ACCEPT: (("booking_accepted", Role.CLIENT), ("session_confirmed", Role.THERAPIST)),
    Move.ACCEPT_SUGGESTION: (("booking_accepted", Role.CLIENT), ("time_taken", Role.THERAPIST)),
    Move.DECLINE: (("booking_declined", Role.CLIENT), ("enquiry_declined", Role.THERAPIST)),
    Move.WITHDRAW: (("withdrawal_receipt", Role.CLIENT), ("booking_withdrawn", Role.THERAPIST)),
    Move.EXPIRE: (("booking_expired", Role.CLIENT), ("enquiry_expired", Role.THERAPIST)),
    Move.CANCEL_BY_CLIENT: (
        ("cancellation_receipt", Role.CLIENT),
        ("client_cancelled", Role.THERAPIST),
    ),
    Move.CANCEL_BY_THERAPIST: (
        ("therapist_cancelled", Role.CLIENT),
        ("cancellation_recorded", Role.THERAPIST),
    ),
    Move.CANCEL_IN_ANSWER: (
        ("therapist_cancelled", Role.CLIENT),
        ("cancellation_recorded", Role.THERAPIST),
    ),
    Move.COMPLETE: (),
    Move.NO_SHOW: (("no_show_recorded", Role.CLIENT),),
}

_ANSWERS = frozenset({Move.ACCEPT, Move.ACCEPT_SUGGESTION, Move.DECLINE})
_BOTH = (Role.CLIENT, Role.THERAPIST)
_RELEASE_TIME = Statement[Any](lambda booking: HeldTime.delete().where(HeldTime.booking == booking))


@dataclass(frozen=True, slots=True)
class MoveResult:
    booking: Booking
    verdict: Verdict

    @property
    def is_done(self) -> bool:
        return self.verdict in (Verdict.ALLOWED, Verdict.REPEATED)


def judge(booking: Booking, move: Move, by: Actor, now: datetime) -> Verdict:
    return lifecycle.judge(move, booking.status, booking.times, by, now)


def settlement_of(booking: Booking, move: Move, at: datetime) -> Settlement | None:
    """Who pays what if `move` ends the booking at `at`; None for a move that does not end it."""
    if MOVES[move].target is Status.ACCEPTED:
        return None
    return cancellation.settle(
        move,
        status=booking.status,
        fee_minor=booking.fee_minor,
        starts_at=booking.starts_at,
        now=at,
        policy=config.current().policy,
        moves=booking.move_terms_at(at),
    )


def cancelling_rule_of(booking: Booking, now: datetime) -> CancellingRule:
    """What the client's cancelling at `now` would mean."""
    policy, moves = config.current().policy, booking.move_terms_at(now)
    status = booking.status_at(now)
    return cancellation.cancelling_rule(status, booking.starts_at, now, policy, moves)


def lock_booking(booking: Booking) -> Booking:
    """The booking as it is now that its therapist is locked until the commit."""
    queries.lock_therapists([booking.therapist_id])
    return queries.booking_by_id(booking.id)


@in_transaction
def make_move(
    booking: Booking, move: Move, *, by: Actor, via: Via, now: datetime, reason: str = ""
) -> MoveResult:
    # A refused move changes nothing, except that moves due by the clock are stored first.
    return make_locked_move(lock_booking(booking), move, by=by, via=via, now=now, reason=reason)


def make_locked_move(
    booking: Booking, move: Move, *, by: Actor, via: Via, now: datetime, reason: str = ""
) -> MoveResult:
    """`make_move` for a booking that `lock_booking` returned; the result holds the same object."""
    catch_up(booking, via=via, now=now)
    if MOVES[move].target is Status.CANCELLED_BY_THERAPIST:
        # A completion that is due resets the streak before this cancellation adds to it.
        catch_up_therapist(booking.therapist_id, via=via, now=now)
    verdict = judge(booking, move, by, now)
    if verdict is Verdict.ALLOWED:
        _apply(booking, move, by=by, via=via, at=now, now=now, due_at=now)
        if reason:
            Writing.create(
                booking=booking, purpose=Purpose.REASON, author=by, body=reason, created_at=now
            )
    return MoveResult(booking, verdict)


def make_move_with(
    booking: Booking, move: Move, *, by: Actor, via: Via, now: datetime, facts: dict[str, Any]
) -> None:
    """Make a move of a locked booking that is known to be allowed; its emails get `facts` too."""
    _apply(booking, move, by=by, via=via, at=now, now=now, due_at=now, told=facts)


def refresh(reference: str, *, via: Via, now: datetime) -> Booking:
    """First stores a move that is due by the clock. Raises NotFound."""
    booking = queries.booking_by_reference(reference)
    if booking.due_move(now) is None and not booking.has_lapsed_at(now):
        return booking
    return _lock_and_catch_up(booking, via=via, now=now)


@in_transaction
def _lock_and_catch_up(booking: Booking, *, via: Via, now: datetime) -> Booking:
    locked = lock_booking(booking)
    catch_up(locked, via=via, now=now)
    return locked


def catch_up(
    booking: Booking, *, via: Via, now: datetime, because_of: datetime | None = None
) -> None:
    """Store a locked booking's due move. `because_of`: when its cause happened, if earlier."""
    if booking.has_lapsed_at(now):
        lapse(booking, via=via, now=now)
    # Its emails are overdue since the cause.
    due = booking.due_move(now)
    if due is not None:
        move, at = due
        # A booking requested after `because_of` cannot have been affected before it existed.
        due_at = max(because_of, booking.requested_at) if because_of else at
        _apply(booking, move, by=Actor.SYSTEM, via=via, at=at, now=now, due_at=due_at)


def catch_up_therapist(therapist_id: int, *, via: Via, now: datetime) -> bool:
    """Store every due move on a locked therapist's bookings, in order; whether there was one."""
    is_due = queries.overdue_expiry(now) | queries.overdue_completion(now)
    is_due |= queries.lapsed_proposal(now)
    bookings = queries.with_therapist_and_client(is_due & (Booking.therapist == therapist_id))
    due = list(bookings.order_by(Booking.completes_at))
    for booking in due:
        catch_up(booking, via=via, now=now)
    return bool(due)


@in_transaction
def apply_standing(therapist_id: int, *, via: Via, now: datetime) -> StandingStep | None:
    """Apply what a therapist's streak leads to; a deactivation ends their open enquiries."""
    since = queries.locked_therapist(therapist_id).standing_due_at
    catch_up_therapist(therapist_id, via=via, now=now)
    step = standing.apply(therapist_id, now)
    therapist = queries.therapist_by_id(therapist_id)
    if therapist.is_deactivated:
        for booking in queries.open_enquiries_of(therapist):
            _expire_at(booking, now)
            catch_up(booking, via=via, now=now, because_of=since)
        for booking in queries.sessions_with_proposals(therapist):
            lapse(booking, via=via, now=now, because="deactivated")
    return step


def _expire_at(booking: Booking, now: datetime) -> None:
    statements.update(Booking, {"expires_at": now, "ended_by_deactivation": True}, id=booking.id)
    booking.expires_at, booking.ended_by_deactivation = now, True


def record_request(booking: Booking, *, by: Actor, via: Via, facts: dict[str, Any]) -> None:
    """Hold the booking's time. Raises IntegrityError if another booking holds it."""
    _hold_time(booking)
    at = booking.requested_at
    add_timeline_entry(booking, "requested", by=by, via=via, at=at, facts=facts)


def _hold_time(booking: Booking) -> None:
    cell_minutes = config.current().policy.cell_minutes
    cells = availability.cells(booking.starts_at, booking.ends_at, cell_minutes)
    therapist_id = booking.therapist_id
    statements.insert(
        *[HeldTime(therapist=therapist_id, cell_at=cell, booking=booking.id) for cell in cells]
    )


def move_time(
    booking: Booking, starts_at: datetime, *, by: Actor, via: Via, at: datetime, **facts: Any
) -> dict[str, Any]:
    """The only writer of `Booking.starts_at`; the facts of the timeline's line.

    Links and calendar entries of the old time end. Raises IntegrityError if the time is held,
    RuntimeError if the stored time differs.
    """
    old_starts_at, policy = booking.starts_at, config.current().policy
    ends_at = starts_at + (booking.ends_at - booking.starts_at)
    changes: dict[str, Any] = {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "completes_at": ends_at + policy.completes_after,
        "sequence": booking.sequence + 1,
        "epoch": booking.epoch + 1,
        "moves": booking.moves + 1,
        # Of a refusal to move the old time.
        "cancel_free_until": None,
    }
    if booking.status is Status.ACCEPTED:
        changes |= _session_reminders(starts_at, at)
    _write(booking, changes, starts_at=old_starts_at)
    _RELEASE_TIME.run(booking.id)
    _hold_time(booking)
    ordinal, facts = booking.moves, facts | {"from": old_starts_at.isoformat()}
    facts |= {"to": starts_at.isoformat(), "sequence": booking.sequence}
    add_timeline_entry(booking, "moved", by=by, via=via, at=at, facts=facts, ordinal=ordinal)
    log.booking_event("moved", booking, by=by, via=via, starts_at=starts_at.isoformat())
    return facts | {"by_ops": lifecycle.is_by_ops(by, via)}


def ask_again(booking: Booking, at: datetime) -> None:
    """Give the therapist of a locked enquiry the whole time to answer again, from `at`."""
    policy, waited = config.current().policy, ranking.waited(booking, at)
    expires_at = acceptance.expires_at(at, booking.starts_at, policy)
    # The old time may start before three hours have passed.
    answer_by = min(acceptance.answer_by(at, policy), expires_at)
    changes = {
        "asked_at": at,
        "asked_times": booking.asked_times + 1,
        "earlier_delay_us": waited // timedelta(microseconds=1),
        "answer_by": answer_by,
        "expires_at": expires_at,
        "reminder_due_at": acceptance.remind_at(at, policy),
        "late_due_at": answer_by,
        # Until a mail server has taken the email that asks again.
        "handed_over_at": None,
    }
    _write(booking, changes)
    ranking.schedule_refresh(booking.therapist_id, at)


def lapse(booking: Booking, *, via: Via, now: datetime, because: str = "unanswered") -> None:
    """End a session's proposal that has not been answered, and tell both sides."""
    proposal = booking.open_proposal
    assert proposal is not None
    at = min(proposal.until, now)
    ended = proposed_times.refuse(booking, ProposalEnd.LAPSED, at=at, now=now)
    facts = {"by": str(ended.by), "because": because}
    add_timeline_entry(
        booking,
        "proposal_lapsed",
        by=Actor.SYSTEM,
        via=via,
        at=at,
        facts=facts,
        ordinal=queries.next_ordinal(booking, "proposal_lapsed"),
    )
    for role in _BOTH:
        outbox.enqueue(
            "time_kept",
            role,
            booking=booking,
            ordinal=outbox.random_ordinal(),
            facts={**facts, "proposed_by": str(ended.by), "how": str(ProposalEnd.LAPSED)},
            due_at=at,
            now=now,
        )
    log.booking_event("proposal_lapsed", booking, of=ended.by, because=because)


def _write(booking: Booking, changes: dict[str, Any], **expected: Any) -> None:
    """Raises RuntimeError if the stored row has another status, or not what is `expected`."""
    same = {"id": booking.id, "status": booking.status, **expected}
    if statements.update(Booking, changes, **same) != 1:
        raise RuntimeError(f"{booking.reference} changed while its therapist was locked")
    for name, value in changes.items():
        setattr(booking, name, value)


def _apply(
    booking: Booking,
    move: Move,
    *,
    by: Actor,
    via: Via,
    at: datetime,
    now: datetime,
    due_at: datetime,
    told: dict[str, Any] | None = None,
) -> None:
    """Make an allowed move, effective `at`; its emails are overdue from `due_at`."""
    settlement = settlement_of(booking, move, at)
    facts: dict[str, Any] = asdict(settlement) if settlement else {}
    if move is Move.EXPIRE:
        facts["because"] = _why_expired(booking)
    if move is Move.CANCEL_BY_CLIENT:
        facts["because"] = str(cancelling_rule_of(booking, at).because)
    if move is Move.CANCEL_IN_ANSWER:
        facts["in_answer"] = True
    if booking.open_proposal is not None:
        is_unanswered = move is Move.EXPIRE and not booking.ended_by_deactivation
        proposed_times.end(
            booking, ProposalEnd.LAPSED if is_unanswered else ProposalEnd.OVERTAKEN, at
        )
    advance(booking, move, by=by, via=via, at=at, facts=facts)
    if settlement:
        ledger.post(booking, booking.status, cancellation.settlement_lines(settlement), at)
    streak = standing.record(booking, move, at=at, now=now)
    if streak is not None:
        facts["streak"] = streak
    facts["sequence"] = booking.sequence
    ranking.schedule_refresh(booking.therapist_id, now)
    if lifecycle.is_by_ops(by, via):
        facts["by_ops"] = True
    facts_for_emails = facts if told is None else {**told, **facts}
    outbox.enqueue_each(
        EMAILS[move], booking=booking, due_at=due_at, now=now, facts=facts_for_emails
    )
    log.booking_event(str(booking.status), booking, by=by, via=via)


def _why_expired(booking: Booking) -> str:
    if booking.ended_by_deactivation:
        return "deactivated"
    return "not_chosen" if booking.waits_for_client else "unanswered"


def advance(
    booking: Booking, move: Move, *, by: Actor, via: Via, at: datetime, facts: dict[str, Any]
) -> None:
    """The only writer of `Booking.status`. Raises RuntimeError if the stored status differs."""
    _write(booking, _changes(booking, move, at, facts))
    if booking.status not in LIVE:
        _RELEASE_TIME.run(booking.id)
    add_timeline_entry(booking, booking.status, by=by, via=via, at=at, facts=facts)


def _changes(booking: Booking, move: Move, at: datetime, facts: dict[str, Any]) -> dict[str, Any]:
    target = MOVES[move].target
    changes: dict[str, Any] = {"status": target, "sequence": booking.sequence + 1}
    if move in _ANSWERS:
        changes["answered_at"] = at
    if target is Status.ACCEPTED:
        changes |= _session_reminders(booking.starts_at, at)
    elif booking.ended_at is None:
        changes["ended_at"] = at
    if facts.get("gives_back_free_consultation"):
        changes["uses_free_consultation"] = False
    return changes


def _session_reminders(starts_at: datetime, told_at: datetime) -> dict[str, Any]:
    due = reminders.reminders(starts_at, told_at, config.current().policy)
    return {"day_reminder_due_at": due.first_at, "hour_reminder_due_at": due.second_at}


def set_reminders(booking: Booking, **due: datetime | None) -> None:
    """Set the named due instants (`reminder_due_at` ...); None: nothing more is due."""
    statements.update(Booking, due, id=booking.id)


def add_timeline_entry(
    booking: Booking,
    event: str,
    *,
    by: Actor,
    via: Via,
    at: datetime,
    facts: dict[str, Any],
    ordinal: int = 1,
) -> None:
    """Raises IntegrityError if the booking has this event with this ordinal already."""
    origin = access_trail.current_origin()
    if via is origin.via:
        facts = {**facts, **origin.facts}
    TimelineEntry.create(
        booking=booking, event=event, by=by, via=via, at=at, facts=facts, ordinal=ordinal
    )
