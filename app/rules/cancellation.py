"""Who pays what when a booking ends, and the ledger lines that say so."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.rules.lifecycle import MOVES, Move, Status
from app.rules.money import split_fee
from app.rules.policy import Policy


class Account(StrEnum):
    """An account of the ledger."""

    CLIENT = "client"
    HELD = "held"
    THERAPIST = "therapist"
    COMMISSION = "commission"


Line = tuple[Account, int]
"""One ledger line: the account and what it gains, in minor units (negative: what it loses)."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The outcome of a booking that has ended, in minor units.

    `within_notice` tells of a client's cancellation too near the start to be free. A booking that
    `was_settled` before (completed, then marked no-show) keeps its outcome and moves no money.
    """

    refund_minor: int
    charge_minor: int
    payout_minor: int
    commission_minor: int
    within_notice: bool
    streak_delta: int
    gives_back_free_consultation: bool
    was_settled: bool


def is_within_notice(starts_at: datetime, now: datetime, policy: Policy) -> bool:
    """Whether a client who cancels at `now` pays: exactly 24 h before the start still does."""
    return starts_at - now <= policy.free_cancellation


def settle(
    move: Move,
    *,
    status: Status,
    fee_minor: int,
    starts_at: datetime,
    now: datetime,
    policy: Policy,
) -> Settlement:
    """Who pays what when `move` ends a booking that stands at `status`.

    Raises ValueError for a move that does not end a booking, or not from that status.
    """
    if move is Move.ACCEPT or status not in MOVES[move].sources:
        raise ValueError(f"{move} does not end a booking that is {status}")
    within_notice = move is Move.CANCEL_BY_CLIENT and is_within_notice(starts_at, now, policy)
    is_earned = within_notice or move in (Move.COMPLETE, Move.NO_SHOW)
    split = split_fee(fee_minor if is_earned else 0, policy.commission_percent)
    return Settlement(
        refund_minor=0 if is_earned else fee_minor,
        charge_minor=fee_minor if is_earned else 0,
        payout_minor=split.payout_minor,
        commission_minor=split.commission_minor,
        within_notice=within_notice,
        streak_delta=1 if move is Move.CANCEL_BY_THERAPIST else 0,
        gives_back_free_consultation=not is_earned,
        was_settled=status is Status.COMPLETED,
    )


def request_lines(fee_minor: int) -> tuple[Line, ...]:
    """What a request moves: the fee, from the client to be held."""
    return _lines((Account.CLIENT, -fee_minor), (Account.HELD, fee_minor))


def settlement_lines(settlement: Settlement) -> tuple[Line, ...]:
    """What the end of a booking moves: the held fee, back to the client or on as earned."""
    if settlement.was_settled:
        return ()
    return _lines(
        (Account.HELD, -settlement.refund_minor - settlement.charge_minor),
        (Account.CLIENT, settlement.refund_minor),
        (Account.THERAPIST, settlement.payout_minor),
        (Account.COMMISSION, settlement.commission_minor),
    )


def _lines(*lines: Line) -> tuple[Line, ...]:
    return tuple(line for line in lines if line[1])
