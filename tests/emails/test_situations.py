"""What an email says depends on the booking: money, offers, links, streak and time left."""

import pytest

from emails.kinds import KINDS
from emails.samples import SAMPLES
from tests.emails.html_text import HtmlText
from tests.emails.situations import SITUATIONS

ALL = {**SAMPLES, **SITUATIONS}

# Name, words that both parts say, words that neither part says.
CASES: list[tuple[str, list[str], list[str]]] = [
    ("booking_requested", ["£54.00", "10%", "09:00 (New York"], ["same as yours"]),
    ("booking_requested.same_zone", ["same as yours"], ["New York"]),
    ("booking_requested.far_zone", ["Wed 4 Nov 2026, 03:00 (Auckland, NZDT)"], []),
    ("booking_requested.free", ["free", "othing else"], ["£", "commission"]),
    ("booking_received", ["24 hours", "£60.00", "refunded in full"], []),
    ("booking_received.free", ["24 hours", "used up"], ["£", "refund"]),
    ("booking_accepted", ["meet.example.com", "£60.00"], ["will show in Manage Booking"]),
    ("booking_accepted.no_meeting_url", ["Manage Booking", "where to meet"], ["meet.example"]),
    ("session_confirmed.no_meeting_url", ["Profile Settings"], ["meet.example"]),
    ("session_reminder.client_no_meeting_url", ["Manage Booking"], ["meet.example", "Profile"]),
    ("session_reminder.therapist_no_meeting_url", ["Profile Settings"], ["meet.example"]),
    ("cancellation_receipt", ["£60.00", "24 hours or less"], ["refund"]),
    ("cancellation_receipt.in_time", ["£60.00", "refunded", "more than 24 hours"], ["charged"]),
    ("cancellation_receipt.free", ["used up", "24 hours or less"], ["£", "refund"]),
    ("cancellation_receipt.free_in_time", ["another time", "more than 24 hours"], ["£"]),
    ("client_cancelled", ["£60.00", "£6.00", "£54.00"], ["refund"]),
    ("client_cancelled.in_time", ["refunded", "more than 24 hours"], ["you receive"]),
    ("client_cancelled.free", ["free"], ["£", "refund"]),
    ("booking_declined.free", ["another time"], ["£", "refund", "Bran"]),
    ("booking_expired", ["Bran", "Chi", "same time", "did not answer"], ["nearest"]),
    ("booking_expired.no_offers", ["refunded"], ["Bran", "same time", "nearest"]),
    ("booking_expired.deactivated", ["not taking sessions"], ["did not answer"]),
    ("booking_expired.free", ["nearest", "Chi"], ["£", "refund", "same time"]),
    ("enquiry_expired", ["ranking"], ["deactivated"]),
    ("enquiry_expired.deactivated", ["deactivated"], ["ranking"]),
    ("withdrawal_receipt.free", ["nothing to pay"], ["£", "refund"]),
    ("therapist_cancelled.free", ["nearest", "another time"], ["£", "refund"]),
    ("answer_late_client.free", ["withdrawn"], ["refund"]),
    ("answer_reminder.an_hour_left", ["1 hour 5 minutes left"], ["due now"]),
    ("answer_reminder.seconds_left", ["ess than a minute left"], ["due now"]),
    ("answer_reminder.due", ["due now"], ["minutes left"]),
    ("cancellation_recorded.first", ["at 3", "at 4", "at 5"], ["now cancelled"]),
    ("cancellation_recorded.flagged", ["at 5"], ["at 3", "at 4"]),
    ("cancellation_recorded.deactivated", ["5 in a row"], ["What comes next"]),
    ("cancellation_recorded.free", ["other therapists"], ["refund"]),
    ("no_show_recorded", ["£60.00", "help@mindsum.example"], ["used up"]),
    ("no_show_recorded.free", ["used up"], ["£"]),
    ("your_links.none", ["no open bookings"], ["/link/manage"]),
    ("account_deactivated.no_sessions", ["no accepted sessions"], ["Eli"]),
    ("account_alert", ["mindsum therapist reactivate asha", "MB-2F8HWP"], ["outbox"]),
    ("account_alert.flagged", ["halved"], ["reactivate", "outbox"]),
    ("account_alert.unreachable", ["mindsum outbox retry", "MB-7K3QXD"], ["reactivate", "streak"]),
]


@pytest.mark.parametrize(("name", "said", "unsaid"), CASES, ids=[name for name, *_ in CASES])
def test_both_parts_say_what_is_true_in_that_situation(
    name: str, said: list[str], unsaid: list[str]
) -> None:
    message = ALL[name]()
    page = HtmlText(message.html)
    targets = " ".join(target for target, _ in page.links)
    for part in (message.text, f"{page.text} {targets}"):
        assert [words for words in said if words not in part] == []
        assert [words for words in unsaid if words in part] == []


def test_every_situation_is_of_a_kind_and_has_cases() -> None:
    assert {name.split(".")[0] for name in SITUATIONS} <= set(KINDS)
    assert {name for name, *_ in CASES} <= set(ALL)
