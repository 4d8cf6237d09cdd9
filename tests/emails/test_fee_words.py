"""Words about a fee follow PAYMENT, the kind of session, the reader and the notice."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from emails.fee_words import (
    FeeWords,
    cancelling,
    cancelling_any_time,
    if_move_is_asked,
    leaving_now,
    withdrawing,
)
from emails.kinds import Payment, Role

STARTS_AT = datetime(2026, 11, 3, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Rule:
    is_enquiry: bool
    free_until: datetime
    is_free: bool
    has_started: bool = False
    starts_at: datetime = STARTS_AT
    because: str = "notice"


FREE = Rule(False, STARTS_AT - 24 * HOUR, True)
OVER = Rule(False, STARTS_AT - 24 * HOUR, False)


def fee(
    payment: Payment = "later",
    reader: Role = "client",
    minor: int = 6000,
    *,
    is_consultation: bool = False,
) -> FeeWords:
    return FeeWords(
        minor=0 if is_consultation else minor,
        currency="GBP",
        payment=payment,
        is_consultation=is_consultation,
        reader=reader,
        client="Dee",
        therapist="Asha",
    )


@pytest.mark.parametrize(
    ("payment", "returned", "owed"),
    [
        ("later", "nothing is charged", "£60.00 is due"),
        ("at_booking", "£60.00 is refunded", "£60.00 is kept"),
    ],
)
def test_what_was_never_taken_is_not_given_back(payment: Payment, returned: str, owed: str) -> None:
    assert (fee(payment).returned, fee(payment).owed) == (returned, owed)
    assert fee(payment).outcome(is_owed=True) == owed


def every_sentence(words: FeeWords) -> str:
    rules = (FREE, OVER, Rule(True, FREE.free_until, True), Rule(True, FREE.free_until, False))
    said = [words.returned, words.owed, withdrawing(words), cancelling_any_time(words, 24 * HOUR)]
    said += [say(words, rule, "UTC") for rule in rules for say in (cancelling, leaving_now)]
    return " ".join(said)


@pytest.mark.parametrize("payment", get_args(Payment))
@pytest.mark.parametrize("reader", get_args(Role))
def test_a_free_consultation_gets_no_word_of_money(payment: Payment, reader: Role) -> None:
    said = every_sentence(fee(payment, reader, is_consultation=True))
    for word in ("£", "charged", "refund", " due", "kept", "costs", "pay"):
        assert word not in said
    assert "used up" in said
    assert "another time" in said


@pytest.mark.parametrize("payment", get_args(Payment))
def test_a_paid_session_that_costs_nothing_names_no_amount(payment: Payment) -> None:
    said = every_sentence(fee(payment, minor=0))
    assert "£" not in said
    assert "nothing to pay" in said


@pytest.mark.parametrize("payment", get_args(Payment))
def test_within_the_notice_no_refund_is_promised(payment: Payment) -> None:
    accepted = cancelling(fee(payment), OVER, "UTC")
    asked = cancelling(fee(payment), Rule(True, OVER.free_until, False), "UTC")
    assert "cancelling now costs £60.00" in accepted
    assert "once accepted, cancelling costs £60.00" in asked
    for word in ("refund", "charged", "before"):
        assert word not in accepted + asked


def test_the_end_of_free_cancelling_is_told_in_the_readers_zone() -> None:
    assert "Mon 2 Nov 2026, 09:00 (New York, EST)" in cancelling(fee(), FREE, "America/New_York")
    assert "Dee can cancel" in cancelling(fee(reader="therapist"), FREE, "UTC")


def test_the_words_follow_the_configured_notice() -> None:
    half_an_hour = Rule(False, STARTS_AT - HOUR / 2, True)
    assert "30 minutes before the start" in cancelling(fee(), half_an_hour, "UTC")
    assert "30 minutes or less" in cancelling_any_time(fee(), HOUR / 2)
    always = Rule(False, STARTS_AT, True)
    for said in (cancelling(fee(), always, "UTC"), cancelling_any_time(fee(), timedelta(0))):
        assert "before it starts" in said
        assert "due" not in said


def test_leaving_an_enquiry_is_free_also_within_the_notice() -> None:
    said = leaving_now(fee(), Rule(True, OVER.free_until, False), "UTC")
    assert "withdraw now, nothing is charged" in said


def test_of_a_session_that_has_started_no_cancelling_is_told() -> None:
    started = Rule(False, OVER.free_until, False, has_started=True)
    assert "no longer be cancelled" in cancelling(fee(), started, "UTC")


@pytest.mark.parametrize(
    ("rule", "begins"),
    [
        (FREE, "If Asha declines or does not answer, you can still cancel within 1 hour"),
        (OVER, "Cancelling is not free any more"),
        (replace(FREE, because="refused_move"), "Asking again does not make cancelling free for"),
    ],
)
def test_what_asking_to_move_means_is_said_before_it_is_asked(rule: Rule, begins: str) -> None:
    assert if_move_is_asked(fee(), rule, HOUR).startswith(begins)
