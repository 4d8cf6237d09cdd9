"""A therapist's cancellation streak and what it leads to."""

from datetime import datetime

from app.rules.lifecycle import Move
from app.rules.standing import StandingEvent
from app.store.models import Booking, StandingEntry, Therapist

_COUNTED = {
    Move.CANCEL_BY_THERAPIST: StandingEvent.CANCELLED,
    Move.COMPLETE: StandingEvent.COMPLETED,
}


def record(booking: Booking, move: Move, *, at: datetime, now: datetime) -> int | None:
    """Count what a move did to its (locked) therapist's streak; the streak now, or None."""
    event = _COUNTED.get(move)
    if event is None:
        return None
    therapist = Therapist.get_by_id(booking.therapist_id)
    streak = therapist.streak + 1 if event is StandingEvent.CANCELLED else 0
    changes = {"streak": streak, "standing_due_at": now}
    Therapist.update(**changes).where(Therapist.id == therapist.id).execute()
    StandingEntry.create(therapist=therapist, event=event, booking=booking, streak=streak, at=at)
    return streak
