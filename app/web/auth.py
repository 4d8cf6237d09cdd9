"""Signing in by email and out again; whom a session belongs to."""

import re
from hashlib import sha256
from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from app import clock
from app.errors import NotFound
from app.services import auth, validation
from app.store import queries
from app.store.models import Therapist
from app.web.security import SIGN_IN_LIMIT, csrf, limiter

blueprint = Blueprint("auth", __name__)
login = LoginManager()

# Only the dashboard asks for sign-in, so nothing else is ever a place to go on to.
_DASHBOARD_PATH = re.compile(r"/dashboard(?:[/?][A-Za-z0-9/?=&_.~%-]*)?")
_LONGEST = 200


class SignedIn(UserMixin):  # type: ignore[misc] # the package ships no types
    """A therapist with a session."""

    def __init__(self, therapist: Therapist) -> None:
        self.therapist = therapist

    def get_id(self) -> str:
        """What the session cookie holds: not the row's id, which a restore may give to another."""
        # Whoever reads the mail of another address than theirs is not signed in.
        address = sha256(self.therapist.email_key.encode()).hexdigest()[:16]
        return f"{self.therapist.slug} {address}"


def load(held: str) -> SignedIn | None:
    """Whose session it is; None where that account is gone, or has another address by now."""
    try:
        found = SignedIn(queries.therapist_by_slug(held.partition(" ")[0]))
    except NotFound:
        return None
    return found if found.get_id() == held else None


def signed_in() -> Therapist | None:
    """The therapist whose session this request carries, if any."""
    therapist: Therapist | None = getattr(current_user, "therapist", None)
    return therapist


def start_session(therapist: Therapist) -> None:
    """Begin a fresh session: nothing of an earlier one stays in the cookie."""
    session.clear()
    login_user(SignedIn(therapist))


def local_path(path: str) -> str:
    """Where to go on to after sign-in: `path` if it is one of ours, otherwise Home."""
    is_ours = len(path) <= _LONGEST and _DASHBOARD_PATH.fullmatch(path)
    return path if is_ours else url_for("dashboard.home")


@blueprint.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    """Ask for the address to which a Sign In link goes; who is signed in goes on at once."""
    next_path = local_path(request.args.get("next", ""))
    if signed_in() is not None:
        return redirect(next_path)
    return render_template("auth/sign_in.html", next=next_path, typed="", error="")


@blueprint.post("/sign-in")
@limiter.limit(SIGN_IN_LIMIT)
def send_sign_in_link() -> ResponseReturnValue:
    """Send a Sign In link if the address is a therapist's; the answer never says whether it is."""
    next_path = local_path(request.form.get("next", ""))
    typed = request.form.get("email", "")
    try:
        address = validation.email(typed)
    except ValueError as error:
        page = render_template("auth/sign_in.html", next=next_path, typed=typed, error=str(error))
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    auth.request_sign_in(address, next_path, clock.now())
    return render_template("auth/sign_in_sent.html", address=address, next=next_path)


@blueprint.get("/sign-out")
def show_sign_out() -> ResponseReturnValue:
    """The button that signs out."""
    return render_template("auth/sign_out.html")


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End the session, if there still is one."""
    if signed_in() is not None:
        csrf.protect()
    logout_user()
    session.clear()
    return redirect(url_for("auth.show_sign_in"), HTTPStatus.SEE_OTHER)


login.user_loader(load)
# Asking for a link does the same for everybody, signed in or not.
csrf.exempt(send_sign_in_link)
# Where there is no session left to end, there is no token to check either.
csrf.exempt(sign_out)
