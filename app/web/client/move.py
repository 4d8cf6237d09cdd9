"""Move to another time: the client's page behind Manage Booking."""

from datetime import datetime
from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import DomainError, InvalidFields, LinkOutdated, SlotTaken, TimeMoveRefused
from app.links import LinkPurpose
from app.rules.lifecycle import LIVE, Actor, Via
from app.services.bookings import propose
from app.services.mail.reach import reach_of
from app.store import queries
from app.store.models import Booking
from app.web import times_to_offer
from app.web.client import manage
from app.web.links import press, tokens
from app.web.links.press import Verb
from app.web.security import LINK_LIMIT, csrf, limiter

blueprint = Blueprint("client_move", __name__)
# The token in a form's address authorises it; no cookie is involved.
csrf.exempt(blueprint)
limiter.limit(LINK_LIMIT)(blueprint)


@blueprint.get("/link/manage/<token>/move")
def show(token: str) -> ResponseReturnValue:
    now = clock.now()
    return _page(tokens.load_booking(LinkPurpose.MANAGE, token, now), now)


@blueprint.post("/link/manage/<token>/move")
def move(token: str) -> ResponseReturnValue:
    now, starts = clock.now(), times_to_offer.chosen_starts()
    try:
        booking = tokens.load_booking(LinkPurpose.MANAGE, token, now)
    except LinkOutdated as outdated:
        return manage.manage_page(_moved_before(outdated, starts), now)
    if times_to_offer.asks_for_days():
        return _page(booking, now)
    _ask_first(booking, Verb("move", "Move to another time"), now)
    return _propose(booking, starts, now)


def _ask_first(booking: Booking, verb: Verb, now: datetime) -> None:
    def does_something(_value: str) -> bool:
        return booking.status_at(now) in LIVE

    press.meant(verb, holder=booking.client.email, does_something=does_something)


def _propose(booking: Booking, starts: list[datetime], now: datetime) -> ResponseReturnValue:
    try:
        result = propose.propose(booking, starts, by=Actor.CLIENT, via=Via.LINK, now=now)
    except (InvalidFields, SlotTaken) as refusal:
        return _page(booking, now, refusal)
    except TimeMoveRefused:
        return manage.refused_page(booking, now)
    return manage.manage_page(result.booking, now)


def _moved_before(outdated: LinkOutdated, starts: list[datetime]) -> Booking:
    """The booking that the same press has moved before. Raises LinkOutdated otherwise."""
    booking = queries.booking_by_reference(outdated.reference)
    if not booking.moves or starts != [booking.starts_at]:
        raise outdated
    return booking


@blueprint.get("/link/manage/<token>/take-back")
def show_again(token: str) -> ResponseReturnValue:
    """The address of an answer to a form, opened again."""
    tokens.load_booking(LinkPurpose.MANAGE, token, clock.now())
    return redirect(url_for("client.manage", token=token))


@blueprint.post("/link/manage/<token>/take-back")
def take_back(token: str) -> ResponseReturnValue:
    """Keep the old time of a session after all."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.MANAGE, token, now)
    _ask_first(booking, Verb("take_back", "Keep the old time"), now)
    try:
        result = propose.keep(booking, by=Actor.CLIENT, via=Via.LINK, now=now)
    except TimeMoveRefused:
        return manage.refused_page(booking, now)
    return manage.manage_page(result.booking, now)


def _page(
    booking: Booking, now: datetime, refusal: DomainError | None = None
) -> ResponseReturnValue:
    if not propose.may_propose(booking, Actor.CLIENT, now):
        return manage.manage_page(booking, now, HTTPStatus.CONFLICT)
    page = render_template(
        "client/move.html",
        **manage.booking_context(booking, now),
        reach=reach_of(booking, now),
        times=times_to_offer.read(booking, booking.client_timezone, now),
        refusal=times_to_offer.refusal_text(refusal),
        is_sent=request.method == "POST",
    )
    return page, times_to_offer.refusal_status(refusal)
