"""The dashboard's Home: today, unread messages, New Enquiries and Upcoming Sessions."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.rules.lifecycle import Status
from app.rules.weekly_hours import day_starts_at
from app.store.models import Booking, Therapist
from app.store.queries import calendar
from app.store.queries import therapist_bookings as bookings
from app.web.dashboard import base
from app.web.dashboard.first_steps import steps_to_show
from app.web.template_filters import local_day

blueprint = Blueprint("home", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE_SIZE = 12
_SESSIONS = (Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW)


@blueprint.get("")
def show() -> ResponseReturnValue:
    therapist, now = base.current_therapist(), clock.now()
    return render_template(
        "dashboard/home.html",
        **base.layout_context(),
        **_tabs(therapist, now),
        today=_sessions_of_today(therapist, now),
        unread=calendar.unread_of(therapist),
        first_steps=steps_to_show(therapist),
        answer_within=config.current().policy.answer_within,
    )


def _tabs(therapist: Therapist, now: datetime) -> dict[str, Any]:
    """A page of the tab that is shown, and how many bookings each of them has."""
    is_upcoming = request.args.get("tab") == "upcoming"
    page_of = bookings.upcoming_page if is_upcoming else bookings.enquiries_page
    count_of_other = bookings.enquiries_count if is_upcoming else bookings.upcoming_count
    page = page_of(therapist, now, base.page_number(), PAGE_SIZE)
    other = count_of_other(therapist, now)
    return {
        "page": page,
        "is_upcoming": is_upcoming,
        "enquiry_count": other if is_upcoming else page.total,
        "upcoming_count": page.total if is_upcoming else other,
    }


def _sessions_of_today(therapist: Therapist, now: datetime) -> list[Booking]:
    """Of the local day, those that are over too, and one that began before midnight."""
    today, zone = local_day(now, therapist.timezone), ZoneInfo(therapist.timezone)
    span = day_starts_at(today, zone), day_starts_at(today + timedelta(days=1), zone)
    found = calendar.bookings_between(therapist, *span)
    return [each for each in found if each.status_at(now) in _SESSIONS]
