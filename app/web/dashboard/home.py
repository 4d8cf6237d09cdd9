"""The therapist's dashboard: Home with its two tabs, and a session's page with what can be done."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock, config
from app.errors import TermsChanged
from app.rules import money, standing
from app.rules.lifecycle import Actor, Move, Verdict, Via
from app.services import validation
from app.services.bookings import cancel, transitions
from app.services.bookings.transitions import MoveResult
from app.store import queries
from app.store.models import Booking
from app.store.queries import therapist_bookings
from app.web import booking_text
from app.web.dashboard import base
from app.web.links import tokens

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE = 12
_NONE: Mapping[str, str] = {}
_DONE = {
    Move.ACCEPT: "Accepted. {client} has been told.",
    Move.DECLINE: "Declined. {client} has been told.",
    Move.CANCEL_BY_THERAPIST: "Cancelled. {client} has been told.",
    Move.NO_SHOW: "Recorded that {client} did not come.",
}


@blueprint.get("")
def home() -> ResponseReturnValue:
    """Home: New Enquiries, or Upcoming Sessions."""
    therapist, now = base.current_therapist(), clock.now()
    is_upcoming = request.args.get("tab") == "upcoming"
    number = base.page_number()
    enquiries = therapist_bookings.enquiries_page(
        therapist, now, 1 if is_upcoming else number, PAGE
    )
    upcoming = therapist_bookings.upcoming_page(therapist, now, number if is_upcoming else 1, PAGE)
    return render_template(
        "dashboard/home.html",
        **base.layout_context(),
        enquiries=enquiries,
        upcoming=upcoming,
        is_upcoming=is_upcoming,
        answer_within=config.current().policy.answer_within,
    )


@blueprint.get("/sessions/<reference>")
def session_page(reference: str) -> ResponseReturnValue:
    """One enquiry or session, and what can be done about it."""
    return show(base.own_booking(reference))


@blueprint.post("/sessions/<reference>/accept")
def accept(reference: str) -> ResponseReturnValue:
    """Accept the enquiry."""
    return _answer(base.own_booking(reference), Move.ACCEPT)


@blueprint.post("/sessions/<reference>/decline")
def decline(reference: str) -> ResponseReturnValue:
    """Decline the enquiry, with the reason if one is given."""
    booking = base.own_booking(reference)
    typed = request.form.get("reason", "")
    try:
        reason = validation.text(typed)
    except ValueError as error:
        return show(
            booking, HTTPStatus.UNPROCESSABLE_ENTITY, {"reason": typed}, {"reason": str(error)}
        )
    return _answer(booking, Move.DECLINE, reason)


@blueprint.get("/sessions/<reference>/cancel")
def show_cancel(reference: str) -> ResponseReturnValue:
    """What cancelling leads to, the streak included, and the button that does it."""
    return _cancel_page(base.own_booking(reference))


@blueprint.post("/sessions/<reference>/cancel")
def cancel_session(reference: str) -> ResponseReturnValue:
    """Cancel the session on the terms that the page has shown."""
    booking, now = base.own_booking(reference), clock.now()
    agreed = request.form.get("agreed")
    try:
        outcome = cancel.cancel(
            booking, by=Actor.THERAPIST, via=Via.DASHBOARD, now=now, agreed=agreed
        )
    except TermsChanged:
        return _cancel_page(base.own_booking(reference), changed=True)
    return _result(outcome, Move.CANCEL_BY_THERAPIST)


@blueprint.get("/sessions/<reference>/no-show")
def show_no_show(reference: str) -> ResponseReturnValue:
    """What recording a no-show leads to, and the button that does it."""
    booking = base.own_booking(reference)
    verdict = transitions.judge(booking, Move.NO_SHOW, Actor.THERAPIST, clock.now())
    if verdict is not Verdict.ALLOWED:
        return show(booking, HTTPStatus.CONFLICT)
    settlement = transitions.settlement_of(booking, Move.NO_SHOW, clock.now())
    return render_template(
        "dashboard/no_show.html",
        **base.layout_context(),
        **_booking_context(booking),
        settlement=settlement,
    )


@blueprint.post("/sessions/<reference>/no-show")
def no_show(reference: str) -> ResponseReturnValue:
    """Record that the client did not come."""
    booking = base.own_booking(reference)
    outcome = cancel.mark_no_show(booking, via=Via.DASHBOARD, now=clock.now())
    return _result(outcome, Move.NO_SHOW)


def _booking_context(booking: Booking) -> dict[str, Any]:
    policy, now = config.current().policy, clock.now()
    return {
        "booking": booking,
        "status": booking.status_at(now),
        "client": booking.client.given_name,
        "policy": policy,
        "split": money.split_fee(booking.fee_minor, policy.commission_percent),
    }


def show(
    booking: Booking,
    http_status: HTTPStatus = HTTPStatus.OK,
    typed: Mapping[str, str] = _NONE,
    errors: Mapping[str, str] = _NONE,
) -> ResponseReturnValue:
    """The session's page, with what was typed and what is wrong with it by field."""
    now, lines = clock.now(), queries.timeline_of(booking)
    can = {
        move: transitions.judge(booking, move, Actor.THERAPIST, now) is Verdict.ALLOWED
        for move in _DONE
    }
    page = render_template(
        "dashboard/session.html",
        **base.layout_context(),
        **_booking_context(booking),
        can=can,
        facts=booking_text.settlement_facts(booking, lines, now),
        timeline=booking_text.timeline(booking, lines, Actor.THERAPIST),
        writings=queries.writings_of(booking),
        is_refused=http_status in (HTTPStatus.CONFLICT, HTTPStatus.GONE),
        typed=typed,
        errors=errors,
        is_everything_shown=request.args.get("messages") == "all",
        can_write=tokens.is_open_to_client(booking, now),
        can_keep_notes=not booking.client.is_erased,
    )
    return page, http_status


def _cancel_page(booking: Booking, *, changed: bool = False) -> ResponseReturnValue:
    terms = cancel.terms_of_cancelling(booking, by=Actor.THERAPIST, now=clock.now())
    if terms is None:
        return show(booking, HTTPStatus.CONFLICT)
    page = render_template(
        "dashboard/cancel.html",
        **base.layout_context(),
        **_booking_context(booking),
        terms=terms,
        step=standing.step_reached(terms.streak, config.current().policy),
        is_changed=changed,
    )
    return page, HTTPStatus.CONFLICT if changed else HTTPStatus.OK


def _answer(booking: Booking, move: Move, reason: str = "") -> ResponseReturnValue:
    by, via, now = Actor.THERAPIST, Via.DASHBOARD, clock.now()
    outcome = transitions.make_move(booking, move, by=by, via=via, now=now, reason=reason)
    return _result(outcome, move)


def _result(outcome: MoveResult, move: Move) -> ResponseReturnValue:
    """Show the session as it now stands; a move that could not be outcome says what came before."""
    status = tokens.http_status(outcome.booking, outcome.verdict, clock.now())
    if status is not HTTPStatus.OK:
        return show(outcome.booking, status)
    flash(_DONE[move].format(client=outcome.booking.client.given_name))
    page = url_for("dashboard.session_page", reference=outcome.booking.reference)
    return redirect(page, HTTPStatus.SEE_OTHER)
