"""Every email to ops: one function per kind; bookings by reference, therapists by slug.

All instants are aware UTC; raises UnsafeValue naming the value that no email may carry.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from emails.message import Envelope, Message, Session
from emails.render import compose

What = Literal["flagged", "deactivated", "unreachable"]


def answer_late_ops(
    envelope: Envelope,
    session: Session,
    *,
    therapist_slug: str,
    late_since: datetime,
    expires_at: datetime,
) -> Message:
    """An enquiry is late: which booking, which therapist, since when, until when."""
    return compose(
        "answer_late_ops",
        "ops",
        envelope,
        session,
        therapist_slug=therapist_slug,
        late_since=late_since,
        expires_at=expires_at,
    )


def account_alert(
    envelope: Envelope,
    *,
    therapist_slug: str,
    what: What,
    sessions: Sequence[Session],
    streak: int | None = None,
) -> Message:
    """A therapist was flagged or deactivated, or does not get our emails.

    `streak` is what led to the former; `sessions` are what to look after: the accepted ones, or
    the one that waits for an answer.
    """
    return compose(
        "account_alert",
        "ops",
        envelope,
        therapist_slug=therapist_slug,
        what=what,
        streak=streak,
        sessions=sessions,
    )
