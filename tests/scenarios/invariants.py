"""What must be so of every booking, email and account, read from the rows and the emails alone."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
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

DAY = timedelta(hours=24)
ENDED = {
    "requested": {"accepted", "declined", "withdrawn", "expired"},
    "accepted": {"cancelled_by_client", "cancelled_by_therapist", "completed"},
}
CAUSED = {
    "requested": "booking_requested booking_received",
    "reminded": "answer_reminder",
    "late": "answer_late answer_late_client answer_late_ops",
    "accepted": "booking_accepted session_confirmed",
    "declined": "booking_declined enquiry_declined",
    "withdrawn": "withdrawal_receipt booking_withdrawn",
    "expired": "booking_expired enquiry_expired",
    "cancelled_by_client": "cancellation_receipt client_cancelled",
    "cancelled_by_therapist": "therapist_cancelled cancellation_recorded",
    "completed": "",
}
"""The emails that each line of a timeline causes, once."""


@dataclass
class Told:
    """One booking with its lines, in the order in which they were written."""

    booking: Booking
    lines: list[TimelineEntry]

    @property
    def events(self) -> list[str]:
        return [line.event for line in self.lines]

    def held(self) -> tuple[int, float]:
        """From which line to which it held its time."""
        ends = [line.id for line in self.lines if line.event not in (*ENDED, "reminded", "late")]
        return self.lines[0].id, ends[0] if ends else float("inf")

    @property
    def is_charged(self) -> bool:
        """Whether it ended so that the client pays."""
        last = self.lines[-1]
        return last.event == "completed" or (
            last.event == "cancelled_by_client" and self.booking.starts_at - last.at <= DAY
        )

    def used_free(self) -> tuple[int, float]:
        """From which line to which it used up the free consultation."""
        first, last = self.held()
        return first, float("inf") if self.is_charged else last


def everything(site: Site, notes: Notes, emails: list[ReceivedEmail], kills: int) -> Iterator[str]:
    """Every contradiction between rows, emails and replies, in words."""
    lines = defaultdict[int, list[TimelineEntry]](list)
    for line in TimelineEntry.select().order_by(TimelineEntry.id):
        lines[line.booking_id].append(line)
    told = [Told(booking, lines[booking.id]) for booking in Booking.select()]
    for each in told:
        yield from _steps(each)
        yield from _money(each)
        yield from _emails_of(each)
    yield from _overlaps(told)
    yield from _replies(told, notes)
    yield from _deliveries(site, emails, kills)
    for therapist in Therapist.select():
        yield from _standing(therapist, told)


def _steps(told: Told) -> Iterator[str]:
    reference, events = told.booking.reference, told.events
    if max(Counter(events).values()) > 1 or events[0] != "requested":
        yield f"{reference}: {events}"
    status = "requested"
    for event in events[1:]:
        if event in ("reminded", "late"):
            if status != "requested" or (event == "reminded" and "late" in events[:2]):
                yield f"{reference}: {event} while {status}"
        elif event not in ENDED.get(status, ()):
            yield f"{reference}: {event} after {status}"
        else:
            status = event
    if status != told.booking.status:
        yield f"{reference}: {events} but {told.booking.status}"


def _money(told: Told) -> Iterator[str]:
    booking, fee = told.booking, told.booking.fee_minor
    found = Counter(
        (line.event, line.account, line.amount_minor)
        for line in LedgerLine.select().where(LedgerLine.booking == booking)
    )
    lines = [("requested", "client", -fee), ("requested", "held", fee)]
    if told.is_charged:
        commission = (fee * 10 + 50) // 100
        lines += [
            (told.events[-1], "held", -fee),
            (told.events[-1], "therapist", fee - commission),
            (told.events[-1], "commission", commission),
        ]
    elif told.events[-1] not in (*ENDED, "reminded", "late"):
        lines += [(told.events[-1], "held", -fee), (told.events[-1], "client", fee)]
    if found != Counter(lines if fee else []):
        yield f"{booking.reference} ({told.events}): ledger {dict(found)}"


def _emails_of(told: Told) -> Iterator[str]:
    kinds = Counter(
        row.kind
        for row in OutboxEmail.select().where(OutboxEmail.booking == told.booking)
        if row.kind != "session_reminder"
    )
    if kinds != Counter(kind for event in told.events for kind in CAUSED[event].split()):
        yield f"{told.booking.reference} ({told.events}): emails {dict(kinds)}"


def _overlaps(told: list[Told]) -> Iterator[str]:
    """At no moment was a time held twice, or a free consultation used twice."""
    for one, other in combinations(told, 2):
        a, b = one.booking, other.booking
        if a.therapist_id != b.therapist_id:
            continue
        if (
            a.starts_at < b.ends_at
            and b.starts_at < a.ends_at
            and _overlap(one.held(), other.held())
        ):
            yield f"{a.reference} and {b.reference} held one time"
        is_free = a.kind == b.kind == "free_consultation" and a.client_id == b.client_id
        if is_free and _overlap(one.used_free(), other.used_free()):
            yield f"{a.reference} and {b.reference} were both free"


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _replies(told: list[Told], notes: Notes) -> Iterator[str]:
    """What the site replied is what the rows say."""
    by_reference = {each.booking.reference: each for each in told}
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
            yield f"{reference}: asked as {address, slug, start}, is {found}"
    instead = {
        (each.booking.replaces.reference, f"{each.booking.therapist.slug}")
        for each in told
        if each.booking.replaces
    }
    for reference, choice in notes.chosen:
        if (reference, choice.partition("@")[0]) not in instead:
            yield f"{reference}: a reply said that {choice} was requested instead"
        if by_reference[reference].booking.status == "requested":
            yield f"{reference}: still open though another therapist was chosen"


def _deliveries(site: Site, emails: list[ReceivedEmail], kills: int) -> Iterator[str]:
    """Every email was sent or skipped; none was sent twice unless a process was killed."""
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


def _standing(therapist: Therapist, told: list[Told]) -> Iterator[str]:
    """Streak, flag and account as the history of cancellations and completions says."""
    counted = ("cancelled_by_therapist", "completed")
    theirs = sorted(
        (line.id, line, each.booking)
        for each in told
        if each.booking.therapist_id == therapist.id
        for line in each.lines
        if line.event in counted
    )
    entries = StandingEntry.select().where(StandingEntry.therapist == therapist)
    reactivations = 0
    history: list[str] = []
    for entry in entries.order_by(StandingEntry.id):
        if entry.event == "reactivated":
            history.append("reactivated")
            reactivations += 1
        elif entry.event in ("cancelled", "completed"):
            history.append(theirs[len(history) - reactivations][1].event)
    if len(history) - reactivations != len(theirs):
        yield f"{therapist.slug}: {len(theirs)} were due, {len(history)} were counted"
    for number, (_, line, _) in enumerate(theirs):
        if line.event == "cancelled_by_therapist":
            for _, _, later in theirs[number + 1 :]:
                if later.status == "completed" and later.completes_at <= line.at:
                    yield f"{therapist.slug}: {later.reference} was completed only after {line.at}"
    streak, is_flagged, is_off = 0, False, False
    for event in history:
        streak = streak + 1 if event == "cancelled_by_therapist" else 0
        is_flagged = streak >= 4 or (is_flagged and streak > 0)
        is_off = (is_off or streak >= 5) and event != "reactivated"
    found = (therapist.streak, bool(therapist.flagged_at), bool(therapist.deactivated_at))
    if found != (streak, is_flagged, is_off):
        yield f"{therapist.slug} is {found}, {history} makes {(streak, is_flagged, is_off)}"
