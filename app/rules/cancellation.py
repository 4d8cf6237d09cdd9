"""Who pays what when a booking ends, and the ledger lines for it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.rules.lifecycle import MOVES, Move, Status
from app.rules.money import split_fee
from app.rules.policy import Policy


class Account(StrEnum):
    CLIENT = "client"
    HELD = "held"
    THERAPIST = "therapist"
    COMMISSION = "commission"


# The account, and the minor units that it gains (negative: loses).
Line = tuple[Account, int]


@dataclass(frozen=True, slots=True)
class Settlement:
    """Who gets what when a booking ends, in minor units."""

    # Stored as the facts of timeline entries and read back by field name: do not rename fields.

    refund_minor: int
    charge_minor: int
    payout_minor: int
    commission_minor: int
    # The client cancelled too near the start to be free.
    within_notice: bool
    streak_delta: int
    gives_back_free_consultation: bool
    # Completed before, and now marked no-show: no more money moves.
    was_settled: bool


def is_within_notice(starts_at: datetime, now: datetime, policy: Policy) -> bool:
    """Whether a client who cancels at `now` pays; exactly 24 h before the start is within."""
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
    """Who pays what. Raises ValueError if `move` cannot end a booking with that status."""
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
    return _lines((Account.CLIENT, -fee_minor), (Account.HELD, fee_minor))


def settlement_lines(settlement: Settlement) -> tuple[Line, ...]:
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
