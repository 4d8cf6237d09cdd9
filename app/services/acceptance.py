"""Answering an enquiry: accept, decline, withdraw."""

from datetime import datetime

from app.rules.lifecycle import Actor, Move, Via
from app.services import moves
from app.services.moves import Outcome


def accept(reference: str, *, by: Actor, via: Via, now: datetime) -> Outcome:
    """The therapist (or ops for them) says yes. Raises NotFound."""
    return moves.make(reference, Move.ACCEPT, by=by, via=via, now=now)


def decline(reference: str, *, by: Actor, via: Via, now: datetime, reason: str = "") -> Outcome:
    """The therapist (or ops for them) says no; the reason waits behind the client's link.

    Raises NotFound.
    """
    return moves.make(reference, Move.DECLINE, by=by, via=via, now=now, reason=reason)


def withdraw(reference: str, *, via: Via, now: datetime) -> Outcome:
    """The client takes an unanswered enquiry back. Raises NotFound."""
    return moves.make(reference, Move.WITHDRAW, by=Actor.CLIENT, via=via, now=now)
