"""The acceptance window: when an enquiry is reminded of, is late, and expires."""

from datetime import datetime
from enum import StrEnum

from app.rules.policy import Policy


class Step(StrEnum):
    REMIND = "remind"
    LATE = "late"
    EXPIRE = "expire"


def answer_by(requested_at: datetime, policy: Policy) -> datetime:
    """The last instant at which an answer is on time."""
    return requested_at + policy.answer_within


def remind_at(requested_at: datetime, policy: Policy) -> datetime:
    return requested_at + policy.remind_answer_after


def expires_at(requested_at: datetime, starts_at: datetime, policy: Policy) -> datetime:
    """The first instant at which the enquiry can no longer be answered or withdrawn."""
    return min(requested_at + policy.expire_after, starts_at)


def is_late(answer_by: datetime, at: datetime) -> bool:
    return at > answer_by


def due_step(
    *,
    remind_at: datetime | None,
    answer_by: datetime,
    expires_at: datetime,
    late_announced: bool,
    now: datetime,
) -> Step | None:
    """The furthest step due for an open enquiry; None if it has been taken."""
    # The instants are those stored with the booking, so a changed policy does not move them.
    if now >= expires_at:
        return Step.EXPIRE
    if is_late(answer_by, now):
        return None if late_announced else Step.LATE
    return Step.REMIND if remind_at is not None and now >= remind_at else None
