"""Messages both ways and a therapist's private notes: written on a page, never in an email."""

from collections.abc import Callable
from http import HTTPStatus

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app import clock
from app.links import LinkPurpose
from app.rules.lifecycle import Actor
from app.services import validation
from app.services.bookings import messages
from app.store.models import Booking
from app.web.client import manage
from app.web.dashboard import base, home
from app.web.links import tokens
from app.web.security import PUBLIC_FORM_LIMIT, csrf, limiter

blueprint = Blueprint("messages", __name__, url_prefix="/dashboard/sessions")
letterbox = Blueprint("letterbox", __name__, url_prefix="/link/manage")
base.require_sign_in(blueprint)
# What authorises the client's form is the token in its own address, never a cookie.
csrf.exempt(letterbox)


@blueprint.post("/<reference>/message")
@limiter.limit(PUBLIC_FORM_LIMIT)
def write_to_client(reference: str) -> ResponseReturnValue:
    """Send the therapist's message; the client reads it behind their own link."""
    booking, now = base.own_booking(reference), clock.now()
    if not tokens.is_open_to_client(booking, now):
        return home.show(booking, HTTPStatus.CONFLICT)

    def keep(body: str) -> None:
        messages.send(booking, body, author=Actor.THERAPIST, now=now)

    name = booking.client.given_name
    return _kept(booking, "message", keep, f"Sent. {name} is told that a message waits.")


@blueprint.post("/<reference>/note")
def keep_note(reference: str) -> ResponseReturnValue:
    """Keep a note that nobody but the therapist reads."""
    booking, now = base.own_booking(reference), clock.now()
    if booking.client.is_erased:
        return home.show(booking, HTTPStatus.CONFLICT)

    def keep(body: str) -> None:
        messages.keep_private_note(booking, body, now=now)

    return _kept(booking, "private_note", keep, "Kept. Only you can read it.")


@letterbox.post("/<token>/message")
@limiter.limit(PUBLIC_FORM_LIMIT)
def write_to_therapist(token: str) -> ResponseReturnValue:
    """Send the client's message; the therapist reads it after sign-in."""
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.MANAGE, token, now)
    typed = request.form.get("message", "")
    try:
        messages.send(booking, _something(typed), author=Actor.CLIENT, now=now)
    except ValueError as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return manage.manage_page(booking, now, status, typed=typed, error=str(error))
    page = url_for("client.manage", token=token, sent="message", _anchor="messages")
    return redirect(page, HTTPStatus.SEE_OTHER)


def _something(typed: str) -> str:
    body = validation.text(typed)
    if not body:
        raise ValueError("Please write something first.")
    return body


def _kept(
    booking: Booking, field: str, keep: Callable[[str], None], done: str
) -> ResponseReturnValue:
    """Keep what was typed in `field`, or show the page again with it and what is wrong."""
    typed = request.form.get(field, "")
    try:
        keep(_something(typed))
    except ValueError as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return home.show(booking, status, {field: typed}, {field: str(error)})
    flash(done)
    page = url_for("dashboard.session_page", reference=booking.reference, _anchor="messages")
    return redirect(page, HTTPStatus.SEE_OTHER)
