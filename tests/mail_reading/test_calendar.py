"""Calendar answers as programs write them, and what is no answer."""

import re
from datetime import UTC, datetime

import pytest

from app.mail_reading.facts import InboundFacts
from app.mail_reading.message import read
from tests.scenarios.invitation_answers import (
    NOT_PLAIN,
    PROGRAMS,
    Answer,
    exchange,
    forwarded,
    google,
    of_many,
    thunderbird,
)
from tests.scenarios.mailbox import crlf

TO = "book+t1-inpuwpdrzfdztd6caxzq@in.example"
UID = "MB-7K3QXD@mindsum-bookings"
ASHA = "asha@therapists.example"
ANSWER = Answer(to=TO, uid=UID)


def changed(**fields: object) -> Answer:
    return Answer(**{"to": TO, "uid": UID, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("partstat", ["ACCEPTED", "DECLINED", "TENTATIVE"])
def test_the_answer_of_every_program_is_read(program: str, partstat: str) -> None:
    facts = read(PROGRAMS[program](changed(partstat=partstat, sequence=3)))
    assert facts.calendar is not None
    assert (facts.calendar.method, facts.calendar.uid, facts.calendar.sequence) == ("REPLY", UID, 3)
    assert facts.calendar.stamped_at == datetime(2026, 11, 2, 9, 20, tzinfo=UTC)
    assert facts.calendar.partstat_of(ASHA) == partstat
    assert facts.sender_key == ASHA
    assert not facts.has_attachments


@pytest.mark.parametrize("program", ["google", "exchange", "nextcloud"])
def test_what_the_person_wrote_beside_the_answer_is_kept(program: str) -> None:
    facts = read(PROGRAMS[program](changed(comment="I am away that week")))
    assert facts.calendar is not None
    assert facts.calendar.comment == "I am away that week"
    assert read(PROGRAMS[program](ANSWER)).calendar.comment == ""  # type: ignore[union-attr]


def test_a_comment_is_read_without_what_escapes_its_commas() -> None:
    facts = read(exchange(changed(comment="Away\\, sorry\\; back Monday")))
    assert facts.calendar is not None
    assert facts.calendar.comment == "Away, sorry; back Monday"


def test_who_sends_an_answer_need_not_be_who_was_invited() -> None:
    # Thunderbird sends it from its default identity.
    facts = read(thunderbird(changed(sender="asha@private.example", attendee=ASHA)))
    assert facts.calendar is not None
    assert (facts.sender_key, facts.calendar.partstat_of(ASHA)) == (
        "asha@private.example",
        "ACCEPTED",
    )


def test_googles_answer_calls_itself_automatic_and_is_one_all_the_same() -> None:
    facts = read(google(ANSWER))
    assert facts.is_automatic
    assert facts.calendar is not None


def event_changed(pattern: str, becomes: str) -> InboundFacts:
    raw = google(ANSWER)
    edited, count = re.subn(pattern.encode(), becomes.encode(), raw)
    assert count, pattern
    return read(edited)


def test_a_long_uid_that_is_folded_over_lines_is_joined() -> None:
    uid = "0" * 112 + UID
    facts = event_changed(f"UID:{UID}", f"UID:{uid[:60]}\r\n {uid[60:120]}\r\n {uid[120:]}")
    assert facts.calendar is not None
    assert facts.calendar.uid == uid


@pytest.mark.parametrize(
    "header",
    ["DTSTART:.*\r\n", r"ORGANIZER[^\r]*\r\n( [^\r]*\r\n)?", "STATUS:.*\r\n"],
)
def test_what_is_not_ours_may_be_missing(header: str) -> None:
    facts = event_changed(header, "")
    assert facts.calendar is not None
    assert facts.calendar.partstat_of(ASHA) == "ACCEPTED"


def test_the_invited_one_is_found_among_others() -> None:
    facts = read(of_many(ANSWER, count=20))
    assert facts.calendar is not None
    assert facts.calendar.is_plain
    assert facts.calendar.partstat_of(ASHA) == "ACCEPTED"
    assert facts.calendar.partstat_of("nobody@example.org") is None


def test_an_answer_for_somebody_else_is_nothing_of_the_invited_one() -> None:
    facts = read(google(changed(attendee="colleague@example.org")))
    assert facts.calendar is not None
    assert facts.calendar.partstat_of(ASHA) is None


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_no_plain_answer_is_told_apart(name: str) -> None:
    facts = read(NOT_PLAIN[name](ANSWER))
    assert facts.calendar is not None
    assert (facts.calendar.uid, facts.calendar.is_plain) == (UID, False)


NO_ANSWERS = {
    "announced_otherwise": google(ANSWER, announced="REQUEST"),
    "forwarded": forwarded(ANSWER),
    "no_uid": google(ANSWER).replace(f"UID:{UID}".encode(), b"X-UID:none"),
    "empty": google(ANSWER).replace(b"BEGIN:VEVENT", b"BEGIN:VTODO"),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_what_is_no_answer_is_none(name: str) -> None:
    assert NO_ANSWERS[name] != google(ANSWER)
    facts = read(NO_ANSWERS[name])
    assert facts.calendar is None
    assert facts.has_calendar is (name != "forwarded")


@pytest.mark.parametrize("method", ["COUNTER", "REQUEST", "CANCEL", "REFRESH"])
def test_another_method_is_told_apart(method: str) -> None:
    facts = read(google(changed(method=method)))
    assert facts.calendar is not None
    assert facts.calendar.method == method


def test_a_counter_may_list_the_other_attendees_too() -> None:
    facts = read(of_many(changed(method="COUNTER"), count=2))
    assert facts.calendar is not None
    assert (facts.calendar.method, facts.calendar.partstat_of(ASHA)) == ("COUNTER", "ACCEPTED")


def test_a_subject_that_says_declined_is_no_answer() -> None:
    facts = read(crlf(f"From: {ASHA}\nTo: {TO}\nSubject: Declined: Session\n\n"))
    assert (facts.calendar, facts.has_calendar, facts.answer) == (None, False, None)
