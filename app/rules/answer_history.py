"""A therapist's record week by week: how the enquiries that count for the ranking were answered."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.rules import ranking
from app.rules.policy import Policy
from app.rules.ranking import Enquiry, Outcome

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Week:
    """Enquiries of one week that count, from a Monday on; `late` were left waiting too long."""

    starts_on: date
    on_time: int = 0
    late: int = 0
    declined: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        """How many there were."""
        return self.on_time + self.late + self.declined + self.expired


def weekly(
    enquiries: Iterable[Enquiry], *, zone: ZoneInfo, now: datetime, policy: Policy
) -> list[Week]:
    """Every week of the ranking's days by the requests made in it, oldest first."""
    week_on = _monday(now - policy.ranking_window, zone)
    weeks = {}
    while week_on <= _monday(now, zone):
        weeks[week_on] = Week(week_on)
        week_on += _WEEK
    for enquiry in enquiries:
        is_in = ranking.is_recent(enquiry, now, policy)
        if is_in and ranking.is_counted(enquiry, now, policy):
            week = weeks[_monday(enquiry.requested_at, zone)]
            name = _answer(enquiry, now, policy)
            weeks[week.starts_on] = replace(week, **{name: getattr(week, name) + 1})
    return list(weeks.values())


def _answer(enquiry: Enquiry, now: datetime, policy: Policy) -> str:
    is_over = enquiry.outcome is Outcome.OPEN and now >= enquiry.expires_at
    if is_over or enquiry.outcome is Outcome.EXPIRED:
        return "expired"
    if enquiry.outcome is Outcome.DECLINED:
        return "declined"
    return "late" if ranking.lateness(enquiry, now, policy) else "on_time"


def _monday(at: datetime, zone: ZoneInfo) -> date:
    day = at.astimezone(zone).date()
    return day - timedelta(days=day.weekday())
