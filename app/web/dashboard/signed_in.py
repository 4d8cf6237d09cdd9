"""Profile Settings, where you are signed in: ends one session of the therapist, or all."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import NotFound
from app.services import sessions
from app.store import queries
from app.web import auth
from app.web.dashboard import base, profile

blueprint = Blueprint("signed_in", __name__, url_prefix="/dashboard/profile")
base.require_sign_in(blueprint)


@blueprint.get("/sign-out-one")
@blueprint.get("/sign-out-everywhere")
def show_again() -> ResponseReturnValue:
    """The address of an answer to a form, opened again."""
    return redirect(url_for("profile.show"))


@blueprint.post("/sign-out-one")
def end_one() -> ResponseReturnValue:
    therapist, now, current = base.current_therapist(), clock.now(), auth.current_session()
    ids = {str(each.id): each.id for each in queries.sessions_that_last(therapist, now)}
    chosen = ids.get(request.form.get("id", ""))
    if chosen is None:
        raise NotFound("session")
    sessions.end(therapist, chosen, now)
    if current is not None and current.id == chosen:
        return auth.signed_out()
    return profile.page_after("Signed out there.", "signed-in")


@blueprint.post("/sign-out-everywhere")
def end_all() -> ResponseReturnValue:
    sessions.end_all(base.current_therapist().slug, clock.now())
    return auth.signed_out()
