"""My Sessions: all of a therapist's bookings, filtered, as pages or as a CSV file."""

from datetime import datetime

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock
from app.rules.lifecycle import Kind
from app.store.models import Booking
from app.store.queries import therapist_bookings
from app.store.queries.therapist_bookings import View
from app.web import access
from app.web.dashboard import base, csv_export

blueprint = Blueprint("sessions", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE_SIZE = 25
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


@blueprint.get("/sessions")
def show() -> ResponseReturnValue:
    therapist, now, (view, kind) = base.current_therapist(), clock.now(), _filters()
    page = therapist_bookings.view_page(
        therapist, view, kind, now, number=base.page_number(), size=PAGE_SIZE
    )
    return render_template(
        "dashboard/sessions.html",
        **base.layout_context(),
        page=page,
        view=view,
        kind=kind,
        views=VIEWS,
        kinds=KINDS,
    )


@blueprint.get("/sessions.csv")
def export() -> ResponseReturnValue:
    therapist, now, (view, kind) = base.current_therapist(), clock.now(), _filters()
    bookings = therapist_bookings.each_in_view(therapist, view, kind, now)
    rows = (_row(booking, therapist.timezone, now) for booking in bookings)
    access.note_export(therapist, "sessions")
    return csv_export.download(f"sessions-{now:%Y-%m-%d}", _COLUMNS, rows)


def _filters() -> tuple[View, Kind | None]:
    # A missing or unknown value filters nothing.
    view, kind = request.args.get("show", ""), request.args.get("kind", "")
    return (
        View(view) if view in set(View) else View.ALL,
        Kind(kind) if kind in set(Kind) else None,
    )


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
