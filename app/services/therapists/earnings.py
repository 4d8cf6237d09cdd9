"""What a therapist earned per month; a month begins and ends in the therapist's time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.rules import weekly_hours
from app.services.bookings import ledger
from app.services.bookings.ledger import Earning
from app.store.models import Therapist
from app.store.queries import earnings


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
    months = Months()
    for each in earnings.months(therapist):
        first_on = date.fromisoformat(f"{each.month}-01")
        total = Total(each.currency, each.sessions, each.fee_minor, each.payout_minor)
        months.setdefault(first_on, {})[each.currency] = total
    return months


def totals_of_year(months: Months, year: int) -> list[Total]:
    totals: dict[str, Total] = {}
    for first_on, by_currency in months.items():
        if first_on.year == year:
            for total in by_currency.values():
                totals[total.currency] = totals.get(total.currency, Total(total.currency)) + total
    return list(totals.values())


def page_of_month(
    therapist: Therapist, first_on: date, *, offset: int, limit: int
) -> list[Earning]:
    """Newest first."""
    return ledger.earnings_page(therapist, *_span(therapist, first_on), offset=offset, limit=limit)


def each_of_month(therapist: Therapist, first_on: date) -> Iterator[Earning]:
    """As `page_of_month`, all of them; read in batches."""
    return ledger.earnings_of(therapist, *_span(therapist, first_on))


def _span(therapist: Therapist, first_on: date) -> tuple[datetime, datetime]:
    next_on = (first_on + timedelta(days=31)).replace(day=1)
    return _begins_at(therapist, first_on), _begins_at(therapist, next_on)


def _begins_at(therapist: Therapist, day: date) -> datetime:
    return weekly_hours.day_starts_at(day, ZoneInfo(therapist.timezone))
