"""The therapist's dashboard: Home with its two tabs, and a session's page with what can be done."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from app import clock, config
from app.errors import NotFound, TermsChanged
from app.rules import money, standing
from app.rules.lifecycle import Actor, Move, Verdict, Via
from app.services import acceptance, intake, moves, sessions
from app.services.moves import Outcome
from app.store import queries
from app.store.models import Booking, Therapist
from app.web import account, telling, tickets
from app.web.security import csrf

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
# The guard below checks the token itself, after sign-in, so that nothing typed is ever lost.
csrf.exempt(blueprint)

PAGE = 12
_DONE = {
    Move.ACCEPT: "Accepted. {client} has been told.",
    Move.DECLINE: "Declined. {client} has been told.",
    Move.CANCEL_BY_THERAPIST: "Cancelled. {client} has been told.",
    Move.NO_SHOW: "Recorded that {client} did not come.",
}


@blueprint.before_request
def guard() -> ResponseReturnValue | None:
    """Let nobody in without sign-in, and act on no form that was not shown in this session."""
    if account.signed_in() is None:
        if request.method in ("GET", "HEAD"):
            return redirect(url_for("account.show_sign_in", next=request.full_path.rstrip("?")))
        return _interrupted(HTTPStatus.UNAUTHORIZED)
    try:
        csrf.protect()
    except CSRFError:
        return _interrupted(HTTPStatus.BAD_REQUEST)
    return None


@blueprint.get("")
def home() -> ResponseReturnValue:
    """Home: New Enquiries, or Upcoming Sessions."""
    therapist, now = _me(), clock.now()
    is_upcoming = request.args.get("tab") == "upcoming"
    number = request.args.get("page", 1, type=int)
    enquiries = queries.page_of_enquiries(therapist, now, 1 if is_upcoming else number, PAGE)
    upcoming = queries.page_of_upcoming(therapist, now, number if is_upcoming else 1, PAGE)
    return render_template(
        "dashboard/home.html",
        **_frame(therapist),
        enquiries=enquiries,
        upcoming=upcoming,
        is_upcoming=is_upcoming,
        answer_within=config.current().policy.answer_within,
    )


@blueprint.get("/sessions/<reference>")
def session_page(reference: str) -> ResponseReturnValue:
    """One enquiry or session, and what can be done about it."""
    return _session_page(_mine(reference))


@blueprint.post("/sessions/<reference>/accept")
def accept(reference: str) -> ResponseReturnValue:
    """Accept the enquiry."""
    booking = _mine(reference)
    made = acceptance.accept(
        booking.reference, by=Actor.THERAPIST, via=Via.DASHBOARD, now=clock.now()
    )
    return _answered(made, Move.ACCEPT)


@blueprint.post("/sessions/<reference>/decline")
def decline(reference: str) -> ResponseReturnValue:
    """Decline the enquiry, with the reason if one is given."""
    booking, now = _mine(reference), clock.now()
    typed = request.form.get("reason", "")
    try:
        reason = intake.text(typed)
    except ValueError as error:
        return _session_page(booking, HTTPStatus.UNPROCESSABLE_ENTITY, typed, str(error))
    made = acceptance.decline(
        booking.reference, by=Actor.THERAPIST, via=Via.DASHBOARD, now=now, reason=reason
    )
    return _answered(made, Move.DECLINE)


@blueprint.get("/sessions/<reference>/cancel")
def show_cancel(reference: str) -> ResponseReturnValue:
    """What cancelling leads to, the streak included, and the button that does it."""
    return _cancel_page(_mine(reference))


@blueprint.post("/sessions/<reference>/cancel")
def cancel(reference: str) -> ResponseReturnValue:
    """Cancel the session on the terms that the page has shown."""
    booking, now = _mine(reference), clock.now()
    agreed = request.form.get("agreed", "")
    try:
        made = sessions.cancel(
            booking.reference, by=Actor.THERAPIST, via=Via.DASHBOARD, now=now, agreed=agreed
        )
    except TermsChanged:
        return _cancel_page(_mine(reference), changed=True)
    return _answered(made, Move.CANCEL_BY_THERAPIST)


@blueprint.get("/sessions/<reference>/no-show")
def show_no_show(reference: str) -> ResponseReturnValue:
    """What recording a no-show leads to, and the button that does it."""
    booking = _mine(reference)
    verdict = tickets.foreseen(booking, Move.NO_SHOW, Actor.THERAPIST, clock.now())
    if verdict is not Verdict.ALLOWED:
        return _session_page(booking, HTTPStatus.CONFLICT)
    settlement = moves.settlement_of(booking, Move.NO_SHOW, clock.now())
    return render_template(
        "dashboard/no_show.html", **_frame(_me()), **_about(booking), settlement=settlement
    )


@blueprint.post("/sessions/<reference>/no-show")
def no_show(reference: str) -> ResponseReturnValue:
    """Record that the client did not come."""
    booking = _mine(reference)
    made = sessions.mark_no_show(booking.reference, via=Via.DASHBOARD, now=clock.now())
    return _answered(made, Move.NO_SHOW)


def _me() -> Therapist:
    therapist = account.signed_in()
    if therapist is None:
        raise NotFound("page")
    return therapist


def _mine(reference: str) -> Booking:
    """The signed-in therapist's own booking. Raises NotFound, also where it is another's."""
    booking = queries.booking_by_reference(reference)
    if booking.therapist_id != _me().id:
        raise NotFound("booking")
    return booking


def _frame(therapist: Therapist) -> dict[str, Any]:
    return {"me": therapist, "zone": therapist.timezone, "now": clock.now()}


def _about(booking: Booking) -> dict[str, Any]:
    policy, now = config.current().policy, clock.now()
    return {
        "booking": booking,
        "status": telling.status_now(booking, now),
        "client": telling.first_name(booking.client.name),
        "policy": policy,
        "split": money.split_fee(booking.fee_minor, policy.commission_percent),
    }


def _session_page(
    booking: Booking, http_status: HTTPStatus = HTTPStatus.OK, typed: str = "", wrong: str = ""
) -> ResponseReturnValue:
    now, lines = clock.now(), queries.timeline_of(booking)
    can = {
        move: tickets.foreseen(booking, move, Actor.THERAPIST, now) is Verdict.ALLOWED
        for move in _DONE
    }
    page = render_template(
        "dashboard/session.html",
        **_frame(_me()),
        **_about(booking),
        can=can,
        facts=telling.outcome(booking, lines, now),
        timeline=telling.timeline(booking, lines, Actor.THERAPIST),
        writings=queries.writings_of(booking),
        is_refused=http_status in (HTTPStatus.CONFLICT, HTTPStatus.GONE),
        typed=typed,
        wrong=wrong,
    )
    return page, http_status


def _cancel_page(booking: Booking, *, changed: bool = False) -> ResponseReturnValue:
    terms = sessions.terms_of_cancelling(booking, by=Actor.THERAPIST, now=clock.now())
    if terms is None:
        return _session_page(booking, HTTPStatus.CONFLICT)
    page = render_template(
        "dashboard/cancel.html",
        **_frame(_me()),
        **_about(booking),
        terms=terms,
        step=standing.step_reached(terms.streak, config.current().policy),
        is_changed=changed,
    )
    return page, HTTPStatus.CONFLICT if changed else HTTPStatus.OK


def _answered(made: Outcome, move: Move) -> ResponseReturnValue:
    """Show the session as it now stands; a move that could not be made says what came before."""
    status = tickets.http_status(made.booking, made.verdict, clock.now())
    if status is not HTTPStatus.OK:
        return _session_page(made.booking, status)
    flash(_DONE[move].format(client=telling.first_name(made.booking.client.name)))
    page = url_for("dashboard.session_page", reference=made.booking.reference)
    return redirect(page, HTTPStatus.SEE_OTHER)


def _interrupted(http_status: HTTPStatus) -> ResponseReturnValue:
    """Keep what was typed where the session has ended in between, and ask before acting on it."""
    typed = {name: text for name, text in request.form.items() if name != "csrf_token"}
    page = render_template(
        "dashboard/interrupted.html",
        typed=typed,
        is_signed_in=account.signed_in() is not None,
        next=account.local_path(request.path.rpartition("/")[0]),
    )
    return page, http_status
