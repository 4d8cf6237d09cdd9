"""The therapist's links in email: Accept, Decline, View Session, Sign In. Only a POST acts."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock, config, links
from app.errors import NotFound
from app.links import LinkPurpose
from app.rules import money
from app.rules.lifecycle import Actor, Move, Via
from app.services import auth as sign_ins
from app.services import validation
from app.services.bookings import transitions
from app.services.bookings.transitions import MoveResult
from app.store.models import Booking
from app.web import auth
from app.web.links import tokens
from app.web.security import LINK_LIMIT, csrf, limiter

blueprint = Blueprint("links", __name__)
# What authorises these forms is the token in their own address, never a cookie.
csrf.exempt(blueprint)
limiter.limit(LINK_LIMIT)(blueprint)


@blueprint.get("/link/accept/<token>")
def show_accept(token: str) -> ResponseReturnValue:
    """What accepting would mean, and the button that does it."""
    return _confirm_page(tokens.load_booking(LinkPurpose.ACCEPT, token, clock.now()), Move.ACCEPT)


@blueprint.post("/link/accept/<token>")
def accept(token: str) -> ResponseReturnValue:
    """Accept the enquiry."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.ACCEPT, token, now)
    outcome = transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=now)
    return _result_page(outcome, Move.ACCEPT)


@blueprint.get("/link/decline/<token>")
def show_decline(token: str) -> ResponseReturnValue:
    """What declining would mean, and the button that does it."""
    return _confirm_page(tokens.load_booking(LinkPurpose.DECLINE, token, clock.now()), Move.DECLINE)


@blueprint.post("/link/decline/<token>")
def decline(token: str) -> ResponseReturnValue:
    """Decline the enquiry, with the reason if one is given."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.DECLINE, token, now)
    typed = request.form.get("reason", "")
    try:
        reason = validation.text(typed)
    except ValueError as error:
        return _confirm_page(booking, Move.DECLINE, typed=typed, error=str(error))
    outcome = transitions.make_move(
        booking, Move.DECLINE, by=Actor.THERAPIST, via=Via.LINK, now=now, reason=reason
    )
    return _result_page(outcome, Move.DECLINE)


@blueprint.get("/link/session/<token>")
def view_session(token: str) -> ResponseReturnValue:
    """Go on to the session on the dashboard, by way of sign-in if there is none."""
    booking = tokens.load_booking(LinkPurpose.SESSION, token, clock.now())
    page = url_for("dashboard.session_page", reference=booking.reference)
    therapist = auth.signed_in()
    if therapist is None:
        return redirect(url_for("auth.show_sign_in", next=page))
    if therapist.id != booking.therapist_id:
        raise NotFound("such session in the account you are signed in to")
    return redirect(page)


@blueprint.get("/link/sign-in/<token>")
def show_sign_in(token: str) -> ResponseReturnValue:
    """Offer the one click that signs in."""
    request_found = sign_ins.usable_sign_in(links.read(LinkPurpose.SIGN_IN, token), clock.now())
    if request_found is None:
        return _link_used_page()
    return render_template("links/sign_in.html", name=request_found.therapist.given_name)


@blueprint.post("/link/sign-in/<token>")
def sign_in(token: str) -> ResponseReturnValue:
    """Start a fresh session, once per link."""
    request_found = sign_ins.use_sign_in(links.read(LinkPurpose.SIGN_IN, token), clock.now())
    if request_found is None:
        return _link_used_page()
    auth.start_session(request_found.therapist)
    return redirect(auth.local_path(request_found.next_path), HTTPStatus.SEE_OTHER)


def _link_used_page() -> ResponseReturnValue:
    return render_template("links/sign_in_used.html"), HTTPStatus.GONE


def _confirm_page(
    booking: Booking, move: Move, *, typed: str = "", error: str = ""
) -> ResponseReturnValue:
    now = clock.now()
    verdict = transitions.judge(booking, move, Actor.THERAPIST, now)
    if verdict is not verdict.ALLOWED:
        return _result_page(MoveResult(booking, verdict), move)
    percent = config.current().policy.commission_percent
    page = render_template(
        f"links/{move}.html",
        booking=booking,
        zone=booking.therapist.timezone,
        client=booking.client.given_name,
        payout_minor=money.split_fee(booking.fee_minor, percent).payout_minor,
        commission_percent=percent,
        session_path=tokens.path(LinkPurpose.SESSION, booking),
        typed=typed,
        error=error,
        now=now,
    )
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK


def _result_page(outcome: MoveResult, move: Move) -> ResponseReturnValue:
    now, booking = clock.now(), outcome.booking
    status = tokens.http_status(booking, outcome.verdict, now)
    is_done = status is HTTPStatus.OK
    page = render_template(
        f"links/{move}_done.html" if is_done else "links/not_done.html",
        booking=booking,
        status=booking.status_at(now),
        zone=booking.therapist.timezone,
        client=booking.client.given_name,
        wanted=move,
        session_path=tokens.path(LinkPurpose.SESSION, booking),
        now=now,
    )
    return page, status
