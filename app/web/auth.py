"""Sign-in by email and the sessions it starts, of therapists and of ops; a therapist's pages."""

import re
from contextlib import suppress
from http import HTTPStatus

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask import session as form_session
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import NotFound, StoreUnavailable
from app.links import LinkToken
from app.services import auth, sessions, validation
from app.store.models import Area, OpsPerson, SignIn, SignInSession, Therapist
from app.store.models.sign_ins import Owner
from app.web import browsers, cookies
from app.web.security import SIGN_IN_LIMIT, csrf, limiter

blueprint = Blueprint("auth", __name__)

# Nothing else requires sign-in, so no other page can be the one to go to afterwards.
_REST = r"(?:[/?][A-Za-z0-9/?=&_.~%@:+-]*)?"
_PATHS = {
    Area.DASHBOARD: re.compile(f"/dashboard{_REST}"),
    Area.OPS: re.compile(f"/ops{_REST}"),
}
_HOMES = {Area.DASHBOARD: "home.show", Area.OPS: "ops_desk.show"}
SIGN_IN_PAGES = {Area.DASHBOARD: "auth.show_sign_in", Area.OPS: "ops_sign_in.show_sign_in"}
_TEMPLATES = {Area.DASHBOARD: "auth", Area.OPS: "ops"}
_MAX_PATH_LENGTH = 200


def current_session(area: Area = Area.DASHBOARD) -> SignInSession | None:
    known: dict[Area, SignInSession | None] = g.setdefault("sessions", {})
    if area not in known:
        secret = cookies.session_secret(area)
        known[area] = sessions.find(secret, clock.now(), area) if secret else None
    return known[area]


def signed_in_therapist() -> Therapist | None:
    owner = _signed_in(Area.DASHBOARD)
    return owner if isinstance(owner, Therapist) else None


def signed_in_ops() -> OpsPerson | None:
    owner = _signed_in(Area.OPS)
    return owner if isinstance(owner, OpsPerson) else None


def _signed_in(area: Area) -> Owner | None:
    session = current_session(area)
    return session.owner if session else None


def reread_session() -> None:
    """After a change of the therapist's account, for a page in the same request."""
    g.pop("sessions", None)


def record_use(area: Area = Area.DASHBOARD) -> None:
    """Note when the current session was last used."""
    session = current_session(area)
    # A database that cannot be written can still be read, and the page with it.
    with suppress(StoreUnavailable):
        if session is not None:
            sessions.record_use(session, clock.now())


def other_owner(sign_in: SignIn) -> Owner | None:
    """Who is signed in to the same area here, where that is another person."""
    signed_in = _signed_in(sign_in.area)
    return None if signed_in is None or signed_in == sign_in.owner else signed_in


def name_of(owner: Owner) -> str:
    """What the form of a Sign In link names the session by that it replaces."""
    return owner.email if isinstance(owner, OpsPerson) else owner.slug


def is_meant(sign_in: SignIn) -> bool:
    """Whether a press of Sign In came from our page, which named the account that it replaces.

    Another site could otherwise sign its visitors in to an account of its own, and read what they
    then write.
    """
    # Browsers without this header exist; none sends our cookies along with a form of another site.
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    other = other_owner(sign_in)
    return other is None or request.form.get("instead_of") == name_of(other)


def sign_in(link: LinkToken, area: Area) -> Response | None:
    """Use a Sign In link; None if it cannot be used any more."""
    is_kept = request.form.get("keep") == "yes"
    browser = browsers.describe(request.headers.get("User-Agent", ""))
    signed_in = auth.use_sign_in(
        link, clock.now(), browser=browser, is_kept=is_kept, replaces=current_session(area)
    )
    if signed_in is None:
        return None
    form_session.clear()
    response = _see_other(safe_next_path(signed_in.next_path, signed_in.area))
    cookies.set_session(response, signed_in.secret, signed_in.area, is_kept=is_kept)
    cookies.remember_address(response, signed_in.owner.email, signed_in.area)
    return response


def safe_next_path(path: str, area: Area = Area.DASHBOARD) -> str:
    """The path to go to after sign-in: `path` if it is in the area, otherwise its first page."""
    is_inside = len(path) <= _MAX_PATH_LENGTH and _PATHS[area].fullmatch(path)
    return path if is_inside else url_for(_HOMES[area])


@blueprint.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    return sign_in_page(Area.DASHBOARD)


@blueprint.post("/sign-in")
@limiter.limit(SIGN_IN_LIMIT)
def send_sign_in_link() -> ResponseReturnValue:
    return send_link(Area.DASHBOARD)


@blueprint.get("/sign-out")
def show_sign_out() -> ResponseReturnValue:
    return render_template("auth/sign_out.html")


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    return end_current(Area.DASHBOARD)


def sign_in_page(area: Area) -> ResponseReturnValue:
    next_path = safe_next_path(request.args.get("next", ""), area)
    if _signed_in(area) is not None:
        return redirect(next_path)
    return _form_page(area, next_path, remembered=cookies.remembered_address(area))


def send_link(area: Area) -> ResponseReturnValue:
    """The answer is the same for every address, so that it does not reveal who has an account."""
    next_path = safe_next_path(request.form.get("next", ""), area)
    typed = request.form.get("email", "")
    if request.form.get("forget"):
        return _forget_address(area, next_path)
    try:
        address = validation.email(typed)
    except ValueError as error:
        page = _form_page(area, next_path, typed=typed, error=str(error))
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    auth.ask_for_sign_in(address, next_path, clock.now(), area)
    template = f"{_TEMPLATES[area]}/sign_in_sent.html"
    response = make_response(render_template(template, address=address, next=next_path))
    cookies.remember_asked(response, address)
    return response


def end_current(area: Area) -> Response:
    session = current_session(area)
    # Without a session there is no token to check.
    if session is not None:
        csrf.protect()
        sessions.end(session.owner, session.id, clock.now())
    return signed_out(area)


def end_chosen(owner: Owner, area: Area) -> Response | None:
    """End the session that the form names; the answer where it is the current one, otherwise None.

    Raises NotFound.
    """
    chosen, current = request.form.get("id", type=int), current_session(area)
    if chosen is None or not sessions.end(owner, chosen, clock.now()):
        raise NotFound("session")
    return signed_out(area) if current is not None and current.id == chosen else None


def signed_out(area: Area = Area.DASHBOARD) -> Response:
    """The answer once the current session has ended on the server."""
    form_session.clear()
    response = _see_other(url_for(SIGN_IN_PAGES[area]))
    cookies.drop_session(response, area)
    return response


def _form_page(
    area: Area, next_path: str, *, typed: str = "", error: str = "", remembered: str = ""
) -> str:
    return render_template(
        f"{_TEMPLATES[area]}/sign_in.html",
        next=next_path,
        typed=typed or remembered,
        error=error,
        is_remembered=bool(remembered),
    )


def _forget_address(area: Area, next_path: str) -> Response:
    response = make_response(_form_page(area, next_path))
    cookies.forget_address(response, area)
    return response


def _see_other(path: str) -> Response:
    return make_response(redirect(path, HTTPStatus.SEE_OTHER))


# Requesting a link has the same effect for every visitor, so there is nothing to forge.
csrf.exempt(send_sign_in_link)
# `sign_out` checks the token itself.
csrf.exempt(sign_out)
