"""The kinds of email: who each goes to, its calendar part and what its templates use."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Role = Literal["client", "therapist", "ops"]
CalendarState = Literal["tentative", "confirmed", "cancelled"]
# Tentative for an enquiry and confirmed for a session, as the value `status` says.
ByStatus = Literal["by_status"]
# What has to be true when an email leaves.
Condition = Literal[
    "enquiry_open",
    "answer_awaited",
    "enquiry_in_time",
    "session_ahead",
    "session_not_over",
    "proposal_open",
    "time_current",
    "booking_live",
    "reminder_due",
    "client_unreached",
    "therapist_unreached",
    "sign_in_unused",
    "request_unconfirmed",
    "steps_open",
    "streak_reached",
    "flagged",
    "deactivated",
    "reactivated",
    "alert_true",
]
# When the client pays: after the session, or with the request.
Payment = Literal["later", "at_booking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailKind:
    """`facts` come from the move that caused the email, `values` are looked up when it leaves.

    Templates also know `role`, `reader`, `zone`, `sent_at`, `reference`, `session`, `fee`,
    `calendar`, `support_email` and `crisis_note`.
    """

    to: tuple[Role, ...]
    # It may leave while this is true, or for so long after it was queued; later it is skipped.
    lasts: Condition | timedelta
    calendar: CalendarState | ByStatus | None = None
    facts: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


# Message-IDs of replies point to these: the first email of a booking to each role.
FIRST_IN_THREAD: dict[Role, str] = {
    "client": "booking_received",
    "therapist": "booking_requested",
    "ops": "answer_late_ops",
}

_ANSWERING = (
    "answer_by",
    "accept_url",
    "decline_url",
    "suggest_url",
    "may_suggest",
    "booking_url",
)
_ANSWER = (*_ANSWERING, "expires_at")
_OFFERS = ("offers", "choose_url", "booking_url")
# What ended a booking and what it costs is to be told, also when the session's time is over.
_NEWS = timedelta(days=30)
_STREAK_RULE = ("flag_streak", "deactivate_streak", "dashboard_url")

KINDS: dict[str, EmailKind] = {
    # Before a request: only the visitor hears of it.
    "confirm_request": EmailKind(
        to=("client",), values=("requests", "unconfirmed_minutes"), lasts="request_unconfirmed"
    ),
    # A request and its answer. What brings a calendar entry also brings its new meeting link.
    "booking_requested": EmailKind(
        to=("therapist",),
        calendar="tentative",
        values=(*_ANSWER, "payout_minor", "commission_percent", "times_that_day"),
        lasts="answer_awaited",
    ),
    "booking_received": EmailKind(
        to=("client",),
        values=(
            "has_moved",
            "answer_by",
            "expires_at",
            "cancelling_rule",
            "by_ops",
            "booking_url",
            "other_unreached",
        ),
        lasts="enquiry_open",
    ),
    "booking_accepted": EmailKind(
        to=("client",),
        calendar="confirmed",
        values=(
            "has_new_link",
            "has_moved",
            "took_suggestion",
            "by_ops",
            "meeting_url",
            "cancelling_rule",
            "booking_url",
        ),
        lasts="session_ahead",
    ),
    "session_confirmed": EmailKind(
        to=("therapist",),
        calendar="confirmed",
        values=(
            "has_new_link",
            "has_moved",
            "by_ops",
            "meeting_url",
            "booking_url",
            "other_unreached",
        ),
        lasts="session_ahead",
    ),
    "booking_declined": EmailKind(to=("client",), values=_OFFERS, lasts=_NEWS),
    "enquiry_declined": EmailKind(
        to=("therapist",),
        calendar="cancelled",
        values=("by_ops", "booking_url", "other_unreached"),
        lasts=_NEWS,
    ),
    # A therapist who has not answered.
    "answer_reminder": EmailKind(to=("therapist",), values=_ANSWER, lasts="enquiry_in_time"),
    "answer_late": EmailKind(
        to=("therapist",), values=(*_ANSWER, "other_unreached"), lasts="answer_awaited"
    ),
    "answer_late_client": EmailKind(
        to=("client",),
        values=("expires_at", "choose_url", "booking_url", "other_unreached"),
        lasts="answer_awaited",
    ),
    "answer_late_ops": EmailKind(
        to=("ops",),
        values=(
            "therapist_slug",
            "has_phone",
            "answer_by",
            "expires_at",
            "command",
            "unreached",
        ),
        lasts="answer_awaited",
    ),
    "booking_expired": EmailKind(
        to=("client",), facts=("because",), values=(*_OFFERS, "other_unreached"), lasts=_NEWS
    ),
    "enquiry_expired": EmailKind(
        to=("therapist",),
        calendar="cancelled",
        facts=("because",),
        values=("booking_url", "other_unreached", "was_asked_in_time"),
        lasts=_NEWS,
    ),
    # Cancelling.
    "booking_withdrawn": EmailKind(
        to=("therapist",), calendar="cancelled", values=("booking_url",), lasts="session_not_over"
    ),
    "withdrawal_receipt": EmailKind(to=("client",), values=("by_ops", "booking_url"), lasts=_NEWS),
    "client_cancelled": EmailKind(
        to=("therapist",),
        calendar="cancelled",
        facts=("payout_minor", "commission_minor", "within_notice"),
        values=("cancelled_because", "free_cancellation", "booking_url"),
        lasts=_NEWS,
    ),
    "cancellation_receipt": EmailKind(
        to=("client",),
        calendar="cancelled",
        facts=("within_notice",),
        values=(
            "by_ops",
            "cancelled_because",
            "free_cancellation",
            "booking_url",
            "other_unreached",
        ),
        lasts=_NEWS,
    ),
    "therapist_cancelled": EmailKind(
        to=("client",), calendar="cancelled", values=(*_OFFERS, "in_answer", "by_ops"), lasts=_NEWS
    ),
    "cancellation_recorded": EmailKind(
        to=("therapist",),
        calendar="cancelled",
        facts=("streak",),
        values=(
            "in_answer",
            "by_ops",
            "warn_streak",
            "flag_streak",
            "deactivate_streak",
            "booking_url",
            "other_unreached",
        ),
        lasts=_NEWS,
    ),
    # Another time: to the side that did not act, and to both after a lapse.
    "time_proposed": EmailKind(
        to=("client", "therapist"),
        values=(
            "status",
            "is_reminder",
            "proposed_times",
            "proposal_until",
            "can_keep",
            "keep_url",
            "choose_url",
            "booking_url",
        ),
        lasts="proposal_open",
    ),
    "time_taken": EmailKind(
        to=("client", "therapist"),
        calendar="by_status",
        values=("status", "old_starts_at", "meeting_url", "cancelling_rule", *_ANSWERING),
        lasts="time_current",
    ),
    "time_kept": EmailKind(
        to=("client", "therapist"),
        facts=("how", "proposed_by"),
        values=("status", "cancelling_rule", "by_deactivation", "other_unreached", *_ANSWERING),
        lasts="booking_live",
    ),
    # The session, and what people write to one another.
    "session_reminder": EmailKind(
        to=("client", "therapist"),
        values=(
            "meeting_url",
            "booking_url",
            "other_unreached",
            "cancelling_rule",
            "is_first_reminder",
        ),
        lasts="reminder_due",
    ),
    "no_show_recorded": EmailKind(to=("client",), values=("booking_url",), lasts=_NEWS),
    "new_message": EmailKind(to=("client", "therapist"), values=("booking_url",), lasts=_NEWS),
    # What people send back.
    "answer_not_taken": EmailKind(
        to=("therapist", "client"),
        facts=("why",),
        values=(
            "status",
            "waits_for_client",
            "cancelling_rule",
            "accept_url",
            "decline_url",
            "suggest_url",
            "may_suggest",
            "booking_url",
        ),
        lasts=timedelta(days=1),
    ),
    "reply_not_placed": EmailKind(
        to=("therapist", "client"), values=("dashboard_url",), lasts=timedelta(days=1)
    ),
    "mail_alert": EmailKind(
        to=("ops",),
        facts=("what", "email", "mail_domain"),
        values=("command",),
        lasts=timedelta(days=7),
    ),
    # One side of a booking does not get our emails.
    "client_unreachable": EmailKind(
        to=("therapist", "ops"),
        values=("status", "therapist_slug", "others_unreached", "booking_url", "command"),
        lasts="client_unreached",
    ),
    "therapist_unreachable": EmailKind(
        to=("client",), values=(*_OFFERS, "expires_at"), lasts="therapist_unreached"
    ),
    # Ways in.
    "sign_in": EmailKind(
        to=("therapist",), values=("sign_in_url", "sign_in_minutes"), lasts="sign_in_unused"
    ),
    "ops_sign_in": EmailKind(
        to=("ops",), values=("sign_in_url", "sign_in_minutes"), lasts="sign_in_unused"
    ),
    "your_links": EmailKind(to=("client",), values=("live_bookings",), lasts=timedelta(hours=24)),
    # A therapist's account.
    "welcome": EmailKind(
        to=("therapist",),
        values=("dashboard_url", "steps_done", "rate_minor", "currency", "is_visible"),
        lasts="steps_open",
    ),
    "streak_warning": EmailKind(
        to=("therapist",), facts=("streak",), values=_STREAK_RULE, lasts="streak_reached"
    ),
    "account_flagged": EmailKind(
        to=("therapist",), facts=("streak",), values=_STREAK_RULE, lasts="flagged"
    ),
    "account_deactivated": EmailKind(
        to=("therapist",),
        facts=("streak",),
        values=("deactivate_streak", "sessions", "dashboard_url"),
        lasts="deactivated",
    ),
    "account_reactivated": EmailKind(
        to=("therapist",), values=("account", *_STREAK_RULE), lasts="reactivated"
    ),
    "account_alert": EmailKind(
        to=("ops",),
        facts=("what", "streak"),
        values=("therapist_slug", "has_phone", "is_unlisted", "sessions", "command"),
        lasts="alert_true",
    ),
}
