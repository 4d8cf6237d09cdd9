"""What happens to an accepted session: cancelled, completed, missed."""

from datetime import datetime

from app.rules.lifecycle import Actor, Move, Status, Via
from app.services import moves
from app.services.moves import Outcome
from app.store import queries


def cancel(reference: str, *, by: Actor, via: Via, now: datetime) -> Outcome:
    """Cancel for client or therapist; a client's open enquiry is withdrawn. Raises NotFound."""
    if by is Actor.THERAPIST:
        move = Move.CANCEL_BY_THERAPIST
    elif queries.booking_by_reference(reference).status in (Status.REQUESTED, Status.WITHDRAWN):
        move = Move.WITHDRAW
    else:
        move = Move.CANCEL_BY_CLIENT
    return moves.make(reference, move, by=by, via=via, now=now)


def mark_no_show(reference: str, *, via: Via, now: datetime) -> Outcome:
    """The client did not come: the therapist says so within the days allowed. Raises NotFound."""
    return moves.make(reference, Move.NO_SHOW, by=Actor.THERAPIST, via=via, now=now)
