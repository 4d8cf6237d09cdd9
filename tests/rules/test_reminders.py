"""When both sides are reminded of a session: to the second, and never soon after accepting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.rules.policy import Policy
from app.rules.reminders import reminders

STARTS_AT = datetime(2027, 3, 10, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("accepted_before", "free_hours", "first_before", "second_before"),
    [
        (72 * HOUR, 24, 26 * HOUR, HOUR),
        (28 * HOUR + SECOND, 24, 26 * HOUR, HOUR),
        (28 * HOUR, 24, None, HOUR),
        (26 * HOUR, 24, None, HOUR),
        (20 * HOUR, 24, None, HOUR),
        (3 * HOUR + SECOND, 24, None, HOUR),
        (3 * HOUR, 24, None, None),
        (HOUR, 24, None, None),
        (72 * HOUR, 48, 50 * HOUR, HOUR),
        (72 * HOUR, 71, None, HOUR),
        (72 * HOUR, 0.5, 2.5 * HOUR, HOUR),
        # Cancelling is free until the start, so there is no end of it to warn of.
        (72 * HOUR, 0, None, HOUR),
    ],
)
def test_every_reminder_is_due_before_what_it_is_about_and_not_soon_after_accepting(
    accepted_before: timedelta,
    free_hours: float,
    first_before: timedelta | None,
    second_before: timedelta | None,
) -> None:
    policy = replace(Policy(), free_cancellation=free_hours * HOUR)
    due = reminders(STARTS_AT, STARTS_AT - accepted_before, policy)
    assert due.first_at == (first_before and STARTS_AT - first_before)
    assert due.second_at == (second_before and STARTS_AT - second_before)
