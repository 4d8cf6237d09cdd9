"""The therapist's week: sessions, enquiries, proposals, time off and open hours, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock
from app.rules.lifecycle import Actor, Status
from app.rules.weekly_hours import Window, clock_text, day_starts_at
from app.services import availability, validation
from app.store.models import Booking, TimeOff
from app.store.queries import calendar
from app.store.queries.calendar import Proposed
from app.web.dashboard import base
from app.web.template_filters import local_day
from emails import formatting

blueprint = Blueprint("week", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
# Weeks that are further away are not shown.
_MOST_AWAY = timedelta(days=5 * 365)
_SESSIONS = (Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something at a time of the week. `kind`: session, enquiry, offered, asked or time_off.

    `reference` is empty for time off. `status`: of a session, or `suggested` of an enquiry.
    """

    starts_at: datetime
    ends_at: datetime
    kind: str
    client: str = ""
    reference: str = ""
    status: str = ""
    is_free: bool = False

    def touches(self, start: datetime, end: datetime) -> bool:
        return self.starts_at < end and self.ends_at > start


@dataclass(frozen=True, slots=True)
class Day:
    """`hours`: `09:00–12:30` each. `changes_clocks`: the local day has not 24 hours."""

    on: date
    starts_at: datetime
    ends_at: datetime
    hours: list[str]
    entries: list[Entry]

    @property
    def changes_clocks(self) -> bool:
        return self.ends_at - self.starts_at != _DAY

    def text(self, entry: Entry, zone: str) -> str:
        """When it is; on a day that it began before, until when."""
        if entry.kind != "time_off":
            if entry.starts_at < self.starts_at:
                return f"until {formatting.time(entry.ends_at, zone)}"
            return formatting.time_range(entry.starts_at, entry.ends_at, zone)
        starts, ends = entry.starts_at > self.starts_at, entry.ends_at < self.ends_at
        if not (starts or ends):
            return "All day"
        start = formatting.time(entry.starts_at, zone) if starts else "00:00"
        return f"{start}–{formatting.time(entry.ends_at, zone) if ends else '24:00'}"


@blueprint.get("/week")
def show() -> ResponseReturnValue:
    today = local_day(clock.now(), base.current_therapist().timezone)
    first = _first_day(today)
    return render_template(
        "dashboard/week.html",
        **base.layout_context(),
        days=_days(first),
        today=today,
        first=first,
        earlier=first - _WEEK,
        later=first + _WEEK,
        is_this_week=first == _monday(today),
    )


def _days(first: date) -> list[Day]:
    therapist, now = base.current_therapist(), clock.now()
    zone = ZoneInfo(therapist.timezone)
    span = day_starts_at(first, zone), day_starts_at(first + _WEEK, zone)
    entries = [
        *_of_bookings(calendar.bookings_between(therapist, *span), now),
        *_of_proposals(calendar.proposed_between(therapist, *span, now)),
        *_of_time_off(calendar.time_off_between(therapist, *span)),
    ]
    return week_of(first, zone, entries, availability.windows_of(therapist))


def week_of(
    first: date, zone: ZoneInfo, entries: Sequence[Entry], windows: Sequence[Window]
) -> list[Day]:
    """Seven local days from `first`; an entry is in each day that it touches, by its start."""
    days = []
    for on in (first + timedelta(days=number) for number in range(_WEEK.days)):
        start, end = day_starts_at(on, zone), day_starts_at(on + _DAY, zone)
        touching = [each for each in entries if each.touches(start, end)]
        hours = [
            f"{clock_text(each.start_minute)}–{clock_text(each.end_minute)}"
            for each in sorted(windows)
            if each.weekday == on.weekday()
        ]
        days.append(Day(on, start, end, hours, sorted(touching, key=lambda each: each.starts_at)))
    return days


def _first_day(today: date) -> date:
    """The Monday of the week that the address names; of this week where it names none."""
    try:
        named = validation.day(request.args.get("from", ""))
    except ValueError:
        named = today
    return _monday(named if abs(named - today) <= _MOST_AWAY else today)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _of_bookings(bookings: Sequence[Booking], now: datetime) -> list[Entry]:
    entries = []
    for each in bookings:
        status = each.status_at(now)
        if status is Status.REQUESTED:
            kind, shown = "enquiry", "suggested" if each.waits_for_client else ""
        elif status in _SESSIONS:
            kind, shown = "session", str(status)
        else:
            continue
        entries.append(
            Entry(
                each.starts_at,
                each.ends_at,
                kind,
                each.client_given_name,
                each.reference,
                shown,
                not each.fee_minor,
            )
        )
    return entries


def _of_proposals(times: Sequence[Proposed]) -> list[Entry]:
    return [
        Entry(
            each.starts_at,
            each.ends_at,
            "offered" if each.by is Actor.THERAPIST else "asked",
            each.client,
            each.reference,
        )
        for each in times
    ]


def _of_time_off(times: Sequence[TimeOff]) -> list[Entry]:
    return [Entry(each.starts_at, each.ends_at, "time_off") for each in times]
