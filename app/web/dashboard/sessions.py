"""My Sessions: all of a therapist's bookings, filtered, as pages or as a CSV file."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock
from app.rules.lifecycle import Kind
from app.rules.weekly_hours import day_starts_at
from app.services import validation
from app.store.models import Booking
from app.store.queries import therapist_bookings
from app.store.queries.therapist_bookings import Search, View
from app.web import access
from app.web.dashboard import base, csv_export

blueprint = Blueprint("sessions", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE_SIZE = 25
_MAX_WORDS_LENGTH = 120
VIEWS = {
    View.ALL: "All",
    View.UPCOMING: "Upcoming",
    View.PAST: "Past",
    View.COMPLETED: "Completed",
    View.CANCELLED: "Cancelled",
    View.ENQUIRIES: "Enquiries",
}
KINDS = {None: "Paid and free", Kind.PAID: "Paid", Kind.FREE_CONSULTATION: "Free"}
_COLUMNS = (
    "reference", "status", "kind", "client", "starts_at", "ends_at", "time_zone",
    "fee", "currency", "requested_at",
)  # fmt: skip


@dataclass(slots=True)
class _Filters:
    """What the address asks for; `errors` are sentences by the name of the parameter."""

    view: View
    kind: Kind | None
    search: Search = field(default_factory=Search)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the address that say which bookings are shown."""
        typed = {name: request.args.get(name) or None for name in ("q", "from", "to")}
        return {"show": None if self.view is View.ALL else self.view, "kind": self.kind} | typed


@blueprint.get("/sessions")
def show() -> ResponseReturnValue:
    return _page(_filters())


@blueprint.get("/sessions.csv")
def export() -> ResponseReturnValue:
    therapist, now, filters = base.current_therapist(), clock.now(), _filters()
    if filters.errors:
        return _page(filters)
    bookings = therapist_bookings.each_in_view(
        therapist, filters.view, filters.kind, filters.search, now
    )
    rows = (_row(booking, therapist.timezone, now) for booking in bookings)
    access.note_export(therapist, "sessions")
    return csv_export.download(f"sessions-{now:%Y-%m-%d}", _COLUMNS, rows)


def _page(filters: _Filters) -> ResponseReturnValue:
    """Without a search whose parameters are wrong."""
    page = therapist_bookings.view_page(
        base.current_therapist(),
        filters.view,
        filters.kind,
        filters.search,
        clock.now(),
        number=base.page_number(),
        size=PAGE_SIZE,
    )
    shown = render_template(
        "dashboard/sessions.html",
        **base.layout_context(),
        page=page,
        filters=filters,
        parameters=filters.parameters,
        views=VIEWS,
        kinds=KINDS,
    )
    return shown, HTTPStatus.UNPROCESSABLE_ENTITY if filters.errors else HTTPStatus.OK


def _filters() -> _Filters:
    # A missing or unknown view or kind filters nothing.
    view, kind = request.args.get("show", ""), request.args.get("kind", "")
    filters = _Filters(
        View(view) if view in set(View) else View.ALL,
        Kind(kind) if kind in set(Kind) else None,
    )
    words = request.args.get("q", "").strip()
    if len(words) > _MAX_WORDS_LENGTH:
        filters.errors["q"] = f"Please keep it to {_MAX_WORDS_LENGTH} characters or fewer."
    first, last = _day("from", filters.errors), _day("to", filters.errors)
    if first and last and last < first:
        filters.errors["to"] = "Please choose a day that is not before the first one."
    if not filters.errors:
        filters.search = Search(words, *_span(first, last))
    return filters


def _day(name: str, errors: dict[str, str]) -> date | None:
    typed = request.args.get(name, "").strip()
    try:
        return validation.day(typed) if typed else None
    except ValueError as error:
        errors[name] = str(error)
        return None


def _span(first: date | None, last: date | None) -> tuple[datetime | None, datetime | None]:
    """From the beginning of the first to the end of the last day, in the therapist's zone."""
    zone = ZoneInfo(base.current_therapist().timezone)
    since = day_starts_at(first, zone) if first else None
    return since, day_starts_at(last + timedelta(days=1), zone) if last else None


def _row(booking: Booking, zone: str, now: datetime) -> tuple[str, ...]:
    return (
        booking.reference,
        booking.status_at(now),
        booking.kind,
        csv_export.text(booking.client_name),
        csv_export.local(booking.starts_at, zone),
        csv_export.local(booking.ends_at, zone),
        zone,
        csv_export.amount(booking.fee_minor, booking.currency),
        booking.currency,
        csv_export.local(booking.requested_at, zone),
    )
