"""advance(): the only writer of a booking's status, and with it of its timeline and held time."""

from datetime import datetime, timedelta
from typing import Any

from app import config
from app.rules import availability, lifecycle
from app.rules.lifecycle import LIVE, MOVES, Actor, Move, Status, Verdict, Via
from app.store.models import Booking, HeldTime, TimelineEntry

_ANSWERS = frozenset({Move.ACCEPT, Move.DECLINE})


def foreseen(booking: Booking, move: Move, by: Actor, now: datetime) -> Verdict:
    """What the table says to the move now; nothing is changed by asking."""
    return lifecycle.judge(move, booking.status, booking.times, by, now)


def begin(booking: Booking, *, by: Actor, via: Via, facts: dict[str, Any]) -> None:
    """Open a new booking's life: hold its time and write its first line.

    Raises IntegrityError where the time is held by another.
    """
    cell_minutes = config.current().policy.cell_minutes
    HeldTime.insert_many(
        [
            {"therapist": booking.therapist_id, "cell_at": cell, "booking": booking.id}
            for cell in availability.cells(booking.starts_at, booking.ends_at, cell_minutes)
        ]
    ).execute()
    note(booking, "requested", by=by, via=via, at=booking.requested_at, facts=facts)


def advance(
    booking: Booking, move: Move, *, by: Actor, via: Via, at: datetime, facts: dict[str, Any]
) -> None:
    """Move the booking on from the status it was loaded with, effective `at`.

    Raises RuntimeError if the row changed underneath, which the therapist's lock rules out.
    """
    changes = _changes(booking, move, at, facts)
    moved = (
        Booking.update(**changes)
        .where(Booking.id == booking.id, Booking.status == booking.status)
        .execute()
    )
    if moved != 1:
        raise RuntimeError(f"{booking.reference} changed while its therapist was locked")
    for name, value in changes.items():
        setattr(booking, name, value)
    if booking.status not in LIVE:
        HeldTime.delete().where(HeldTime.booking == booking).execute()
    note(booking, booking.status, by=by, via=via, at=at, facts=facts)


def mark(booking: Booking, **due: datetime | None) -> None:
    """Set when reminders are due next; None where that one is done with."""
    Booking.update(**due).where(Booking.id == booking.id).execute()


def bring_expiry_forward(booking: Booking, now: datetime) -> None:
    """Let an open enquiry of a deactivated therapist expire at `now`."""
    changes = {"expires_at": now, "ended_by_deactivation": True}
    Booking.update(**changes).where(Booking.id == booking.id).execute()
    booking.expires_at, booking.ended_by_deactivation = now, True


def note(
    booking: Booking, event: str, *, by: Actor, via: Via, at: datetime, facts: dict[str, Any]
) -> None:
    """Write a line of the timeline. Each event happens once: the database refuses a second."""
    TimelineEntry.create(booking=booking, event=event, by=by, via=via, at=at, facts=facts)


def _changes(booking: Booking, move: Move, at: datetime, facts: dict[str, Any]) -> dict[str, Any]:
    target = MOVES[move].target
    changes: dict[str, Any] = {"status": target, "sequence": booking.sequence + 1}
    if move in _ANSWERS:
        changes["answered_at"] = at
    if target is Status.ACCEPTED:
        changes["day_reminder_due_at"] = _unless_past(booking.starts_at - timedelta(hours=24), at)
        changes["hour_reminder_due_at"] = _unless_past(booking.starts_at - timedelta(hours=1), at)
    elif booking.ended_at is None:
        changes["ended_at"] = at
    if facts.get("gives_back_free_consultation"):
        changes["uses_free_consultation"] = False
    return changes


def _unless_past(due_at: datetime, now: datetime) -> datetime | None:
    return due_at if due_at > now else None
