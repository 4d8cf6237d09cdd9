"""What is written by hand is what icalendar writes of the same entry."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar, vText

from emails import ical
from emails.calendar import Entry, file_of_event
from emails.message import Message
from emails.samples import ENTRY_URLS, REQUESTED_AT, SAMPLES, SESSION
from tests.emails.test_hostile_values import (
    EXAMPLES,
    HOSTILE,
    TAILS,
    meeting_at,
    request_from,
    unless_refused,
)
from tests.harness.every import for_every

LONG = ["a" * length for length in range(70, 80)] + ["é" * 40, "🧘" * 40, "a;" * 60, "\\" * 150]


def assert_as_the_library_writes_it(content: bytes) -> None:
    read = Calendar.from_ical(content)
    assert not [each for component in read.walk() for each in component.errors]
    assert read.to_ical() == content


@for_every(SAMPLES.values())
def test_the_entries_of_all_samples_are_written_as_the_library_writes_them(
    make: Callable[[], Message],
) -> None:
    message = make()
    if message.calendar is not None:
        assert_as_the_library_writes_it(message.calendar.content)


@for_every([*HOSTILE, *LONG])
def test_a_hostile_name_is_written_as_the_library_writes_it(name: str) -> None:
    message = request_from(name)
    assert message.calendar is not None
    assert_as_the_library_writes_it(message.calendar.content)


@settings(max_examples=EXAMPLES)
@given(TAILS)
def test_any_address_of_a_meeting_is_written_as_the_library_writes_it(tail: str) -> None:
    message = unless_refused("meeting_url", lambda: meeting_at(f"https://meet.example/{tail}"))
    if message is not None:
        assert message.calendar is not None
        assert_as_the_library_writes_it(message.calendar.content)


@for_every(["Mindsum, Ltd: bookings", "O’Neil; Sons", "Müller & Söhne", "a" * 59])
def test_the_library_reads_any_sender(name: str) -> None:
    entry = Entry(
        role="client",
        session=SESSION,
        sequence=3,
        stamped_at=REQUESTED_AT,
        organizer=f'"{name}" <bookings@mindsum.example>',
        support_email="help@mindsum.example",
        url=ENTRY_URLS["client"],
    )
    (event,) = Calendar.from_ical(file_of_event(entry)).events
    assert event["organizer"].params["CN"] == name
    assert event["organizer"] == "mailto:bookings@mindsum.example"


@settings(max_examples=EXAMPLES)
@given(st.text(max_size=300).filter(lambda value: "\\N" not in value))
def test_any_text_comes_back_as_it_was(value: str) -> None:
    if not value.isprintable():
        return
    written = ical.line("SUMMARY", ical.text(value))
    lines = written.removesuffix("\r\n").split("\r\n")
    assert all(len(each.encode()) <= 75 for each in lines)
    assert all(each.startswith(" ") for each in lines[1:])
    unfolded = "".join([lines[0], *(each[1:] for each in lines[1:])])
    assert unfolded == f"SUMMARY:{vText(value).to_ical().decode()}"
