"""Earnings: what the therapist is owed, by month and by session, as pages or as a CSV file."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import clock, config
from app.services import validation
from app.services.bookings import ledger
from app.services.bookings.ledger import Earning
from app.services.therapists import earnings
from app.web import access
from app.web.dashboard import base, csv_export

blueprint = Blueprint("earnings", __name__, url_prefix="/dashboard")
base.require_sign_in(blueprint)

PAGE_SIZE = 40
REASONS = {
    "completed": "Took place",
    "no_show": "Client did not come",
    "cancelled_by_client": "Cancelled late by the client",
}
_COLUMNS = (
    "earned_at", "time_zone", "reference", "client", "session_starts_at", "reason",
    "fee", "commission", "payout", "currency",
)  # fmt: skip


@blueprint.get("/earnings")
def show() -> ResponseReturnValue:
    months = earnings.by_month(base.current_therapist())
    month = _month() or next(iter(months), _this_month())
    return render_template(
        "dashboard/earnings.html",
        **base.layout_context(),
        months=months,
        chosen=month,
        years=sorted({each.year for each in months} | {month.year}, reverse=True),
        totals=earnings.totals_of_year(months, month.year),
        percent=config.current().policy.commission_percent,
        reasons=REASONS,
        **_sessions_page(month, months),
    )


@blueprint.get("/earnings.csv")
def export() -> ResponseReturnValue:
    therapist, month = base.current_therapist(), _month()
    access.note_export(therapist, "earnings")
    lines: Iterable[Earning]
    if month is None:
        name, lines = "earnings", ledger.earnings_of(therapist)
    else:
        name, lines = f"earnings-{month:%Y-%m}", earnings.each_of_month(therapist, month)
    return csv_export.download(name, _COLUMNS, (_row(each, therapist.timezone) for each in lines))


def _sessions_page(month: date, months: earnings.Months) -> dict[str, Any]:
    count = sum(total.sessions for total in months.get(month, {}).values())
    last = max(1, -(-count // PAGE_SIZE))
    number = min(max(base.page_number(), 1), last)
    sessions = earnings.page_of_month(
        base.current_therapist(), month, offset=(number - 1) * PAGE_SIZE, limit=PAGE_SIZE
    )
    return {"sessions": sessions, "number": number, "last": last}


def _month() -> date | None:
    try:
        return validation.day(f"{request.args.get('month', '')}-01")
    except ValueError:
        return None


def _this_month() -> date:
    zone = ZoneInfo(base.current_therapist().timezone)
    return clock.now().astimezone(zone).date().replace(day=1)


def _row(earning: Earning, zone: str) -> tuple[str, ...]:
    booking, currency = earning.booking, earning.currency
    return (
        csv_export.local(earning.earned_at, zone),
        zone,
        booking.reference,
        csv_export.text(booking.client_name),
        csv_export.local(booking.starts_at, zone),
        REASONS[earning.event],
        csv_export.amount(booking.fee_minor, currency),
        csv_export.amount(earning.commission_minor, currency),
        csv_export.amount(earning.payout_minor, currency),
        currency,
    )
