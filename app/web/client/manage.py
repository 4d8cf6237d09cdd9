"""The client's pages: Manage Booking with cancelling, calendar and messages; links again."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock, config
from app.errors import MessagesEnded, TermsChanged
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind, Move, Status, Verdict, Via
from app.services import availability, validation
from app.services.bookings import cancel as cancelling
from app.services.bookings import messages, propose, replace, transitions
from app.services.bookings.cancel import Terms
from app.services.clients.links import ask_for_links, record_visit
from app.services.mail.reach import reach_of
from app.store import queries
from app.store.models import Booking, Purpose
from app.web import access, booking_text, cookies
from app.web.client import calendar_links
from app.web.links import press, tokens
from app.web.links.press import Verb
from app.web.security import LINK_LIMIT, PUBLIC_FORM_LIMIT, SIGN_IN_LIMIT, csrf, limiter

blueprint = Blueprint("client", __name__)
# The token in a form's address authorises it; no cookie is involved.
csrf.exempt(blueprint)

# How long after a message its sender's page may say that it was sent.
_JUST_NOW = timedelta(minutes=5)
# What the client does that brings them no email.
_TOLD_BY_THIS_PAGE = frozenset({"proposed", "proposal_declined"})
_CANCELLED = frozenset({Status.WITHDRAWN, Status.CANCELLED_BY_CLIENT})


@blueprint.get("/link/manage/<token>")
@limiter.limit(LINK_LIMIT)
def manage(token: str) -> ResponseReturnValue:
    now = clock.now()
    return manage_page(_load_booking(token, now), now)


@blueprint.post("/link/manage/<token>")
@limiter.limit(LINK_LIMIT)
def read_words(token: str) -> ResponseReturnValue:
    """The same page with note and messages, which a program that opens links must not read."""
    now, typed = clock.now(), request.form.get("message", "")
    booking = _load_booking(token, now)
    press.meant(Verb("show", "Show what was written"), holder=booking.client.email)
    record_visit(booking, now)
    return manage_page(booking, now, typed=typed, shows_words=True)


@blueprint.get("/link/manage/<token>/cancel")
@limiter.limit(LINK_LIMIT)
def show_cancel(token: str) -> ResponseReturnValue:
    now = clock.now()
    return _cancel_page(_load_booking(token, now), now)


@blueprint.post("/link/manage/<token>/cancel")
@limiter.limit(LINK_LIMIT)
def cancel(token: str) -> ResponseReturnValue:
    now = clock.now()
    booking, agreed = _load_booking(token, now), request.form.get("agreed")
    terms = cancelling.terms_of_cancelling(booking, by=Actor.CLIENT, now=now)
    if terms is not None and terms.key == (agreed or terms.key):
        press.meant(_verb_of_cancelling(booking, terms), holder=booking.client.email)
    try:
        result = cancelling.cancel(booking, by=Actor.CLIENT, via=Via.LINK, now=now, agreed=agreed)
    except TermsChanged:
        return _cancel_page(_load_booking(token, now), now, has_changed=True)
    status = tokens.http_status(result.booking, result.verdict, now)
    return manage_page(result.booking, now, status)


@blueprint.post("/link/manage/<token>/next-week")
@limiter.limit(LINK_LIMIT)
def ask_again(token: str) -> ResponseReturnValue:
    """The request form, filled in with what this form sends: its address is not for names."""
    booking = _load_booking(token, clock.now())
    press.meant(Verb("ask_again", "Fill in the request form"), holder=booking.client.email)
    form = url_for("directory.request_session", slug=booking.therapist.slug, _anchor="request")
    return redirect(form, HTTPStatus.TEMPORARY_REDIRECT)


@blueprint.get("/link/manage/<token>/next-week")
@blueprint.get("/link/manage/<token>/message")
@limiter.limit(LINK_LIMIT)
def show_again(token: str) -> ResponseReturnValue:
    """The address of an answer to a form, opened again."""
    _load_booking(token, clock.now())
    return redirect(url_for("client.manage", token=token))


@blueprint.post("/link/manage/<token>/message")
@limiter.limit(PUBLIC_FORM_LIMIT)
def send_message(token: str) -> ResponseReturnValue:
    now = clock.now()
    booking, typed = _load_booking(token, now), request.form.get("message", "")
    try:
        messages.send(booking, validation.required_text(typed), author=Actor.CLIENT, now=now)
        record_visit(booking, now)
    except ValueError as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return manage_page(booking, now, status, typed=typed, error=str(error))
    except MessagesEnded:
        return manage_page(_load_booking(token, now), now, HTTPStatus.CONFLICT, typed=typed)
    page = url_for("client.manage", token=token, sent="message", _anchor="said")
    return redirect(page, HTTPStatus.SEE_OTHER)


@blueprint.get("/link/manage/<token>/calendar.ics")
@limiter.limit(LINK_LIMIT)
def calendar_file(token: str) -> ResponseReturnValue:
    """The accepted session for a calendar program; for any other booking its page."""
    now = clock.now()
    booking = _load_booking(token, now)
    if booking.status_at(now) is not Status.ACCEPTED:
        return manage_page(booking, now, tokens.http_status(booking, Verdict.OVERTAKEN, now))
    return _calendar_file(booking, now)


@blueprint.get("/my-links")
def show_my_links() -> ResponseReturnValue:
    return render_template("client/my_links.html", typed="", error="")


@blueprint.post("/my-links")
@limiter.limit(SIGN_IN_LIMIT)
def send_my_links() -> ResponseReturnValue:
    # The answer is the same for every address.
    typed = request.form.get("email", "")
    try:
        address = validation.email(typed)
    except ValueError as error:
        page = render_template("client/my_links.html", typed=typed, error=str(error))
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    ask_for_links(address, clock.now())
    response = make_response(render_template("client/my_links_sent.html", address=address))
    cookies.remember_asked(response, address)
    return response


def manage_page(
    booking: Booking,
    now: datetime,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    typed: str = "",
    error: str = "",
    shows_words: bool = False,
) -> ResponseReturnValue:
    """With status 409 or 410 it says that the requested change was not possible."""
    entries, reach = queries.timeline_of(booking), reach_of(booking, now)
    facts = booking_text.settlement_facts(booking, entries, now)
    is_press = request.method == "POST" and not shows_words
    page = render_template(
        "client/manage.html",
        **booking_context(booking, now),
        reach=reach,
        is_refused=status in (HTTPStatus.CONFLICT, HTTPStatus.GONE),
        is_just_done=is_press and status is HTTPStatus.OK,
        is_emailed=entries[-1].event not in _TOLD_BY_THIS_PAGE,
        terms=cancelling.terms_of_cancelling(booking, by=Actor.CLIENT, now=now),
        facts=facts,
        settled=booking_text.settled(booking, facts, Actor.CLIENT),
        timeline=booking_text.timeline(booking, entries, Actor.CLIENT, reach),
        **_words(booking, is_pressed=shows_words),
        can_write=booking.takes_messages_at(now),
        support_email=config.current().support_email,
        is_just_sent="sent" in request.args and _wrote_just_now(booking, now),
        can_move=propose.may_propose(booking, Actor.CLIENT, now),
        next_week=_next_week(booking, now),
        take_path=tokens.path(LinkPurpose.TAKE, booking),
        keep_path=tokens.path(LinkPurpose.KEEP, booking),
        replacement=replace.current_replacement(booking, now),
        typed=typed,
        error=error,
        shows_all_messages=request.form.get("messages") == "all",
        choose_path=tokens.path(LinkPurpose.CHOOSE, booking),
        calendar_links=calendar_links.links(booking),
    )
    return page, status


def refused_page(booking: Booking, now: datetime) -> ResponseReturnValue:
    """For a move of its time that is not possible any more."""
    present = transitions.refresh(booking.reference, via=Via.LINK, now=now)
    return manage_page(present, now, HTTPStatus.CONFLICT)


def _next_week(booking: Booking, now: datetime) -> datetime | None:
    """The same local time a week later, if that can be asked for; None for other bookings."""
    is_booked = booking.status_at(now) in (Status.ACCEPTED, Status.COMPLETED)
    if not is_booked or booking.open_proposal is not None:
        return None
    zone, therapist = ZoneInfo(booking.therapist.timezone), booking.therapist
    local = booking.starts_at.astimezone(zone).replace(tzinfo=None) + timedelta(days=7)
    at = local.replace(tzinfo=zone).astimezone(UTC)
    return at if availability.is_open(therapist, Kind.PAID, at, now) else None


def _words(booking: Booking, *, is_pressed: bool) -> dict[str, Any]:
    """What people wrote: a reason at once, the rest, `sealed` until then, after a press."""
    counts = queries.written_counts(booking)
    sealed = {each: counts.pop(each, 0) for each in (Purpose.NOTE, Purpose.MESSAGE)}
    shown = [Purpose.REASON, *(sealed if is_pressed else ())]
    has_shown = is_pressed or Purpose.REASON in counts
    writings = queries.writings_of(booking, *shown) if has_shown else []
    access.note_reading(booking, writings)
    return {"shows_words": is_pressed, "sealed": sealed, "writings": writings}


def _wrote_just_now(booking: Booking, now: datetime) -> bool:
    # An address is no record: it can be opened again next week, or made up.
    last_at = queries.last_written_at(booking, Purpose.MESSAGE, Actor.CLIENT)
    return last_at is not None and now - last_at < _JUST_NOW


def booking_context(booking: Booking, now: datetime) -> dict[str, Any]:
    """Values for every client page about a booking; `zone` is the client's time zone."""
    return {
        "booking": booking,
        "status": booking.status_at(now),
        "therapist": booking.therapist.given_name,
        "zone": booking.client_timezone,
        "policy": config.current().policy,
        "fee": booking_text.fee_for(booking, Actor.CLIENT),
        "rule": transitions.cancelling_rule_of(booking, now),
        "manage_path": tokens.path(LinkPurpose.MANAGE, booking),
        "proposal": propose.open_proposal(booking, now),
        "now": now,
    }


def _load_booking(token: str, now: datetime) -> Booking:
    return tokens.load_booking(LinkPurpose.MANAGE, token, now)


def _cancel_page(
    booking: Booking, now: datetime, *, has_changed: bool = False
) -> ResponseReturnValue:
    terms = cancelling.terms_of_cancelling(booking, by=Actor.CLIENT, now=now)
    if terms is None:
        verdict = Verdict.REPEATED if booking.status in _CANCELLED else Verdict.OVERTAKEN
        return manage_page(booking, now, tokens.http_status(booking, verdict, now))
    page = render_template(
        "client/cancel.html",
        **booking_context(booking, now),
        terms=terms,
        has_changed=has_changed,
        reach=reach_of(booking, now),
    )
    return page, HTTPStatus.CONFLICT if has_changed else HTTPStatus.OK


def _verb_of_cancelling(booking: Booking, terms: Terms) -> Verb:
    if terms.move is Move.WITHDRAW:
        return Verb("withdraw", "Withdraw my request")
    if terms.settlement.charge_minor:
        return Verb("cancel", booking_text.fee_for(booking, Actor.CLIENT).cancel_late)
    return Verb("cancel", "Cancel my session")


def _calendar_file(booking: Booking, now: datetime) -> Response:
    # Imported on demand: no other page needs the calendar library.
    from app.services.mail import compose  # noqa: PLC0415

    event = compose.calendar_file(booking, now)
    name = f'attachment; filename="{booking.reference}.ics"'
    return Response(event, mimetype="text/calendar", headers={"Content-Disposition": name})
