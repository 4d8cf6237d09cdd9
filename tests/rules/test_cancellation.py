"""Who pays what when a booking ends: every row of the table, and a ledger that stays at zero."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.cancellation import (
    Account,
    Settlement,
    cancelling_rule,
    request_lines,
    settle,
    settlement_lines,
)
from app.rules.lifecycle import MOVES, Move, Status
from app.rules.policy import Policy

POLICY = Policy()
STARTS_AT = datetime(2027, 3, 10, 9, tzinfo=UTC)
FEE = 6005
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
ENDINGS = [
    (move, status)
    for move, rule in MOVES.items()
    for status in sorted(rule.sources)
    if rule.target is not Status.ACCEPTED
]


def settled(
    move: Move, status: Status, fee_minor: int = FEE, before: timedelta = 48 * HOUR
) -> Settlement:
    return settle(
        move,
        status=status,
        fee_minor=fee_minor,
        starts_at=STARTS_AT,
        now=STARTS_AT - before,
        policy=POLICY,
    )


@pytest.mark.parametrize(
    ("move", "status", "before", "client_pays", "streak_delta", "free_again"),
    [
        (Move.WITHDRAW, Status.REQUESTED, HOUR, False, 0, True),
        (Move.DECLINE, Status.REQUESTED, HOUR, False, 0, True),
        (Move.EXPIRE, Status.REQUESTED, timedelta(0), False, 0, True),
        (Move.CANCEL_BY_CLIENT, Status.ACCEPTED, 25 * HOUR, False, 0, True),
        (Move.CANCEL_BY_CLIENT, Status.ACCEPTED, 24 * HOUR + SECOND, False, 0, True),
        (Move.CANCEL_BY_CLIENT, Status.ACCEPTED, 24 * HOUR, True, 0, False),
        (Move.CANCEL_BY_CLIENT, Status.ACCEPTED, 24 * HOUR - SECOND, True, 0, False),
        (Move.CANCEL_BY_CLIENT, Status.ACCEPTED, SECOND, True, 0, False),
        (Move.CANCEL_BY_THERAPIST, Status.ACCEPTED, 48 * HOUR, False, 1, True),
        (Move.CANCEL_BY_THERAPIST, Status.ACCEPTED, SECOND, False, 1, True),
        (Move.COMPLETE, Status.ACCEPTED, -HOUR, True, 0, False),
        (Move.NO_SHOW, Status.ACCEPTED, -HOUR, True, 0, False),
        (Move.NO_SHOW, Status.COMPLETED, -48 * HOUR, True, 0, False),
    ],
)
def test_every_row_of_the_cancelling_table(
    move: Move,
    status: Status,
    before: timedelta,
    client_pays: bool,
    streak_delta: int,
    free_again: bool,
) -> None:
    result = settled(move, status, before=before)
    money = (
        result.refund_minor,
        result.charge_minor,
        result.payout_minor,
        result.commission_minor,
    )
    assert money == ((0, FEE, 5404, 601) if client_pays else (FEE, 0, 0, 0))
    assert result.streak_delta == streak_delta
    assert result.gives_back_free_consultation is free_again
    assert result.within_notice is (move is Move.CANCEL_BY_CLIENT and client_pays)


@pytest.mark.parametrize(
    ("before", "is_free"),
    [
        (25 * HOUR, True),
        (24 * HOUR + SECOND, True),
        (24 * HOUR, False),
        (20 * HOUR, False),
        (SECOND, False),
    ],
)
@pytest.mark.parametrize("status", [Status.REQUESTED, Status.ACCEPTED])
def test_the_rule_that_is_told_is_the_one_that_is_applied(
    before: timedelta, is_free: bool, status: Status
) -> None:
    rule = cancelling_rule(status, STARTS_AT, STARTS_AT - before, POLICY)
    assert rule.is_free is is_free
    assert rule.is_enquiry is (status is Status.REQUESTED)
    assert rule.free_until == STARTS_AT - 24 * HOUR
    applied = settled(Move.CANCEL_BY_CLIENT, Status.ACCEPTED, before=before)
    assert applied.charge_minor == (0 if rule.is_free else FEE)


def test_with_no_notice_asked_for_cancelling_is_free_until_the_start() -> None:
    policy = replace(POLICY, free_cancellation=timedelta(0))
    rules = [
        cancelling_rule(Status.ACCEPTED, STARTS_AT, at, policy)
        for at in (STARTS_AT - SECOND, STARTS_AT)
    ]
    assert [(rule.is_free, rule.has_started) for rule in rules] == [(True, False), (False, True)]


def test_a_request_holds_the_fee() -> None:
    assert request_lines(FEE) == ((Account.CLIENT, -FEE), (Account.HELD, FEE))


def test_a_refund_is_the_reverse_of_the_request() -> None:
    lines = settlement_lines(settled(Move.DECLINE, Status.REQUESTED))
    assert sorted(lines) == sorted((account, -amount) for account, amount in request_lines(FEE))


def test_an_earned_fee_goes_to_therapist_and_commission() -> None:
    assert set(settlement_lines(settled(Move.COMPLETE, Status.ACCEPTED))) == {
        (Account.HELD, -FEE),
        (Account.THERAPIST, 5404),
        (Account.COMMISSION, 601),
    }


def test_a_no_show_after_completion_moves_no_more_money() -> None:
    result = settled(Move.NO_SHOW, Status.COMPLETED)
    assert (result.charge_minor, result.payout_minor) == (FEE, 5404)
    assert settlement_lines(result) == ()


@pytest.mark.parametrize(("move", "status"), ENDINGS)
def test_a_free_session_has_no_lines(move: Move, status: Status) -> None:
    assert request_lines(0) == ()
    assert settlement_lines(settled(move, status, fee_minor=0)) == ()


def test_a_free_session_that_the_therapist_cancels_counts_too() -> None:
    assert settled(Move.CANCEL_BY_THERAPIST, Status.ACCEPTED, fee_minor=0).streak_delta == 1


@pytest.mark.parametrize(
    ("move", "status"),
    [
        (Move.ACCEPT, Status.REQUESTED),
        (Move.CANCEL_BY_CLIENT, Status.REQUESTED),
        (Move.NO_SHOW, Status.NO_SHOW),
        (Move.COMPLETE, Status.COMPLETED),
    ],
)
def test_a_move_that_ends_nothing_settles_nothing(move: Move, status: Status) -> None:
    with pytest.raises(ValueError, match=f"{move} does not end a booking that is {status}"):
        settled(move, status)


@given(
    fee_minor=st.integers(0, 10**7),
    choices=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    before=st.timedeltas(timedelta(0), timedelta(days=3)),
)
def test_every_bookings_lines_sum_to_zero_at_every_moment(
    fee_minor: int, choices: list[int], before: timedelta
) -> None:
    status = Status.REQUESTED
    books: Counter[Account] = Counter()
    for account, amount in request_lines(fee_minor):
        books[account] += amount
    for choice in choices:
        moves = [move for move, rule in MOVES.items() if status in rule.sources]
        if not moves:
            break
        move = moves[choice % len(moves)]
        if MOVES[move].target is not Status.ACCEPTED:
            lines = settlement_lines(settled(move, status, fee_minor, before))
            for account, amount in lines:
                assert amount
                books[account] += amount
        status = MOVES[move].target
        assert sum(books.values()) == 0
        is_live = status in (Status.REQUESTED, Status.ACCEPTED)
        assert books[Account.HELD] == (fee_minor if is_live else 0)
        assert min(books[Account.THERAPIST], books[Account.COMMISSION], fee_minor) >= 0
