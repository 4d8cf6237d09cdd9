"""Sign-in by email, sign-out, and the session of a signed-in therapist."""

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

# Only the dashboard requires sign-in, so no other page can be the one to go to afterwards.
_DASHBOARD_PATH = re.compile(r"/dashboard(?:[/?][A-Za-z0-9/?=&_.~%-]*)?")
_MAX_PATH_LENGTH = 200


class SessionUser(UserMixin):  # type: ignore[misc] # the package ships no types
    def __init__(self, therapist: Therapist) -> None:
        self.therapist = therapist

    def get_id(self) -> str:
        # Not the row's id: after a restore another therapist may have it. The hash of the address
        # ends the session when the address changes.
        address = sha256(self.therapist.email_key.encode()).hexdigest()[:16]
        return f"{self.therapist.slug} {address}"


@login.user_loader  # type: ignore[untyped-decorator]
def _load_user(user_id: str) -> SessionUser | None:
    try:
        user = SessionUser(queries.therapist_by_slug(user_id.partition(" ")[0]))
    except NotFound:
        return None
    return user if user.get_id() == user_id else None


def signed_in_therapist() -> Therapist | None:
    therapist: Therapist | None = getattr(current_user, "therapist", None)
    return therapist


def start_session(therapist: Therapist) -> None:
    session.clear()
    login_user(SessionUser(therapist))


def safe_next_path(path: str) -> str:
    """The path to go to after sign-in: `path` if it is on the dashboard, otherwise Home."""
    is_dashboard = len(path) <= _MAX_PATH_LENGTH and _DASHBOARD_PATH.fullmatch(path)
    return path if is_dashboard else url_for("home.show")


@blueprint.get("/sign-in")
def show_sign_in() -> ResponseReturnValue:
    next_path = safe_next_path(request.args.get("next", ""))
    if signed_in_therapist() is not None:
        return redirect(next_path)
    return render_template("auth/sign_in.html", next=next_path, typed="", error="")


@blueprint.post("/sign-in")
@limiter.limit(SIGN_IN_LIMIT)
def send_sign_in_link() -> ResponseReturnValue:
    # The answer is the same for every address, so that it does not reveal who has an account.
    next_path = safe_next_path(request.form.get("next", ""))
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
    return render_template("auth/sign_out.html")


@blueprint.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    # Without a session there is no token to check.
    if signed_in_therapist() is not None:
        csrf.protect()
    logout_user()
    session.clear()
    return redirect(url_for("auth.show_sign_in"), HTTPStatus.SEE_OTHER)


# Requesting a link has the same effect for every visitor, so there is nothing to forge.
csrf.exempt(send_sign_in_link)
# `sign_out` checks the token itself.
csrf.exempt(sign_out)
