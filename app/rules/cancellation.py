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


@dataclass(frozen=True, slots=True)
class CancellingRule:
    """What cancelling means for a client at one moment, told and applied as the same value.

    `is_free` is about cancelling once the session is accepted; withdrawing an enquiry always is.
    """

    is_enquiry: bool
    starts_at: datetime
    # Cancelling is free before this instant; exactly 24 h before the start is too late.
    free_until: datetime
    is_free: bool
    # A session that has started can no longer be cancelled.
    has_started: bool


def cancelling_rule(
    status: Status, starts_at: datetime, now: datetime, policy: Policy
) -> CancellingRule:
    free_until = starts_at - policy.free_cancellation
    return CancellingRule(
        is_enquiry=status is Status.REQUESTED,
        starts_at=starts_at,
        free_until=free_until,
        is_free=now < free_until,
        has_started=now >= starts_at,
    )


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
    rule = cancelling_rule(status, starts_at, now, policy)
    within_notice = move is Move.CANCEL_BY_CLIENT and not rule.is_free
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
