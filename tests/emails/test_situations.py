"""What an email says depends on the booking: money, offers, links, streak and time left."""

from emails.kinds import KINDS
from emails.samples import SAMPLES
from tests.emails.html_text import HtmlText
from tests.emails.situations import SITUATIONS, UNREACHED
from tests.harness.every import for_every

ALL = {**SAMPLES, **SITUATIONS}

# What is not so where the other side does not get our emails.
TOLD = ["has been told", "letting", "We are telling", "have reminded", "chasing", "We offer"]

# Name, words that both parts say, words that neither part says.
CASES: list[tuple[str, list[str], list[str]]] = [
    ("booking_requested", ["£54.00", "10%", "09:00 (New York"], ["same as yours"]),
    ("booking_requested.same_zone", ["same as yours"], ["New York"]),
    ("booking_requested.far_zone", ["Wed 4 Nov 2026, 03:00 (Auckland, NZDT)"], []),
    ("booking_requested.free", ["free", "othing else"], ["£", "commission"]),
    (
        "booking_received",
        ["24 hours", "£60.00 is due", "nothing is charged", "Mon 2 Nov 2026, 09:00 (New York"],
        ["refund", "kept"],
    ),
    ("booking_received.within_notice", ["once accepted, cancelling costs £60.00"], ["you cancel"]),
    ("booking_received.free", ["24 hours", "used up"], ["£", "refund", "charged"]),
    ("booking_received.free_within_notice", ["once accepted", "used up"], ["£", "ou cancel"]),
    ("booking_received.at_booking", ["£60.00 is refunded", "£60.00 is kept"], ["charged", "due"]),
    ("booking_accepted", ["meet.example.com", "£60.00 is due", "nothing is charged"], ["refund"]),
    ("booking_accepted.within_notice", ["cancelling now costs £60.00"], ["charged", "accepted,"]),
    ("booking_accepted.free", ["used up", "another time"], ["£", "charged", "due"]),
    ("booking_accepted.at_booking", ["£60.00 is refunded", "£60.00 is kept"], ["charged"]),
    ("booking_declined", ["othing is charged"], ["refund"]),
    ("booking_declined.at_booking", ["£60.00 is refunded"], ["charged"]),
    ("answer_late_client.at_booking", ["£60.00 is refunded"], ["charged"]),
    ("booking_expired.at_booking", ["£60.00 is refunded"], ["charged"]),
    ("withdrawal_receipt", ["othing is charged"], ["refund"]),
    ("withdrawal_receipt.at_booking", ["£60.00 is refunded"], ["charged"]),
    ("client_cancelled.at_booking", ["£60.00 is kept", "£54.00"], ["due"]),
    ("client_cancelled.at_booking_in_time", ["£60.00 is refunded"], ["£54.00", "charged"]),
    ("client_cancelled.all_commission", ["£60.00 is due", "24 hours or less"], ["more than"]),
    ("cancellation_receipt.at_booking", ["£60.00 is kept"], ["due", "charged"]),
    ("cancellation_receipt.at_booking_in_time", ["£60.00 is refunded"], ["charged"]),
    ("cancellation_receipt.always_free", ["othing is charged"], ["less than", "more than"]),
    ("therapist_cancelled", ["othing is charged"], ["refund"]),
    ("therapist_cancelled.at_booking", ["£60.00 is refunded"], ["charged"]),
    ("cancellation_recorded.first", ["othing is charged"], ["refund"]),
    ("cancellation_recorded.at_booking", ["£60.00 is refunded"], ["charged"]),
    ("no_show_recorded.at_booking", ["£60.00 is kept"], ["due", "charged"]),
    ("session_reminder.client", ["Join the Session", "cancelling now costs £60.00"], []),
    (
        "session_reminder.first",
        ["Mon 2 Nov 2026, 09:00 (New York", "nothing is charged"],
        ["Join the Session", "costs"],
    ),
    ("session_reminder.first_free", ["another time", "used up"], ["£", "charged"]),
    ("session_reminder.first_late", ["cancelling now costs £60.00"], ["charged"]),
    ("session_reminder.therapist", ["Dee can cancel", "Mon 2 Nov 2026, 14:00"], ["You can"]),
    ("session_reminder.therapist_second", ["Join the Session", "if Dee cancels"], []),
    ("booking_accepted.no_meeting_url", ["Manage Booking", "where to meet"], ["meet.example"]),
    ("booking_accepted.new_link", ["changed the meeting link", "meet.example.com"], ["said yes"]),
    ("booking_accepted.link_gone", ["changed the meeting link"], ["said yes", "meet.example"]),
    ("session_confirmed.new_link", ["changed your meeting link"], ["You accepted"]),
    ("session_confirmed.no_meeting_url", ["Profile Settings"], ["meet.example"]),
    ("session_reminder.client_no_meeting_url", ["Manage Booking"], ["meet.example", "Profile"]),
    ("session_reminder.therapist_no_meeting_url", ["Profile Settings"], ["meet.example"]),
    ("cancellation_receipt", ["£60.00 is due", "24 hours or less"], ["refund", "charged"]),
    ("cancellation_receipt.in_time", ["nothing is charged", "more than 24 hours"], ["refund"]),
    ("cancellation_receipt.free", ["used up", "24 hours or less"], ["£", "refund"]),
    ("cancellation_receipt.free_in_time", ["another time", "more than 24 hours"], ["£"]),
    ("client_cancelled", ["£60.00 is due", "£6.00", "£54.00"], ["refund"]),
    (
        "client_cancelled.in_time",
        ["nothing is charged", "more than 24 hours"],
        ["£54.00", "refund"],
    ),
    ("client_cancelled.moved_late", ["Dee had asked", "£60.00 is due", "£54.00"], ["24 hours"]),
    ("client_cancelled.refused_move", ["in time to move", "nothing is charged"], ["24 hours"]),
    ("cancellation_receipt.moved_late", ["you had asked", "£60.00 is due"], ["24 hours"]),
    ("cancellation_receipt.refused_move", ["in time", "nothing is charged"], ["24 hours", "due"]),
    ("time_kept.deactivated", ["Asha takes no new bookings"], ["in time"]),
    ("time_kept.therapist_deactivated", ["Your account was deactivated"], ["in time"]),
    ("session_confirmed.moved_unreached", ["do not reach Dee"], TOLD),
    ("enquiry_expired.not_chosen_unreached", ["do not reach Dee"], ["Dee chose", *TOLD]),
    ("session_confirmed.by_ops", ["Our team accepted for you"], ["You accepted"]),
    ("booking_accepted.by_ops", ["accepted for Asha"], ["said yes"]),
    ("enquiry_declined.by_ops", ["Our team declined this request for you"], ["You declined"]),
    ("booking_accepted.suggested", ["You took a time", "no longer work"], ["said yes"]),
    ("booking_requested.sent_late", ["as soon as you can", "reaches you late"], ["answer Dee by"]),
    ("booking_received.sent_late", ["can answer until Tue 3 Nov"], ["expect an answer", "by then"]),
    ("time_taken.sent_late", ["as soon as you can"], ["answer by"]),
    ("account_reactivated", ["back on Find a Therapist"], ["paused", "invisible"]),
    ("account_reactivated.paused", ["cannot book you"], ["You are back on"]),
    ("account_reactivated.hidden", ["have the link"], ["You are back on"]),
    ("client_cancelled.free", ["used up"], ["£", "refund", "charged"]),
    ("booking_declined.free", ["another time"], ["£", "refund", "Bran"]),
    ("booking_expired", ["Bran", "Chi", "same time", "did not answer"], ["nearest"]),
    (
        "booking_expired.no_offers",
        ["othing is charged"],
        ["Bran", "same time", "nearest", "refund"],
    ),
    ("booking_expired.deactivated", ["not taking sessions"], ["did not answer"]),
    ("booking_expired.free", ["nearest", "Chi"], ["£", "refund", "same time"]),
    ("enquiry_expired", ["ranking"], ["deactivated"]),
    ("enquiry_expired.deactivated", ["deactivated"], ["ranking"]),
    ("withdrawal_receipt.free", ["another time"], ["£", "refund", "charged"]),
    ("therapist_cancelled.free", ["nearest", "another time"], ["£", "refund"]),
    ("answer_late_client.free", ["withdrawn"], ["refund"]),
    ("answer_reminder.an_hour_left", ["1 hour 5 minutes left"], ["due now"]),
    ("answer_reminder.seconds_left", ["ess than a minute left"], ["due now"]),
    ("answer_reminder.due", ["due now"], ["minutes left"]),
    ("cancellation_recorded.first", ["at 3", "at 4", "at 5"], ["now cancelled"]),
    ("cancellation_recorded.flagged", ["at 5"], ["at 3", "at 4"]),
    ("cancellation_recorded.deactivated", ["5 in a row"], ["What comes next"]),
    ("cancellation_recorded.free", ["other therapists"], ["refund"]),
    ("no_show_recorded", ["£60.00 is due", "help@mindsum.example"], ["used up", "charged"]),
    ("no_show_recorded.free", ["used up"], ["£"]),
    *((f"{kind}.unreached", ["do not reach"], TOLD) for kind in UNREACHED if "expired" not in kind),
    ("booking_expired.unreached", ["could not reach Asha"], ["did not answer"]),
    ("enquiry_expired.unreached", ["do not reach Dee"], TOLD),
    ("enquiry_expired.not_asked", ["does not count"], ["very late"]),
    ("answer_late_ops", ["telling the therapist and the client"], ["not reach"]),
    ("answer_late_ops.unreached", ["do not reach the client and the therapist"], TOLD),
    ("client_unreachable.therapist", ["Dee", "where to meet", "another way"], TOLD),
    ("client_unreachable.enquiry", ["answer as usual"], ["where to meet"]),
    ("client_unreachable.ops", ["MB-7K3QXD", "asha", "mindsum outbox retry"], ["View Session"]),
    ("client_unreachable.several", ["MB-4VJ6RN with bran", "10 Nov 2026"], ["View Session"]),
    ("therapist_unreachable", ["Asha", "charged", "Bran"], TOLD),
    ("therapist_unreachable.free", ["withdrawn"], ["£", "refund"]),
    ("your_links.none", ["no open bookings"], ["/link/manage"]),
    ("account_deactivated.no_sessions", ["no accepted sessions"], ["Eli"]),
    ("account_alert", ["mindsum therapist reactivate asha", "MB-2F8HWP"], ["outbox", "refund"]),
    ("account_alert.flagged", ["halved"], ["reactivate", "outbox"]),
    (
        "account_alert.unreachable",
        ["mindsum outbox retry", "MB-7K3QXD", "not listed", "mindsum therapist reachable asha"],
        ["reactivate", "streak"],
    ),
    ("account_alert.one_email", ["mindsum outbox retry"], ["not listed", "therapist reachable"]),
]


@for_every(CASES)
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
