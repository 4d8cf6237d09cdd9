"""Another time, for a therapist who is signed in: suggesting, asking to move, and answering."""

from flask import Blueprint, flash, render_template, request
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import DomainError, InvalidFields, SlotTaken, TimeMoveRefused
from app.rules.lifecycle import Actor, Via
from app.services.bookings import propose
from app.store.models import Booking
from app.web import times_to_offer
from app.web.dashboard import base, session_page
from app.web.reopened import lead_back

blueprint = Blueprint("move", __name__, url_prefix="/dashboard/sessions/<reference>")
base.require_sign_in(blueprint)


@blueprint.get("/move")
def show(reference: str) -> ResponseReturnValue:
    return _page(base.own_booking(reference))


@blueprint.post("/move")
def offer(reference: str) -> ResponseReturnValue:
    booking, now = base.own_booking(reference), clock.now()
    if times_to_offer.asks_for_days():
        return _page(booking)
    starts, by = times_to_offer.chosen_starts(), Actor.THERAPIST
    try:
        propose.propose(booking, starts, by=by, via=Via.DASHBOARD, now=now)
    except (InvalidFields, SlotTaken) as refusal:
        return _page(booking, refusal)
    except TimeMoveRefused:
        return session_page.conflict_page(reference)
    return _said(booking, "Sent.", "We are asking {client}.")


lead_back(blueprint, "session.show", "/agree", "/refuse")


@blueprint.post("/agree")
def agree(reference: str) -> ResponseReturnValue:
    booking, now = base.own_booking(reference), clock.now()
    is_waived = request.form.get("waive_notice") == "yes"
    try:
        propose.take(
            booking,
            times_to_offer.chosen_start(),
            by=Actor.THERAPIST,
            via=Via.DASHBOARD,
            now=now,
            waive_notice=is_waived,
        )
    except (InvalidFields, TimeMoveRefused):
        return session_page.conflict_page(reference)
    return _said(booking, "Moved.", "We are letting {client} know.")


@blueprint.post("/refuse")
def refuse(reference: str) -> ResponseReturnValue:
    """Keep the old time: decline the client's proposal, or take back one's own."""
    booking, now = base.own_booking(reference), clock.now()
    try:
        propose.keep(booking, by=Actor.THERAPIST, via=Via.DASHBOARD, now=now)
    except TimeMoveRefused:
        return session_page.conflict_page(reference)
    return _said(booking, "The old time stays.", "We are letting {client} know.")


def _page(booking: Booking, refusal: DomainError | None = None) -> ResponseReturnValue:
    now = clock.now()
    if not propose.may_propose(booking, Actor.THERAPIST, now):
        return session_page.conflict_page(booking.reference)
    page = render_template(
        "dashboard/move.html",
        **session_page.context(booking),
        times=times_to_offer.read(booking, booking.therapist.timezone, now),
        refusal=times_to_offer.refusal_text(refusal),
    )
    return page, times_to_offer.refusal_status(refusal)


def _said(booking: Booking, done: str, promise: str) -> ResponseReturnValue:
    flash(f"{done} {session_page.telling(booking, promise)}")
    return session_page.page_after(booking)
