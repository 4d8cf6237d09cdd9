"""The life of a booking: every move from every status by every actor, around every instant."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from app.rules.lifecycle import (
    MOVES,
    Actor,
    Move,
    Status,
    Times,
    Verdict,
    due_move,
    judge,
    takes_messages,
)
from tests.harness.every import for_every

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
REQUESTED_AT = datetime(2027, 3, 1, 9, tzinfo=UTC)
STARTS_AT = REQUESTED_AT + timedelta(days=5)
ENDS_AT = STARTS_AT + timedelta(minutes=50)
TIMES = Times(
    requested_at=REQUESTED_AT,
    expires_at=REQUESTED_AT + 24 * HOUR,
    starts_at=STARTS_AT,
    ends_at=ENDS_AT,
    completes_at=ENDS_AT + timedelta(minutes=10),
    no_show_until=ENDS_AT + timedelta(days=7, minutes=10),
)

MARKS = [
    TIMES.requested_at,
    TIMES.expires_at,
    TIMES.starts_at,
    TIMES.ends_at,
    TIMES.completes_at,
    TIMES.no_show_until,
]
INSTANTS = sorted({mark + off for mark in MARKS for off in (-SECOND, timedelta(0), SECOND)})[1:]

# The picture in the contract, written out once more and by hand.
TARGETS = {
    (Move.ACCEPT, Status.REQUESTED): Status.ACCEPTED,
    (Move.ACCEPT_SUGGESTION, Status.REQUESTED): Status.ACCEPTED,
    (Move.DECLINE, Status.REQUESTED): Status.DECLINED,
    (Move.WITHDRAW, Status.REQUESTED): Status.WITHDRAWN,
    (Move.EXPIRE, Status.REQUESTED): Status.EXPIRED,
    (Move.CANCEL_BY_CLIENT, Status.ACCEPTED): Status.CANCELLED_BY_CLIENT,
    (Move.CANCEL_BY_THERAPIST, Status.ACCEPTED): Status.CANCELLED_BY_THERAPIST,
    (Move.CANCEL_IN_ANSWER, Status.ACCEPTED): Status.CANCELLED_BY_THERAPIST,
    (Move.COMPLETE, Status.ACCEPTED): Status.COMPLETED,
    (Move.NO_SHOW, Status.ACCEPTED): Status.NO_SHOW,
    (Move.NO_SHOW, Status.COMPLETED): Status.NO_SHOW,
}
WHO = {
    Move.ACCEPT: {Actor.THERAPIST, Actor.OPS},
    Move.ACCEPT_SUGGESTION: {Actor.CLIENT},
    Move.DECLINE: {Actor.THERAPIST, Actor.OPS},
    Move.WITHDRAW: {Actor.CLIENT},
    Move.EXPIRE: {Actor.SYSTEM},
    Move.CANCEL_BY_CLIENT: {Actor.CLIENT},
    Move.CANCEL_BY_THERAPIST: {Actor.THERAPIST},
    Move.CANCEL_IN_ANSWER: {Actor.CLIENT},
    Move.COMPLETE: {Actor.SYSTEM},
    Move.NO_SHOW: {Actor.THERAPIST},
}


def expected_by_the_clock(move: Move, now: datetime) -> Verdict:
    if move in (Move.ACCEPT, Move.ACCEPT_SUGGESTION, Move.DECLINE, Move.WITHDRAW):
        return Verdict.ALLOWED if now < TIMES.expires_at else Verdict.TOO_LATE
    if move is Move.EXPIRE:
        return Verdict.ALLOWED if now >= TIMES.expires_at else Verdict.TOO_EARLY
    if move in (Move.CANCEL_BY_CLIENT, Move.CANCEL_BY_THERAPIST, Move.CANCEL_IN_ANSWER):
        return Verdict.ALLOWED if now < STARTS_AT else Verdict.TOO_LATE
    if move is Move.COMPLETE:
        is_over = now >= ENDS_AT + timedelta(minutes=10)
        return Verdict.ALLOWED if is_over else Verdict.TOO_EARLY
    if now < ENDS_AT:
        return Verdict.TOO_EARLY
    last = ENDS_AT + timedelta(minutes=10, days=7)
    return Verdict.ALLOWED if now <= last else Verdict.TOO_LATE


@for_every(list(product(Move, Status, Actor)))
def test_no_other_move_exists(move: Move, status: Status, actor: Actor) -> None:
    targets = {target for (each, _), target in TARGETS.items() if each is move}
    for now in INSTANTS:
        if actor not in WHO[move]:
            verdict = Verdict.FORBIDDEN
        elif status in targets:
            verdict = Verdict.REPEATED
        elif (move, status) not in TARGETS:
            verdict = Verdict.OVERTAKEN
        else:
            verdict = expected_by_the_clock(move, now)
        assert judge(move, status, TIMES, actor, now) is verdict, now


def test_the_table_of_moves_is_that_of_the_contract() -> None:
    rows = {(move, source): rule.target for move, rule in MOVES.items() for source in rule.sources}
    assert rows == TARGETS


@pytest.mark.parametrize(
    ("status", "now", "move"),
    [
        (Status.REQUESTED, TIMES.expires_at - SECOND, None),
        (Status.REQUESTED, TIMES.expires_at, Move.EXPIRE),
        (Status.REQUESTED, TIMES.expires_at + timedelta(days=30), Move.EXPIRE),
        (Status.ACCEPTED, ENDS_AT + timedelta(minutes=10) - SECOND, None),
        (Status.ACCEPTED, ENDS_AT + timedelta(minutes=10), Move.COMPLETE),
    ],
)
def test_the_clock_makes_its_moves_without_a_job(
    status: Status, now: datetime, move: Move | None
) -> None:
    assert due_move(status, TIMES, now) is move


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.REQUESTED, Status.ACCEPTED}))
def test_the_clock_moves_no_booking_that_has_ended(status: Status) -> None:
    assert due_move(status, TIMES, TIMES.no_show_until + timedelta(days=365)) is None


@pytest.mark.parametrize("status", list(Status))
def test_messages_last_as_long_as_the_booking_and_14_days_after_a_session(status: Status) -> None:
    always = status in (Status.REQUESTED, Status.ACCEPTED)
    for_a_while = status in (Status.COMPLETED, Status.NO_SHOW)
    last = ENDS_AT + timedelta(days=14)
    assert takes_messages(status, TIMES, REQUESTED_AT) is (always or for_a_while)
    assert takes_messages(status, TIMES, last - SECOND) is (always or for_a_while)
    assert takes_messages(status, TIMES, last) is always
