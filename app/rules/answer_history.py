"""How a therapist answered the enquiries that count for the ranking, week by week."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.rules import ranking
from app.rules.policy import Policy
from app.rules.ranking import Enquiry, EnquiryOutcome

_WEEK = timedelta(days=7)
# Fewer answers say little about what is usual.
FEWEST_ANSWERS = 5
# Up to so long, a usual answer time is rounded up to the step beside it.
_STEPS = (
    (timedelta(hours=1), timedelta(minutes=5)),
    (timedelta(hours=3), timedelta(minutes=15)),
    (timedelta.max, timedelta(hours=1)),
)


@dataclass(frozen=True, slots=True)
class Week:
    """Counted enquiries that were requested in the week from Monday `starts_on`."""

    starts_on: date
    on_time: int = 0
    late: int = 0
    declined: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        return self.on_time + self.late + self.declined + self.expired


def by_week(
    enquiries: Iterable[Enquiry], zone: ZoneInfo, *, now: datetime, policy: Policy
) -> list[Week]:
    """Every week of the ranking window, oldest first; weeks begin on Mondays in `zone`."""
    monday = _monday(now - policy.ranking_window, zone)
    weeks = {}
    while monday <= _monday(now, zone):
        weeks[monday] = Week(monday)
        monday += _WEEK
    for enquiry in enquiries:
        is_recent = ranking.is_recent(enquiry, now, policy)
        if is_recent and ranking.is_counted(enquiry, now, policy):
            week = weeks[_monday(enquiry.requested_at, zone)]
            count = _field(enquiry, now, policy)
            weeks[week.starts_on] = replace(week, **{count: getattr(week, count) + 1})
    return list(weeks.values())


def usual_answer_time(median: timedelta, counted: int, policy: Policy) -> timedelta | None:
    """Within which at least half of the answers came; None where too few did to say so.

    `median` and `counted` are the ranking's, in which an expiry counts as an answer at expiry.
    """
    if counted < FEWEST_ANSWERS or median >= policy.expire_after:
        return None
    step = next(step for most, step in _STEPS if median <= most)
    return max(-(-median // step), 1) * step


def _field(enquiry: Enquiry, now: datetime, policy: Policy) -> str:
    is_over = enquiry.outcome is EnquiryOutcome.OPEN and now >= enquiry.expires_at
    if (is_over and not enquiry.waits_for_client) or enquiry.outcome is EnquiryOutcome.EXPIRED:
        return "expired"
    if enquiry.outcome is EnquiryOutcome.DECLINED:
        return "declined"
    return "late" if ranking.lateness(enquiry, now, policy) else "on_time"


def _monday(at: datetime, zone: ZoneInfo) -> date:
    day = at.astimezone(zone).date()
    return day - timedelta(days=day.weekday())
