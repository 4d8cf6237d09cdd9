"""Profile Settings, the calendar feed: turned on and off, a new address, what its titles say."""

from http import HTTPStatus

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from app import clock
from app.services.therapists import feed
from app.web.dashboard import base, profile
from app.web.reopened import lead_back

blueprint = Blueprint("feed", __name__, url_prefix="/dashboard/profile")
base.require_sign_in(blueprint)


lead_back(blueprint, "profile.show", "/calendar-feed", "/end-calendar-feed", "/calendar-titles")


@blueprint.post("/calendar-feed")
def start() -> ResponseReturnValue:
    feed.start(base.current_therapist().slug, clock.now())
    return profile.page_after("Done. Only this address works now.", "calendar")


@blueprint.post("/end-calendar-feed")
def end() -> ResponseReturnValue:
    feed.end(base.current_therapist().slug, clock.now())
    return profile.page_after("Turned off. The old address shows nothing now.", "calendar")


@blueprint.post("/calendar-titles")
def show_names() -> ResponseReturnValue:
    on = request.form.get("names")
    if on not in ("yes", "no"):
        abort(HTTPStatus.BAD_REQUEST)
    feed.show_names(base.current_therapist().slug, on=on == "yes")
    return profile.page_after("Saved. Calendars show it when they next ask.", "calendar")
