"""Profile Settings: profile, rate, weekly hours, time off and visibility, on one form."""

from datetime import timedelta
from http import HTTPStatus
from itertools import groupby
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import InvalidFields, NotFound
from app.rules import weekly_hours
from app.rules.first_steps import Step
from app.rules.weekly_hours import Window, clock_text
from app.services import availability
from app.services.therapists import accounts, feed, profile
from app.services.therapists.profile import Away
from app.store import queries
from app.store.models import Therapist, TimeOff
from app.store.queries import feeds
from app.web import auth
from app.web.dashboard import base, csv_export
from app.web.dashboard.profile_forms import (
    WEEKDAYS,
    AboutForm,
    HoursForm,
    OfferForm,
    SettingsForm,
    TimeOffForm,
)
from app.web.forms import add_error
from app.web.reopened import lead_back
from app.web.template_filters import local_day
from emails import formatting

blueprint = Blueprint("profile", __name__, url_prefix="/dashboard/profile")
base.require_sign_in(blueprint)

_MAX_TIMES_OFF = 50
# Where a day's hours can be copied to.
COPY_TO = {
    "Monday to Friday": WEEKDAYS[:5],
    "every day": WEEKDAYS,
    **{day.capitalize(): (day,) for day in WEEKDAYS},
}
_FORMS: dict[str, type[SettingsForm]] = {
    "hours": HoursForm,
    "time-off": TimeOffForm,
    "offer": OfferForm,
    "about": AboutForm,
}


@blueprint.get("")
def show() -> ResponseReturnValue:
    return _page()


@blueprint.post("")
def save_changed() -> ResponseReturnValue:
    """What Enter in a field presses: it cannot say which field."""
    return _save(*_changed_sections())


lead_back(
    blueprint,
    "profile.show",
    "/about",
    "/offer",
    "/hours",
    "/hours-rows",
    "/add-time-off",
    "/remove-time-off",
    "/pause",
    "/hide",
)


@blueprint.post("/about")
def change_about() -> ResponseReturnValue:
    return _save("about")


@blueprint.post("/offer")
def change_offer() -> ResponseReturnValue:
    return _save("offer")


@blueprint.post("/hours")
def change_hours() -> ResponseReturnValue:
    return _save("hours")


@blueprint.post("/hours-rows")
def change_rows() -> ResponseReturnValue:
    """The page again with one more row for a day, or a day's hours copied; nothing is saved."""
    hours, change = HoursForm(), request.form.get("rows", "")
    added = change.removeprefix("add-")
    day, to = request.form.get("copy_from", ""), COPY_TO.get(request.form.get("copy_to", ""))
    if added in WEEKDAYS:
        hours.add_row(added)
    elif change == "copy" and day in WEEKDAYS and to:
        hours.copy(day, to)
        flash(f"{day.capitalize()}’s hours are copied. Save availability to keep them.", "hours")
    else:
        abort(HTTPStatus.BAD_REQUEST)
    unsaved = {section: _FORMS[section]() for section in _changed_sections()}
    return _page(unsaved | {"hours": hours}, added_to=added)


@blueprint.post("/add-time-off")
def add_time_off() -> ResponseReturnValue:
    return _save("time-off")


@blueprint.post("/remove-time-off")
def remove_time_off() -> ResponseReturnValue:
    therapist, chosen = base.current_therapist(), request.form.get("id", "")
    if chosen not in {str(each.id) for each in _times_off(therapist)}:
        raise NotFound("time off")
    profile.remove_time_off(therapist.slug, int(chosen))
    return page_after("Removed. Clients can ask for these times again.", "time-off")


@blueprint.post("/pause")
def pause() -> ResponseReturnValue:
    on = _is_to_be_on()
    slug = base.current_therapist().slug
    accounts.pause(slug, on=on)
    accounts.tick_steps(slug, Step.VISIBILITY)
    message = "You take no new bookings now." if on else "You take bookings again."
    return page_after(message, "visibility")


@blueprint.post("/hide")
def hide() -> ResponseReturnValue:
    on = _is_to_be_on()
    slug = base.current_therapist().slug
    accounts.hide(slug, on=on)
    accounts.tick_steps(slug, Step.VISIBILITY)
    return page_after(f"Your profile is {'invisible' if on else 'visible'} now.", "visibility")


def _is_to_be_on() -> bool:
    on = request.form.get("on")
    if on not in ("yes", "no"):
        abort(HTTPStatus.BAD_REQUEST)
    return on == "yes"


def _save(*sections: str) -> ResponseReturnValue:
    """Save each section that can be; the others come back with what is wrong."""
    refused = {}
    for section in sections:
        form = _FORMS[section]()
        if message := _saved(form):
            flash(message, section)
        else:
            refused[section] = form
    return _page_after(refused, done=sections)


def _saved(form: SettingsForm) -> str | None:
    """What was done; None if the form has errors."""
    therapist, now = base.current_therapist(), clock.now()
    if isinstance(form, OfferForm):
        form.currency = therapist.currency
        form.timezone.object_data = therapist.timezone
    if not form.validate():
        return None
    match form:
        case HoursForm():
            profile.set_hours(therapist.slug, form.windows())
            return "Saved. Sessions already booked stay."
        case TimeOffForm():
            return _add_time_off(form, therapist)
        case AboutForm():
            profile.update(therapist.slug, form.changes(), now)
            return "Saved. This is how clients see you now."
        case OfferForm():
            profile.update(therapist.slug, form.changes(), now)
            accounts.tick_steps(therapist.slug, Step.RATE)
    return "Saved. Existing bookings keep their price and time."


def _add_time_off(form: TimeOffForm, therapist: Therapist) -> str | None:
    time_off = form.to_time_off(ZoneInfo(therapist.timezone))
    if time_off is None:
        return None
    try:
        profile.add_time_off(therapist.slug, time_off, clock.now())
    except InvalidFields as refusal:
        add_error(form, "last_on", " ".join(error.message for error in refusal.errors))
        return None
    return _time_off_added(therapist, time_off)


def page_after(message: str, section: str) -> ResponseReturnValue:
    """What was done, said in its section, with what was typed in the others and not saved."""
    flash(message, section)
    return _page_after({}, done=())


def page_refusing(section: str, message: str) -> ResponseReturnValue:
    """What is wrong, said in its section, with what was typed in the others and not saved."""
    unsaved = {each: _FORMS[each]() for each in _changed_sections()}
    return _page(unsaved, refusals={section: message}), HTTPStatus.UNPROCESSABLE_ENTITY


def _page_after(refused: dict[str, SettingsForm], done: tuple[str, ...]) -> ResponseReturnValue:
    unsaved = {section: _FORMS[section]() for section in _changed_sections() if section not in done}
    if refused or unsaved:
        status = HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK
        auth.reread_session()
        return _page(unsaved | refused), status
    return redirect(url_for("profile.show", _anchor="said"), HTTPStatus.SEE_OTHER)


def _changed_sections() -> list[str]:
    """The sections whose fields came with other values than their page began with."""
    therapist = base.current_therapist()
    stored = _current_values(therapist, availability.windows_of(therapist))
    return [
        section
        for section, form in _FORMS.items()
        if form().differs_from(request.form.get(f"was-{section}", stored[section].digest))
    ]


def _page(
    typed: dict[str, SettingsForm] | None = None,
    added_to: str = "",
    refusals: dict[str, str] | None = None,
) -> str:
    """`added_to`: the day that has a new row of hours, which gets the focus."""
    therapist = base.current_therapist()
    windows = availability.windows_of(therapist)
    stored, calendar_feed = _current_values(therapist, windows), feeds.feed_of(therapist)
    return render_template(
        "dashboard/profile.html",
        **base.layout_context(),
        forms={**stored, **(typed or {})},
        digests={section: form.digest for section, form in stored.items()},
        unsaved=typed or {},
        refusals=refusals or {},
        hours_text=weekly_hours.format_windows(windows),
        times_off=[(each.id, _time_off_text(each)) for each in _times_off(therapist)],
        state=therapist.state,
        weekdays=WEEKDAYS,
        added_to=added_to,
        copy_to=COPY_TO,
        typed_copy=request.form,
        feed=calendar_feed,
        feed_address=calendar_feed and feed.address(calendar_feed),
        browsers=queries.sessions_that_last(therapist, clock.now()),
        current_session=auth.current_session(),
    )


def _current_values(therapist: Therapist, windows: list[Window]) -> dict[str, SettingsForm]:
    rate = csv_export.amount(therapist.rate_minor, therapist.currency)
    return {
        "about": AboutForm(formdata=None, obj=therapist),
        "offer": OfferForm(formdata=None, obj=therapist, rate=rate),
        "hours": HoursForm(formdata=None, data=_hours_by_weekday(windows)),
        "time-off": TimeOffForm(formdata=None),
    }


def _times_off(therapist: Therapist) -> list[TimeOff]:
    return queries.times_off_of(therapist, clock.now(), _MAX_TIMES_OFF)


def _time_off_text(time_off: TimeOff) -> str:
    """First and last day if it is whole days, otherwise both instants."""
    zone, ends = base.current_therapist().timezone, (time_off.starts_at, time_off.ends_at)
    if any(at != weekly_hours.day_starts_at(local_day(at, zone), ZoneInfo(zone)) for at in ends):
        return " until ".join(
            f"{formatting.date(at, zone)}, {formatting.time(at, zone)}" for at in ends
        )
    last = ends[1] - timedelta(microseconds=1)
    days = dict.fromkeys(formatting.date(at, zone) for at in (ends[0], last))
    return f"{' to '.join(days)}, all day"


def _hours_by_weekday(windows: list[Window]) -> dict[str, list[tuple[str, str]]]:
    """`[("09:00", "12:30"), ("13:30", "17:00")]` by the name of each weekday with hours."""
    days = groupby(sorted(windows), lambda window: window.weekday)
    return {
        WEEKDAYS[weekday]: [
            (clock_text(each.start_minute), clock_text(each.end_minute)) for each in windows
        ]
        for weekday, windows in days
    }


def _time_off_added(therapist: Therapist, time_off: Away) -> str:
    booked = len(queries.accepted_between(therapist, time_off.starts_at, time_off.ends_at))
    if not booked:
        return "Added. Clients cannot ask for these times."
    sessions = "one accepted session" if booked == 1 else f"{booked} accepted sessions"
    return f"Added. You have {sessions} in this time; find them under Upcoming Sessions."
