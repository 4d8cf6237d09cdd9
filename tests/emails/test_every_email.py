"""What holds for every email in every situation."""

import re
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from functools import cache
from html import unescape
from typing import Any

from icalendar import Calendar

from emails.addresses import sender_mailbox
from emails.kinds import KINDS
from emails.message import Message
from emails.samples import CRISIS_NOTE, DOOR, REFERENCE, SAMPLES, SUPPORT
from tests.emails.html_text import HtmlText
from tests.emails.reference import parts_of, reference
from tests.emails.situations import SITUATIONS
from tests.harness.every import for_every

LINK_TEXTS = {
    "booking_requested": ["Accept", "Decline", "View Session"],
    "answer_reminder": ["Accept", "Decline", "View Session"],
    "answer_late": ["Accept", "Decline", "View Session"],
    "booking_received": ["Manage Booking"],
    "booking_accepted": ["Manage Booking"],
    "session_confirmed": ["View Session"],
    "booking_declined": ["Choose Someone Else", "Manage Booking"],
    "booking_expired": ["Choose Someone Else", "Manage Booking"],
    "therapist_cancelled": ["Choose Someone Else", "Manage Booking"],
    "answer_late_client": ["Choose Someone Else", "Manage Booking"],
    "session_reminder.client": ["Manage Booking"],
    "session_reminder.therapist": ["View Session"],
    "no_show_recorded": ["Manage Booking"],
    "sign_in": ["Sign In"],
    "confirm_request": ["Confirm Request"],
    "your_links": ["Manage Booking", "Manage Booking"],
}
METHODS = {
    "booking_requested": ("REQUEST", "TENTATIVE"),
    "session_confirmed": ("REQUEST", "CONFIRMED"),
    "booking_accepted": ("REQUEST", "CONFIRMED"),
    "time_taken.client": ("REQUEST", "CONFIRMED"),
    "time_taken.therapist": ("REQUEST", "CONFIRMED"),
    "time_taken.enquiry": ("REQUEST", "TENTATIVE"),
    "enquiry_declined": ("CANCEL", "CANCELLED"),
    "enquiry_expired": ("CANCEL", "CANCELLED"),
    "booking_withdrawn": ("CANCEL", "CANCELLED"),
    "client_cancelled": ("CANCEL", "CANCELLED"),
    "cancellation_receipt": ("CANCEL", "CANCELLED"),
    "therapist_cancelled": ("CANCEL", "CANCELLED"),
    "cancellation_recorded": ("CANCEL", "CANCELLED"),
}
_KINDS_WITH_CALENDAR = {name.partition(".")[0]: method for name, method in METHODS.items()}
# How the first words of each kind begin: the news, as a lock screen shows it.
NEWS = {
    "client_unreachable": "^Not reached: .* (Dee|the client)",
    "therapist_unreachable": "^Not reached: .* Asha",
    "booking_requested": "^New request: .* Dee",
    "booking_received": "^Request (received|moved)",
    "booking_accepted": "^Confirmed: .*Asha|^Where you meet has changed|^Moved: .* Asha",
    "session_confirmed": "^Confirmed: .* Dee|^Where you meet has changed|^Moved: .* Dee",
    "time_proposed": "^(Still open: )?(Asha|Dee) (suggests|asks)",
    "time_taken": "^Moved: .* (Asha|Dee)|^Dee moved the request",
    "time_kept": "^Not moved|^Dee keeps the old time",
    "booking_declined": "^Declined: Asha",
    "enquiry_declined": "^(You declined|Declined for you)",
    "answer_reminder": "left: please answer|^Your answer is due now",
    "answer_late": "^Late: ",
    "answer_late_client": "^No answer yet",
    "answer_late_ops": f"^Late: {REFERENCE}",
    "booking_expired": "^Ended: (none of the times that )?Asha",
    "enquiry_expired": "^Ended: ",
    "booking_withdrawn": "^Dee withdrew",
    "withdrawal_receipt": "^Withdrawn",
    "client_cancelled": "^Dee cancelled",
    "cancellation_receipt": "^(You cancelled|Cancelled for you)",
    "therapist_cancelled": "^(Asha c|C)ancelled",
    "cancellation_recorded": "^((You|Dee) cancelled|Cancelled for you)",
    "session_reminder": "(today|tomorrow) at",
    "no_show_recorded": "^Recorded: you did not attend",
    "answer_not_taken": "^(Nothing has changed|Not cancelled|Not passed on|Please confirm): ",
    "reply_not_placed": "^Nothing was done: ",
    "mail_alert": "^(Refused|A complaint): ",
    "new_message": "^(Asha|Dee) wrote to you",
    "sign_in": "^Your sign-in link",
    "ops_sign_in": "^Your sign-in link to the ops desk",
    "welcome": "^Welcome to Mindsum",
    "confirm_request": "^One step left",
    "your_links": "links you asked for|^You have no open bookings",
    "streak_warning": "^You have cancelled 3",
    "account_flagged": "^Your account is flagged",
    "account_deactivated": "^Your account is deactivated",
    "account_reactivated": "^Your account is active again",
    "account_alert": "^asha is ",
}
ALL = {**SAMPLES, **SITUATIONS}
every_email = for_every(ALL)


@cache
def rendered(name: str) -> Message:
    return ALL[name]()


@cache
def parsed(name: str) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(rendered(name).to_bytes())
    assert isinstance(message, EmailMessage)
    return message


def part(name: str, subtype: str) -> str:
    [found] = [each for each in parsed(name).iter_parts() if each.get_content_subtype() == subtype]
    content: Any = found.get_content()
    return str(content).replace("\r\n", "\n")


def test_every_kind_has_a_sample_for_each_role_it_goes_to() -> None:
    sampled: dict[str, set[str]] = {}
    for name, make in SAMPLES.items():
        recipient = make().recipient.addr_spec
        sampled.setdefault(name.split(".")[0], set()).add(recipient.partition("@")[0])
    readers = {"client": "dee", "therapist": "asha", "ops": "ops"}
    assert sampled == {kind: {readers[role] for role in row.to} for kind, row in KINDS.items()}


@every_email
def test_it_parses_without_defects_into_text_and_html_and_at_most_a_calendar(
    name: str,
) -> None:
    message = parsed(name)
    assert message.get_content_type() == "multipart/alternative"
    kinds = [each.get_content_type() for each in message.iter_parts()]
    assert kinds == [
        "text/plain",
        "text/html",
        *(["text/calendar"] * (name.split(".")[0] in _KINDS_WITH_CALENDAR)),
    ]
    assert all(each.get_content_charset() == "utf-8" for each in message.iter_parts())
    assert not any(each.defects for each in message.walk())


@every_email
def test_it_carries_the_headers_of_the_contract_and_no_others(name: str) -> None:
    message = parsed(name)
    kind = name.split(".", maxsplit=1)[0]
    assert message["X-Mindsum-Email"] == kind
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    door = name.endswith(".mail_door")
    assert parseaddr(message["Reply-To"])[1] in (DOOR.values() if door else (SUPPORT,))
    about_a_booking = rendered(name).text.count(f"reference {REFERENCE}\n") == 1
    assert message["X-Mindsum-Booking"] == (REFERENCE if about_a_booking else None)
    allowed = {
        "Date",
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Auto-Submitted",
        "Reply-To",
        "X-Auto-Response-Suppress",
        "X-Mindsum-Email",
    }
    allowed |= {
        "X-Mindsum-Booking",
        "In-Reply-To",
        "References",
        "MIME-Version",
        "Content-Type",
    }
    assert set(message.keys()) <= allowed
    assert len(message.keys()) == len(set(message.keys()))


@every_email
def test_both_parts_say_where_a_reply_goes_and_what_becomes_of_a_calendar_answer(
    name: str,
) -> None:
    about_a_booking = "X-Mindsum-Booking" in rendered(name).headers
    reader = rendered(name).recipient.username
    is_heard = name.endswith(".mail_door")
    reaches = "{}, who does not see your address" if is_heard else "not {}"
    other = {"dee": "Asha", "asha": "Dee"}.get(reader) if about_a_booking else None
    is_invitation = _KINDS_WITH_CALENDAR.get(name.partition(".")[0], ("",))[0] == "REQUEST"
    for words in (part(name, "plain"), HtmlText(part(name, "html")).text):
        assert words.count(SUPPORT) >= 1
        assert other is None or reaches.format(other) in words
        assert ("to the calendar event" in words) is is_invitation
        assert ("We do not see a Yes or No" in words) is (is_invitation and not is_heard)
        assert (CRISIS_NOTE in words) is (reader == "dee")


@every_email
def test_every_link_of_the_page_is_in_the_text(name: str) -> None:
    text = part(name, "plain")
    assert all(target in text for target, _ in HtmlText(part(name, "html")).links)


@for_every(LINK_TEXTS)
def test_the_links_of_the_contract_have_its_exact_words(name: str) -> None:
    words = [words for _, words in HtmlText(part(name, "html")).links]
    expected = LINK_TEXTS[name]
    assert [word for word in words if word in expected] == expected
    text = part(name, "plain")
    assert all(re.search(rf"(?m)^{word}:\nhttps://", text) for word in expected)


@every_email
def test_it_needs_nothing_from_the_network_and_is_small(name: str) -> None:
    html = part(name, "html")
    assert HtmlText(html).sources == []
    assert not re.search(r"<img|<script|<link|@import|@font-face|url\(", html)
    assert len(html.encode()) < 90_000


@every_email
def test_nothing_of_a_template_is_left_over(name: str) -> None:
    message = rendered(name)
    for content in (message.subject, message.text, message.html):
        assert not re.search(r"\{\{|\{%|%\}|\[\[|\[%|\bNone\b|Undefined|£0\.00", content)


@every_email
def test_the_hidden_line_of_the_page_and_the_first_of_the_text_are_the_same_news(
    name: str,
) -> None:
    news = part(name, "plain").splitlines()[0]
    hidden = re.search(r'<div class="preheader"[^>]*>([^<]+)<', part(name, "html"))
    assert hidden is not None
    assert unescape(hidden[1]).strip("\u2007\u034f ") == news
    assert 10 < len(news) < 100


@every_email
def test_the_news_comes_first_and_is_not_in_the_subject(name: str) -> None:
    message, kind = rendered(name), name.partition(".")[0]
    news = message.text.splitlines()[0]
    assert re.search(NEWS[kind], news)
    if "X-Mindsum-Booking" in message.headers:
        other = "Dee" if message.recipient.username == "asha" else "Asha"
        who = f"{REFERENCE}, Asha" if message.recipient.username == "ops" else other
        assert re.fullmatch(rf"{who}, Tue 3 Nov (09|14):00", message.subject)


@every_email
def test_no_email_says_what_only_a_calendar_knows(name: str) -> None:
    words = rendered(name).text + HtmlText(part(name, "html")).text
    assert not re.search(
        r"(out of|in) your calendar|calendar (entry|event) is (gone|removed)", words
    )
    if _KINDS_WITH_CALENDAR.get(name.partition(".")[0], ("",))[0] == "CANCEL":
        assert words.count("asked your calendar to remove") == 2


@every_email
def test_text_and_page_name_the_same_times_and_amounts(name: str) -> None:
    facts = re.compile(r"£[\d.]+|\d\d:\d\d|MB-[A-Z0-9]+|\b\d+ (?:hours?|minutes|in a row)")
    text = re.sub(r"https?://\S+", "", part(name, "plain"))
    page = " ".join(HtmlText(part(name, "html")).words)
    assert set(facts.findall(text)) == set(facts.findall(page))


@for_every(METHODS)
def test_the_calendar_says_the_same_method_twice_and_one_event(name: str) -> None:
    [attached] = [
        each for each in parsed(name).iter_parts() if each.get_content_subtype() == "calendar"
    ]
    method, status = METHODS[name]
    content: Any = attached.get_payload(decode=True)
    calendar = Calendar.from_ical(content)
    assert attached.get_param("method") == str(calendar["METHOD"]) == method
    [event] = calendar.walk("VEVENT")
    assert str(event["STATUS"]) == status
    assert str(event["CLASS"]) == "PRIVATE"
    assert event["ORGANIZER"] == "mailto:bookings@mindsum.example"
    assert event["ATTENDEE"] == "mailto:" + str(rendered(name).recipient.addr_spec)
    lines = content.split(b"\r\n")
    assert all(len(line) <= 75 for line in lines)


@every_email
def test_the_same_email_is_the_same_bytes_on_every_try(name: str) -> None:
    assert rendered(name).to_bytes() == ALL[name]().to_bytes()


@every_email
def test_it_says_what_the_standard_generator_would_have_written(name: str) -> None:
    message = rendered(name)
    assert parts_of(message.to_bytes()) == parts_of(reference(message).as_bytes())


@for_every(
    ["Grüße <bookings@mindsum.example>", f"{'Mindsum ' * 7} <{'b' * 30}@mindsum.example>"],
)
def test_a_sender_that_must_be_encoded_or_folded_is_read_as_it_was_meant(sender: str) -> None:
    message = replace(rendered("booking_requested"), sender=sender_mailbox("sender", sender))
    raw = message.to_bytes()
    assert parts_of(raw) == parts_of(reference(message).as_bytes())
    assert all(len(line) <= 78 for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n"))


@every_email
def test_every_line_fits_into_smtp(name: str) -> None:
    raw = rendered(name).to_bytes()
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
