"""Confirm Request: a visitor shows that the address is theirs. Only a POST makes the request."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config, links
from app.errors import DomainError, FreeConsultationUsed, TherapistUnavailable, TooManyOpen
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind
from app.services import availability, search, validation
from app.services.bookings import confirm
from app.store import queries
from app.store.models import Booking, PendingRequest
from app.web import access, booking_text, cookies
from app.web.links import press, tokens
from app.web.links.press import Verb
from app.web.security import LINK_LIMIT, csrf, limiter

blueprint = Blueprint("confirm", __name__)
# The token in the form's address authorises it; no cookie is involved.
csrf.exempt(blueprint)
limiter.limit(LINK_LIMIT)(blueprint)

_TIMES_OFFERED = 12
_ONE_DAY = timedelta(days=1)


@blueprint.get("/link/confirm/<token>")
def show_confirm(token: str) -> ResponseReturnValue:
    now = clock.now()
    link = links.read(LinkPurpose.CONFIRM, token)
    pending = confirm.find(link, now)
    access.note_link(link, therapist=pending.therapist)
    if pending.booking_id is not None:
        return _made_page(queries.booking_by_id(pending.booking_id), now)
    return render_template("links/confirm.html", **_context(pending, now))


@blueprint.post("/link/confirm/<token>")
def confirm_request(token: str) -> ResponseReturnValue:
    now, link = clock.now(), links.read(LinkPurpose.CONFIRM, token)
    starts_at, kind = _other_choice()
    pending = confirm.find(link, now)
    access.note_link(link, therapist=pending.therapist)
    if pending.booking_id is None:
        press.meant(Verb("confirm", "Confirm my request"), holder=pending.typed["email"])
    try:
        booking = confirm.confirm(link, now, starts_at=starts_at, kind=kind)
    except confirm.REFUSALS as refusal:
        return _refusal_page(confirm.find(link, now), refusal, kind, now)
    response = _made_page(booking, now)
    if request.form.get("own_device") == "yes":
        cookies.remember_confirmed(response, booking.client.email)
    return response


def _other_choice() -> tuple[datetime | None, Kind | None]:
    """The start and kind chosen instead of those typed before; None where there is none."""
    kind = request.form.get("kind", "")
    try:
        starts_at = validation.instant(request.form.get("starts_at", ""))
    except ValueError:
        starts_at = None
    return starts_at, Kind(kind) if kind in set(Kind) else None


def _made_page(booking: Booking, now: datetime) -> Response:
    page = render_template(
        "public/requested.html",
        booking=booking,
        fee=booking_text.fee_for(booking, Actor.CLIENT),
        now=now,
        policy=config.current().policy,
        manage_path=tokens.path(LinkPurpose.MANAGE, booking),
    )
    return make_response(page)


def _context(pending: PendingRequest, now: datetime) -> dict[str, Any]:
    typed, therapist = pending.typed, pending.therapist
    is_held = pending.held_until is not None and pending.held_until > now
    return {
        "pending": pending,
        "therapist": therapist,
        "given_name": therapist.given_name,
        "typed": typed,
        "zone": typed["timezone"],
        "is_open": is_held or availability.is_open(therapist, pending.kind, pending.starts_at, now),
        "is_own_device": request.form.get("own_device") == "yes",
        "now": now,
        "policy": config.current().policy,
    }


def _refusal_page(
    pending: PendingRequest, refusal: DomainError, kind: Kind | None, now: datetime
) -> ResponseReturnValue:
    """Why it cannot be made, with what was typed and a way on."""
    is_used = isinstance(refusal, FreeConsultationUsed)
    kind = Kind.PAID if is_used else kind or pending.kind
    therapist = queries.therapist_by_id(pending.therapist_id)
    is_therapist_s = isinstance(refusal, TherapistUnavailable) or (
        isinstance(refusal, TooManyOpen) and refusal.of == "therapist"
    )
    is_client_s = isinstance(refusal, TooManyOpen) and refusal.of == "client"
    offers_times = not (is_therapist_s or is_client_s)
    page = render_template(
        "links/confirm_refused.html",
        **_context(pending, now),
        code=refusal.code,
        is_client_s=is_client_s,
        kind=kind,
        times=_other_times(pending, kind, now) if offers_times else [],
        others=[] if is_client_s else search.alternatives_to(therapist, now),
    )
    return page, HTTPStatus.CONFLICT


def _other_times(pending: PendingRequest, kind: Kind, now: datetime) -> list[datetime]:
    """Open times of the same therapist, from the day before the one asked for."""
    until_at = now + config.current().policy.max_ahead + _ONE_DAY
    found: list[datetime] = []
    for from_at in (max(now, pending.starts_at - _ONE_DAY), now):
        found = availability.open_times(
            pending.therapist, kind, from_at=from_at, until_at=until_at, now=now
        )[:_TIMES_OFFERED]
        if found:
            break
    return found
