"""Links about another time: suggesting some, taking one, keeping the old one. Only a POST acts."""

from datetime import datetime
from http import HTTPStatus

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.errors import DomainError, InvalidFields, LinkOutdated, SlotTaken, TimeMoveRefused
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Via
from app.services.bookings import propose
from app.services.mail.reach import reach_of
from app.store import queries
from app.store.models import Booking
from app.web import booking_text, times_to_offer
from app.web.client import manage
from app.web.links import press, tokens
from app.web.links.press import Verb
from app.web.security import LINK_LIMIT, csrf, limiter

blueprint = Blueprint("another_time", __name__)
# The token in a form's address authorises it; no cookie is involved.
csrf.exempt(blueprint)
limiter.limit(LINK_LIMIT)(blueprint)


@blueprint.get("/link/suggest/<token>")
def show_suggest(token: str) -> ResponseReturnValue:
    return _suggest_page(tokens.load_booking(LinkPurpose.SUGGEST, token, clock.now()))


@blueprint.post("/link/suggest/<token>")
def suggest(token: str) -> ResponseReturnValue:
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.SUGGEST, token, now)
    if times_to_offer.asks_for_days():
        return _suggest_page(booking)
    press.meant(
        Verb("suggest", f"Suggest these times to {booking.client_given_name}"),
        holder=booking.therapist.email,
        does_something=lambda _value: propose.may_suggest(booking, now),
    )
    return _suggest(booking, now)


def _suggest(booking: Booking, now: datetime) -> ResponseReturnValue:
    starts, by = times_to_offer.chosen_starts(), Actor.THERAPIST
    try:
        result = propose.propose(booking, starts, by=by, via=Via.LINK, now=now)
    except (InvalidFields, SlotTaken) as refusal:
        return _suggest_page(booking, refusal)
    except TimeMoveRefused:
        return _refused_page(booking, by, now)
    return _therapist_page(result.booking, "suggested")


@blueprint.get("/link/take/<token>")
def show_take(token: str) -> ResponseReturnValue:
    return take_page(tokens.load_booking(LinkPurpose.TAKE, token, clock.now()))


@blueprint.post("/link/take/<token>")
def take(token: str) -> ResponseReturnValue:
    return _take(LinkPurpose.TAKE, token, Actor.CLIENT, Verb("take", "Take this time"))


@blueprint.get("/link/keep/<token>")
def show_keep(token: str) -> ResponseReturnValue:
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.KEEP, token, now)
    if propose.open_proposal(booking, now) is None:
        return manage.manage_page(booking, now, HTTPStatus.CONFLICT)
    return render_template("links/keep.html", **manage.booking_context(booking, now))


@blueprint.post("/link/keep/<token>")
def keep(token: str) -> ResponseReturnValue:
    return _keep(LinkPurpose.KEEP, token, Actor.CLIENT, Verb("keep", "Keep the old time"))


@blueprint.get("/link/agree/<token>")
def show_agree(token: str) -> ResponseReturnValue:
    return _agree_page(tokens.load_booking(LinkPurpose.AGREE, token, clock.now()))


@blueprint.post("/link/agree/<token>")
def agree(token: str) -> ResponseReturnValue:
    return _take(LinkPurpose.AGREE, token, Actor.THERAPIST, Verb("agree", "Move to this time"))


@blueprint.get("/link/refuse/<token>")
def show_refuse(token: str) -> ResponseReturnValue:
    now = clock.now()
    booking = tokens.load_booking(LinkPurpose.REFUSE, token, now)
    if propose.open_proposal(booking, now) is None:
        return _therapist_page(booking, "not_possible")
    return _therapist_page(booking, "refuse")


@blueprint.post("/link/refuse/<token>")
def refuse(token: str) -> ResponseReturnValue:
    return _keep(LinkPurpose.REFUSE, token, Actor.THERAPIST, Verb("refuse", "Keep the old time"))


def _take(purpose: LinkPurpose, token: str, by: Actor, verb: Verb) -> ResponseReturnValue:
    now, is_waived = clock.now(), request.form.get("waive_notice") == "yes"
    try:
        booking = tokens.load_booking(purpose, token, now)
    except LinkOutdated as outdated:
        return _done_page(_taken_before(outdated, by, now), by, "moved")
    _ask_first(booking, by, verb, now)
    try:
        result = propose.take(
            booking,
            times_to_offer.chosen_start(),
            by=by,
            via=Via.LINK,
            now=now,
            waive_notice=is_waived and by is Actor.THERAPIST,
        )
    except InvalidFields as refusal:
        choice = take_page if by is Actor.CLIENT else _agree_page
        return choice(booking, refusal)
    except TimeMoveRefused:
        return _refused_page(booking, by, now)
    return _done_page(result.booking, by, "moved")


def _keep(purpose: LinkPurpose, token: str, by: Actor, verb: Verb) -> ResponseReturnValue:
    now = clock.now()
    booking = tokens.load_booking(purpose, token, now)
    _ask_first(booking, by, verb, now)
    try:
        result = propose.keep(booking, by=by, via=Via.LINK, now=now)
    except TimeMoveRefused:
        return _refused_page(booking, by, now)
    return _done_page(result.booking, by, "kept")


def _done_page(booking: Booking, by: Actor, page: str) -> ResponseReturnValue:
    if by is Actor.CLIENT:
        return manage.manage_page(booking, clock.now())
    return _therapist_page(booking, page)


def _refused_page(booking: Booking, by: Actor, now: datetime) -> ResponseReturnValue:
    if by is Actor.CLIENT:
        return manage.refused_page(booking, now)
    return _therapist_page(queries.booking_by_id(booking.id), "not_possible")


@blueprint.app_errorhandler(LinkOutdated)
def outdated_page(error: LinkOutdated) -> ResponseReturnValue:
    booking = queries.booking_by_reference(error.reference)
    by = Actor.CLIENT if error.is_of_client else Actor.THERAPIST
    page = render_template(
        "links/outdated.html",
        booking=booking,
        is_of_client=error.is_of_client,
        other=booking.therapist.given_name if error.is_of_client else booking.client_given_name,
        zone=booking.client_timezone if by is Actor.CLIENT else booking.therapist.timezone,
        status=booking.status_at(clock.now()),
    )
    return page, HTTPStatus.CONFLICT


def _ask_first(booking: Booking, by: Actor, verb: Verb, now: datetime) -> None:
    """Where the press of a proposal's answer could be a mail scanner's."""
    holder = booking.client if by is Actor.CLIENT else booking.therapist
    press.meant(
        verb,
        holder=holder.email,
        does_something=lambda _value: booking.proposal_at(now) is not None,
    )


def _taken_before(outdated: LinkOutdated, by: Actor, now: datetime) -> Booking:
    """The booking whose time that press has changed before. Raises LinkOutdated otherwise."""
    booking = queries.booking_by_reference(outdated.reference)
    is_the_same = propose.was_taken(booking, times_to_offer.chosen_start(), by)
    if not is_the_same or booking.status_at(now) is not booking.status:
        raise outdated
    return booking


def take_page(booking: Booking, refusal: DomainError | None = None) -> ResponseReturnValue:
    """The client's choice among the times that the therapist offers."""
    now = clock.now()
    found = propose.open_proposal(booking, now)
    if found is None or found.by is not Actor.THERAPIST:
        return manage.manage_page(booking, now, HTTPStatus.CONFLICT)
    page = render_template(
        "links/take.html",
        **manage.booking_context(booking, now),
        chosen=request.form.get("starts_at") or request.args.get("at", ""),
        keep_path=tokens.path(LinkPurpose.KEEP, booking),
        choose_path=tokens.path(LinkPurpose.CHOOSE, booking),
        refusal=times_to_offer.refusal_text(refusal),
    )
    return page, times_to_offer.refusal_status(refusal)


def _suggest_page(booking: Booking, refusal: DomainError | None = None) -> ResponseReturnValue:
    now = clock.now()
    if not propose.may_suggest(booking, now):
        is_own = booking.waits_for_client and booking.open_proposal is not None
        return _therapist_page(booking, "suggested" if is_own else "not_possible")
    times = times_to_offer.read(booking, booking.therapist.timezone, now)
    return _therapist_page(booking, "suggest", refusal=refusal, times=times)


def _agree_page(booking: Booking, refusal: DomainError | None = None) -> ResponseReturnValue:
    found = propose.open_proposal(booking, clock.now())
    if found is None or found.by is not Actor.CLIENT:
        return _therapist_page(booking, "not_possible")
    return _therapist_page(booking, "agree", refusal=refusal)


def _therapist_page(
    booking: Booking, page: str, *, refusal: DomainError | None = None, **more: object
) -> ResponseReturnValue:
    now = clock.now()
    html = render_template(
        f"links/{page}.html",
        booking=booking,
        status=booking.status_at(now),
        proposal=propose.open_proposal(booking, now),
        chosen=request.form.get("starts_at") or request.args.get("at", ""),
        zone=booking.therapist.timezone,
        client=booking.client_given_name,
        reach=reach_of(booking, now),
        fee=booking_text.fee_for(booking, Actor.THERAPIST),
        policy=config.current().policy,
        session_path=tokens.path(LinkPurpose.SESSION, booking),
        refuse_path=tokens.path(LinkPurpose.REFUSE, booking),
        refusal=times_to_offer.refusal_text(refusal),
        now=now,
        **more,
    )
    is_refused = page == "not_possible"
    return html, HTTPStatus.CONFLICT if is_refused else times_to_offer.refusal_status(refusal)
