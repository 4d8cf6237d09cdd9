"""What all dashboard pages share: the current therapist, the layout; the guard is in web/guard."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, request

from app import clock, config
from app.errors import NotFound
from app.rules.lifecycle import Status
from app.store import queries, suppressions
from app.store.models import Area, Booking, Therapist
from app.web import access, auth, guard

# How long before its start a session can be joined.
JOIN_BEFORE = timedelta(minutes=10)


def require_sign_in(blueprint: Blueprint) -> None:
    guard.require_sign_in(blueprint, Area.DASHBOARD)


def current_therapist() -> Therapist:
    therapist = auth.signed_in_therapist()
    if therapist is None:
        raise NotFound("page")
    return therapist


def own_booking(reference: str) -> Booking:
    """The signed-in therapist's booking. Raises NotFound, also where it is another therapist's."""
    therapist = current_therapist()
    try:
        booking = queries.booking_by_reference(reference)
    except NotFound:
        access.note_refused_session(therapist, None)
        raise
    if booking.therapist_id != therapist.id:
        access.note_refused_session(therapist, booking)
        raise NotFound("booking")
    return booking


def is_time_to_join(booking: Booking, now: datetime) -> bool:
    is_accepted = booking.status_at(now) is Status.ACCEPTED
    return is_accepted and booking.starts_at - JOIN_BEFORE <= now < booking.ends_at


def layout_context() -> dict[str, Any]:
    """Values for dashboard/layout.html; `zone` is the therapist's time zone.

    `unreached` is the row of an address that our emails do not reach.
    """
    therapist = current_therapist()
    return {
        "current_therapist": therapist,
        "zone": therapist.timezone,
        "now": clock.now(),
        "join_before": JOIN_BEFORE,
        "is_time_to_join": is_time_to_join,
        "unreached": suppressions.of_address(therapist.email),
        "support_email": config.current().support_email,
    }


def page_number() -> int:
    return request.args.get("page", 1, type=int)
