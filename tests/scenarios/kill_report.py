"""The reckoning after a night of deaths: what was told, what is so, what the mail server took."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.store.models import Booking, LedgerLine, OutboxEmail, OutboxStatus, TimelineEntry
from tests.harness.smtp_server import Accepted

FEE, PAYOUT, COMMISSION = 6000, 5400, 600

ASKED = [("requested", "client", -FEE), ("requested", "held", FEE)]
REFUNDED = [("declined", "client", FEE), ("declined", "held", -FEE)]
EARNED = [
    ("completed", "commission", COMMISSION),
    ("completed", "held", -FEE),
    ("completed", "therapist", PAYOUT),
]
Facts = Mapping[str, Any]

ANSWERABLE = {"booking_requested", "booking_received"}
"""What nobody needs any more once the request has been answered."""

EMAILS = {
    "accept": {
        ("booking_requested", "therapist"),
        ("booking_received", "client"),
        ("booking_accepted", "client"),
        ("session_confirmed", "therapist"),
    },
    "decline": {
        ("booking_requested", "therapist"),
        ("booking_received", "client"),
        ("booking_declined", "client"),
        ("enquiry_declined", "therapist"),
    },
}


def header(mail: Accepted, name: str) -> str:
    """One header of a message, without the cost of parsing it all."""
    found = re.search(rf"(?mi)^{name}:\s*(\S+)".encode(), mail.raw)
    assert found, name
    return found[1].decode()


@dataclass(frozen=True, slots=True)
class Journal:
    """What the dying wrote down, by Message-ID: how many copies of it they make legitimate."""

    certain: Counter[str]
    """The server had answered 250 to the very thread that died, which had not settled it."""
    possible: Counter[str]
    """The final dot was on its way or later when the process died, or the reply was lost."""

    @classmethod
    def of(
        cls, reached: Iterable[Mapping[str, Any]], lost: Iterable[Mapping[str, Any]]
    ) -> "Journal":
        certain: Counter[str] = Counter()
        possible: Counter[str] = Counter(each["message_id"] for each in lost)
        for end in reached:
            for delivery in end["deliveries"]:
                if delivery["stage"] != "begun":
                    possible[delivery["message_id"]] += 1
                is_accepted = delivery["is_own"] and delivery["stage"] == "accepted"
                if is_accepted and end["point"] != "after_commit":
                    certain[delivery["message_id"]] += 1
        return cls(certain, possible)


def check_copies(messages: Sequence[Accepted], journal: Journal) -> None:
    """No copy of an email but those that a death explains, and all that it makes certain.

    A request whose first copy was answered meanwhile needs no second one: it is skipped.
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
    """The Message-IDs of emails that came and were not sent again, as they were answered."""
    ids = {key_of(mail): header(mail, "Message-ID") for mail in messages}
    skipped = OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.SKIPPED)
    return {ids[row.about, row.kind, str(row.role)] for row in skipped if row.kind in ANSWERABLE}


def key_of(mail: Accepted) -> tuple[str, str, str]:
    """What an email is: about what, its kind, to whom."""
    to = "client" if mail.rcpt_tos[0].endswith("@clients.example") else "therapist"
    return header(mail, "X-Mindsum-Booking"), header(mail, "X-Mindsum-Email"), to


def check_bookings(told: Mapping[int, set[str]], answered: Mapping[str, str]) -> None:
    """Whoever was told of a booking has exactly that one, and nobody has another."""
    assert {len(references) for references in told.values()} == {1}
    promised = [reference for references in told.values() for reference in references]
    assert len(promised) == len(set(promised))
    stored = [booking.reference for booking in Booking.select(Booking.reference)]
    assert sorted(stored) == sorted(promised)
    assert set(answered) == set(promised)


def check_lives(answered: Mapping[str, str], *, is_over: bool) -> None:
    """Each step and ledger line of every booking exactly once; `is_over`: after the session."""
    steps, lines = defaultdict(list), defaultdict(list)
    for entry in TimelineEntry.select().order_by(TimelineEntry.id):
        steps[entry.booking_id].append(entry.event)
    for line in LedgerLine.select():
        lines[line.booking_id].append((line.event, line.account, line.amount_minor))
    end = ["completed"] if is_over else []
    for booking in Booking.select():
        if answered[booking.reference] == "accept":
            expected = ["requested", "accepted", *end], ASKED + (EARNED if is_over else [])
        else:
            expected = ["requested", "declined"], ASKED + REFUNDED
        assert steps[booking.id] == expected[0], booking.reference
        assert booking.status == expected[0][-1]
        assert sorted(lines[booking.id]) == sorted(expected[1]), booking.reference
        assert sum(amount for _, _, amount in lines[booking.id]) == 0


def check_emails(messages: Sequence[Accepted], answered: Mapping[str, str]) -> int:
    """Each email that is due was sent, came, under one Message-ID, in order; how many there are."""
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
        (reference, kind, role) for reference, aim in answered.items() for kind, role in EMAILS[aim]
    }
    assert {
        (about, kind, role) for (about, role), kinds in written.items() for kind in kinds
    } == due
    assert sum(map(len, written.values())) == len(due)
    assert set(ids) == due
    assert {len(each) for each in ids.values()} == {1}
    assert threads == written
    return len(due)
