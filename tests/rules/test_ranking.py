"""The ranking: the score exactly as the contract has it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from app.rules.policy import Policy
from app.rules.ranking import (
    Enquiry,
    EnquiryOutcome,
    Ranking,
    changes_next_at,
    is_counted,
    lateness,
    rounded,
    score,
    tie_break,
)

POLICY = Policy()
NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
REQUESTED_AT = NOW - timedelta(days=10)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
ANSWERED = [EnquiryOutcome.ACCEPTED, EnquiryOutcome.DECLINED]


def enquiry(
    outcome: EnquiryOutcome,
    after: timedelta = HOUR,
    *,
    handed_after: timedelta | None = timedelta(0),
    expires_after: timedelta = DAY,
    requested_at: datetime = REQUESTED_AT,
    is_email_overdue: bool = False,
) -> Enquiry:
    """An enquiry that ended `after` its request (an expiry at its expiry, an open one never)."""
    if outcome is EnquiryOutcome.EXPIRED:
        after = expires_after
    return Enquiry(
        requested_at=requested_at,
        expires_at=requested_at + expires_after,
        handed_over_at=None if handed_after is None else requested_at + handed_after,
        outcome=outcome,
        ended_at=None if outcome is EnquiryOutcome.OPEN else requested_at + after,
        is_email_overdue=is_email_overdue,
    )


def ranked(*enquiries: Enquiry, flagged: bool = False, now: datetime = NOW) -> Ranking:
    return score(enquiries, is_flagged=flagged, now=now, policy=POLICY)


def test_the_score_without_enquiries_is_a_hundred() -> None:
    assert ranked() == Ranking(
        score=Fraction(100),
        responsiveness=Fraction(1),
        acceptance=Fraction(1),
        standing=Fraction(1),
        counted=0,
        late=0,
        lateness=Fraction(0),
        answered=0,
        declined=0,
        expired=0,
        median_answer_seconds=10800.0,
    )


@pytest.mark.parametrize("outcome", ANSWERED)
@pytest.mark.parametrize(
    ("after", "late"),
    [
        (timedelta(0), Fraction(0)),
        (3 * HOUR, Fraction(0)),
        (3 * HOUR + timedelta(seconds=1), Fraction(1, 21 * 3600)),
        (13.5 * HOUR, Fraction(1, 2)),
        (24 * HOUR - timedelta(seconds=1), 1 - Fraction(1, 21 * 3600)),
    ],
)
def test_lateness_rises_from_three_hours_to_a_day(
    outcome: EnquiryOutcome, after: timedelta, late: Fraction
) -> None:
    answered = enquiry(outcome, after)
    assert is_counted(answered, NOW, POLICY)
    assert lateness(answered, NOW, POLICY) == late


@pytest.mark.parametrize(
    "outcome", [EnquiryOutcome.WITHDRAWN, EnquiryOutcome.ENDED_BY_DEACTIVATION]
)
@pytest.mark.parametrize(
    ("after", "handed_after", "counted", "late"),
    [
        (2 * HOUR, 0 * HOUR, False, Fraction(0)),
        (3 * HOUR, 0 * HOUR, False, Fraction(0)),
        (3 * HOUR + TICK, 0 * HOUR, True, Fraction(1, 21 * 3600 * 10**6)),
        (13.5 * HOUR, 0 * HOUR, True, Fraction(1, 2)),
        (13.5 * HOUR, 10.5 * HOUR, False, Fraction(0)),
        (13.5 * HOUR, None, False, Fraction(0)),
    ],
)
def test_an_enquiry_that_others_end_counts_with_its_delay_until_then(
    outcome: EnquiryOutcome,
    after: timedelta,
    handed_after: timedelta | None,
    counted: bool,
    late: Fraction,
) -> None:
    ended = enquiry(outcome, after, handed_after=handed_after)
    assert is_counted(ended, NOW, POLICY) is counted
    assert lateness(ended, NOW, POLICY) == late
    assert ranked(ended).counted == int(counted)
    assert ranked(ended).acceptance == 1


@pytest.mark.parametrize(
    ("open_for", "handed_after", "counted", "late"),
    [
        (3 * HOUR, 0 * HOUR, False, Fraction(0)),
        (13.5 * HOUR, 0 * HOUR, True, Fraction(1, 2)),
        (13.5 * HOUR, 10.5 * HOUR, False, Fraction(0)),
        (14.5 * HOUR, 1 * HOUR, True, Fraction(1, 2)),
        (23 * HOUR, None, False, Fraction(0)),
        (24 * HOUR, 0 * HOUR, True, Fraction(1)),
        (24 * HOUR, 21 * HOUR + TICK, False, Fraction(1)),
        (30 * HOUR, None, False, Fraction(1)),
    ],
)
def test_an_open_enquiry_counts_with_its_delay_so_far_and_expires_by_the_clock(
    open_for: timedelta, handed_after: timedelta | None, counted: bool, late: Fraction
) -> None:
    waiting = enquiry(EnquiryOutcome.OPEN, handed_after=handed_after)
    now = REQUESTED_AT + open_for
    assert is_counted(waiting, now, POLICY) is counted
    assert lateness(waiting, now, POLICY) == late
    is_over = open_for >= DAY
    assert ranked(waiting, now=now).expired == (1 if is_over and counted else 0)


@pytest.mark.parametrize(
    ("handed_after", "expires_after", "counted"),
    [
        (0 * HOUR, DAY, True),
        (21 * HOUR, DAY, True),
        (21 * HOUR + TICK, DAY, False),
        (1 * HOUR, 4 * HOUR, True),
        (1 * HOUR + TICK, 4 * HOUR, False),
        (None, DAY, False),
    ],
)
def test_an_expiry_counts_only_if_it_was_handed_over_three_hours_before(
    handed_after: timedelta | None, expires_after: timedelta, counted: bool
) -> None:
    result = ranked(
        enquiry(EnquiryOutcome.EXPIRED, handed_after=handed_after, expires_after=expires_after)
    )
    expected = Fraction(100) * Fraction(4, 5) * Fraction(19, 20) if counted else 100
    assert result.score == expected
    assert (result.counted, result.expired) == (int(counted), int(counted))


@pytest.mark.parametrize("outcome", ANSWERED)
def test_a_delay_of_our_own_mail_does_not_count(outcome: EnquiryOutcome) -> None:
    assert ranked(enquiry(outcome, 12 * HOUR, handed_after=9 * HOUR)).late == 0
    assert ranked(enquiry(outcome, 12 * HOUR, handed_after=9 * HOUR - TICK)).late == 1
    assert ranked(enquiry(outcome, 12 * HOUR, handed_after=None)).late == 0
    assert ranked(enquiry(outcome, 12 * HOUR, handed_after=-HOUR)).lateness == Fraction(9, 21)


@pytest.mark.parametrize(
    ("enquiries", "responsiveness", "acceptance"),
    [
        ([(EnquiryOutcome.ACCEPTED, 1)], Fraction(1), Fraction(1)),
        ([(EnquiryOutcome.ACCEPTED, 13.5)], Fraction(9, 10), Fraction(1)),
        ([(EnquiryOutcome.DECLINED, 1)], Fraction(1), Fraction(19, 20)),
        ([(EnquiryOutcome.EXPIRED, 24)], Fraction(4, 5), Fraction(19, 20)),
        (
            [
                (EnquiryOutcome.ACCEPTED, 1),
                (EnquiryOutcome.DECLINED, 13.5),
                (EnquiryOutcome.EXPIRED, 24),
            ],
            1 - Fraction(3, 2) / 7,
            1 - Fraction(1, 4) * Fraction(2, 7),
        ),
        (
            [
                (EnquiryOutcome.WITHDRAWN, 13.5),
                (EnquiryOutcome.WITHDRAWN, 2),
                (EnquiryOutcome.DECLINED, 1),
            ],
            1 - Fraction(1, 2) / 6,
            Fraction(19, 20),
        ),
    ],
)
@pytest.mark.parametrize("flagged", [False, True])
def test_the_score_is_the_product_of_its_factors(
    enquiries: list[tuple[EnquiryOutcome, float]],
    responsiveness: Fraction,
    acceptance: Fraction,
    flagged: bool,
) -> None:
    result = ranked(*(enquiry(kind, hours * HOUR) for kind, hours in enquiries), flagged=flagged)
    standing = Fraction(1, 2) if flagged else 1
    assert (result.responsiveness, result.acceptance) == (responsiveness, acceptance)
    assert (result.standing, result.is_flagged) == (standing, flagged)
    assert result.score == 100 * responsiveness * acceptance * standing


@pytest.mark.parametrize(("age", "expired"), [(90 * DAY - TICK, 1), (90 * DAY, 0)])
def test_only_what_was_requested_in_the_last_ninety_days_counts(
    age: timedelta, expired: int
) -> None:
    assert ranked(enquiry(EnquiryOutcome.EXPIRED, requested_at=NOW - age)).expired == expired


@pytest.mark.parametrize(
    ("hours", "expiries", "seconds"),
    [
        ([], 0, 3 * 3600),
        ([1], 0, 3600),
        ([1, 2], 0, 5400),
        ([1, 2, 9], 0, 7200),
        ([1], 1, 12.5 * 3600),
        ([], 1, 24 * 3600),
    ],
)
def test_an_expiry_counts_as_a_day_in_the_median_answer(
    hours: list[int], expiries: int, seconds: float
) -> None:
    answers = [enquiry(EnquiryOutcome.ACCEPTED, each * HOUR) for each in hours]
    quick_end = enquiry(EnquiryOutcome.EXPIRED, expires_after=4 * HOUR)
    result = ranked(*answers, *([quick_end] * expiries))
    assert result.median_answer_seconds == seconds


def test_equals_take_turns_and_no_seed_wins() -> None:
    days = [date(2027, 1, 1) + index * DAY for index in range(300)]
    wins = [
        sum(tie_break(a, on) < tie_break(b, on) for on in days)
        for a, b in [(11, 12), (1_000_003, 2_000_000_011), (12, 1_000_003)]
    ]
    assert all(100 < each < 200 for each in wins)
    assert len({tie_break(seed, days[0]) for seed in range(1, 1000)}) == 999


@pytest.mark.parametrize(
    ("exact", "text"),
    [
        (Fraction(100), "100.0"),
        (Fraction(0), "0.0"),
        (Fraction(9395, 100), "94.0"),
        (Fraction(93949999, 10**6), "93.9"),
        (Fraction(200, 3), "66.7"),
    ],
)
def test_a_score_is_shown_rounded_half_up_to_one_decimal(exact: Fraction, text: str) -> None:
    assert str(rounded(exact)) == text


def test_a_decline_before_the_email_was_even_tried_is_a_decline() -> None:
    at_once = enquiry(EnquiryOutcome.DECLINED, timedelta(seconds=1), handed_after=None)
    assert ranked(at_once).score == 95
    assert ranked(replace(at_once, is_email_overdue=True)).score == 100


@pytest.mark.parametrize(
    ("handed_after", "now_after", "next_after"),
    [
        (0 * HOUR, 1 * HOUR, 3 * HOUR + TICK),
        (2 * HOUR, 1 * HOUR, 5 * HOUR + TICK),
        (0 * HOUR, 3 * HOUR, 3 * HOUR + TICK),
        (0 * HOUR, 3 * HOUR + TICK, 3 * HOUR + TICK + timedelta(minutes=5)),
        (0 * HOUR, 5 * HOUR, 5 * HOUR + timedelta(minutes=5)),
        (0 * HOUR, DAY - timedelta(minutes=1), DAY),
        (22 * HOUR, 23 * HOUR, DAY),
        (None, 5 * HOUR, 90 * DAY),
        (0 * HOUR, DAY, 90 * DAY),
        (0 * HOUR, 90 * DAY, None),
    ],
)
def test_the_next_change_by_time_alone_is_known(
    handed_after: timedelta | None, now_after: timedelta, next_after: timedelta | None
) -> None:
    waiting = enquiry(EnquiryOutcome.OPEN, handed_after=handed_after)
    expected = None if next_after is None else REQUESTED_AT + next_after
    assert changes_next_at([waiting], REQUESTED_AT + now_after, POLICY) == expected
