"""Profile Settings, where you are signed in: ends one session of the therapist, or all."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from app import clock
from app.services import sessions
from app.store.models import Area
from app.web import auth
from app.web.dashboard import base, profile
from app.web.reopened import lead_back

blueprint = Blueprint("signed_in", __name__, url_prefix="/dashboard/profile")
base.require_sign_in(blueprint)


lead_back(blueprint, "profile.show", "/sign-out-one", "/sign-out-everywhere")


@blueprint.post("/sign-out-one")
def end_one() -> ResponseReturnValue:
    ended_here = auth.end_chosen(base.current_therapist(), Area.DASHBOARD)
    return ended_here or profile.page_after("Signed out there.", "signed-in")


@blueprint.post("/sign-out-everywhere")
def end_all() -> ResponseReturnValue:
    sessions.end_all(base.current_therapist().slug, clock.now())
    return auth.signed_out()
