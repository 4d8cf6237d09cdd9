"""Earnings: what the therapist was paid, by month of their own zone and session by session."""

from datetime import date
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.services import validation
from app.services.bookings import ledger
from app.services.bookings.ledger import Earning
from app.services.therapists import earnings
from app.web.dashboard import base, csv_export

blueprint = Blueprint("earnings", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE = 40
REASONS = {
    "completed": "Took place",
    "no_show": "Client did not come",
    "cancelled_by_client": "Cancelled late by the client",
}
_COLUMNS = (
    "earned_at",
    "time_zone",
    "reference",
    "client",
    "session_starts_at",
    "reason",
    "fee",
    "commission",
    "payout",
    "currency",
)


@blueprint.get("/earnings")
def show() -> ResponseReturnValue:
    """One month with its sessions, and the months of its year."""
    months = earnings.by_month(base.current_therapist())
    chosen = _month() or next(iter(months), _this_month())
    return render_template(
        "dashboard/earnings.html",
        **base.layout_context(),
        months=months,
        chosen=chosen,
        years=sorted({month.year for month in months} | {chosen.year}, reverse=True),
        totals=earnings.totals_of_year(months, chosen.year),
        percent=config.current().policy.commission_percent,
        reasons=REASONS,
        **_page(chosen),
    )


@blueprint.get("/earnings.csv")
def spreadsheet() -> ResponseReturnValue:
    """Every session of the month in the address, or of all months, as CSV."""
    therapist, chosen = base.current_therapist(), _month()
    found = (
        ledger.earnings_of(therapist)
        if chosen is None
        else earnings.lines_of_month(therapist, chosen)
    )
    name = "earnings" if chosen is None else f"earnings-{chosen:%Y-%m}"
    return csv_export.download(name, _COLUMNS, (_row(each, therapist.timezone) for each in found))


def _page(chosen: date) -> dict[str, object]:
    found = earnings.lines_of_month(base.current_therapist(), chosen)
    last = max(1, -(-len(found) // PAGE))
    number = min(max(base.page_number(), 1), last)
    return {
        "sessions": found[(number - 1) * PAGE : number * PAGE],
        "number": number,
        "last": last,
    }


def _month() -> date | None:
    """The first day of the month in the address; None where it names none."""
    try:
        return validation.day(f"{request.args.get('month', '')}-01")
    except ValueError:
        return None


def _this_month() -> date:
    return clock.now().astimezone(ZoneInfo(base.current_therapist().timezone)).date().replace(day=1)


def _row(earning: Earning, zone: str) -> tuple[str, ...]:
    booking, currency = earning.booking, earning.currency
    return (
        csv_export.local(earning.earned_at, zone),
        zone,
        booking.reference,
        csv_export.text(booking.client.name),
        csv_export.local(booking.starts_at, zone),
        REASONS[earning.event],
        csv_export.amount(booking.fee_minor, currency),
        csv_export.amount(earning.commission_minor, currency),
        csv_export.amount(earning.payout_minor, currency),
        currency,
    )
