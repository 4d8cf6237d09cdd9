"""The dashboard's Home: New Enquiries and Upcoming Sessions."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.store.queries import therapist_bookings
from app.web.dashboard import base

blueprint = Blueprint("home", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE_SIZE = 12


@blueprint.get("")
def show() -> ResponseReturnValue:
    therapist, now = base.current_therapist(), clock.now()
    is_upcoming = request.args.get("tab") == "upcoming"
    number = base.page_number()
    return render_template(
        "dashboard/home.html",
        **base.layout_context(),
        enquiries=therapist_bookings.enquiries_page(
            therapist, now, 1 if is_upcoming else number, PAGE_SIZE
        ),
        upcoming=therapist_bookings.upcoming_page(
            therapist, now, number if is_upcoming else 1, PAGE_SIZE
        ),
        is_upcoming=is_upcoming,
        answer_within=config.current().policy.answer_within,
    )
