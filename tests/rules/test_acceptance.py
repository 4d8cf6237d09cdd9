"""The acceptance window: three hours to answer, and one furthest step after them."""

from datetime import UTC, datetime, timedelta

import pytest

from app.rules.acceptance import (
    Step,
    answer_by,
    due_step,
    expires_at,
    is_late,
    remind_at,
)
from app.rules.policy import Policy

POLICY = Policy()
REQUESTED_AT = datetime(2027, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def test_the_window_is_three_hours_with_a_reminder_after_two() -> None:
    assert remind_at(REQUESTED_AT, POLICY) == REQUESTED_AT + 2 * HOUR
    assert answer_by(REQUESTED_AT, POLICY) == REQUESTED_AT + 3 * HOUR


@pytest.mark.parametrize(
    ("starts_after", "expires_after"),
    [
        (4 * HOUR, 4 * HOUR),
        (24 * HOUR - SECOND, 24 * HOUR - SECOND),
        (24 * HOUR, 24 * HOUR),
        (24 * HOUR + SECOND, 24 * HOUR),
        (60 * 24 * HOUR, 24 * HOUR),
    ],
)
def test_an_enquiry_expires_after_a_day_or_at_the_start_if_that_is_sooner(
    starts_after: timedelta, expires_after: timedelta
) -> None:
    assert expires_at(REQUESTED_AT, REQUESTED_AT + starts_after, POLICY) == (
        REQUESTED_AT + expires_after
    )


@pytest.mark.parametrize(
    ("after", "late"),
    [
        (3 * HOUR - SECOND, False),
        (3 * HOUR, False),
        (3 * HOUR + timedelta(microseconds=1), True),
        (3 * HOUR + SECOND, True),
        (10 * HOUR, True),
    ],
)
def test_an_answer_at_exactly_three_hours_is_on_time(after: timedelta, late: bool) -> None:
    assert is_late(answer_by(REQUESTED_AT, POLICY), REQUESTED_AT + after) is late


@pytest.mark.parametrize(
    ("after", "reminded", "late_announced", "step"),
    [
        (timedelta(0), False, False, None),
        (2 * HOUR - SECOND, False, False, None),
        (2 * HOUR, False, False, Step.REMIND),
        (2 * HOUR + SECOND, True, False, None),
        (3 * HOUR, False, False, Step.REMIND),
        (3 * HOUR, True, False, None),
        (3 * HOUR + SECOND, True, False, Step.LATE),
        (3 * HOUR + SECOND, False, False, Step.LATE),
        (3 * HOUR + SECOND, False, True, None),
        (3 * HOUR + SECOND, True, True, None),
        (24 * HOUR - SECOND, False, False, Step.LATE),
        (24 * HOUR - SECOND, True, True, None),
        (24 * HOUR, False, False, Step.EXPIRE),
        (24 * HOUR, True, True, Step.EXPIRE),
        (240 * HOUR, False, False, Step.EXPIRE),
    ],
)
def test_only_the_furthest_step_that_is_due_is_taken_and_only_once(
    after: timedelta, reminded: bool, late_announced: bool, step: Step | None
) -> None:
    assert (
        due_step(
            remind_at=None if reminded else remind_at(REQUESTED_AT, POLICY),
            answer_by=REQUESTED_AT + 3 * HOUR,
            expires_at=REQUESTED_AT + 24 * HOUR,
            late_announced=late_announced,
            now=REQUESTED_AT + after,
        )
        is step
    )


def test_an_enquiry_expires_at_the_start_of_its_session() -> None:
    starts_at = REQUESTED_AT + 4 * HOUR
    steps = [
        due_step(
            remind_at=remind_at(REQUESTED_AT, POLICY),
            answer_by=answer_by(REQUESTED_AT, POLICY),
            expires_at=expires_at(REQUESTED_AT, starts_at, POLICY),
            late_announced=False,
            now=now,
        )
        for now in (starts_at - SECOND, starts_at)
    ]
    assert steps == [Step.LATE, Step.EXPIRE]


def test_a_reminder_is_due_as_stored_even_if_the_policy_has_changed() -> None:
    promised = {"answer_by": REQUESTED_AT + 3 * HOUR, "expires_at": REQUESTED_AT + 24 * HOUR}
    now = REQUESTED_AT + 2 * HOUR
    step = due_step(remind_at=REQUESTED_AT + HOUR, late_announced=False, now=now, **promised)
    assert step is Step.REMIND
    assert due_step(remind_at=None, late_announced=False, now=now, **promised) is None
