"""Profile Settings: each section is a form of its own, and what is wrong with one is said there."""

from datetime import timedelta
from http import HTTPStatus
from itertools import groupby
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import InvalidFields, NotFound
from app.rules import weekly_hours
from app.rules.weekly_hours import Window
from app.services import availability
from app.services.therapists import accounts, profile
from app.services.therapists.profile import Away
from app.store import queries
from app.store.models import Therapist, TimeOff
from app.web.dashboard import base, csv_export
from app.web.dashboard.profile_forms import (
    WEEKDAYS,
    AboutForm,
    AwayForm,
    HoursForm,
    OfferForm,
    SettingsForm,
)
from app.web.template_filters import local_day
from emails import formatting

blueprint = Blueprint("profile", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

TIMES_OFF = 50


@blueprint.get("/profile")
def settings() -> ResponseReturnValue:
    """All settings as they are."""
    return _page()


@blueprint.post("/profile/about")
def change_about() -> ResponseReturnValue:
    """Change what clients read of the therapist."""
    form = AboutForm()
    if not form.validate():
        return _page(about=form)
    profile.update(base.current_therapist().slug, form.changes())
    return _saved("about", "Saved. This is how clients see you now.")


@blueprint.post("/profile/offer")
def change_offer() -> ResponseReturnValue:
    """Change rate, free consultation, zone and meeting link."""
    form = OfferForm()
    form.currency = base.current_therapist().currency
    if not form.validate():
        return _page(offer=form)
    profile.update(base.current_therapist().slug, form.changes())
    return _saved("offer", "Saved. Bookings that exist keep their price and their time.")


@blueprint.post("/profile/hours")
def change_hours() -> ResponseReturnValue:
    """Replace the weekly availability."""
    form = HoursForm()
    if not form.validate():
        return _page(hours=form)
    profile.set_hours(base.current_therapist().slug, form.windows())
    return _saved("hours", "Saved. Sessions that are already booked stay.")


@blueprint.post("/profile/add-time-off")
def add_time_off() -> ResponseReturnValue:
    """Take time off, and say which accepted sessions lie in it."""
    form, therapist, now = AwayForm(), base.current_therapist(), clock.now()
    away = form.away(ZoneInfo(therapist.timezone)) if form.validate() else None
    if away is None:
        return _page(away=form)
    try:
        profile.add_time_off(therapist.slug, away, now)
    except InvalidFields as refusal:
        form.refuse(refusal)
        return _page(away=form)
    return _saved("away", _what_stays(therapist, away))


@blueprint.post("/profile/remove-time-off")
def remove_time_off() -> ResponseReturnValue:
    """Come back earlier."""
    chosen = request.form.get("id", "")
    ours = {str(each.id): each for each in _times_off(base.current_therapist())}
    if chosen not in ours:
        raise NotFound("time off")
    profile.remove_time_off(base.current_therapist().slug, ours[chosen].id)
    return _saved("away", "Removed. Clients can ask for these times again.")


@blueprint.post("/profile/pause")
def pause() -> ResponseReturnValue:
    """Temporarily deactivate, or take bookings again."""
    on = request.form.get("on") == "yes"
    accounts.pause(base.current_therapist().slug, on=on)
    return _saved("visibility", "You take no new bookings now." if on else "You are back.")


@blueprint.post("/profile/hide")
def hide() -> ResponseReturnValue:
    """Make the profile invisible, or visible again."""
    on = request.form.get("on") == "yes"
    accounts.hide(base.current_therapist().slug, on=on)
    return _saved("visibility", "Your profile is invisible." if on else "Your profile is visible.")


def _page(**typed: SettingsForm) -> ResponseReturnValue:
    """The settings, with what was typed in one form; that one was refused."""
    therapist, windows = base.current_therapist(), availability.windows_of(base.current_therapist())
    forms = {**_as_they_are(therapist, windows), **typed}
    page = render_template(
        "dashboard/profile.html",
        **base.layout_context(),
        forms=forms,
        error=next(iter(typed.values()), None),
        in_words=weekly_hours.format_windows(windows),
        times_off=[_away(each, therapist.timezone) for each in _times_off(therapist)],
        state=therapist.state,
        weekdays=WEEKDAYS,
    )
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if typed else HTTPStatus.OK


def _as_they_are(therapist: Therapist, windows: list[Window]) -> dict[str, SettingsForm]:
    rate = csv_export.amount(therapist.rate_minor, therapist.currency)
    return {
        "about": AboutForm(formdata=None, obj=therapist),
        "offer": OfferForm(formdata=None, obj=therapist, rate=rate),
        "hours": HoursForm(formdata=None, data=_by_weekday(windows)),
        "away": AwayForm(formdata=None),
    }


def _times_off(therapist: Therapist) -> list[TimeOff]:
    return queries.times_off_of(therapist, clock.now(), TIMES_OFF)


def _away(off: TimeOff, zone: str) -> dict[str, object]:
    """A time off in words: days where it is whole days, otherwise its two instants."""
    ends = (off.starts_at, off.ends_at)
    if all(at == weekly_hours.day_starts_at(local_day(at, zone), ZoneInfo(zone)) for at in ends):
        last = ends[1] - timedelta(microseconds=1)
        days = dict.fromkeys(formatting.date(at, zone) for at in (ends[0], last))
        words = f"{' to '.join(days)}, all day ({formatting.zone_name(ends[0], zone)})"
    else:
        words = " until ".join(formatting.date_time(at, zone) for at in ends)
    return {"id": off.id, "words": words}


def _by_weekday(windows: list[Window]) -> dict[str, str]:
    """`09:00-12:30, 13:30-17:00` for every weekday on which the therapist works."""
    days = groupby(sorted(windows), lambda window: window.weekday)
    return {
        WEEKDAYS[weekday]: ", ".join(str(window).partition(" ")[2] for window in each)
        for weekday, each in days
    }


def _saved(section: str, words: str) -> ResponseReturnValue:
    flash(words)
    return redirect(url_for("profile.settings", _anchor=section), HTTPStatus.SEE_OTHER)


def _what_stays(therapist: Therapist, away: Away) -> str:
    booked = len(queries.accepted_between(therapist, away.starts_at, away.ends_at))
    if not booked:
        return "Added. Nobody can ask for these times."
    lie = "One session that you accepted lies" if booked == 1 else f"{booked} accepted sessions lie"
    return f"Added. {lie} in it and stays booked: see Upcoming Sessions to look after it."
