"""Whether an email may still go out, by the row of its kind; otherwise it is skipped."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app.rules import reminders
from app.rules.first_steps import Step
from app.rules.lifecycle import LIVE, Status
from app.services.auth import SIGN_IN_LASTS
from app.services.mail.reach import reach_of
from app.services.ops.people import may_sign_in
from app.services.therapists import standing
from app.store import queries, suppressions
from app.store.models import Booking, Client, OutboxEmail, SignIn, Therapist
from app.store.queries import pending as pending_requests
from emails.kinds import KINDS, Condition

# Why an email must not go out any more, for ops to read; None if it may.
Reason = str | None
BookingCheck = Callable[[Booking, datetime], Reason]
EmailCheck = Callable[[OutboxEmail, datetime], Reason]


# What a complaint stops: the rest is what a booking needs.
_REMINDERS = frozenset({"session_reminder", "answer_reminder"})


def why_stale(email: OutboxEmail, now: datetime) -> Reason:
    """Why the email would not be true any more at `now`; None if it may be sent."""
    recipient = email.recipient
    if isinstance(recipient, Client | Therapist) and recipient.is_erased:
        return f"the {email.role} was erased"
    is_reminder = email.kind in _REMINDERS or email.facts.get("is_reminder")
    reach = reach_of(email.booking, now) if is_reminder and email.booking else None
    if reach is not None and email.role in reach.complained:
        return "its recipient called our emails spam"
    lasts = KINDS[email.kind].lasts
    if isinstance(lasts, timedelta):
        return "it was queued too long ago" if now - email.created_at >= lasts else None
    return _CHECKS[lasts](email, now)


def _of_booking(check: BookingCheck) -> EmailCheck:
    def of_email(email: OutboxEmail, now: datetime) -> Reason:
        assert email.booking is not None
        return check(email.booking, now)

    return of_email


def _while_open(booking: Booking, now: datetime) -> Reason:
    if booking.status != Status.REQUESTED:
        return f"the enquiry is already {booking.status}"
    if now >= booking.expires_at:
        return "the enquiry has expired"
    if standing.ends_enquiries(booking.therapist):
        return "the enquiry ends with the therapist's account"
    return None


def _while_awaited(booking: Booking, now: datetime) -> Reason:
    if booking.waits_for_client and booking.proposal_at(now) is not None:
        return "other times were suggested since"
    return _while_open(booking, now)


def _until_over(booking: Booking, now: datetime) -> Reason:
    return "the session is over" if now >= booking.ends_at else None


def _until_late(booking: Booking, now: datetime) -> Reason:
    if now > booking.answer_by:
        return "the enquiry is already late"
    return _while_awaited(booking, now)


def _while_open_or_unreachable(booking: Booking, now: datetime) -> Reason:
    # Until an email arrives there, no later one tells ops of this therapist.
    if suppressions.of_address(booking.therapist.email) is not None:
        return None
    return _while_open(booking, now)


def _while_client_unreached(booking: Booking, now: datetime) -> Reason:
    if over := _until_over(booking, now):
        return over
    return None if reach_of(booking, now).client else "an email has reached the client since"


def _client_unreached(email: OutboxEmail, now: datetime) -> Reason:
    assert email.booking is not None
    others = queries.bookings_of_references(email.facts.get("others", []))
    reasons = [_while_client_unreached(each, now) for each in (email.booking, *others)]
    return reasons[0] if all(reasons) else None


def _while_open_and_unreached(booking: Booking, now: datetime) -> Reason:
    if not reach_of(booking, now).therapist:
        return "an email has reached the therapist since"
    return _while_open(booking, now)


def _while_accepted(booking: Booking, now: datetime) -> Reason:
    if booking.status != Status.ACCEPTED:
        return f"the session is already {booking.status}"
    return _until_over(booking, now)


def _while_live(booking: Booking, now: datetime) -> Reason:
    status = booking.status_at(now)
    return _until_over(booking, now) if status in LIVE else f"the booking is already {status}"


def _entry(email: OutboxEmail, now: datetime) -> Reason:
    booking = email.booking
    assert booking is not None
    is_update = email.facts.get("has_new_link") or email.facts.get("has_moved")
    if is_update and email.facts["sequence"] < booking.sequence:
        return _while_accepted(booking, now) or "a newer change follows"
    return _while_accepted(booking, now)


def _time_proposed(email: OutboxEmail, now: datetime) -> Reason:
    booking = email.booking
    assert booking is not None
    proposal = booking.proposal_at(now)
    if proposal is None or str(proposal.by) != email.facts["proposed_by"]:
        return "no other time is proposed any more"
    return None


def _time_taken(email: OutboxEmail, now: datetime) -> Reason:
    booking = email.booking
    assert booking is not None
    if email.facts["to"] != booking.starts_at.isoformat():
        return "the time has changed again"
    return _while_live(booking, now)


def _session_reminder(email: OutboxEmail, now: datetime) -> Reason:
    booking = email.booking
    assert booking is not None
    if now >= booking.starts_at:
        return "the session has started"
    if reminders.moves_at(email.ordinal) != booking.moves:
        return "the time has changed"
    if reminders.is_first(email.ordinal) and now >= reminders.first_goes_until(booking.starts_at):
        return "the next reminder is near"
    return _while_accepted(booking, now)


def _sign_in(email: OutboxEmail, now: datetime) -> Reason:
    if now - email.created_at >= SIGN_IN_LASTS:
        return "the sign-in was requested too long ago"
    sign_in = SignIn.get(SignIn.key == email.facts["key"])
    if sign_in.used_at is not None:
        return "the sign-in has been used"
    if not may_sign_in(sign_in.owner):
        return "the address is no longer in OPS_SIGN_IN"
    return None


def _confirm_request(email: OutboxEmail, now: datetime) -> Reason:
    if not pending_requests.unconfirmed_of_email(email, now):
        return "what was typed is confirmed or over"
    return None


def _while(holds: Callable[[Therapist, dict[str, Any]], bool], reason: str) -> EmailCheck:
    """Checks a fact of the email's therapist; `holds` also gets the email's own facts."""

    def check(email: OutboxEmail, _now: datetime) -> Reason:
        assert email.therapist is not None
        return None if holds(email.therapist, email.facts) else reason

    return check


def _account_alert(email: OutboxEmail, now: datetime) -> Reason:
    if email.booking is not None:
        return _while_open_or_unreachable(email.booking, now)
    return _ALERTS[email.facts["what"]](email, now)


_while_flagged = _while(lambda it, _: it.flagged_at is not None, "the flag has been lifted")
_while_deactivated = _while(
    lambda it, _: it.deactivated_at is not None, "the account has been reactivated"
)
_ALERTS: dict[str, EmailCheck] = {
    "flagged": _while_flagged,
    "deactivated": _while_deactivated,
    "unreachable": _while(
        lambda it, _: suppressions.of_address(it.email) is not None, "an email has arrived since"
    ),
}
_CHECKS: dict[Condition, EmailCheck] = {
    "enquiry_open": _of_booking(_while_open),
    "answer_awaited": _of_booking(_while_awaited),
    "enquiry_in_time": _of_booking(_until_late),
    "session_ahead": _entry,
    "session_not_over": _of_booking(_until_over),
    "proposal_open": _time_proposed,
    "time_current": _time_taken,
    "booking_live": _of_booking(_while_live),
    "reminder_due": _session_reminder,
    "client_unreached": _client_unreached,
    "therapist_unreached": _of_booking(_while_open_and_unreached),
    "sign_in_unused": _sign_in,
    "request_unconfirmed": _confirm_request,
    "steps_open": _while(
        lambda it, _: it.deactivated_at is None and it.steps_done < frozenset(Step),
        "all steps are done, or the account is deactivated",
    ),
    "streak_reached": _while(
        lambda it, facts: it.streak >= facts["streak"], "the streak has been set back"
    ),
    "flagged": _while_flagged,
    "deactivated": _while_deactivated,
    "reactivated": _while(
        lambda it, _: it.deactivated_at is None, "the account has been deactivated again"
    ),
    "alert_true": _account_alert,
}
