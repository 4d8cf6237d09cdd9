"""Samples of the emails in other situations, beside those of emails/samples.py."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from emails.kinds import KINDS, Role
from emails.message import Message, Offer
from emails.samples import (
    ANSWER_BY,
    CHOOSE_URL,
    FIRST_REMINDER_AT,
    ONE_DAY,
    ONE_HOUR_BEFORE,
    SESSION,
    SESSION_NEXT_WEEK,
    STARTS_AT,
    sample,
)

FREE = replace(SESSION, kind="free_consultation", price_minor=0)
SAME_ZONE = replace(SESSION, client_zone="Europe/London")
PAID = replace(SESSION, payment="at_booking")
TWENTY_HOURS_BEFORE = STARTS_AT - timedelta(hours=20)
IN_AUCKLAND = replace(SESSION, client_zone="Pacific/Auckland")
ONE_HOUR = timedelta(hours=1)
NEXT_DAY = Offer(
    therapist_name="Chi",
    starts_at=STARTS_AT + ONE_DAY,
    url=f"{CHOOSE_URL}?therapist=chi",
    price_minor=0,
    currency="GBP",
)

reminder = partial(sample, "answer_reminder")
received = partial(sample, "booking_received")
accepted = partial(sample, "booking_accepted")
to_client = partial(sample, "session_reminder", "client")
receipt = partial(sample, "cancellation_receipt")
recorded = partial(sample, "cancellation_recorded")
expired = partial(sample, "booking_expired")

# Kinds that say whether the other side is told.
UNREACHED = tuple(kind for kind, row in KINDS.items() if "other_unreached" in row.values)

# (why, role, status): each reason once, and each state of a booking.
NOT_TAKEN: tuple[tuple[str, Role, str], ...] = (
    ("other_time", "therapist", "requested"),
    ("delegated", "therapist", "requested"),
    ("out_of_office", "therapist", "requested"),
    ("too_quick", "therapist", "requested"),
    ("other_person", "therapist", "accepted"),
    ("unproven", "therapist", "requested"),
    ("older", "therapist", "expired"),
    ("older", "therapist", "withdrawn"),
    ("older", "client", "cancelled_by_client"),
    ("cancels", "therapist", "accepted"),
    ("cancels", "client", "requested"),
    ("unclear", "client", "accepted"),
    ("empty", "client", "requested"),
    ("too_long", "therapist", "accepted"),
    ("attachments", "client", "accepted"),
    ("not_plain", "therapist", "requested"),
    ("times", "therapist", "accepted"),
    ("times", "client", "accepted"),
    ("over", "client", "completed"),
    ("over", "therapist", "declined"),
)


def not_taken(why: str, role: Role, status: str, **more: bool) -> Message:
    return sample("answer_not_taken", role, why=why, status=status, **more)


SITUATIONS: dict[str, Callable[[], Message]] = {
    "answer_late_ops.with_phone": partial(
        sample, "answer_late_ops", sent_at=ANSWER_BY, has_phone=True
    ),
    "account_alert.with_phone": partial(
        sample, "account_alert", session=None, sent_at=ANSWER_BY, has_phone=True
    ),
    # The mail server objected to that email, not to the address.
    "account_alert.one_email": partial(
        sample, "account_alert", sent_at=ANSWER_BY, what="unreachable", streak=None
    ),
    "booking_requested.free": partial(
        sample, "booking_requested", session=FREE, times_that_day=((FREE.starts_at, FREE.ends_at),)
    ),
    "booking_requested.same_zone": partial(sample, "booking_requested", session=SAME_ZONE),
    "booking_requested.far_zone": partial(sample, "booking_requested", session=IN_AUCKLAND),
    "booking_received.free": partial(sample, "booking_received", session=FREE),
    "booking_received.within_notice": partial(received, sent_at=TWENTY_HOURS_BEFORE),
    "booking_received.free_within_notice": partial(
        received, session=FREE, sent_at=TWENTY_HOURS_BEFORE
    ),
    "booking_received.at_booking": partial(received, session=PAID),
    "booking_accepted.free": partial(sample, "booking_accepted", session=FREE),
    "booking_accepted.within_notice": partial(accepted, sent_at=TWENTY_HOURS_BEFORE),
    "booking_accepted.at_booking": partial(accepted, session=PAID),
    **{
        f"answer_not_taken.{why}_{role}_{status}": partial(not_taken, why, role, status)
        for why, role, status in NOT_TAKEN
    },
    "answer_not_taken.after_suggesting": partial(
        not_taken, "older", "therapist", "requested", waits_for_client=True, may_suggest=False
    ),
    "answer_not_taken.suggested": partial(
        not_taken, "times", "client", "requested", waits_for_client=True
    ),
    "mail_alert.complaint": partial(sample, "mail_alert", session=None, what="complaint"),
    "booking_requested.mail_door": partial(sample, "booking_requested", sequence=0, hears=True),
    "booking_accepted.mail_door": partial(sample, "booking_accepted", hears=True),
    "new_message.mail_door": partial(sample, "new_message", "client", hears=True),
    "enquiry_declined.mail_door": partial(sample, "enquiry_declined", hears=True),
    "booking_accepted.new_link": partial(sample, "booking_accepted", has_new_link=True),
    "booking_accepted.link_gone": partial(
        sample, "booking_accepted", has_new_link=True, meeting_url=None
    ),
    "session_confirmed.new_link": partial(sample, "session_confirmed", has_new_link=True),
    "booking_accepted.no_meeting_url": partial(sample, "booking_accepted", meeting_url=None),
    "session_confirmed.no_meeting_url": partial(sample, "session_confirmed", meeting_url=None),
    "booking_declined.free": partial(sample, "booking_declined", session=FREE, offers=()),
    "booking_declined.at_booking": partial(sample, "booking_declined", session=PAID),
    "answer_reminder.an_hour_left": partial(reminder, sent_at=ANSWER_BY - timedelta(minutes=65)),
    "answer_reminder.seconds_left": partial(reminder, sent_at=ANSWER_BY - timedelta(seconds=20)),
    "answer_reminder.due": partial(reminder, sent_at=ANSWER_BY + timedelta(hours=1)),
    "answer_late_client.free": partial(sample, "answer_late_client", session=FREE),
    "answer_late_client.at_booking": partial(sample, "answer_late_client", session=PAID),
    "booking_expired.no_offers": partial(expired, offers=()),
    "booking_expired.deactivated": partial(expired, offers=(), because="deactivated"),
    "booking_expired.free": partial(expired, session=FREE, offers=(NEXT_DAY,)),
    "enquiry_expired.deactivated": partial(sample, "enquiry_expired", because="deactivated"),
    "booking_expired.at_booking": partial(expired, session=PAID),
    "withdrawal_receipt.free": partial(sample, "withdrawal_receipt", session=FREE),
    "withdrawal_receipt.at_booking": partial(sample, "withdrawal_receipt", session=PAID),
    "client_cancelled.in_time": partial(
        sample, "client_cancelled", payout_minor=0, commission_minor=0, within_notice=False
    ),
    "client_cancelled.free": partial(
        sample, "client_cancelled", session=FREE, payout_minor=0, commission_minor=0
    ),
    "client_cancelled.all_commission": partial(
        sample, "client_cancelled", payout_minor=0, commission_minor=6000
    ),
    "client_cancelled.at_booking": partial(sample, "client_cancelled", session=PAID),
    "client_cancelled.at_booking_in_time": partial(
        sample, "client_cancelled", session=PAID, within_notice=False
    ),
    "cancellation_receipt.in_time": partial(receipt, within_notice=False),
    "cancellation_receipt.always_free": partial(
        receipt, within_notice=False, free_cancellation=timedelta(0)
    ),
    "cancellation_receipt.at_booking": partial(receipt, session=PAID),
    "cancellation_receipt.at_booking_in_time": partial(receipt, session=PAID, within_notice=False),
    "cancellation_receipt.free": partial(receipt, session=FREE),
    "cancellation_receipt.free_in_time": partial(receipt, session=FREE, within_notice=False),
    **{
        f"{kind}.{because}": partial(
            sample, kind, cancelled_because=because, within_notice=is_owed, payout_minor=5400
        )
        for kind in ("client_cancelled", "cancellation_receipt")
        for because, is_owed in (("moved_late", True), ("refused_move", False))
    },
    "therapist_cancelled.free": partial(
        sample, "therapist_cancelled", session=FREE, offers=(NEXT_DAY,)
    ),
    "therapist_cancelled.at_booking": partial(sample, "therapist_cancelled", session=PAID),
    "cancellation_recorded.at_booking": partial(recorded, session=PAID, streak=1),
    "cancellation_recorded.first": partial(recorded, streak=1),
    "cancellation_recorded.free": partial(recorded, session=FREE, streak=1),
    "cancellation_recorded.flagged": partial(recorded, streak=4),
    "cancellation_recorded.deactivated": partial(recorded, streak=5),
    "session_reminder.first": partial(to_client, sent_at=FIRST_REMINDER_AT, is_first_reminder=True),
    "session_reminder.first_free": partial(
        to_client, session=FREE, sent_at=FIRST_REMINDER_AT, is_first_reminder=True
    ),
    "session_reminder.first_late": partial(
        to_client, sent_at=TWENTY_HOURS_BEFORE, is_first_reminder=True
    ),
    "session_reminder.therapist_second": partial(
        sample, "session_reminder", "therapist", sent_at=ONE_HOUR_BEFORE
    ),
    "session_reminder.client_no_meeting_url": partial(
        sample, "session_reminder", "client", meeting_url=None
    ),
    "session_reminder.therapist_no_meeting_url": partial(
        sample, "session_reminder", "therapist", meeting_url=None
    ),
    "time_proposed.asks_to_move": partial(sample, "time_proposed", "client"),
    "time_proposed.past_the_old_time": partial(
        sample, "time_proposed", "client", status="requested", can_keep=False
    ),
    "time_proposed.reminder": partial(sample, "time_proposed", "therapist", is_reminder=True),
    "time_taken.enquiry": partial(sample, "time_taken", "therapist", status="requested"),
    "time_kept.lapsed": partial(sample, "time_kept", "client", how="lapsed"),
    "time_kept.taken_back": partial(
        sample, "time_kept", "client", how="taken_back", proposed_by="therapist"
    ),
    "time_kept.therapist_declined": partial(
        sample, "time_kept", "therapist", proposed_by="therapist"
    ),
    "time_kept.therapist_lapsed": partial(sample, "time_kept", "therapist", how="lapsed"),
    "time_kept.deactivated": partial(
        sample, "time_kept", "client", how="lapsed", by_deactivation=True
    ),
    "time_kept.therapist_deactivated": partial(
        sample, "time_kept", "therapist", how="lapsed", by_deactivation=True
    ),
    "session_confirmed.moved_unreached": partial(
        sample, "session_confirmed", has_moved=True, other_unreached=True
    ),
    "enquiry_expired.not_chosen_unreached": partial(
        sample, "enquiry_expired", because="not_chosen", other_unreached=True
    ),
    # Ops acts for one side.
    **{
        f"{kind}.by_ops": partial(sample, kind, by_ops=True)
        for kind in ("withdrawal_receipt", "cancellation_receipt", "cancellation_recorded")
    },
    "therapist_cancelled.in_answer_by_ops": partial(
        sample, "therapist_cancelled", in_answer=True, by_ops=True
    ),
    "booking_accepted.suggested_by_ops": partial(accepted, took_suggestion=True, by_ops=True),
    "booking_received.moved_by_ops": partial(received, has_moved=True, by_ops=True),
    "session_confirmed.moved_by_ops": partial(
        sample, "session_confirmed", has_moved=True, by_ops=True
    ),
    "session_confirmed.by_ops": partial(sample, "session_confirmed", by_ops=True),
    "booking_accepted.by_ops": partial(sample, "booking_accepted", by_ops=True),
    "enquiry_declined.by_ops": partial(sample, "enquiry_declined", by_ops=True),
    "booking_accepted.suggested": partial(sample, "booking_accepted", took_suggestion=True),
    # The mail server was away for hours.
    "booking_requested.sent_late": partial(
        sample, "booking_requested", sequence=0, sent_at=ANSWER_BY + ONE_HOUR
    ),
    "booking_received.sent_late": partial(received, sent_at=ANSWER_BY + ONE_HOUR),
    "time_taken.sent_late": partial(
        sample, "time_taken", "therapist", status="requested", sent_at=ANSWER_BY + ONE_HOUR
    ),
    "account_reactivated.paused": partial(
        sample, "account_reactivated", session=None, account="paused"
    ),
    "account_reactivated.hidden": partial(
        sample, "account_reactivated", session=None, account="hidden"
    ),
    "booking_accepted.moved": partial(sample, "booking_accepted", has_moved=True),
    "session_confirmed.moved": partial(sample, "session_confirmed", has_moved=True),
    "booking_received.moved": partial(received, has_moved=True),
    "booking_expired.not_chosen": partial(expired, because="not_chosen"),
    "enquiry_expired.not_chosen": partial(sample, "enquiry_expired", because="not_chosen"),
    "therapist_cancelled.in_answer": partial(sample, "therapist_cancelled", in_answer=True),
    "cancellation_recorded.in_answer": partial(recorded, streak=1, in_answer=True),
    "no_show_recorded.at_booking": partial(sample, "no_show_recorded", session=PAID),
    "no_show_recorded.free": partial(sample, "no_show_recorded", session=FREE),
    **{f"{kind}.unreached": partial(sample, kind, other_unreached=True) for kind in UNREACHED},
    "answer_late_ops.unreached": partial(
        sample, "answer_late_ops", unreached=("client", "therapist")
    ),
    "enquiry_expired.not_asked": partial(sample, "enquiry_expired", was_asked_in_time=False),
    "client_unreachable.several": partial(
        sample,
        "client_unreachable",
        "ops",
        others_unreached=((SESSION_NEXT_WEEK, "bran"),),
    ),
    "client_unreachable.enquiry": partial(sample, "client_unreachable", status="requested"),
    "therapist_unreachable.free": partial(sample, "therapist_unreachable", session=FREE, offers=()),
    "your_links.none": partial(sample, "your_links", session=None, live_bookings=()),
    "account_deactivated.no_sessions": partial(
        sample, "account_deactivated", session=None, sessions=()
    ),
    "account_alert.flagged": partial(
        sample, "account_alert", session=None, what="flagged", streak=4, sessions=()
    ),
    "account_alert.unreachable_no_enquiry": partial(
        sample, "account_alert", session=None, what="unreachable", sessions=()
    ),
}
