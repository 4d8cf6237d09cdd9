"""Suggesting another time in the ranking: an answer for the delay, no answer for the acceptance."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.policy import Policy
from app.rules.ranking import Enquiry, EnquiryOutcome, Ranking, score

POLICY = Policy()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ASKED = datetime(2027, 3, 1, 9, tzinfo=UTC)
NOW = ASKED + 5 * DAY
OPEN = Enquiry(
    requested_at=ASKED,
    expires_at=ASKED + DAY,
    handed_over_at=ASKED,
    outcome=EnquiryOutcome.OPEN,
)
# Another therapist's history beside it, so that every factor can move.
HISTORY = tuple(
    replace(OPEN, outcome=outcome, ended_at=ASKED + hours * HOUR)
    for outcome, hours in ((EnquiryOutcome.ACCEPTED, 6), (EnquiryOutcome.DECLINED, 1))
)


def ranked(*enquiries: Enquiry) -> Ranking:
    return score((*HISTORY, *enquiries), is_flagged=False, now=NOW, policy=POLICY)


def suggested(after: timedelta, until: datetime = NOW + HOUR, **more: object) -> Enquiry:
    return replace(OPEN, suggested_at=ASKED + after, expires_at=until, **more)  # type: ignore[arg-type]


def taken(after: timedelta, accepted: timedelta) -> Enquiry:
    at = ASKED + after + accepted
    return suggested(after, outcome=EnquiryOutcome.ACCEPTED, ended_at=at)


@pytest.mark.parametrize("hours", [1, 3, 4, 20])
def test_a_suggestion_counts_like_an_answer_after_the_same_delay(hours: int) -> None:
    answered = replace(OPEN, outcome=EnquiryOutcome.ACCEPTED, ended_at=ASKED + hours * HOUR)
    waiting = ranked(suggested(hours * HOUR))
    assert waiting.responsiveness == ranked(answered).responsiveness
    # Neither accepted nor refused yet.
    assert waiting.acceptance == ranked().acceptance
    # However long the client takes.
    assert ranked(taken(hours * HOUR, 23 * HOUR)).score == ranked(answered).score


@pytest.mark.parametrize("hours", [1, 20])
def test_a_suggestion_that_is_not_taken_counts_against_nobody(hours: int) -> None:
    waiting = suggested(hours * HOUR)
    for ended in (
        suggested(hours * HOUR, until=NOW - HOUR),
        replace(waiting, outcome=EnquiryOutcome.NOT_CHOSEN, ended_at=NOW - HOUR),
        replace(waiting, outcome=EnquiryOutcome.WITHDRAWN, ended_at=NOW - HOUR),
    ):
        assert ranked(ended).score == ranked(waiting).score
        assert ranked(ended).expired == 0


def test_an_answer_after_being_asked_again_counts_from_then() -> None:
    kept = suggested(HOUR, asked_at=ASKED + 20 * HOUR, handed_over_at=ASKED + 20 * HOUR)
    in_time = replace(kept, outcome=EnquiryOutcome.ACCEPTED, ended_at=ASKED + 23 * HOUR)
    late = replace(in_time, ended_at=ASKED + 30 * HOUR)
    assert ranked(in_time).lateness == ranked().lateness
    assert ranked(late).lateness > ranked().lateness
    # A late suggestion stays late, and silence in the second window is silence.
    earlier = replace(in_time, earlier_delay=10 * HOUR)
    assert ranked(earlier).lateness > ranked().lateness
    silent = replace(kept, expires_at=ASKED + 44 * HOUR)
    assert ranked(silent).expired == 1


@given(
    first=st.integers(0, 23 * 60),
    second=st.integers(0, 23 * 60),
    fair=st.booleans(),
    later=st.integers(0, 120),
)
def test_later_is_never_better_and_silence_never_better_than_an_answer(
    first: int, second: int, fair: bool, later: int
) -> None:
    minute = timedelta(minutes=1)
    again_at = ASKED + DAY
    kept = replace(
        OPEN,
        suggested_at=ASKED + first * minute,
        earlier_delay=first * minute,
        asked_at=again_at,
        handed_over_at=again_at,
        expires_at=again_at + (DAY if fair else 2 * HOUR),
    )

    def answered(outcome: EnquiryOutcome, after: int) -> Fraction:
        at = min(again_at + after * minute, kept.expires_at)
        return ranked(replace(kept, outcome=outcome, ended_at=at)).score

    yes, no = EnquiryOutcome.ACCEPTED, EnquiryOutcome.DECLINED
    assert answered(yes, second + later) <= answered(yes, second)
    assert answered(no, second) <= answered(yes, second)
    silence = replace(kept, outcome=EnquiryOutcome.EXPIRED, ended_at=kept.expires_at)
    assert ranked(silence).score <= min(answered(yes, second), answered(no, second))
