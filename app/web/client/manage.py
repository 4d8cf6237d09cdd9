"""The client's pages: Manage Booking with cancelling, and asking for links again."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.errors import TermsChanged
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Status, Verdict, Via
from app.services import clients, validation
from app.services.bookings import cancel, replace
from app.services.mail.compose import session_of
from app.store import queries
from app.store.models import Booking
from app.web import booking_text
from app.web.links import tokens
from app.web.security import LINK_LIMIT, SIGN_IN_LIMIT, csrf, limiter
from emails.calendar import file_of_event

blueprint = Blueprint("client", __name__)
# What authorises these forms is the token in their own address, never a cookie.
csrf.exempt(blueprint)

_CANCELLED = frozenset({Status.WITHDRAWN, Status.CANCELLED_BY_CLIENT})


@blueprint.get("/link/manage/<token>")
@limiter.limit(LINK_LIMIT)
def manage(token: str) -> ResponseReturnValue:
    """Where the booking stands and what can be done about it."""
    now = clock.now()
    return manage_page(tokens.load_booking(LinkPurpose.MANAGE, token, now), now)


@blueprint.get("/link/manage/<token>/cancel")
@limiter.limit(LINK_LIMIT)
def show_cancel(token: str) -> ResponseReturnValue:
    """What withdrawing or cancelling costs, and the button that does it."""
    now = clock.now()
    return _cancel_page(tokens.load_booking(LinkPurpose.MANAGE, token, now), now)


@blueprint.post("/link/manage/<token>/cancel")
@limiter.limit(LINK_LIMIT)
def cancel_booking(token: str) -> ResponseReturnValue:
    """Withdraw or cancel on the terms that the page has shown."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.MANAGE, token, now)
    agreed = request.form.get("agreed")
    try:
        outcome = cancel.cancel(booking, by=Actor.CLIENT, via=Via.LINK, now=now, agreed=agreed)
    except TermsChanged:
        return _cancel_page(tokens.load_booking(LinkPurpose.MANAGE, token, now), now, changed=True)
    status = tokens.http_status(outcome.booking, outcome.verdict, now)
    return manage_page(outcome.booking, now, status)


@blueprint.get("/link/manage/<token>/calendar.ics")
@limiter.limit(LINK_LIMIT)
def calendar_file(token: str) -> ResponseReturnValue:
    """The accepted session as a file that calendars take; otherwise where the booking stands."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.MANAGE, token, now)
    if booking.status_at(now) is not Status.ACCEPTED:
        return manage_page(booking, now, tokens.http_status(booking, Verdict.OVERTAKEN, now))
    return _calendar_file(booking, now)


@blueprint.get("/my-links")
def show_my_links() -> ResponseReturnValue:
    """Ask for the address to which links are sent again."""
    return render_template("client/my_links.html", typed="", error="")


@blueprint.post("/my-links")
@limiter.limit(SIGN_IN_LIMIT)
def send_my_links() -> ResponseReturnValue:
    """Send a client their links; the answer never says whether there are any."""
    typed = request.form.get("email", "")
    try:
        address = validation.email(typed)
    except ValueError as error:
        page = render_template("client/my_links.html", typed=typed, error=str(error))
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    clients.send_links(address, clock.now())
    return render_template("client/my_links_sent.html", address=address)


def manage_page(
    booking: Booking,
    now: datetime,
    http_status: HTTPStatus = HTTPStatus.OK,
    *,
    typed: str = "",
    error: str = "",
) -> ResponseReturnValue:
    """The Manage Booking page, with a message as far as it was typed and what is wrong with it.

    409 and 410 say that what was asked could not be done.
    """
    lines = queries.timeline_of(booking)
    page = render_template(
        "client/manage.html",
        **booking_context(booking, now),
        is_refused=http_status in (HTTPStatus.CONFLICT, HTTPStatus.GONE),
        is_just_done=request.method == "POST" and http_status is HTTPStatus.OK,
        terms=cancel.terms_of_cancelling(booking, by=Actor.CLIENT, now=now),
        facts=booking_text.settlement_facts(booking, lines, now),
        timeline=booking_text.timeline(booking, lines, Actor.CLIENT),
        writings=queries.writings_of(booking),
        instead=replace.current_replacement(booking, now),
        cancel_path=tokens.path(LinkPurpose.MANAGE, booking) + "/cancel",
        calendar_path=tokens.path(LinkPurpose.MANAGE, booking) + "/calendar.ics",
        typed=typed,
        error=error,
        is_everything_shown=request.args.get("messages") == "all",
        choose_path=tokens.path(LinkPurpose.CHOOSE, booking),
    )
    return page, http_status


def booking_context(booking: Booking, now: datetime) -> dict[str, Any]:
    """What every page of a client's says of the booking."""
    return {
        "booking": booking,
        "status": booking.status_at(now),
        "therapist": booking.therapist.given_name,
        "zone": booking.client.timezone,
        "policy": config.current().policy,
        "manage_path": tokens.path(LinkPurpose.MANAGE, booking),
        "now": now,
    }


def _cancel_page(booking: Booking, now: datetime, *, changed: bool = False) -> ResponseReturnValue:
    terms = cancel.terms_of_cancelling(booking, by=Actor.CLIENT, now=now)
    if terms is None:
        verdict = Verdict.REPEATED if booking.status in _CANCELLED else Verdict.OVERTAKEN
        return manage_page(booking, now, tokens.http_status(booking, verdict, now))
    page = render_template(
        "client/cancel.html", **booking_context(booking, now), terms=terms, is_changed=changed
    )
    return page, HTTPStatus.CONFLICT if changed else HTTPStatus.OK


def _calendar_file(booking: Booking, now: datetime) -> Response:
    event = file_of_event(
        session_of(booking),
        sequence=booking.sequence,
        sender=config.current().mail_default_sender,
        stamped_at=now,
        meeting_url=booking.therapist.meeting_url,
    )
    name = f'attachment; filename="{booking.reference}.ics"'
    return Response(event, mimetype="text/calendar", headers={"Content-Disposition": name})
