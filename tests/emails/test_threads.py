"""One thread and one event per booking and recipient."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from emails import render
from emails.calendar import Entry, calendar_part
from emails.kinds import KINDS, CalendarState, Role
from emails.message import CalendarPart, EmailContext, Message, message_id
from emails.safety import UnsafeValue
from emails.samples import (
    DOMAIN,
    ENTRY_URLS,
    REFERENCE,
    SAMPLES,
    SENDER,
    SESSION,
    STARTS_AT,
    SUPPORT,
    VALUES,
    make_envelope,
    make_session,
    sample,
)

ASHA = make_envelope("therapist")
MEETING_URL = VALUES["meeting_url"]


def event(part: CalendarPart | None) -> Any:
    assert part is not None
    [found] = Calendar.from_ical(part.content).walk("VEVENT")
    return found


@pytest.mark.parametrize("recipient", ["asha@example.com", "dee@example.com"])
def test_all_emails_of_a_booking_to_one_person_are_one_thread(recipient: str) -> None:
    thread = [
        message
        for message in (make() for make in SAMPLES.values())
        if message.recipient.addr_spec == recipient and "X-Mindsum-Booking" in message.headers
    ]
    assert len(thread) > 8
    assert len({message.subject for message in thread}) == 1
    opening = [message for message in thread if "References" not in message.headers]
    assert len(opening) == 1
    for message in thread:
        if message is not opening[0]:
            assert message.headers["In-Reply-To"] == opening[0].message_id
            assert message.headers["References"] == opening[0].message_id
    assert len({message.message_id for message in thread}) == len(thread)


SUBJECTS: dict[Role, str] = {
    "therapist": "Dee, Tue 3 Nov 14:00",
    "client": "Asha, Tue 3 Nov 09:00",
    "ops": "MB-7K3QXD, Asha, Tue 3 Nov 14:00",
}


def test_a_subject_says_with_whom_and_when_in_the_readers_zone() -> None:
    for kind in ("booking_requested", "booking_received", "answer_late_ops"):
        assert SAMPLES[kind]().subject == SUBJECTS[KINDS[kind].to[0]]


def test_only_a_moved_time_changes_the_subject_of_a_thread() -> None:
    moved = make_session(STARTS_AT + timedelta(days=1, hours=1))
    others = (sample("booking_received", sent_at=STARTS_AT), sample("new_message", "client"))
    assert {each.subject for each in others} == {"Asha, Tue 3 Nov 09:00"}
    assert sample("new_message", "client", session=moved).subject == "Asha, Wed 4 Nov 10:00"


def test_a_subject_keeps_the_name_and_zone_that_the_thread_began_with() -> None:
    renamed = replace(SESSION, therapist_name="Ash", therapist_zone="Asia/Tokyo")
    for role, subject in SUBJECTS.items():
        kind = "answer_late_ops" if role == "ops" else "new_message"
        made = sample(kind, role, session=renamed, thread=SESSION)
        assert made.subject == subject
    assert "Ash " in sample("new_message", "client", session=renamed, thread=SESSION).text


def test_an_email_about_no_booking_has_a_subject_of_its_own() -> None:
    own = {path.partition("/")[0] for path in render.OWN_SUBJECTS}
    without = {name for name, make in SAMPLES.items() if not about_a_booking(make())}
    assert {name.partition(".")[0] for name in without} == own


def about_a_booking(message: Message) -> bool:
    return "X-Mindsum-Booking" in message.headers


@pytest.mark.parametrize("change", ["reference", "kind", "recipient", "ordinal"])
def test_a_message_id_depends_on_each_of_its_four_sources(change: str) -> None:
    same = {"reference": REFERENCE, "kind": "new_message", "recipient": "a@b.example"}
    other = same | {change: "x"}
    first = message_id(**same, ordinal=1, domain=DOMAIN)
    assert first == message_id(**same, ordinal=1, domain=DOMAIN)
    if change == "ordinal":
        assert first != message_id(**same, ordinal=2, domain=DOMAIN)
    else:
        assert first != message_id(other["reference"], other["kind"], other["recipient"], 1, DOMAIN)


@settings(max_examples=100)
@given(st.lists(st.from_regex(r"[a-z0-9]{1,40}", fullmatch=True), min_size=1, max_size=5))
def test_a_message_id_is_short_enough_whatever_the_domain(labels: list[str]) -> None:
    made = message_id(REFERENCE, "cancellation_recorded", "a@b.example", 1, ".".join(labels))
    assert len(made) <= 64
    assert made.startswith("<")
    assert made.endswith(">")
    assert made.count("@") == 1


def test_references_stay_on_one_line() -> None:
    raw = SAMPLES["session_confirmed"]().to_bytes()
    root = message_id(REFERENCE, "booking_requested", "asha@example.com", 1, DOMAIN)
    assert f"\r\nReferences: {root}\r\n".encode() in raw
    assert f"\r\nIn-Reply-To: {root}\r\n".encode() in raw


LIFE: dict[Role, tuple[CalendarState, ...]] = {
    "therapist": ("tentative", "confirmed", "cancelled"),
    "client": ("confirmed", "cancelled"),
}


def entry(role: Role, **changes: Any) -> Entry:
    fields: dict[str, Any] = {"sequence": 0, "stamped_at": STARTS_AT, "organizer": SENDER}
    fields |= {"support_email": SUPPORT, "url": ENTRY_URLS[role], "meeting_url": MEETING_URL}
    return Entry(role=role, session=SESSION, **fields | changes)


@pytest.mark.parametrize("role", LIFE)
def test_an_event_keeps_its_uid_and_organizer_from_its_first_to_its_last(role: Role) -> None:
    events = [
        event(calendar_part(state, entry(role, sequence=number), "dee@example.com"))
        for number, state in enumerate(LIFE[role])
    ]
    assert len({str(each["UID"]) for each in events}) == 1
    [organizer] = {str(each["ORGANIZER"]) for each in events}
    assert organizer == "mailto:bookings@mindsum.example"
    assert {each["ORGANIZER"].params["CN"] for each in events} == {"Mindsum"}
    assert [int(each["SEQUENCE"]) for each in events] == list(range(len(events)))
    assert "LOCATION" not in events[-1]
    assert events[-2]["LOCATION"] == MEETING_URL


def test_a_title_tells_one_entry_from_another_and_tentative_from_firm() -> None:
    titles = {
        str(event(calendar_part(state, entry(role), "dee@example.com"))["SUMMARY"])
        for role, states in LIFE.items()
        for state in states
    }
    therapists = {"Request from Dee", "Session with Dee", "Cancelled: Dee"}
    assert titles == therapists | {"Session with Asha", "Cancelled: Asha"}


@pytest.mark.parametrize("role", LIFE)
def test_an_entry_leads_back_and_says_what_becomes_of_an_answer_to_it(role: Role) -> None:
    for state in LIFE[role]:
        made = event(calendar_part(state, entry(role), "dee@example.com"))
        assert made["URL"] == ENTRY_URLS[role]
        description = str(made["DESCRIPTION"])
        assert REFERENCE in description
        if state != "cancelled":
            link = {"therapist": "View Session", "client": "Manage Booking"}[role]
            expected = "Accept or Decline" if state == "tentative" else link
            assert all(each in description for each in ("Yes or No", expected, SUPPORT))


@pytest.mark.parametrize("name", ["Mindsum; Ltd", "Mindsum: Ltd", "Mindsum, Ltd", "Café ^n Ltd"])
def test_a_senders_name_stays_inside_its_parameter(name: str) -> None:
    organizer = f'"{name}" <b@m.example>'
    made = event(calendar_part("confirmed", entry("client", organizer=organizer), "d@c.example"))
    assert str(made["ORGANIZER"]) == "mailto:b@m.example"
    assert dict(made["ORGANIZER"].params) == {"CN": name}


@pytest.mark.parametrize(
    ("field", "value"),
    [("sequence", -1), ("organizer", "b@m.example\nX"), ("entry_url", "javascript:alert(1)")],
)
def test_an_entry_refuses_what_no_calendar_should_carry(field: str, value: Any) -> None:
    with pytest.raises(UnsafeValue, match=rf"^{field} must be"):
        calendar_part(
            "confirmed", entry("client", **{field.removeprefix("entry_"): value}), "d@c.example"
        )


def test_an_event_is_in_utc_with_an_alarm_for_the_therapist_only() -> None:
    request, accepted = (
        event(SAMPLES[name]().calendar) for name in ("session_confirmed", "booking_accepted")
    )
    assert request["DTSTART"].to_ical() == b"20261103T140000Z"
    assert request["DTEND"].to_ical() == b"20261103T145000Z"
    [alarm] = request.walk("VALARM")
    assert alarm["TRIGGER"].dt == timedelta(minutes=-15)
    assert accepted.walk("VALARM") == []


def test_the_event_names_no_reader_no_money_and_holds_no_signed_link() -> None:
    # Others may see the calendar.
    for make in SAMPLES.values():
        message = make()
        if message.calendar is not None:
            content = message.calendar.content.replace(message.recipient.addr_spec.encode(), b"")
            content = content.replace(b"\r\n ", b"")
            reader = b"Asha" if message.recipient.username == "asha" else b"Dee"
            assert not any(word in content for word in (reader, b"60.00", b"/link/", b"free"))


def test_a_session_of_another_booking_is_refused() -> None:
    with pytest.raises(UnsafeValue, match="reference must be the session's own"):
        EmailContext(envelope=ASHA, session=make_session(reference="MB-AAAAAA"))
