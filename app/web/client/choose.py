"""Choose Someone Else: who could be asked instead, and asking them."""

from datetime import datetime
from http import HTTPStatus

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import (
    DomainError,
    FieldError,
    FreeConsultationUsed,
    InvalidFields,
    NotFound,
    NotReplaceable,
    SlotTaken,
    TherapistUnavailable,
)
from app.links import LinkPurpose
from app.rules.lifecycle import Via
from app.services import availability, validation
from app.services.availability import OpenSlot
from app.services.bookings import replace
from app.store import queries
from app.store.models import Booking
from app.web.client import manage
from app.web.links import tokens
from app.web.security import LINK_LIMIT, csrf, limiter

blueprint = Blueprint("choose", __name__)
# What authorises this form is the token in its own address, never a cookie.
csrf.exempt(blueprint)
limiter.limit(LINK_LIMIT)(blueprint)

_INVALID_CHOICE = FieldError("choice", "Please choose one of these times.")
_NOW_GONE = (SlotTaken, TherapistUnavailable, FreeConsultationUsed)


@blueprint.get("/link/choose/<token>")
def show_choices(token: str) -> ResponseReturnValue:
    """Who else could be asked."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.CHOOSE, token, now)
    asked = replace.current_replacement(booking, now)
    if asked is not None:
        return _replacement_page(booking, asked, now)
    if booking.status_at(now) in replace.NOT_REPLACEABLE:
        return manage.manage_page(booking, now, HTTPStatus.CONFLICT)
    return _choices_page(booking, now)


@blueprint.post("/link/choose/<token>")
def choose(token: str) -> ResponseReturnValue:
    """Ask the chosen therapist, and withdraw the old enquiry if it is still open."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.CHOOSE, token, now)
    try:
        slug, starts_at = _choice(request.form.get("choice", ""))
        asked = replace.choose_another(booking, slug, starts_at, via=Via.LINK, now=now)
    except NotReplaceable as error:
        standing = queries.booking_by_reference(error.reference)
        return manage.manage_page(standing, now, HTTPStatus.CONFLICT)
    except (*_NOW_GONE, InvalidFields, NotFound) as error:
        return _choices_page(booking, now, refusal=error)
    return _replacement_page(asked.replaces, asked, now)


def _choice(text: str) -> tuple[str, datetime]:
    slug, _, at = text.partition("@")
    try:
        return slug, validation.instant(at)
    except ValueError:
        raise InvalidFields(_INVALID_CHOICE) from None


def _choices_page(
    booking: Booking, now: datetime, *, refusal: DomainError | None = None
) -> ResponseReturnValue:
    slots = replace.alternatives_for(booking, now)
    wanted = _preselected(booking, slots, now)
    if wanted is not None and wanted not in slots:
        slots = [wanted, *slots]
    page = render_template(
        "client/choose.html",
        **manage.booking_context(booking, now),
        slots=slots,
        wanted=wanted,
        is_same_time=all(slot.starts_at == booking.starts_at for slot in slots),
        refusal=_refusal_text(refusal),
    )
    return page, _status(refusal)


def _preselected(booking: Booking, slots: list[OpenSlot], now: datetime) -> OpenSlot | None:
    """The offer that an email's link names, if it is still open."""
    named = f"{request.args.get('therapist', '')}@{request.args.get('at', '')}"
    try:
        slug, starts_at = _choice(request.form.get("choice", named))
        for slot in slots:
            if (slot.therapist.slug, slot.starts_at) == (slug, starts_at):
                return slot
        therapist = queries.therapist_by_slug(slug)
    except (InvalidFields, NotFound):
        return None
    if therapist.id == booking.therapist_id:
        return None
    is_open = availability.is_open(therapist, booking.kind, starts_at, now)
    return OpenSlot(therapist, starts_at) if is_open else None


def _refusal_text(refusal: DomainError | None) -> str:
    if isinstance(refusal, InvalidFields):
        return " ".join(error.message for error in refusal.errors)
    if isinstance(refusal, NotFound):
        return _INVALID_CHOICE.message
    return str(refusal or "")


def _status(refusal: DomainError | None) -> HTTPStatus:
    if refusal is None:
        return HTTPStatus.OK
    is_gone = isinstance(refusal, _NOW_GONE)
    return HTTPStatus.CONFLICT if is_gone else HTTPStatus.UNPROCESSABLE_ENTITY


def _replacement_page(old: Booking, asked: Booking, now: datetime) -> ResponseReturnValue:
    return render_template(
        "client/asked.html",
        **manage.booking_context(asked, now),
        old=old,
        old_therapist=old.therapist.given_name,
    )
