"""What must be so of every booking, email and account, read from the rows and the emails alone."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from urllib.parse import urlsplit

from app.store.models import (
    Booking,
    LedgerLine,
    OutboxEmail,
    OutboxStatus,
    StandingEntry,
    Therapist,
    TimelineEntry,
)
from emails.message import message_id
from tests.harness.mail_reader import ReceivedEmail
from tests.harness.processes import Site
from tests.harness.random_clients import Notes
from tests.scenarios.booking_model import EMAILS, LIVE, NOTICES, ModelBooking, standing_after


@dataclass
class Life:
    """A stored booking, the lines of its timeline in their order, and what they make of it."""

    booking: Booking
    lines: list[TimelineEntry]

    def __post_init__(self) -> None:
        self.expected = ModelBooking(
            slug=self.booking.therapist.slug,
            email=self.booking.client.email,
            is_free=self.booking.kind == "free_consultation",
            requested_at=self.booking.requested_at,
            starts_at=self.booking.starts_at,
            events=[(line.event, line.at) for line in self.lines],
        )

    @property
    def events(self) -> list[str]:
        return self.expected.names

    def held(self) -> tuple[int, float]:
        """The timeline entries (by id) from which and until which the booking held its time."""
        ends = [line.id for line in self.lines if line.event not in (*LIVE, *NOTICES)]
        return self.lines[0].id, ends[0] if ends else float("inf")

    def used_free(self) -> tuple[int, float]:
        """The same for its free consultation."""
        first, last = self.held()
        return first, float("inf") if self.expected.is_charged else last


def faults(site: Site, notes: Notes, emails: list[ReceivedEmail], kills: int) -> Iterator[str]:
    """Every contradiction between rows, emails and replies, in words."""
    lines = defaultdict[int, list[TimelineEntry]](list)
    for line in TimelineEntry.select().order_by(TimelineEntry.id):
        lines[line.booking_id].append(line)
    lives = [Life(booking, lines[booking.id]) for booking in Booking.select()]
    for life in lives:
        yield from _booking(life)
    yield from _overlaps(lives)
    yield from _replies(lives, notes)
    yield from _deliveries(site, emails, kills)
    for therapist in Therapist.select():
        yield from _standing(therapist, lives)


def _booking(life: Life) -> Iterator[str]:
    booking, expected = life.booking, life.expected
    reference, events = booking.reference, expected.names
    for fault in expected.faults():
        yield f"{reference}: {fault}"
    if expected.status != booking.status:
        yield f"{reference}: {events} but {booking.status}"
    ledger = Counter(
        (line.event, line.account, line.amount_minor)
        for line in LedgerLine.select().where(LedgerLine.booking == booking)
    )
    if ledger != expected.ledger(booking.fee_minor):
        yield f"{reference} ({events}): ledger {dict(ledger)}"
    kinds = Counter(
        row.kind
        for row in OutboxEmail.select().where(OutboxEmail.booking == booking)
        if row.kind != "session_reminder"
    )
    if kinds != Counter(kind for event in events for kind in EMAILS[event]):
        yield f"{reference} ({events}): emails {dict(kinds)}"


def _overlaps(lives: list[Life]) -> Iterator[str]:
    """Times that were held twice, and free consultations used twice, at one moment."""
    for one, other in combinations(lives, 2):
        a, b = one.booking, other.booking
        if a.therapist_id != b.therapist_id:
            continue
        overlaps = a.starts_at < b.ends_at and b.starts_at < a.ends_at
        if overlaps and _overlap(one.held(), other.held()):
            yield f"{a.reference} and {b.reference} held one time"
        is_free = a.kind == b.kind == "free_consultation" and a.client_id == b.client_id
        if is_free and _overlap(one.used_free(), other.used_free()):
            yield f"{a.reference} and {b.reference} were both free"


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _replies(lives: list[Life], notes: Notes) -> Iterator[str]:
    """What the site replied and the rows do not say."""
    by_reference = {life.booking.reference: life for life in lives}
    for reference, event in notes.done:
        if not set(event.split(" or ")) & set(by_reference[reference].events):
            yield f"{reference}: a reply said {event}"
    for reference, events in notes.seen:
        if tuple(by_reference[reference].events[: len(events)]) != events:
            yield f"{reference}: a reply showed {events}"
    for reference, (address, slug, start) in notes.requested.items():
        booking = by_reference[reference].booking
        found = (booking.client.email, booking.therapist.slug, booking.starts_at.isoformat())
        if found != (address, slug, start):
            yield f"{reference}: requested as {address, slug, start}, is {found}"
    replaced = {
        (life.booking.replaces.reference, life.booking.therapist.slug)
        for life in lives
        if life.booking.replaces
    }
    for reference, choice in notes.chosen:
        if (reference, choice.partition("@")[0]) not in replaced:
            yield f"{reference}: a reply said that {choice} was requested instead"
        if by_reference[reference].booking.status == "requested":
            yield f"{reference}: still open though another therapist was chosen"


def _deliveries(site: Site, emails: list[ReceivedEmail], kills: int) -> Iterator[str]:
    """Emails that were neither sent nor skipped, or sent twice although no process was killed."""
    came, kinds = Counter(each.message_id for each in emails), defaultdict[str, set[object]](set)
    for each in emails:
        kinds[each.message_id].add((each.kind, each.reference, each.to))
    host = str(urlsplit(site.environment["PUBLIC_URL"]).hostname)
    for row in OutboxEmail.select():
        about = row.booking or row
        person = {"client": about.client, "therapist": about.therapist}.get(str(row.role))
        to = person.email if person else "ops@mindsum.invalid"
        reference = row.booking.reference if row.booking else None
        number = message_id(reference, row.kind, to, row.ordinal, host)
        count = came.pop(number, 0)
        if row.status not in (OutboxStatus.SENT, OutboxStatus.SKIPPED):
            yield f"{row.about} {row.kind} is {row.status} ({row.last_error})"
        if row.status == OutboxStatus.SENT and not count:
            yield f"{row.about} {row.kind} never came"
        # A process was killed after the hand-over: the email was sent again, or skipped by then.
        if count > (row.status == OutboxStatus.SENT) and not (kills and row.attempts > 1):
            yield f"{row.about} {row.kind} came {count} times, attempts {row.attempts}"
        if len(kinds[number]) > 1:
            yield f"{number} was used for {kinds[number]}"
    if came:
        yield f"no row for the emails {came}"


def _standing(therapist: Therapist, lives: list[Life]) -> Iterator[str]:
    """Streak, flag and account that the history of cancellations and completions does not give."""
    counted = sorted(
        (line.id, line, life.booking)
        for life in lives
        if life.booking.therapist_id == therapist.id
        for line in life.lines
        if line.event in ("cancelled_by_therapist", "completed")
    )
    entries = StandingEntry.select().where(StandingEntry.therapist == therapist)
    remaining = [line.event for _, line, _ in reversed(counted)]
    history: list[str] = []
    for entry in entries.order_by(StandingEntry.id):
        if entry.event == "reactivated":
            history.append("reactivated")
        elif entry.event in ("cancelled", "completed"):
            history.append(remaining.pop() if remaining else "never happened")
    if remaining or "never happened" in history:
        yield f"{therapist.slug}: {len(counted)} events, but counted were {history}"
    for number, (_, line, _) in enumerate(counted):
        if line.event == "cancelled_by_therapist":
            for _, _, later in counted[number + 1 :]:
                if later.status == "completed" and later.completes_at <= line.at:
                    yield f"{therapist.slug}: {later.reference} was completed only after {line.at}"
    expected = standing_after(history)
    makes = (expected.streak, expected.is_flagged, expected.is_deactivated)
    found = (therapist.streak, therapist.is_flagged, therapist.is_deactivated)
    if found != makes:
        yield f"{therapist.slug} is {found}, {history} makes {makes}"
