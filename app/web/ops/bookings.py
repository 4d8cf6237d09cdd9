"""The ops desk's bookings: search, one booking on record, and acting for its two sides."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import NotFound, TermsChanged
from app.rules.lifecycle import Actor, Move, Status, Verdict, Via
from app.services import validation
from app.services.bookings import cancel as cancelling
from app.services.bookings import ledger, messages, transitions
from app.services.bookings.session_facts import session_of
from app.services.bookings.transitions import MoveResult
from app.services.mail.reach import reach_of
from app.services.ops import acts
from app.services.ops import bookings as ops_bookings
from app.store import queries
from app.store.models import Booking
from app.web import access
from app.web.links import tokens
from app.web.ops import base
from app.web.ops.search import BookingSearch
from app.web.reopened import lead_back

blueprint = Blueprint("ops_bookings", __name__, url_prefix=f"{base.PATH}/bookings")
base.require_sign_in(blueprint)

_ACCESS_SHOWN = 50
_DONE = {
    Move.ACCEPT: "Accepted for the therapist.",
    Move.DECLINE: "Declined for the therapist.",
}
_SIDES = {"client": Actor.CLIENT, "therapist": Actor.THERAPIST}


@blueprint.get("")
def search() -> ResponseReturnValue:
    wanted, number = BookingSearch.of_query(request.args), base.page_number()
    rows: list[Booking] = []
    if not wanted.errors:
        access.note(acts.view_of(f"search {wanted.fields}".strip(), client=wanted.client))
        rows = queries.find_bookings(
            wanted.filters(clock.now()),
            limit=base.PAGE_SIZE + 1,
            skip=(number - 1) * base.PAGE_SIZE,
        )
    return _search_page(wanted, base.page_of(rows, number))


@blueprint.post("")
def send_search() -> ResponseReturnValue:
    """A client's address is looked up here, so that it stands in no address of a page."""
    wanted = BookingSearch.of_form(request.form)
    if wanted.errors:
        return _search_page(wanted, base.page_of([], 1)), HTTPStatus.UNPROCESSABLE_ENTITY
    if wanted.reference:
        return redirect(url_for(".show", reference=wanted.reference), HTTPStatus.SEE_OTHER)
    return redirect(url_for(".search", **wanted.query), HTTPStatus.SEE_OTHER)


def _search_page(wanted: BookingSearch, page: dict[str, Any]) -> str:
    return render_template(
        "ops/bookings.html",
        **base.layout_context(),
        wanted=wanted,
        page=page,
        statuses=list(Status),
        therapists=queries.every_therapist(),
    )


@blueprint.get("/<reference>")
def show(reference: str) -> ResponseReturnValue:
    return _page(_booking(reference))


lead_back(
    blueprint, ".show", "/<reference>/accept", "/<reference>/decline", "/<reference>/revoke-links"
)


@blueprint.post("/<reference>/accept")
def accept(reference: str) -> ResponseReturnValue:
    return _answer(reference, Move.ACCEPT, request.form.get("reason", "").strip())


@blueprint.post("/<reference>/decline")
def decline(reference: str) -> ResponseReturnValue:
    typed = request.form.get("reason", "")
    try:
        reason = validation.text(typed)
    except ValueError as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return _page(_booking(reference), status, typed=typed, error=str(error))
    return _answer(reference, Move.DECLINE, reason)


@blueprint.get("/<reference>/cancel-for-<who>")
def show_cancel(reference: str, who: str) -> ResponseReturnValue:
    return _cancel_page(_booking(reference), _side(who))


@blueprint.post("/<reference>/cancel-for-<who>")
def cancel(reference: str, who: str) -> ResponseReturnValue:
    side, agreed = _side(who), request.form.get("agreed", "")
    try:
        result = ops_bookings.cancel_for(
            side, reference, via=Via.OPS, now=clock.now(), agreed=agreed
        )
    except TermsChanged:
        return _cancel_page(_booking(reference), side, has_changed=True)
    return _after(result, f"Cancelled for the {who}.")


@blueprint.post("/<reference>/revoke-links")
def revoke_links(reference: str) -> ResponseReturnValue:
    booking = ops_bookings.revoke_links(reference, clock.now())
    message = "All links that were sent for it have ended. Emails that leave later carry new ones."
    return base.said(message, ".show", reference=booking.reference)


def _booking(reference: str) -> Booking:
    return transitions.refresh(reference, via=Via.OPS, now=clock.now())


def _side(who: str) -> Actor:
    if who not in _SIDES:
        raise NotFound("page")
    return _SIDES[who]


def _answer(reference: str, move: Move, typed: str) -> ResponseReturnValue:
    """`typed` is a reason only to decline; the same form has the button to accept."""
    reason = typed if move is Move.DECLINE else ""
    result = ops_bookings.answer(reference, move, via=Via.OPS, now=clock.now(), reason=reason)
    is_stored = messages.is_reason_stored(result.booking, typed)
    return _after(result, _DONE[move], unsent="" if is_stored else typed)


def _after(result: MoveResult, done: str, unsent: str = "") -> ResponseReturnValue:
    reference = result.booking.reference
    status = tokens.http_status(result.booking, result.verdict, clock.now())
    if status is not HTTPStatus.OK:
        return _page(_booking(reference), status, typed=unsent)
    if unsent:
        flash(done)
        return _page(_booking(reference), typed=unsent)
    return base.said(done, ".show", reference=reference)


def _page(
    booking: Booking,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    typed: str = "",
    error: str = "",
) -> ResponseReturnValue:
    """What is on record, without what people wrote; with 409 or 410 why an act was not possible."""
    now = clock.now()
    access.note(acts.view_of("booking", booking=booking))
    emails = queries.find_emails(queries.EmailFilters(booking=booking), limit=base.PAGE_SIZE)
    page = render_template(
        "ops/booking.html",
        **base.layout_context(),
        booking=booking,
        status=booking.status_at(now),
        phone=queries.phone_of(booking.therapist),
        reach=reach_of(booking, now),
        timeline=queries.timeline_of(booking),
        ledger=ledger.lines_of(booking),
        emails=emails,
        trail_rows=queries.newest_access(booking=booking, limit=_ACCESS_SHOWN),
        can=_possible(booking),
        is_refused=status in (HTTPStatus.CONFLICT, HTTPStatus.GONE),
        typed=typed,
        error=error,
    )
    return page, status


def _possible(booking: Booking) -> dict[str, bool]:
    """What ops can do for it now, by name."""
    now = clock.now()
    answers = {
        str(move): transitions.judge(booking, move, Actor.OPS, now) is Verdict.ALLOWED
        for move in (Move.ACCEPT, Move.DECLINE)
    }
    cancels = {
        f"cancel_for_{who}": cancelling.terms_of_cancelling(booking, by=side, now=now) is not None
        for who, side in _SIDES.items()
    }
    return answers | cancels


def _cancel_page(
    booking: Booking, side: Actor, *, has_changed: bool = False
) -> ResponseReturnValue:
    terms = cancelling.terms_of_cancelling(booking, by=side, now=clock.now())
    if terms is None:
        return _page(booking, HTTPStatus.CONFLICT)
    page = render_template(
        "ops/cancel.html",
        **base.layout_context(),
        booking=booking,
        side=side,
        terms=terms,
        fee_words=session_of(booking).fee_for("ops"),
        reach=reach_of(booking, clock.now()),
        has_changed=has_changed,
    )
    return page, HTTPStatus.CONFLICT if has_changed else HTTPStatus.OK
