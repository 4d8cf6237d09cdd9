"""What a therapist earned per month; a month begins and ends in the therapist's time zone."""

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from app.rules import weekly_hours
from app.services.bookings import ledger
from app.services.bookings.ledger import Earning
from app.store.models import Therapist
from app.store.queries import therapist_bookings


@dataclass(frozen=True, slots=True)
class Total:
    """Minor units."""

    currency: str
    sessions: int = 0
    fee_minor: int = 0
    payout_minor: int = 0

    @property
    def commission_minor(self) -> int:
        return self.fee_minor - self.payout_minor

    def __add__(self, other: "Total") -> "Total":
        return Total(
            self.currency,
            self.sessions + other.sessions,
            self.fee_minor + other.fee_minor,
            self.payout_minor + other.payout_minor,
        )


# By the first day of the month, newest month first, and by currency.
Months = dict[date, dict[str, Total]]


def by_month(therapist: Therapist) -> Months:
    zone, months = ZoneInfo(therapist.timezone), Months()
    for earned_at, payout_minor, fee_minor, currency in therapist_bookings.payouts(therapist):
        first_on = earned_at.astimezone(zone).date().replace(day=1)
        _add(months.setdefault(first_on, {}), Total(currency, 1, fee_minor, payout_minor))
    return months


def totals_of_year(months: Months, year: int) -> list[Total]:
    totals: dict[str, Total] = {}
    for first_on, by_currency in months.items():
        if first_on.year == year:
            for total in by_currency.values():
                _add(totals, total)
    return list(totals.values())


def _add(totals: dict[str, Total], more: Total) -> None:
    totals[more.currency] = totals.get(more.currency, Total(more.currency)) + more


def lines_of_month(therapist: Therapist, first_on: date) -> list[Earning]:
    """Newest first."""
    zone = ZoneInfo(therapist.timezone)
    next_on = (first_on + timedelta(days=31)).replace(day=1)
    since, until = (weekly_hours.day_starts_at(day, zone) for day in (first_on, next_on))
    return list(ledger.earnings_of(therapist, since, until))
