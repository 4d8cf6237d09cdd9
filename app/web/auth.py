"""Sign-in by email, sign-out, and the session of a signed-in therapist."""

import re
from contextlib import suppress
from http import HTTPStatus

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask import session as form_session
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import StoreUnavailable
from app.links import LinkToken
from app.services import auth, validation
from app.services.therapists import sessions
from app.store.models import Therapist, TherapistSession
from app.web import browsers, cookies
from app.web.security import SIGN_IN_LIMIT, csrf, limiter

blueprint = Blueprint("auth", __name__)

# Only the dashboard requires sign-in, so no other page can be the one to go to afterwards.
_DASHBOARD_PATH = re.compile(r"/dashboard(?:[/?][A-Za-z0-9/?=&_.~%-]*)?")
_MAX_PATH_LENGTH = 200


def current_session() -> TherapistSession | None:
    if "therapist_session" not in g:
        secret = cookies.session_secret()
        g.therapist_session = sessions.find(secret, clock.now()) if secret else None
    found: TherapistSession | None = g.therapist_session
    return found


def signed_in_therapist() -> Therapist | None:
    session = current_session()
    return session.therapist if session else None


def reread_session() -> None:
    """After a change of the therapist's account, for a page in the same request."""
    g.pop("therapist_session", None)


def record_use() -> None:
    """Note when the current session was last used."""
    session = current_session()
    # A database that cannot be written can still be read, and the page with it.
    with suppress(StoreUnavailable):
        if session is not None:
            sessions.record_use(session, clock.now())


def other_therapist(therapist: Therapist) -> Therapist | None:
    """Who is signed in here, where that is not `therapist`."""
    signed_in = signed_in_therapist()
    return None if signed_in is None or signed_in.id == therapist.id else signed_in


def is_meant(therapist: Therapist) -> bool:
    """Whether a press of Sign In came from our page, which named the account that it replaces.

    Another site could otherwise sign its visitors in to an account of its own, and read what they
    then write.
    """
    # Browsers without this header exist; none sends our cookies along with a form of another site.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    other = other_therapist(therapist)
    return other is None or request.form.get("instead_of") == other.slug


def sign_in(link: LinkToken) -> Response | None:
    """Use a Sign In link; None if it cannot be used any more."""
    is_kept = request.form.get("keep") == "yes"
    browser = browsers.describe(request.headers.get("User-Agent", ""))
    signed_in = auth.use_sign_in(
        link, clock.now(), browser=browser, is_kept=is_kept, replaces=current_session()
    )
    if signed_in is None:
        return None
    form_session.clear()
    response = _see_other(safe_next_path(signed_in.next_path))
    cookies.set_session(response, signed_in.secret, is_kept=is_kept)
    cookies.remember_address(response, signed_in.therapist.email)
    return response


def safe_next_path(path: str) -> str:
    """The path to go to after sign-in: `path` if it is on the dashboard, otherwise Home."""
    is_dashboard = len(path) <= _MAX_PATH_LENGTH and _DASHBOARD_PATH.fullmatch(path)
    return path if is_dashboard else url_for("home.show")


@blueprint.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    next_path = safe_next_path(request.args.get("next", ""))
    if signed_in_therapist() is not None:
        return redirect(next_path)
    return _sign_in_page(next_path, remembered=cookies.remembered_address())


@blueprint.post("/sign-in")
@limiter.limit(SIGN_IN_LIMIT)
def send_sign_in_link() -> ResponseReturnValue:
    # The answer is the same for every address, so that it does not reveal who has an account.
    next_path, typed = safe_next_path(request.form.get("next", "")), request.form.get("email", "")
    if request.form.get("forget"):
        return _forget_address(next_path)
    try:
        address = validation.email(typed)
    except ValueError as error:
        page = _sign_in_page(next_path, typed=typed, error=str(error))
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    auth.ask_for_sign_in(address, next_path, clock.now())
    page = render_template("auth/sign_in_sent.html", address=address, next=next_path)
    response = make_response(page)
    cookies.remember_asked(response, address)
    return response


@blueprint.get("/sign-out")
def show_sign_out() -> ResponseReturnValue:
    return render_template("auth/sign_out.html")


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    session = current_session()
    # Without a session there is no token to check.
    if session is not None:
        csrf.protect()
        sessions.end(session.therapist, session.id, clock.now())
    return signed_out()


def signed_out() -> Response:
    """The answer once the current session has ended on the server."""
    form_session.clear()
    response = _see_other(url_for("auth.show_sign_in"))
    cookies.drop_session(response)
    return response


def _sign_in_page(next_path: str, *, typed: str = "", error: str = "", remembered: str = "") -> str:
    return render_template(
        "auth/sign_in.html",
        next=next_path,
        typed=typed or remembered,
        error=error,
        is_remembered=bool(remembered),
    )


def _forget_address(next_path: str) -> Response:
    response = make_response(_sign_in_page(next_path))
    cookies.forget_address(response)
    return response


def _see_other(path: str) -> Response:
    return make_response(redirect(path, HTTPStatus.SEE_OTHER))


# Requesting a link has the same effect for every visitor, so there is nothing to forge.
csrf.exempt(send_sign_in_link)
# `sign_out` checks the token itself.
csrf.exempt(sign_out)
