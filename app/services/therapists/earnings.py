"""What a therapist has earned, month by month of their own zone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.rules import weekly_hours
from app.services.bookings.ledger import Earning
from app.store.models import Therapist
from app.store.queries import therapist_bookings


@dataclass(frozen=True, slots=True)
class Sum:
    """What several sessions brought in one currency, in minor units."""

    currency: str
    sessions: int = 0
    fee_minor: int = 0
    payout_minor: int = 0

    @property
    def commission_minor(self) -> int:
        """What of the fees the house keeps."""
        return self.fee_minor - self.payout_minor

    def with_one(self, fee_minor: int, payout_minor: int) -> "Sum":
        """The sum with one session more."""
        return Sum(
            self.currency,
            self.sessions + 1,
            self.fee_minor + fee_minor,
            self.payout_minor + payout_minor,
        )


Months = dict[date, dict[str, Sum]]
"""Sums by the first day of their month and by currency, the newest month first."""


def by_month(therapist: Therapist) -> Months:
    """What every month brought in which something was earned."""
    zone, months = ZoneInfo(therapist.timezone), Months()
    for earned_at, payout_minor, fee_minor, currency in therapist_bookings.payouts(therapist):
        month = months.setdefault(_month(earned_at, zone), {})
        before = month.get(currency, Sum(currency))
        month[currency] = before.with_one(fee_minor, payout_minor)
    return months


def of_year(months: Months, year: int) -> list[Sum]:
    """What a year brought, by currency."""
    totals: dict[str, Sum] = {}
    for each in _sums(months, year):
        before = totals.get(each.currency, Sum(each.currency))
        totals[each.currency] = Sum(
            each.currency,
            before.sessions + each.sessions,
            before.fee_minor + each.fee_minor,
            before.payout_minor + each.payout_minor,
        )
    return list(totals.values())


def of_month(therapist: Therapist, first_on: date) -> list[Earning]:
    """The sessions that earned something in the month that begins on that day, newest first."""
    zone = ZoneInfo(therapist.timezone)
    next_on = (first_on + timedelta(days=31)).replace(day=1)
    lines = therapist_bookings.payout_lines(
        therapist,
        weekly_hours.day_starts_at(first_on, zone),
        weekly_hours.day_starts_at(next_on, zone),
    )
    return [
        Earning(line.booking, line.event, line.at, line.amount_minor, line.currency)
        for line in lines
    ]


def _month(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date().replace(day=1)


def _sums(months: Months, year: int) -> Iterable[Sum]:
    for first_on, by_currency in months.items():
        if first_on.year == year:
            yield from by_currency.values()
