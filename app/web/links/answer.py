"""A therapist's links in emails: Accept, Decline, View Session, Sign In. Only a POST acts."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock, config, links
from app.errors import NotFound
from app.links import LinkPurpose
from app.rules import money
from app.rules.lifecycle import Actor, Move, Verdict, Via
from app.services import auth as sign_ins
from app.services import validation
from app.services.bookings import messages, transitions
from app.services.bookings.transitions import MoveResult
from app.services.mail.reach import reach_of
from app.store.models import Area, Booking, SignIn, Therapist
from app.store.models.sign_ins import Owner
from app.web import access, auth, booking_text
from app.web.links import press, tokens
from app.web.links.press import Verb
from app.web.security import LINK_LIMIT, csrf, limiter
from emails import formatting

blueprint = Blueprint("links", __name__)
# The token in a form's address authorises it; no cookie is involved.
csrf.exempt(blueprint)
limiter.limit(LINK_LIMIT)(blueprint)


@blueprint.get("/link/accept/<token>")
def show_accept(token: str) -> ResponseReturnValue:
    return _confirm_page(tokens.load_booking(LinkPurpose.ACCEPT, token, clock.now()), Move.ACCEPT)


@blueprint.post("/link/accept/<token>")
def accept(token: str) -> ResponseReturnValue:
    return _answer(tokens.load_booking(LinkPurpose.ACCEPT, token, clock.now()), Move.ACCEPT)


@blueprint.get("/link/decline/<token>")
def show_decline(token: str) -> ResponseReturnValue:
    return _confirm_page(tokens.load_booking(LinkPurpose.DECLINE, token, clock.now()), Move.DECLINE)


@blueprint.post("/link/decline/<token>")
def decline(token: str) -> ResponseReturnValue:
    booking = tokens.load_booking(LinkPurpose.DECLINE, token, clock.now())
    typed = request.form.get("reason", "")
    try:
        reason = validation.text(typed)
    except ValueError as error:
        return _confirm_page(booking, Move.DECLINE, typed=typed, error=str(error))
    try:
        return _answer(booking, Move.DECLINE, reason)
    except press.NotNow:
        # In place, since an address carries no words.
        if not reason:
            raise
        return _confirm_page(booking, Move.DECLINE, typed=typed)


@blueprint.get("/link/session/<token>")
def view_session(token: str) -> ResponseReturnValue:
    booking = tokens.load_booking(LinkPurpose.SESSION, token, clock.now())
    page = url_for("session.show", reference=booking.reference)
    therapist = auth.signed_in_therapist()
    if therapist is None:
        return redirect(url_for("auth.show_sign_in", next=page))
    if therapist.id != booking.therapist_id:
        access.note_refused_session(therapist, booking)
        raise NotFound("such session in the account you are signed in to")
    return redirect(page)


@blueprint.get("/link/sign-in/<token>")
def show_sign_in(token: str) -> ResponseReturnValue:
    link = links.read(LinkPurpose.SIGN_IN, token)
    usable = sign_ins.usable_sign_in(link, clock.now())
    if usable is None:
        return _sign_in_used_page()
    access.note_link(link, therapist=usable.therapist)
    return _sign_in_page(usable)


@blueprint.post("/link/sign-in/<token>")
def sign_in(token: str) -> ResponseReturnValue:
    link = links.read(LinkPurpose.SIGN_IN, token)
    usable = sign_ins.usable_sign_in(link, clock.now())
    if usable is None:
        return _sign_in_used_page()
    access.note_link(link, therapist=usable.therapist)
    if not auth.is_meant(usable):
        return _sign_in_page(usable)
    where = "to the ops desk " if usable.area is Area.OPS else ""
    press.meant(
        Verb("sign_in", f"Sign in {where}as {_shown_name(usable.owner)}"),
        holder=usable.owner.email,
    )
    return auth.sign_in(link, usable.area) or _sign_in_used_page()


def _sign_in_page(usable: SignIn) -> ResponseReturnValue:
    other = auth.other_owner(usable)
    return render_template(
        "links/sign_in.html",
        name=_shown_name(usable.owner),
        is_ops=usable.area is Area.OPS,
        other=other and _whole_name(other),
        instead_of=other and auth.name_of(other),
        is_kept=request.form.get("keep") == "yes",
    )


def _whole_name(owner: Owner) -> str:
    return owner.name if isinstance(owner, Therapist) else owner.email


def _shown_name(owner: Owner) -> str:
    return owner.given_name if isinstance(owner, Therapist) else owner.email


def _sign_in_used_page() -> ResponseReturnValue:
    return render_template("links/sign_in_used.html"), HTTPStatus.GONE


def _confirm_page(
    booking: Booking, move: Move, *, typed: str = "", error: str = ""
) -> ResponseReturnValue:
    now, percent = clock.now(), config.current().policy.commission_percent
    verdict = transitions.judge(booking, move, Actor.THERAPIST, now)
    if verdict is not Verdict.ALLOWED:
        return _result_page(MoveResult(booking, verdict), move)
    page = render_template(
        f"links/{move}.html",
        booking=booking,
        zone=booking.therapist.timezone,
        client=booking.client_given_name,
        reach=reach_of(booking, now),
        payout_minor=money.split_fee(booking.fee_minor, percent).payout_minor,
        commission_percent=percent,
        fee=booking_text.fee_for(booking, Actor.THERAPIST),
        rule=transitions.cancelling_rule_of(booking, now),
        session_path=tokens.path(LinkPurpose.SESSION, booking),
        typed=typed,
        error=error,
        now=now,
    )
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK


def _answer(booking: Booking, chosen: Move, reason: str = "") -> ResponseReturnValue:
    by, via, now = Actor.THERAPIST, Via.LINK, clock.now()
    move = Move(
        press.meant(
            *_verbs(chosen, booking),
            holder=booking.therapist.email,
            does_something=lambda value: (
                transitions.judge(booking, Move(value), by, now) is Verdict.ALLOWED
            ),
        )
    )
    # A reason to decline is none to accept, which the page that asks offers too.
    passed_on = reason if move is Move.DECLINE else ""
    result = transitions.make_move(booking, move, by=by, via=via, now=now, reason=passed_on)
    return _result_page(result, move, typed=reason)


def _verbs(first: Move, booking: Booking) -> list[Verb]:
    """Either answer can be chosen, since its email carries both links."""
    other = Move.DECLINE if first is Move.ACCEPT else Move.ACCEPT
    when = formatting.date_time(booking.starts_at, booking.therapist.timezone)
    what = f"{booking.client_given_name}’s request for {when}"
    words = {Move.ACCEPT: f"Accept {what}", Move.DECLINE: f"Decline {what}"}
    return [Verb(str(move), words[move]) for move in (first, other)]


def _result_page(result: MoveResult, move: Move, *, typed: str = "") -> ResponseReturnValue:
    now, booking = clock.now(), result.booking
    status = tokens.http_status(booking, result.verdict, now)
    is_done = status is HTTPStatus.OK
    page = render_template(
        f"links/{move}_done.html" if is_done else "links/not_done.html",
        booking=booking,
        status=booking.status_at(now),
        zone=booking.therapist.timezone,
        client=booking.client_given_name,
        reach=reach_of(booking, now),
        wanted=move,
        fee=booking_text.fee_for(booking, Actor.THERAPIST),
        session_path=tokens.path(LinkPurpose.SESSION, booking),
        unsent="" if messages.is_reason_stored(booking, typed) else typed,
        now=now,
    )
    return page, status
