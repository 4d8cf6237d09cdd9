"""Checks after kills: what the site replied, what the rows say, what the mail server accepted."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.store import queries
from app.store.models import Booking, LedgerLine, OutboxEmail, OutboxStatus, TimelineEntry
from tests.harness.smtp_server import Accepted
from tests.scenarios.booking_model import EMAILS, ModelBooking

FEE = 6000

# Emails that are not needed once the request is answered.
ANSWERABLE = set(EMAILS["requested"])
EVENTS = {"accept": "accepted", "decline": "declined"}


def header(mail: Accepted, name: str) -> str:
    """The first word of a header, without the cost of parsing the whole message."""
    found = re.search(rf"(?mi)^{name}:\s*(\S+)".encode(), mail.raw)
    assert found, name
    return found[1].decode()


@dataclass(frozen=True, slots=True)
class Journal:
    """How many copies of each Message-ID the fault injectors' notes explain."""

    certain: Counter[str]
    """The killed thread had read the server's 250 and not yet recorded it: there is a copy."""
    possible: Counter[str]
    """The final dot was sent or on its way when the process died, or the reply was lost."""

    @classmethod
    def from_notes(
        cls, reached: Iterable[Mapping[str, Any]], lost: Iterable[Mapping[str, Any]]
    ) -> "Journal":
        certain: Counter[str] = Counter()
        possible: Counter[str] = Counter(each["message_id"] for each in lost)
        for note in reached:
            for delivery in note["deliveries"]:
                if delivery["stage"] != "begun":
                    possible[delivery["message_id"]] += 1
                is_accepted = delivery["is_own"] and delivery["stage"] == "accepted"
                if is_accepted and note["point"] != "after_commit":
                    certain[delivery["message_id"]] += 1
        return cls(certain, possible)


def check_copies(messages: Sequence[Accepted], journal: Journal) -> None:
    """Every copy of an email is explained by a kill, and every certain copy is there.

    A request email that was answered before its repetition is skipped.
    """
    copies = Counter(header(mail, "Message-ID") for mail in messages)
    skipped = skipped_ids(messages)
    wrong = {}
    for message_id, count in copies.items():
        certain = 0 if message_id in skipped else journal.certain[message_id]
        if not 1 + certain <= count <= 1 + journal.possible[message_id]:
            wrong[message_id] = count, certain, journal.possible[message_id]
    assert not wrong, f"(copies, certain, possible) by Message-ID: {wrong}"
    assert set(journal.certain) <= set(copies)
    assert skipped <= set(journal.possible)


def skipped_ids(messages: Sequence[Accepted]) -> set[str]:
    """The Message-IDs of emails that arrived, and whose repetition was skipped."""
    ids = {key_of(mail): header(mail, "Message-ID") for mail in messages}
    skipped = OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.SKIPPED)
    return {ids[row.about, row.kind, str(row.role)] for row in skipped if row.kind in ANSWERABLE}


def key_of(mail: Accepted) -> tuple[str, str, str]:
    """An email's booking, kind and recipient."""
    to = "client" if mail.rcpt_tos[0].endswith("@clients.example") else "therapist"
    return header(mail, "X-Mindsum-Booking"), header(mail, "X-Mindsum-Email"), to


def check_bookings(replies: Mapping[int, set[str]], answers: Mapping[str, str]) -> None:
    """Every request got one reference, and these are all bookings that exist."""
    assert {len(references) for references in replies.values()} == {1}
    promised = [reference for references in replies.values() for reference in references]
    assert len(promised) == len(set(promised))
    stored = [booking.reference for booking in Booking.select(Booking.reference)]
    assert sorted(stored) == sorted(promised)
    assert set(answers) == set(promised)


def check_steps(answers: Mapping[str, str], *, is_over: bool) -> None:
    """Every booking has each step and ledger line once; `is_over`: its session has ended."""
    events, lines = defaultdict(list), defaultdict[int, Counter[Any]](Counter)
    for entry in TimelineEntry.select().order_by(TimelineEntry.id):
        events[entry.booking_id].append((entry.event, entry.at))
    for line in LedgerLine.select():
        lines[line.booking_id][line.event, line.account, line.amount_minor] += 1
    for booking in queries.with_therapist_and_client(Booking.id > 0):
        answer = EVENTS[answers[booking.reference]]
        end = ["completed"] if is_over and answer == "accepted" else []
        expected = ModelBooking(
            booking.therapist.slug, booking.client.email, False, booking.requested_at,
            booking.starts_at, events=events[booking.id],
        )  # fmt: skip
        assert expected.names == ["requested", answer, *end], booking.reference
        assert booking.status == expected.status
        assert lines[booking.id] == expected.ledger(FEE), booking.reference


def check_emails(messages: Sequence[Accepted], answers: Mapping[str, str]) -> int:
    """Every due email was sent under one Message-ID, in order; returns how many there are."""
    ids, threads = defaultdict(set), defaultdict(list)
    for mail in messages:
        about, kind, to = key_of(mail)
        ids[about, kind, to].add(header(mail, "Message-ID"))
        if kind not in threads[about, to]:
            threads[about, to].append(kind)
    written = defaultdict(list)
    for row in OutboxEmail.select().order_by(OutboxEmail.id):
        ends = {OutboxStatus.SENT, *([OutboxStatus.SKIPPED] if row.kind in ANSWERABLE else [])}
        assert row.status in ends, (row.kind, row.status, row.last_error)
        written[row.about, str(row.role)].append(row.kind)
    due = {
        (reference, kind, role)
        for reference, answer in answers.items()
        for event in ("requested", EVENTS[answer])
        for kind, role in EMAILS[event].items()
    }
    assert {
        (about, kind, role) for (about, role), kinds in written.items() for kind in kinds
    } == due
    assert sum(map(len, written.values())) == len(due)
    assert set(ids) == due
    assert {len(each) for each in ids.values()} == {1}
    assert threads == written
    return len(due)
