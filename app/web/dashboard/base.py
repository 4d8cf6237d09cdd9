"""What every page of the dashboard shares: the guard at its door, and who sits at the desk."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from app import clock
from app.errors import NotFound
from app.store import queries
from app.store.models import Booking, Therapist
from app.web import auth
from app.web.security import csrf


def require_sign_in(blueprint: Blueprint) -> None:
    """Let nobody in without sign-in, and act on no form that was not shown in this session."""
    blueprint.before_request(_guard)
    # The guard checks the token itself, after sign-in, so that nothing typed is ever lost.
    csrf.exempt(blueprint)


def current_therapist() -> Therapist:
    """The signed-in therapist."""
    therapist = auth.signed_in()
    if therapist is None:
        raise NotFound("page")
    return therapist


def own_booking(reference: str) -> Booking:
    """The signed-in therapist's own booking. Raises NotFound, also where it is another's."""
    booking = queries.booking_by_reference(reference)
    if booking.therapist_id != current_therapist().id:
        raise NotFound("booking")
    return booking


def layout_context() -> dict[str, Any]:
    """What the layout shows on every page, in the therapist's own zone."""
    therapist = current_therapist()
    return {"current_therapist": therapist, "zone": therapist.timezone, "now": clock.now()}


def page_number() -> int:
    """Which page of a list is asked for; lists bring it within their bounds."""
    return request.args.get("page", 1, type=int)


def _guard() -> ResponseReturnValue | None:
    if auth.signed_in() is None:
        if request.method in ("GET", "HEAD"):
            return redirect(url_for("auth.show_sign_in", next=request.full_path.rstrip("?")))
        return _interrupted(HTTPStatus.UNAUTHORIZED)
    try:
        csrf.protect()
    except CSRFError:
        return _interrupted(HTTPStatus.BAD_REQUEST)
    return None


def _interrupted(http_status: HTTPStatus) -> ResponseReturnValue:
    """Keep what was typed where the session has ended in between, and ask before acting on it."""
    typed = {name: text for name, text in request.form.items() if name != "csrf_token"}
    page = render_template(
        "dashboard/interrupted.html",
        typed=typed,
        is_signed_in=auth.signed_in() is not None,
        next=auth.local_path(request.path.rpartition("/")[0]),
    )
    return page, http_status
