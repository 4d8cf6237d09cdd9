"""The dashboard's Home: New Enquiries and Upcoming Sessions."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.store.queries.therapist_bookings import enquiries_page, upcoming_page
from app.web.dashboard import base

blueprint = Blueprint("home", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE_SIZE = 12


@blueprint.get("")
def show() -> ResponseReturnValue:
    therapist, now = base.current_therapist(), clock.now()
    is_upcoming = request.args.get("tab") == "upcoming"
    # The address names the page of the shown tab; the other tab begins at its first.
    number, first = base.page_number(), 1
    return render_template(
        "dashboard/home.html",
        **base.layout_context(),
        enquiries=enquiries_page(therapist, now, first if is_upcoming else number, PAGE_SIZE),
        upcoming=upcoming_page(therapist, now, number if is_upcoming else first, PAGE_SIZE),
        is_upcoming=is_upcoming,
        answer_within=config.current().policy.answer_within,
    )
