"""Until when each kind of email may still go out; past that it is skipped."""

from collections.abc import Callable
from datetime import datetime, timedelta

from app.rules.lifecycle import Status
from app.store import suppressions
from app.store.models import Booking, Client, OutboxEmail, SignIn

SIGN_IN_LASTS = timedelta(minutes=15)

Reason = str | None


def why_stale(email: OutboxEmail, now: datetime) -> Reason:
    """Why the email would no longer tell the truth at `now`; None if it should be sent."""
    if isinstance(email.recipient, Client) and email.recipient.is_erased:
        return "the client was erased"
    if email.booking is not None and email.kind in _BY_BOOKING:
        return _BY_BOOKING[email.kind](email.booking, now)
    check = _BY_EMAIL.get(email.kind)
    return check(email, now) if check else None


def _while_open(booking: Booking, now: datetime) -> Reason:
    if booking.status != Status.REQUESTED:
        return f"the enquiry is already {booking.status}"
    if now >= booking.expires_at:
        return "the enquiry has expired"
    return None


def _until_late(booking: Booking, now: datetime) -> Reason:
    if now > booking.answer_by:
        return "the enquiry is already late"
    return _while_open(booking, now)


def _while_unheard(booking: Booking, now: datetime) -> Reason:
    # With its address dead, no later email would tell of the therapist either.
    is_heard = suppressions.reason_at(booking.therapist.email) is None
    return _while_open(booking, now) if is_heard else None


def _while_accepted(booking: Booking, now: datetime) -> Reason:
    if booking.status != Status.ACCEPTED:
        return f"the session is already {booking.status}"
    if now >= booking.ends_at:
        return "the session is over"
    return None


def _before_start(booking: Booking, now: datetime) -> Reason:
    if now >= booking.starts_at:
        return "the session has started"
    return _while_accepted(booking, now)


def _sign_in(email: OutboxEmail, now: datetime) -> Reason:
    if now - email.created_at >= SIGN_IN_LASTS:
        return "the sign-in was asked for too long ago"
    if SignIn.get(SignIn.key == email.facts["key"]).used_at is not None:
        return "the sign-in has been used"
    return None


def _for(age: timedelta) -> Callable[[OutboxEmail, datetime], Reason]:
    def check(email: OutboxEmail, now: datetime) -> Reason:
        return "it was asked for too long ago" if now - email.created_at >= age else None

    return check


def _while_on_streak(email: OutboxEmail, _now: datetime) -> Reason:
    assert email.therapist is not None
    still = email.therapist.streak >= email.facts["streak"]
    return None if still else "the streak has been set back since"


def _while_flagged(email: OutboxEmail, _now: datetime) -> Reason:
    assert email.therapist is not None
    return None if email.therapist.is_flagged else "the flag has been lifted since"


def _while_deactivated(email: OutboxEmail, _now: datetime) -> Reason:
    assert email.therapist is not None
    return None if email.therapist.is_deactivated else "the account has been reactivated since"


def _while_so(email: OutboxEmail, now: datetime) -> Reason:
    return _WHILE[email.facts["what"]](email, now)


def _while_unreachable(email: OutboxEmail, _now: datetime) -> Reason:
    assert email.therapist is not None
    is_so = suppressions.reason_at(email.therapist.email) is not None
    return None if is_so else "the address is tried again"


_WHILE = {
    "flagged": _while_flagged,
    "deactivated": _while_deactivated,
    "unreachable": _while_unreachable,
}
_BY_BOOKING: dict[str, Callable[[Booking, datetime], Reason]] = {
    "booking_requested": _while_open,
    "booking_received": _while_open,
    "answer_reminder": _until_late,
    "answer_late": _while_open,
    "answer_late_client": _while_open,
    "answer_late_ops": _while_open,
    "account_alert": _while_unheard,
    "booking_accepted": _while_accepted,
    "session_confirmed": _while_accepted,
    "session_reminder": _before_start,
}
_BY_EMAIL: dict[str, Callable[[OutboxEmail, datetime], Reason]] = {
    "sign_in": _sign_in,
    "streak_warning": _while_on_streak,
    "account_flagged": _while_flagged,
    "account_deactivated": _while_deactivated,
    "account_alert": _while_so,
    "your_links": _for(timedelta(hours=24)),
    "new_message": _for(timedelta(days=30)),
}
