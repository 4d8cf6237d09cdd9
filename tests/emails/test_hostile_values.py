"""Hostile values make exactly one well-formed message, or are refused by the field's name."""

import re
import string
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from emails.message import EmailContext, Envelope, Message, Session
from emails.render import render
from emails.safety import UnsafeValue, clean_name
from emails.samples import (
    BOOKING_URLS,
    ENTRY_URLS,
    OFFERS,
    REFERENCE,
    REQUESTED_AT,
    SAMPLES,
    SESSION,
    VALUES,
    make_envelope,
    rule_at,
    sample,
)
from tests.emails.reference import parts_of, reference
from tests.harness.every import for_every
from tests.harness.soak import runs

HOSTILE = [
    "Dee\r\nBcc: stranger@evil.example",
    "Dee\nX-Mindsum-Email: sign_in",
    "Dee\r\n\r\n<h1>Hello</h1>",
    "Dee\0Stranger",
    "=?utf-8?q?Bcc:_stranger=40evil.example?=",
    "\u202eeeD \u2066Stranger",
    "{{7*7}} {% for x in ().__class__ %} [[7*7]] [% raw %]",
    "</style></title></td><script>alert(1)</script>",
    '" onclick="alert(1)',
    "Dee\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:stranger",
    "Dee;ATTENDEE=mailto:stranger@evil.example,\\n",
    "\r\n.\r\nMAIL FROM:<stranger@evil.example>",
    "Dee\n.\nRCPT TO:<stranger@evil.example>",
    "Dee\r.\rDATA\r\n..",
    "--=_boundary--",
    "https://evil.example/win www.evil.example",
    "Zoë 🧘🏽‍♀️ 林",
    "דנה",
    "",
    " \t\u200b ",
    "\ud800",
    "\u2028\u2029\x85\x0b\x0c\x1c",
    "a" * 1_000_000,
    "é" + "\u0301" * 5000,
]
HEADERS = {"Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "X-Mindsum-Email"}
HEADERS |= {
    "Reply-To",
    "X-Auto-Response-Suppress",
    "X-Mindsum-Booking",
    "MIME-Version",
    "Content-Type",
}

EXAMPLES = runs(100, 10_000)
STYLES = SAMPLES["booking_requested"]().html.count("</style>")

Write = Callable[[str], Message]


def request_from(name: str) -> Message:
    session = replace(SESSION, client_name=name)
    return written("booking_requested", make_envelope("therapist", reader=name), session)


def cancelled_by(name: str) -> Message:
    offer = replace(OFFERS[0], therapist_name=name)
    session = replace(SESSION, therapist_name=name)
    return written(
        "therapist_cancelled", make_envelope("client", reader=name), session, offers=[offer]
    )


def meeting_at(url: str) -> Message:
    return sample("booking_accepted", meeting_url=url)


def accepted_for(recipient: str) -> Message:
    return written("booking_accepted", make_envelope("client", recipient=recipient), SESSION)


def written(kind: str, envelope: Envelope, session: Session, **values: object) -> Message:
    booking_url = BOOKING_URLS[envelope.role]
    rule = rule_at(REQUESTED_AT, SESSION, is_enquiry=True)
    context = EmailContext(
        envelope=envelope,
        session=session,
        organizer=envelope.sender,
        entry_url=ENTRY_URLS[envelope.role],
        values={**VALUES, "booking_url": booking_url, "cancelling_rule": rule, **values},
    )
    return render(kind, context)


# What may stand in an address and means something else in HTML, iCalendar or a template.
TAILS = st.text(string.ascii_letters + string.digits + "/?#&;=%,:.'{}[]()*!~-_\\", max_size=200)


def unless_refused(field: str, make: Callable[[], Message]) -> Message | None:
    try:
        return make()
    except UnsafeValue as refusal:
        if refusal.field != field:
            raise
        return None


def is_one_well_formed_message(message: Message) -> bool:
    raw = message.to_bytes()
    parsed = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(parsed, EmailMessage)
    names = parsed.keys()
    assert set(names) - {"In-Reply-To", "References"} == HEADERS
    assert parsed["Subject"].split() == message.subject.split()
    assert len(names) == len(set(names))
    parts = list(parsed.iter_parts())
    assert [each.get_content_subtype() for each in parts] == ["plain", "html", "calendar"]
    assert not any(each.defects for each in parsed.walk())
    assert parts_of(raw) == parts_of(reference(message).as_bytes())
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", raw)
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    html: Any = parts[1].get_content()
    assert "<script" not in html
    assert html.count("</style>") == STYLES
    assert len(html) < 90_000
    attached: Any = parts[2].get_payload(decode=True)
    calendar = Calendar.from_ical(attached)
    assert len(calendar.walk("VEVENT")) == 1
    return True


@for_every([(write, name) for write in (request_from, cancelled_by) for name in HOSTILE])
def test_a_hostile_name_makes_one_well_formed_message(write: Write, name: str) -> None:
    message = write(name)
    assert is_one_well_formed_message(message)
    for content in (message.subject, message.text, message.html):
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\0]", content)
        assert "7*7" not in name or "49" not in content
    assert not re.search(r"evil\.example", message.text)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(max_size=200))
def test_any_name_makes_one_well_formed_message(name: str) -> None:
    assert is_one_well_formed_message(request_from(name))
    assert is_one_well_formed_message(cancelled_by(name))


@for_every([*HOSTILE, "javascript:alert(1)", "//evil.example", "http://"])
def test_a_meeting_link_is_an_address_or_refused_by_name(url: str) -> None:
    with pytest.raises(UnsafeValue, match=r"^meeting_url must be") as refusal:
        meeting_at(url)
    assert refusal.value.field == "meeting_url"


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(st.text(max_size=200), TAILS).map(lambda tail: f"https://meet.example/{tail}"))
def test_any_meeting_link_is_carried_whole_or_refused_by_name(url: str) -> None:
    message = unless_refused("meeting_url", lambda: meeting_at(url))
    assert message is None or (url in message.text and is_one_well_formed_message(message))


FIELDS = ("recipient", "sender", "support_email", "domain", "zone", "reference")
# Letters of any script may be a domain of their own.
REFUSED = [
    (field, value) for field in FIELDS for value in HOSTILE if (field, value) != ("domain", "דנה")
]


@for_every(REFUSED)
def test_an_envelope_refuses_what_is_hostile_by_name(field: str, value: Any) -> None:
    good = make_envelope("client")
    with pytest.raises(UnsafeValue, match=rf"^{field} must be"):
        replace(good, **{field: value})


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_recipient_is_one_address_or_refused_by_name(local: str, domain: str) -> None:
    to = f"{local}@{domain}"
    message = unless_refused("recipient", lambda: accepted_for(to))
    assert message is None or is_one_well_formed_message(message)


@pytest.mark.parametrize(
    ("recipient", "wire", "beyond_ascii"),
    [
        ("dee+mind@example.com", "dee+mind@example.com", False),
        ("o'dee@example.com", "o'dee@example.com", False),
        ('"dee x"@example.com', '"dee x"@example.com', False),
        ("dee@bücher.example", "dee@xn--bcher-kva.example", False),
        ("dee@straße.example", "dee@xn--strae-oqa.example", False),
        ("dée@example.com", "dée@example.com", True),
        ("林@例え.example", "林@xn--r8jz45g.example", True),
    ],
)
def test_an_international_address_arrives_at_its_own_mailbox(
    recipient: str, wire: str, beyond_ascii: bool
) -> None:
    message = accepted_for(recipient)
    assert message.recipient.addr_spec == wire
    assert message.needs_smtputf8 is beyond_ascii
    assert f"\r\nTo: {wire}\r\n".encode() in message.to_bytes()
    assert message.to_bytes().isascii() is not beyond_ascii
    assert is_one_well_formed_message(message)


def test_a_name_is_escaped_in_the_page_and_plain_in_the_text() -> None:
    message = request_from('Dee "D" & Co')
    assert "Dee &#34;D&#34; &amp; Co" in message.html
    assert 'Dee "D" & Co' in message.text


def test_names_keep_what_belongs_to_them() -> None:
    assert [clean_name(name, "?") for name in ("Zoë 🧘🏽‍♀️ 林", "O'Neil-Ó Súilleabháin", "דנה")] == [
        "Zoë 🧘🏽‍♀️ 林",
        "O'Neil-Ó Súilleabháin",
        "דנה",
    ]
    assert clean_name(" Dee \r\n Dee ", "?") == "Dee Dee"
    assert len(clean_name("a" * 1000, "?")) == 60
    assert clean_name("\0", "there") == "there"


@pytest.mark.parametrize(
    ("field", "value"),
    [("starts_at", datetime(2026, 11, 3, 14)), ("currency", "pounds"), ("client_zone", "Mars")],  # noqa: DTZ001
)
def test_a_session_refuses_what_it_cannot_show(field: str, value: object) -> None:
    with pytest.raises(UnsafeValue, match=rf"^{field} must be"):
        Session(**{**{name: getattr(SESSION, name) for name in Session.__slots__}, field: value})


def test_a_free_consultation_never_shows_a_price() -> None:
    free = replace(SESSION, kind="free_consultation", price_minor=0)
    message = sample("booking_received", session=free)
    assert "50 minutes, free" in message.text
    assert "£" not in message.text + message.html
    assert message.headers["X-Mindsum-Booking"] == REFERENCE
