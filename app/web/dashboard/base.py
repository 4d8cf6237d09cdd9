"""What all dashboard pages share: the sign-in guard, the current therapist, the layout."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from app import clock, config
from app.errors import NotFound
from app.rules.lifecycle import Status
from app.store import queries, suppressions
from app.store.models import Booking, Therapist
from app.web import access, auth, kept
from app.web.security import csrf

# How long before its start a session can be joined.
JOIN_BEFORE = timedelta(minutes=10)


def require_sign_in(blueprint: Blueprint) -> None:
    blueprint.before_request(_guard)
    # The guard checks the token itself, after sign-in, so that no typed text is lost.
    csrf.exempt(blueprint)


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


def _guard() -> ResponseReturnValue | None:
    if auth.signed_in_therapist() is None:
        if request.method in ("GET", "HEAD"):
            return redirect(url_for("auth.show_sign_in", next=request.full_path.rstrip("?")))
        return _send_again_page(HTTPStatus.UNAUTHORIZED)
    try:
        csrf.protect()
    except CSRFError:
        return _send_again_page(HTTPStatus.BAD_REQUEST)
    auth.record_use()
    return None


def _send_again_page(status: HTTPStatus) -> ResponseReturnValue:
    """Keep a form's typed texts when its session has ended, and ask to send the form again."""
    page = render_template(
        "dashboard/send_again.html",
        fields=kept.kept_fields(),
        is_signed_in=auth.signed_in_therapist() is not None,
        next=auth.safe_next_path(request.path.rpartition("/")[0]),
    )
    return page, status
