"""The ranking in words: each factor says what moved it and what would mend it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.rules.policy import Policy
from app.rules.ranking import Enquiry, Outcome, score
from app.rules.ranking_explanation import Factor, explain

POLICY = Policy()
NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def told(
    *answers: tuple[Outcome, float], flagged: bool = False, policy: Policy = POLICY
) -> dict[str, Factor]:
    enquiries = [
        Enquiry(
            requested_at=NOW - 48 * HOUR,
            expires_at=NOW - 24 * HOUR,
            handed_over_at=NOW - 48 * HOUR,
            outcome=outcome,
            ended_at=NOW - (48 - hours) * HOUR,
        )
        for outcome, hours in answers
    ]
    ranking = score(enquiries, is_flagged=flagged, now=NOW, policy=policy)
    return {factor.name: factor for factor in explain(ranking, policy)}


def test_the_factors_come_in_the_order_of_the_sum() -> None:
    assert list(told()) == ["responsiveness", "acceptance", "standing"]


def test_nothing_yet_is_said_kindly() -> None:
    factors = told()
    assert [factor.value for factor in factors.values()] == [Decimal("1.000")] * 3
    assert factors["responsiveness"].explanation == (
        "No enquiry of the last 90 days has counted yet, so this starts at its best."
    )
    assert all("Nothing to mend" in factor.how_to_improve for factor in factors.values())


def test_answers_in_time_are_told_as_such() -> None:
    assert told((Outcome.ACCEPTED, 1))["responsiveness"].explanation == (
        "1 enquiry of the last 90 days counted, and none waited longer than 3 hours."
    )


def test_late_and_expired_enquiries_are_counted_out() -> None:
    factors = told((Outcome.ACCEPTED, 1), (Outcome.DECLINED, 13.5), (Outcome.EXPIRED, 24))
    responsiveness, acceptance = factors["responsiveness"], factors["acceptance"]
    assert responsiveness.explanation == (
        "2 of 3 enquiries of the last 90 days waited longer than 3 hours; 1 of them expired."
    )
    assert responsiveness.value == Decimal("0.786")
    assert "Each answer within 3 hours lifts this" in responsiveness.how_to_improve
    assert acceptance.explanation == (
        "Of 3 enquiries of the last 90 days, 1 declined and 1 expired took a little off."
    )
    assert acceptance.value == Decimal("0.929")
    assert "Each enquiry you accept lifts this" in acceptance.how_to_improve


def test_a_flag_says_how_it_is_lifted() -> None:
    standing = told(flagged=True)["standing"]
    assert standing.value == Decimal("0.500")
    assert "flagged after 4 or more cancelled sessions in a row" in standing.explanation
    assert "The next session that you complete lifts the flag" in standing.how_to_improve


@pytest.mark.parametrize(
    ("within", "words"),
    [
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=24), "24 hours"),
        (timedelta(hours=48), "2 days"),
    ],
)
def test_the_words_follow_the_policys_numbers(within: timedelta, words: str) -> None:
    policy = Policy(answer_within=within, expire_after=timedelta(days=4))
    moved = told((Outcome.ACCEPTED, 0.5), policy=policy)["responsiveness"].explanation
    assert moved.endswith(f"none waited longer than {words}.")
