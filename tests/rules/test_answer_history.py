"""The answers week by week: which enquiry is in which bar, and which is in none."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.rules import answer_history
from app.rules.answer_history import Week
from app.rules.policy import Policy
from app.rules.ranking import Enquiry, EnquiryOutcome

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
REQUESTED = datetime(2026, 11, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def enquiry(
    outcome: EnquiryOutcome, hours: float = 1, requested_at: datetime = REQUESTED
) -> Enquiry:
    ended_at = None if outcome is EnquiryOutcome.OPEN else requested_at + hours * HOUR
    return Enquiry(requested_at, requested_at + 24 * HOUR, requested_at, outcome, ended_at)


def weeks(*enquiries: Enquiry, zone: str = "Europe/London") -> dict[date, Week]:
    history = answer_history.by_week(enquiries, ZoneInfo(zone), now=NOW, policy=Policy())
    return {week.starts_on: week for week in history}


def test_every_week_of_ninety_days_is_listed_even_without_enquiries() -> None:
    days = list(weeks())
    assert (days[0], days[-1], len(days)) == (date(2026, 8, 24), date(2026, 11, 23), 14)
    assert all(week.total == 0 for week in weeks().values())


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (enquiry(EnquiryOutcome.ACCEPTED, 3), "on_time"),
        (enquiry(EnquiryOutcome.ACCEPTED, 3.1), "late"),
        (enquiry(EnquiryOutcome.DECLINED, 1), "declined"),
        (enquiry(EnquiryOutcome.DECLINED, 9), "declined"),
        (enquiry(EnquiryOutcome.EXPIRED, 24), "expired"),
        (enquiry(EnquiryOutcome.OPEN), "expired"),
        (enquiry(EnquiryOutcome.WITHDRAWN, 5), "late"),
        (enquiry(EnquiryOutcome.OPEN, requested_at=NOW - 4 * HOUR), "late"),
    ],
)
def test_each_counted_enquiry_is_in_one_bar(one: Enquiry, kind: str) -> None:
    [week] = [week for week in weeks(one).values() if week.total]
    assert (getattr(week, kind), week.total) == (1, 1)


@pytest.mark.parametrize(
    "one",
    [
        enquiry(EnquiryOutcome.WITHDRAWN, 3),
        enquiry(EnquiryOutcome.OPEN, requested_at=NOW - HOUR),
        enquiry(EnquiryOutcome.ACCEPTED, requested_at=NOW - timedelta(days=90)),
        Enquiry(
            REQUESTED, REQUESTED + 24 * HOUR, None, EnquiryOutcome.EXPIRED, REQUESTED + 24 * HOUR
        ),
    ],
)
def test_an_enquiry_that_does_not_count_is_in_no_bar(one: Enquiry) -> None:
    assert not [week for week in weeks(one).values() if week.total]


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("median", "counted", "said"),
    [
        (38 * MINUTE, 5, 40 * MINUTE),
        (38 * MINUTE, 4, None),
        (38 * MINUTE, 0, None),
        # The ranking's stand-in where there is no answer.
        (3 * HOUR, 0, None),
        (timedelta(0), 9, 5 * MINUTE),
        (40 * MINUTE, 9, 40 * MINUTE),
        (40 * MINUTE + timedelta(seconds=1), 9, 45 * MINUTE),
        (HOUR, 9, HOUR),
        (61 * MINUTE, 9, 75 * MINUTE),
        (3 * HOUR, 9, 3 * HOUR),
        (181 * MINUTE, 9, 4 * HOUR),
        (23.5 * HOUR, 9, 24 * HOUR),
        # At least half of them expired.
        (24 * HOUR, 9, None),
    ],
)
def test_a_usual_answer_time_is_told_where_it_is_true_and_never_too_short(
    median: timedelta, counted: int, said: timedelta | None
) -> None:
    found = answer_history.usual_answer_time(median, counted, Policy())
    assert found == said
    assert found is None or found >= median


def test_weeks_begin_on_monday_in_the_therapists_zone() -> None:
    sunday_night = datetime(2026, 11, 9, 3, tzinfo=UTC)
    one = enquiry(EnquiryOutcome.ACCEPTED, requested_at=sunday_night)
    assert weeks(one)[date(2026, 11, 9)].total == 1
    assert weeks(one, zone="America/New_York")[date(2026, 11, 2)].total == 1
