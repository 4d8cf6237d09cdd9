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


class Because(StrEnum):
    """What decides whether cancelling is free."""

    NOTICE = "notice"
    # The client moved the session when cancelling was no longer free.
    MOVED_LATE = "moved_late"
    # The client asked in time to move it, and was refused a moment ago.
    REFUSED_MOVE = "refused_move"
    # The therapist asks to move it.
    THERAPIST_ASKS = "therapist_asks"


@dataclass(frozen=True, slots=True)
class MoveTerms:
    """What moves of a session's time mean for its client's cancelling."""

    is_moved_late: bool = False
    # Until when it is free after a refusal, that instant included.
    free_until: datetime | None = None
    # A proposal of the therapist is open.
    therapist_asks: bool = False


NO_MOVES = MoveTerms()


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
    because: Because = Because.NOTICE

    @property
    def is_in_time(self) -> bool:
        """Whether it is free for its own sake, and not for a while after a refused move."""
        return self.is_free and self.because is not Because.REFUSED_MOVE


def cancelling_rule(
    status: Status,
    starts_at: datetime,
    now: datetime,
    policy: Policy,
    moves: MoveTerms = NO_MOVES,
) -> CancellingRule:
    free_until, because = starts_at - policy.free_cancellation, Because.NOTICE
    is_free = now < free_until
    if moves.is_moved_late:
        is_free, because = False, Because.MOVED_LATE
    if moves.free_until is not None and now <= moves.free_until and not is_free:
        free_until, is_free, because = moves.free_until, True, Because.REFUSED_MOVE
    if moves.therapist_asks:
        free_until, is_free, because = starts_at, True, Because.THERAPIST_ASKS
    return CancellingRule(
        is_enquiry=status is Status.REQUESTED,
        starts_at=starts_at,
        free_until=free_until,
        is_free=is_free,
        has_started=now >= starts_at,
        because=because,
    )


def settle(
    move: Move,
    *,
    status: Status,
    fee_minor: int,
    starts_at: datetime,
    now: datetime,
    policy: Policy,
    moves: MoveTerms = NO_MOVES,
) -> Settlement:
    """Who pays what. Raises ValueError if `move` cannot end a booking with that status."""
    if MOVES[move].target is Status.ACCEPTED or status not in MOVES[move].sources:
        raise ValueError(f"{move} does not end a booking that is {status}")
    rule = cancelling_rule(status, starts_at, now, policy, moves)
    within_notice = move is Move.CANCEL_BY_CLIENT and not rule.is_free
    is_earned = within_notice or move in (Move.COMPLETE, Move.NO_SHOW)
    split = split_fee(fee_minor if is_earned else 0, policy.commission_percent)
    return Settlement(
        refund_minor=0 if is_earned else fee_minor,
        charge_minor=fee_minor if is_earned else 0,
        payout_minor=split.payout_minor,
        commission_minor=split.commission_minor,
        within_notice=within_notice,
        streak_delta=1 if MOVES[move].target is Status.CANCELLED_BY_THERAPIST else 0,
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
