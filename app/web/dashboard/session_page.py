"""The page of one enquiry or session: answering, cancelling, no-show, messages and notes."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock, config
from app.errors import MessagesEnded, StoreUnavailable, TermsChanged
from app.rules import money, standing
from app.rules.lifecycle import Actor, Move, Verdict, Via
from app.services import validation
from app.services.bookings import cancel as cancelling
from app.services.bookings import messages, propose, transitions
from app.services.bookings.transitions import MoveResult
from app.services.mail.reach import reach_of
from app.store import queries
from app.store.models import Booking, Purpose
from app.web import access, booking_text
from app.web.dashboard import base
from app.web.links import tokens
from app.web.reopened import lead_back
from app.web.security import PUBLIC_FORM_LIMIT, limiter

blueprint = Blueprint("session", __name__, url_prefix="/dashboard/sessions/<reference>")
base.require_sign_in(blueprint)

_READINGS_SHOWN = 10
# The fields of the page's one form; each button sends them all, and one of them is meant.
_TEXTS = ("reason", "message", "private_note")
_NO_TEXTS: Mapping[str, str] = {}
_DONE = {
    Move.ACCEPT: "Accepted.",
    Move.DECLINE: "Declined.",
    Move.CANCEL_BY_THERAPIST: "Cancelled.",
    Move.NO_SHOW: "Recorded that {client} did not come.",
}


@blueprint.get("")
def show(reference: str) -> ResponseReturnValue:
    return _page(base.own_booking(reference))


@blueprint.post("")
def show_more(reference: str) -> ResponseReturnValue:
    """The same page with all messages, and with what was typed but not sent."""
    return _page(base.own_booking(reference), typed=_typed())


lead_back(blueprint, ".show", "/accept", "/decline", "/message", "/note")


@blueprint.post("/accept")
def accept(reference: str) -> ResponseReturnValue:
    return _answer(base.own_booking(reference), Move.ACCEPT, "")


@blueprint.post("/decline")
def decline(reference: str) -> ResponseReturnValue:
    booking = base.own_booking(reference)
    try:
        reason = validation.text(request.form.get("reason", ""))
    except ValueError as error:
        return _page_with_error(booking, "reason", error)
    return _answer(booking, Move.DECLINE, reason)


@blueprint.get("/cancel")
def show_cancel(reference: str) -> ResponseReturnValue:
    return _cancel_page(base.own_booking(reference))


@blueprint.post("/cancel")
def cancel(reference: str) -> ResponseReturnValue:
    booking = base.own_booking(reference)
    by, via, agreed = Actor.THERAPIST, Via.DASHBOARD, request.form.get("agreed")
    try:
        result = cancelling.cancel(booking, by=by, via=via, now=clock.now(), agreed=agreed)
    except TermsChanged:
        return _cancel_page(base.own_booking(reference), has_changed=True)
    return _after(result, Move.CANCEL_BY_THERAPIST)


@blueprint.get("/no-show")
def show_no_show(reference: str) -> ResponseReturnValue:
    booking, now = base.own_booking(reference), clock.now()
    if transitions.judge(booking, Move.NO_SHOW, Actor.THERAPIST, now) is not Verdict.ALLOWED:
        return _page(booking, HTTPStatus.CONFLICT)
    settlement = transitions.settlement_of(booking, Move.NO_SHOW, now)
    return render_template("dashboard/no_show.html", **context(booking), settlement=settlement)


@blueprint.post("/no-show")
def no_show(reference: str) -> ResponseReturnValue:
    booking = base.own_booking(reference)
    result = cancelling.mark_no_show(booking, via=Via.DASHBOARD, now=clock.now())
    return _after(result, Move.NO_SHOW)


@blueprint.post("/message")
@limiter.limit(PUBLIC_FORM_LIMIT)
def send_message(reference: str) -> ResponseReturnValue:
    booking, now = base.own_booking(reference), clock.now()

    def send(body: str) -> None:
        messages.send(booking, body, author=Actor.THERAPIST, now=now)

    told = telling(booking, "We email {client} that a message is waiting.")
    return _save_text(booking, "message", send, f"Sent. {told}", "messages")


@blueprint.post("/note")
def save_note(reference: str) -> ResponseReturnValue:
    booking, now = base.own_booking(reference), clock.now()
    if booking.client.is_erased:
        return _page(booking, HTTPStatus.CONFLICT, _typed())

    def save(body: str) -> None:
        messages.keep_private_note(booking, body, now=now)

    return _save_text(booking, "private_note", save, "Saved. Only you can read it.", "notes")


def conflict_page(reference: str) -> ResponseReturnValue:
    """The session as it is now, in answer to a form that was not possible any more."""
    booking = transitions.refresh(reference, via=Via.DASHBOARD, now=clock.now())
    return _page(booking, HTTPStatus.CONFLICT, _typed())


def telling(booking: Booking, promise: str) -> str:
    is_unreached = reach_of(booking, clock.now()).client is not None
    sentence = "Our emails do not reach {client} just now." if is_unreached else promise
    return sentence.format(client=booking.client_given_name)


def context(booking: Booking) -> dict[str, Any]:
    policy, now = config.current().policy, clock.now()
    return {
        **base.layout_context(),
        "booking": booking,
        "status": booking.status_at(now),
        "client": booking.client_given_name,
        "reach": reach_of(booking, now),
        "policy": policy,
        "fee": booking_text.fee_for(booking, Actor.THERAPIST),
        "rule": transitions.cancelling_rule_of(booking, now),
        "proposal": propose.open_proposal(booking, now),
        "split": money.split_fee(booking.fee_minor, policy.commission_percent),
    }


def _page(
    booking: Booking,
    status: HTTPStatus = HTTPStatus.OK,
    typed: Mapping[str, str] = _NO_TEXTS,
    errors: Mapping[str, str] = _NO_TEXTS,
) -> ResponseReturnValue:
    now, entries = clock.now(), queries.timeline_of(booking)
    facts, shown = booking_text.settlement_facts(booking, entries, now), context(booking)
    can = {
        move: transitions.judge(booking, move, Actor.THERAPIST, now) is Verdict.ALLOWED
        for move in _DONE
    }
    writings = queries.writings_of(booking, *Purpose)
    access.note_reading(booking, writings)
    page = render_template(
        "dashboard/session.html",
        **shown,
        can=can,
        can_propose=propose.may_propose(booking, Actor.THERAPIST, now),
        settled=booking_text.settled(booking, facts, Actor.THERAPIST),
        is_by_ops=facts.get("by_ops", False),
        is_in_answer=facts.get("in_answer", False),
        timeline=booking_text.timeline(booking, entries, Actor.THERAPIST, shown["reach"]),
        writings=writings,
        readings=queries.readings_of(booking, _READINGS_SHOWN),
        is_refused=status in (HTTPStatus.CONFLICT, HTTPStatus.GONE),
        typed=typed,
        errors=errors,
        shows_all_messages=request.values.get("messages") == "all",
        can_write=booking.takes_messages_at(now),
        can_keep_notes=not booking.client.is_erased,
    )
    if booking.unread_since is not None and access.is_shown():
        # A database that cannot be written can still be read, and the page with it.
        with suppress(StoreUnavailable):
            messages.note_read(booking, writings)
    return page, status


def _page_with_error(booking: Booking, field: str, error: ValueError) -> ResponseReturnValue:
    return _page(booking, HTTPStatus.UNPROCESSABLE_ENTITY, _typed(), {field: str(error)})


def _typed(sent: str = "") -> dict[str, str]:
    """What came along with a press, by field, but for the field that the press has `sent`."""
    texts = {field: request.form.get(field, "") for field in _TEXTS if field != sent}
    return {field: text for field, text in texts.items() if text.strip()}


def _answer(booking: Booking, move: Move, reason: str) -> ResponseReturnValue:
    by, via, now = Actor.THERAPIST, Via.DASHBOARD, clock.now()
    result = transitions.make_move(booking, move, by=by, via=via, now=now, reason=reason)
    is_stored = move is Move.DECLINE and messages.is_reason_stored(booking, reason)
    return _after(result, move, sent="reason" if is_stored else "")


def _cancel_page(booking: Booking, *, has_changed: bool = False) -> ResponseReturnValue:
    terms = cancelling.terms_of_cancelling(booking, by=Actor.THERAPIST, now=clock.now())
    if terms is None:
        return _page(booking, HTTPStatus.CONFLICT)
    page = render_template(
        "dashboard/cancel.html",
        **context(booking),
        terms=terms,
        step=standing.step_reached(terms.streak, config.current().policy),
        has_changed=has_changed,
    )
    return page, HTTPStatus.CONFLICT if has_changed else HTTPStatus.OK


def _after(result: MoveResult, move: Move, sent: str = "") -> ResponseReturnValue:
    booking = result.booking
    status = tokens.http_status(booking, result.verdict, clock.now())
    if status is not HTTPStatus.OK:
        return _page(booking, status, _typed())
    done = _DONE[move].format(client=booking.client_given_name)
    flash(f"{done} {telling(booking, 'We are letting {client} know.')}")
    return page_after(booking, sent)


def _save_text(
    booking: Booking, field: str, save: Callable[[str], None], confirmation: str, part: str
) -> ResponseReturnValue:
    try:
        save(validation.required_text(request.form.get(field, "")))
    except ValueError as error:
        return _page_with_error(booking, field, error)
    except MessagesEnded:
        return _page(base.own_booking(booking.reference), HTTPStatus.CONFLICT, _typed())
    flash(confirmation, part)
    return page_after(booking, sent=field)


def page_after(booking: Booking, sent: str = "") -> ResponseReturnValue:
    """What was done, by redirect; in place where other fields hold what was not sent."""
    if typed := _typed(sent):
        return _page(base.own_booking(booking.reference), typed=typed)
    page = url_for("session.show", reference=booking.reference, _anchor="said")
    return redirect(page, HTTPStatus.SEE_OTHER)
