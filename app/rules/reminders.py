"""When both sides are reminded of an accepted session."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from app.rules.policy import Policy

# The first reminder leaves so long to cancel at no cost.
BEFORE_FREE_CANCELLING_ENDS = timedelta(hours=2)
# The second one brings the way in.
BEFORE_THE_START = timedelta(hours=1)
# The accepting itself has just told both.
QUIET_AFTER_ACCEPTING = timedelta(hours=2)
# Later than this before the start, the second reminder is near enough.
FIRST_GOES_UNTIL = timedelta(hours=2)


class Reminder(IntEnum):
    # The ordinals of their emails: Message-IDs derive from them, so they stay as they are.
    FIRST = 24
    SECOND = 1


# More than the ordinals of one time's reminders.
_PER_MOVE = 100


def ordinal(reminder: Reminder, *, moves: int) -> int:
    """Of its email, where the session's time has changed so often."""
    return reminder + _PER_MOVE * moves


def is_first(ordinal: int) -> bool:
    return ordinal % _PER_MOVE == Reminder.FIRST


def moves_at(ordinal: int) -> int:
    """How often the time had changed when a reminder was queued."""
    return ordinal // _PER_MOVE


@dataclass(frozen=True, slots=True)
class Reminders:
    """When each reminder is due; None: it will not come."""

    first_at: datetime | None
    second_at: datetime | None


def reminders(starts_at: datetime, accepted_at: datetime, policy: Policy) -> Reminders:
    first_at = starts_at - policy.free_cancellation - BEFORE_FREE_CANCELLING_ENDS
    second_at = starts_at - BEFORE_THE_START
    quiet_until = accepted_at + QUIET_AFTER_ACCEPTING
    return Reminders(
        first_at if quiet_until < first_at < first_goes_until(starts_at) else None,
        second_at if quiet_until < second_at else None,
    )


def first_goes_until(starts_at: datetime) -> datetime:
    """The instant from which the first reminder must not be sent any more, however overdue."""
    return starts_at - FIRST_GOES_UNTIL
