"""What happens to an accepted session: cancelled, completed, missed."""

from dataclasses import dataclass
from datetime import datetime

from app.errors import TermsChanged
from app.rules.cancellation import Settlement
from app.rules.lifecycle import Actor, Move, Status, Verdict, Via
from app.services.bookings import moves, transitions
from app.services.bookings.moves import Outcome
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
        """What a page carries from showing the terms to the click that agrees to them."""
        return f"{self.move}.{self.settlement.charge_minor}.{self.streak}"


def terms_of_cancelling(booking: Booking, *, by: Actor, now: datetime) -> Terms | None:
    """What cancelling (or withdrawing) at `now` would mean; None where it cannot be done."""
    move = _ending(booking, by)
    if transitions.foreseen(booking, move, by, now) is not Verdict.ALLOWED:
        return None
    settlement = moves.settlement_of(booking, move, now)
    assert settlement is not None
    if not settlement.streak_delta:
        return Terms(move, settlement, 0)
    # A completion that is due takes effect before any later cancellation counts.
    is_reset = queries.has_overdue_completion(booking.therapist, now)
    streak = (0 if is_reset else booking.therapist.streak) + settlement.streak_delta
    return Terms(move, settlement, streak)


@in_transaction
def cancel(
    reference: str, *, by: Actor, via: Via, now: datetime, agreed: str | None = None
) -> Outcome:
    """Cancel for client or therapist; a client's open enquiry is withdrawn.

    `agreed` is the key of the terms that a page has shown. Raises NotFound, or TermsChanged where
    the terms are others by now.
    """
    booking = moves.lock(reference)
    terms = terms_of_cancelling(booking, by=by, now=now)
    if agreed is not None and terms is not None and terms.key != agreed:
        raise TermsChanged
    return moves.make(reference, _ending(booking, by), by=by, via=via, now=now)


def _ending(booking: Booking, by: Actor) -> Move:
    if by is Actor.THERAPIST:
        return Move.CANCEL_BY_THERAPIST
    is_enquiry = booking.status in (Status.REQUESTED, Status.WITHDRAWN)
    return Move.WITHDRAW if is_enquiry else Move.CANCEL_BY_CLIENT


def mark_no_show(reference: str, *, via: Via, now: datetime) -> Outcome:
    """The client did not come: the therapist says so within the days allowed. Raises NotFound."""
    return moves.make(reference, Move.NO_SHOW, by=Actor.THERAPIST, via=via, now=now)
