"""Choose Someone Else: other therapists for a booking, and asking one of them."""

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
from app.rules.lifecycle import Actor, Status, Via
from app.services import availability, validation
from app.services.availability import OpenSlot
from app.services.bookings import alternatives, replace
from app.services.clients.links import record_visit
from app.store import queries
from app.store.models import Booking
from app.web import booking_text
from app.web.client import manage
from app.web.links import press, tokens
from app.web.links.press import Verb
from app.web.security import LINK_LIMIT, csrf, limiter
from emails import formatting

blueprint = Blueprint("choose", __name__)
# The token in the form's address authorises it; no cookie is involved.
csrf.exempt(blueprint)
limiter.limit(LINK_LIMIT)(blueprint)

_INVALID_CHOICE = FieldError("choice", "Please choose one of these times.")
_NO_LONGER_POSSIBLE = (SlotTaken, TherapistUnavailable, FreeConsultationUsed)


@blueprint.get("/link/choose/<token>")
def show_choices(token: str) -> ResponseReturnValue:
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.CHOOSE, token, now)
    replacement = replace.current_replacement(booking, now)
    if replacement is not None:
        return _replacement_page(booking, replacement, now)
    if booking.status_at(now) in replace.NOT_REPLACEABLE:
        return manage.manage_page(booking, now, HTTPStatus.CONFLICT)
    return _choices_page(booking, now)


@blueprint.post("/link/choose/<token>")
def choose(token: str) -> ResponseReturnValue:
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.CHOOSE, token, now)
    chosen = _meant(booking, now)
    if booking.status_at(now) is Status.EXPIRED:
        record_visit(booking, now)
    try:
        slug, start = _parse_choice(chosen)
        replacement = replace.choose_another(booking, slug, start, via=Via.LINK, now=now)
    except NotReplaceable as error:
        kept = queries.booking_by_reference(error.reference)
        return manage.manage_page(kept, now, HTTPStatus.CONFLICT)
    except (*_NO_LONGER_POSSIBLE, InvalidFields, NotFound) as error:
        return _choices_page(booking, now, refusal=error)
    return _replacement_page(replacement.replaces, replacement, now)


def _meant(booking: Booking, now: datetime) -> str:
    """The choice that was sent; the guard's field has the same name, so it is also its value."""
    chosen = request.form.get("choice", "")
    if chosen and booking.status_at(now) not in replace.NOT_REPLACEABLE:
        press.meant(_verb(chosen, booking), holder=booking.client.email)
    return chosen


def _verb(chosen: str, booking: Booking) -> Verb:
    def label() -> str:
        try:
            slug, start = _parse_choice(chosen)
            name = queries.therapist_by_slug(slug).given_name
        except (InvalidFields, NotFound):
            return "Ask this therapist"
        return f"Ask {name} for {formatting.date_time(start, booking.client_timezone)}"

    return Verb(chosen, label)


def _parse_choice(value: str) -> tuple[str, datetime]:
    """Slug and start of `asha@2026-11-03T10:00:00Z`. Raises InvalidFields."""
    slug, _, at = value.partition("@")
    try:
        return slug, validation.instant(at)
    except ValueError:
        raise InvalidFields(_INVALID_CHOICE) from None


def _choices_page(
    booking: Booking, now: datetime, *, refusal: DomainError | None = None
) -> ResponseReturnValue:
    slots = alternatives.free_therapists(booking, now)
    preselected = _preselected(booking, slots, now)
    if preselected is not None and preselected not in slots:
        slots = [preselected, *slots]
    page = render_template(
        "client/choose.html",
        **manage.booking_context(booking, now),
        slots=slots,
        preselected=preselected,
        has_gone=preselected is None and _named_choice() != "@",
        is_same_time=all(slot.starts_at == booking.starts_at for slot in slots),
        refusal=_refusal_text(refusal),
    )
    return page, _refusal_status(refusal)


def _named_choice() -> str:
    """As the form or the link in an email names it; `@` if neither does."""
    from_link = f"{request.args.get('therapist', '')}@{request.args.get('at', '')}"
    return request.form.get("choice", from_link)


def _preselected(booking: Booking, slots: list[OpenSlot], now: datetime) -> OpenSlot | None:
    try:
        slug, starts_at = _parse_choice(_named_choice())
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


def _refusal_status(refusal: DomainError | None) -> HTTPStatus:
    if refusal is None:
        return HTTPStatus.OK
    is_conflict = isinstance(refusal, _NO_LONGER_POSSIBLE)
    return HTTPStatus.CONFLICT if is_conflict else HTTPStatus.UNPROCESSABLE_ENTITY


def _replacement_page(old: Booking, replacement: Booking, now: datetime) -> ResponseReturnValue:
    return render_template(
        "client/replacement.html",
        **manage.booking_context(replacement, now),
        old=old,
        old_therapist=old.therapist.given_name,
        old_fee=booking_text.fee_for(old, Actor.CLIENT),
    )
