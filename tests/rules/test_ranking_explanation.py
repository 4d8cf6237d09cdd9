"""The ranking in words: each factor says what it is made of and how to improve it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.rules.policy import Policy
from app.rules.ranking import Enquiry, EnquiryOutcome, score
from app.rules.ranking_explanation import Factor, explain

POLICY = Policy()
NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def explained(
    *answers: tuple[EnquiryOutcome, float], flagged: bool = False, policy: Policy = POLICY
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


def test_the_factors_come_in_the_order_of_the_product() -> None:
    assert list(explained()) == ["responsiveness", "acceptance", "standing"]


def test_without_enquiries_every_factor_is_at_its_best() -> None:
    factors = explained()
    assert [factor.value for factor in factors.values()] == [Decimal("1.000")] * 3
    assert "No enquiry" in factors["responsiveness"].explanation
    assert all("Nothing to improve" in factor.how_to_improve for factor in factors.values())


def test_answers_in_time_are_named_as_such() -> None:
    explanation = explained((EnquiryOutcome.ACCEPTED, 1))["responsiveness"].explanation
    assert "1 enquiry of the last 90" in explanation
    assert "none waited longer than 3 hours" in explanation


def test_late_declined_and_expired_enquiries_are_counted() -> None:
    factors = explained(
        (EnquiryOutcome.ACCEPTED, 1), (EnquiryOutcome.DECLINED, 13.5), (EnquiryOutcome.EXPIRED, 24)
    )
    responsiveness, acceptance = factors["responsiveness"], factors["acceptance"]
    assert "2 of 3 enquiries" in responsiveness.explanation
    assert "1 of them expired" in responsiveness.explanation
    assert responsiveness.value == Decimal("0.786")
    assert "within 3 hours" in responsiveness.how_to_improve
    assert "Of 3 enquiries" in acceptance.explanation
    assert "1 declined and 1 expired" in acceptance.explanation
    assert acceptance.value == Decimal("0.929")
    assert "Each enquiry you accept" in acceptance.how_to_improve


def test_a_flag_says_how_it_is_lifted() -> None:
    standing = explained(flagged=True)["standing"]
    assert standing.value == Decimal("0.500")
    assert "4 or more cancelled sessions" in standing.explanation
    assert "lifts the flag" in standing.how_to_improve


@pytest.mark.parametrize(
    ("within", "words"),
    [
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=24), "24 hours"),
        (timedelta(hours=48), "2 days"),
    ],
)
def test_the_words_use_the_policys_numbers(within: timedelta, words: str) -> None:
    policy = Policy(answer_within=within, expire_after=timedelta(days=4))
    explanation = explained((EnquiryOutcome.ACCEPTED, 0.5), policy=policy)[
        "responsiveness"
    ].explanation
    assert explanation.endswith(f"none waited longer than {words}.")
