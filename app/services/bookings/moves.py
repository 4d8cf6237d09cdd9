"""Making a move: the clock first, then the table's verdict, then all that follows, at once."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app import config
from app.rules import cancellation
from app.rules.cancellation import Settlement
from app.rules.lifecycle import Actor, Move, Verdict, Via
from app.rules.standing import StandingStep
from app.services.bookings import ledger, log, transitions
from app.services.therapists import ranking, standing
from app.store import outbox, queries
from app.store.db.database import in_transaction
from app.store.models import Booking, Purpose, Role, Writing

EMAILS: dict[Move, tuple[tuple[str, Role], ...]] = {
    Move.ACCEPT: (("booking_accepted", Role.CLIENT), ("session_confirmed", Role.THERAPIST)),
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
    Move.COMPLETE: (),
    Move.NO_SHOW: (("no_show_recorded", Role.CLIENT),),
}
"""Who hears of which move, and by which email."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: the booking as it now stands, and the table's verdict."""

    booking: Booking
    verdict: Verdict

    @property
    def is_done(self) -> bool:
        """Whether the booking stands where the caller wanted it."""
        return self.verdict in (Verdict.ALLOWED, Verdict.REPEATED)


def lock(reference: str) -> Booking:
    """The booking, with its therapist's lock held until the commit. Raises NotFound."""
    booking = queries.booking_by_reference(reference)
    queries.locked_therapist(booking.therapist_id)
    return queries.booking_by_id(booking.id)


@in_transaction
def make(
    reference: str, move: Move, *, by: Actor, via: Via, now: datetime, reason: str = ""
) -> Outcome:
    """Make `move`, if the table allows it; a refusal changes nothing but what the clock made due.

    Raises NotFound for an unknown reference.
    """
    booking = lock(reference)
    catch_up(booking, via=via, now=now)
    if move is Move.CANCEL_BY_THERAPIST:
        catch_up_therapist(booking.therapist_id, via=via, now=now)
    verdict = transitions.foreseen(booking, move, by, now)
    if verdict is Verdict.ALLOWED:
        _apply(booking, move, by=by, via=via, at=now, now=now, due_at=now)
        if reason:
            Writing.create(
                booking=booking, purpose=Purpose.REASON, author=by, body=reason, created_at=now
            )
    return Outcome(booking, verdict)


def catch_up(
    booking: Booking, *, via: Via, now: datetime, because_of: datetime | None = None
) -> None:
    """Write down the move that the clock has already made on a locked booking, if there is one.

    `because_of` is the moment of what brought it about, where that was earlier.
    """
    due = booking.due_move(now)
    if due is not None:
        move, at = due
        # What was asked for only afterwards was not told of before it was there.
        due_at = max(because_of, booking.requested_at) if because_of else at
        _apply(booking, move, by=Actor.SYSTEM, via=via, at=at, now=now, due_at=due_at)


def catch_up_therapist(therapist_id: int, *, via: Via, now: datetime) -> None:
    """Write down every move that the clock has made on a locked therapist's bookings, in order."""
    due = queries.overdue_expiry(now) | queries.overdue_completion(now)
    mine = queries.with_therapist_and_client(due & (Booking.therapist == therapist_id))
    for booking in mine.order_by(Booking.completes_at):
        catch_up(booking, via=via, now=now)


def _apply(
    booking: Booking,
    move: Move,
    *,
    by: Actor,
    via: Via,
    at: datetime,
    now: datetime,
    due_at: datetime,
) -> None:
    settlement = settlement_of(booking, move, at)
    facts: dict[str, Any] = asdict(settlement) if settlement else {}
    if move is Move.EXPIRE:
        facts["because"] = "deactivated" if booking.ended_by_deactivation else "unanswered"
    transitions.advance(booking, move, by=by, via=via, at=at, facts=facts)
    if settlement:
        ledger.post(booking, booking.status, cancellation.settlement_lines(settlement), at)
    streak = standing.record(booking, move, at=at, now=now)
    if streak is not None:
        facts["streak"] = streak
    facts["sequence"] = booking.sequence
    ranking.touch(booking.therapist_id, now)
    for kind, role in EMAILS[move]:
        outbox.enqueue(kind, role, booking=booking, due_at=due_at, now=now, facts=facts)
    log.tell(str(booking.status), booking, by=by, via=via)


def settlement_of(booking: Booking, move: Move, at: datetime) -> Settlement | None:
    """Who pays what if `move` ends the booking at `at`; None where it does not end it."""
    if move is Move.ACCEPT:
        return None
    return cancellation.settle(
        move,
        status=booking.status,
        fee_minor=booking.fee_minor,
        starts_at=booking.starts_at,
        now=at,
        policy=config.current().policy,
    )


@in_transaction
def apply_standing(therapist_id: int, *, via: Via, now: datetime) -> StandingStep | None:
    """Apply what a therapist's streak has come to; a deactivation ends their open enquiries."""
    since = queries.locked_therapist(therapist_id).standing_due_at
    catch_up_therapist(therapist_id, via=via, now=now)
    step = standing.apply(therapist_id, now)
    therapist = queries.therapist_by_id(therapist_id)
    if therapist.is_deactivated:
        for booking in queries.open_enquiries_of(therapist):
            transitions.bring_expiry_forward(booking, now)
            catch_up(booking, via=via, now=now, because_of=since)
    return step


def refresh(reference: str, *, via: Via, now: datetime) -> Booking:
    """The booking as the clock has it, with a move that is due written down. Raises NotFound."""
    booking = queries.booking_by_reference(reference)
    if booking.due_move(now) is None:
        return booking
    return _caught_up(reference, via=via, now=now)


@in_transaction
def _caught_up(reference: str, *, via: Via, now: datetime) -> Booking:
    booking = lock(reference)
    catch_up(booking, via=via, now=now)
    return booking
