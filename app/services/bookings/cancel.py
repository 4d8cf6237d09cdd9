"""Cancelling or withdrawing a booking, its terms beforehand, and marking a client's no-show."""

from dataclasses import dataclass
from datetime import datetime

from app.errors import TermsChanged
from app.rules.cancellation import Settlement
from app.rules.lifecycle import Actor, Move, Status, Verdict, Via
from app.services.bookings import transitions
from app.services.bookings.transitions import MoveResult
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Booking


@dataclass(frozen=True, slots=True)
class Terms:
    """What cancelling would mean: the move, who pays what, the therapist's streak after it."""

    move: Move
    settlement: Settlement
    streak: int

    @property
    def key(self) -> str:
        """A form field that names the terms its page showed."""
        return f"{self.move}.{self.settlement.charge_minor}.{self.streak}"


def terms_of_cancelling(booking: Booking, *, by: Actor, now: datetime) -> Terms | None:
    """What cancelling (or withdrawing) at `now` would mean; None if it is not possible."""
    move = _move_for(booking, by, now)
    if transitions.judge(booking, move, by, now) is not Verdict.ALLOWED:
        return None
    settlement = transitions.settlement_of(booking, move, now)
    assert settlement is not None
    if not settlement.streak_delta or by is Actor.CLIENT:
        return Terms(move, settlement, 0)
    # A completion that is due resets the streak before this cancellation adds to it.
    is_reset = queries.has_overdue_completion(booking.therapist, now)
    streak = (0 if is_reset else booking.therapist.streak) + settlement.streak_delta
    return Terms(move, settlement, streak)


def cancel(
    booking: Booking, *, by: Actor, via: Via, now: datetime, agreed: str | None = None
) -> MoveResult:
    """`agreed` is the key of the terms that a page showed. Raises TermsChanged."""
    if booking.has_lapsed_at(now):
        # Stored also if the terms have changed, so that the next page shows what holds then.
        transitions.refresh(booking.reference, via=via, now=now)
    return _cancel(booking, by=by, via=via, now=now, agreed=agreed)


@in_transaction
def _cancel(
    booking: Booking, *, by: Actor, via: Via, now: datetime, agreed: str | None
) -> MoveResult:
    locked = transitions.lock_booking(booking)
    if agreed is not None:
        terms = terms_of_cancelling(locked, by=by, now=now)
        if terms is not None and terms.key != agreed:
            raise TermsChanged
    move = _move_for(locked, by, now)
    return transitions.make_locked_move(locked, move, by=by, via=via, now=now)


def _move_for(booking: Booking, by: Actor, now: datetime) -> Move:
    if by is Actor.THERAPIST:
        return Move.CANCEL_BY_THERAPIST
    if booking.move_terms_at(now).therapist_asks or _was_in_answer(booking):
        return Move.CANCEL_IN_ANSWER
    is_enquiry = booking.status in (Status.REQUESTED, Status.WITHDRAWN)
    return Move.WITHDRAW if is_enquiry else Move.CANCEL_BY_CLIENT


def _was_in_answer(booking: Booking) -> bool:
    """Whether the client has cancelled because the therapist asked to move the session."""
    if booking.status is not Status.CANCELLED_BY_THERAPIST:
        return False
    return any(
        entry.event == booking.status and entry.by is Actor.CLIENT
        for entry in queries.timeline_of(booking)
    )


def mark_no_show(booking: Booking, *, via: Via, now: datetime) -> MoveResult:
    return transitions.make_move(booking, Move.NO_SHOW, by=Actor.THERAPIST, via=via, now=now)
