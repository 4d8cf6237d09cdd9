"""Cancelling too often: warned, flagged, deactivated, reactivated."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.policy import Policy
from app.rules.standing import (
    Standing,
    StandingEvent,
    StandingStep,
    after_cancellation,
    after_completion,
    announced_after_completion,
    furthest_step,
    reactivated,
    replay,
    step_reached,
)

POLICY = Policy()
C, S, R = StandingEvent.CANCELLED, StandingEvent.COMPLETED, StandingEvent.REACTIVATED
WARN, FLAG, DEACTIVATE = StandingStep.WARN, StandingStep.FLAG, StandingStep.DEACTIVATE


@pytest.mark.parametrize(
    ("events", "standing"),
    [
        ([], Standing(0, False, False)),
        ([C, C, C], Standing(3, False, False)),
        ([C, C, C, C], Standing(4, True, False)),
        ([C, C, C, C, C], Standing(5, True, True)),
        ([C, C, S, C], Standing(1, False, False)),
        ([C, C, C, S, C], Standing(1, False, False)),
        ([C, C, C, C, S], Standing(0, False, False)),
        ([C, C, C, C, S, C], Standing(1, False, False)),
        ([C, C, C, C, C, S], Standing(0, False, True)),
        ([C, C, C, C, C, S, C], Standing(1, False, True)),
        ([C, C, C, C, C, R], Standing(0, False, False)),
        ([C, C, C, C, C, C, R, C], Standing(1, False, False)),
    ],
)
def test_a_streak_counts_cancellations_in_a_row(
    events: Sequence[StandingEvent], standing: Standing
) -> None:
    assert replay(events, POLICY) == standing


def test_a_completed_session_does_not_reactivate_an_account() -> None:
    assert after_completion(Standing(5, True, True)).is_deactivated


def test_only_ops_reactivates_an_account() -> None:
    assert reactivated() == Standing(0, False, False)


@pytest.mark.parametrize(
    ("streak", "step"),
    [(0, None), (2, None), (3, WARN), (4, FLAG), (5, DEACTIVATE), (6, DEACTIVATE)],
)
def test_each_length_of_streak_has_its_step(streak: int, step: StandingStep | None) -> None:
    assert step_reached(streak, POLICY) is step


@pytest.mark.parametrize(
    ("announced", "standing", "step"),
    [
        (None, Standing(2), None),
        (None, Standing(3), WARN),
        (WARN, Standing(3), None),
        (None, Standing(4, True), FLAG),
        (WARN, Standing(4, True), FLAG),
        (FLAG, Standing(4, True), None),
        (None, Standing(5, True, True), DEACTIVATE),
        (FLAG, Standing(5, True, True), DEACTIVATE),
        (DEACTIVATE, Standing(6, True, True), None),
        (None, Standing(0, False, True), DEACTIVATE),
        (DEACTIVATE, Standing(3, False, True), None),
    ],
)
def test_only_the_furthest_step_is_announced_and_only_once(
    announced: StandingStep | None, standing: Standing, step: StandingStep | None
) -> None:
    assert furthest_step(announced, standing, POLICY) is step


@pytest.mark.parametrize(
    ("announced", "kept"), [(None, None), (WARN, None), (FLAG, None), (DEACTIVATE, DEACTIVATE)]
)
def test_after_a_completion_warnings_are_announced_again_but_a_deactivation_is_not(
    announced: StandingStep | None, kept: StandingStep | None
) -> None:
    assert announced_after_completion(announced) is kept


def test_the_numbers_are_the_policys() -> None:
    strict = Policy(warn_streak=1, flag_streak=2, deactivate_streak=3)
    assert [step_reached(streak, strict) for streak in range(4)] == [None, WARN, FLAG, DEACTIVATE]
    assert replay([C, C], strict) == Standing(2, True, False)


@given(st.lists(st.sampled_from(StandingEvent), max_size=20), st.integers(0, 20))
def test_cancelling_never_leaves_a_better_standing_than_not_cancelling(
    events: list[StandingEvent], at: int
) -> None:
    kept = replay(events, POLICY)
    worse = replay([*events[:at], C, *events[at:]], POLICY)
    assert worse.streak >= kept.streak
    assert worse.is_flagged >= kept.is_flagged
    assert worse.is_deactivated >= kept.is_deactivated


@given(st.lists(st.sampled_from(StandingEvent), max_size=20))
def test_the_standing_follows_from_the_events_since_the_last_reset(
    events: list[StandingEvent],
) -> None:
    streak, longest = 0, 0
    for event in events:
        streak = streak + 1 if event is C else 0
        longest = 0 if event is R else max(longest, streak)
    standing = replay(events, POLICY)
    assert (standing.streak, standing.is_flagged) == (streak, streak >= 4)
    assert standing.is_deactivated == (longest >= 5)
    assert after_cancellation(standing, POLICY).streak == streak + 1
