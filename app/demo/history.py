"""Three weeks of bookings before the demo starts: made by the services, with the clock moved."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import TypeVar

from flask import Flask

from app import clock
from app.demo.maildir import open_maildir, stored_form
from app.mailer import Connection, Mailer, MailError, Outgoing
from app.mailer.wire import envelope_of, sender_address
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services import availability
from app.services.bookings import cancel, messages, propose, request, transitions
from app.services.jobs import due
from app.services.jobs.result import PartialResults
from app.services.mail.sender import OutboxSender
from app.store import queries
from app.store.db import database
from app.store.models import Booking, Purpose
from app.store.queries.demo import next_due

M = TypeVar("M", bound=Outgoing)
Job = Callable[[datetime], PartialResults]
# When a booking goes on.
Story = Iterator[datetime]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LENGTH = 21 * DAY
# The jobs for what is due by each column.
_JOBS: dict[str, tuple[Job, ...]] = {
    "reminder_due_at": (due.remind_answers,),
    "late_due_at": (due.escalate_late,),
    "expires_at": (due.expire_enquiries,),
    "proposed_until": (due.expire_enquiries,),
    "completes_at": (due.complete_sessions, due.apply_standing),
    "day_reminder_due_at": (due.remind_sessions,),
    "hour_reminder_due_at": (due.remind_sessions,),
    "due_at": (),
}
# Name, address, time zone.
_CLIENTS = {
    name.split()[0].lower(): (name, f"{name.split()[0].lower()}@clients.example", zone)
    for name, zone in (
        ("Dana Stone", "Europe/London"),
        ("Elio Park", "Europe/London"),
        ("Gwen Abara", "Africa/Lagos"),
        ("Hana Lind", "Europe/Stockholm"),
        ("Ines Costa", "Europe/Lisbon"),
        ("Jon Bell", "America/New_York"),
        ("Kim Osei", "Europe/London"),
    )
}


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A booking of the history. `at`: since its beginning; `days`: before the start."""

    client: str
    therapist: str
    at: timedelta
    days: int = 2
    kind: Kind = Kind.PAID
    note: str = ""
    # After how many hours the therapist answers; None: never.
    answer: float | None = 0.5
    # accepted, declined, cancelled, cancelled_late, called_off, no_show or moved.
    then: str = "accepted"
    # Written to the therapist, or to the client, two hours after the answer.
    question: str = ""
    reply: str = ""


def make(app: Flask, folder: Path) -> None:
    """Play the history, which ends now; its emails go to the mailbox of the demo in `folder`."""
    # The log tells what happens from now on.
    logging.disable(logging.ERROR)
    # Hundreds of commits that wait for the disk would take longer than all else.
    database.db.execute_sql("PRAGMA synchronous=OFF")
    _History(app, folder).play(_BOOKINGS)
    database.db.execute_sql("PRAGMA synchronous=FULL")
    database.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    logging.disable(logging.NOTSET)


class _ToMailbox(Connection):
    """Puts messages into the demo's mailbox without a mail server, which would take longer."""

    def __init__(self, app: Flask, folder: Path) -> None:
        super().__init__(app.extensions["mail"], timeout=0)
        self._new = folder / "mail" / "new"
        open_maildir(folder / "mail")

    def deliver(self, messages: Iterable[M]) -> Iterator[tuple[M, MailError | None]]:
        for message in messages:
            envelope = envelope_of(message, sender_address(self.mail.default_sender))
            stored = stored_form(envelope.sender, [envelope.recipient], message.content)
            (self._new / f"{time.time_ns()}.history").write_bytes(stored)
            yield message, None


class _MailboxMailer(Mailer):
    def __init__(self, app: Flask, folder: Path) -> None:
        super().__init__()
        self._connection = _ToMailbox(app, folder)

    def connect(self) -> Connection:
        return self._connection


class _History:
    def __init__(self, app: Flask, folder: Path) -> None:
        self._sender = OutboxSender(_MailboxMailer(app, folder), clock.now)
        self._clock_file = folder / "clock"
        self._ends_at = clock.now()
        self._starts_at = self._ends_at - LENGTH

    def play(self, bookings: Sequence[PastRequest]) -> None:
        """Let each booking go on when its time comes, and do in between what is due."""
        # A number keeps stories of the same instant apart.
        waiting = [
            (next(story), number, story)
            for number, story in enumerate(self._life(each) for each in bookings)
        ]
        heapify(waiting)
        try:
            self._move_to(self._starts_at)
            while waiting:
                at, number, story = heappop(waiting)
                if at > self._ends_at:
                    continue
                self._catch_up(at)
                self._move_to(at)
                if (goes_on_at := next(story, None)) is not None:
                    heappush(waiting, (goes_on_at, number, story))
            self._catch_up(self._ends_at)
        finally:
            self._clock_file.unlink(missing_ok=True)
        self._run([due.apply_standing])

    def _move_to(self, at: datetime) -> None:
        offset = at - (clock.now() - clock.offset())
        self._clock_file.write_text(str(round(offset.total_seconds())), "ascii")

    def _catch_up(self, until: datetime) -> None:
        """What the scheduler does until then."""
        self._deliver()
        while (found := next_due(clock.now())) is not None and found[0] < until:
            self._move_to(found[0] + timedelta(seconds=1))
            self._run(_JOBS[found[1]])

    def _run(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            for _ in job(clock.now()):
                pass
        self._deliver()

    def _deliver(self) -> None:
        for _ in self._sender.deliver():
            pass

    def _life(self, past: PastRequest) -> Story:
        """One booking, from the request on; yields when it goes on."""
        yield self._starts_at + past.at
        booking = self._request(past)
        if past.answer is None:
            return
        yield clock.now() + past.answer * HOUR
        if past.then == "declined":
            _move(booking, Move.DECLINE, "I am away that week, and hope you find somebody soon.")
            return
        _move(booking, Move.ACCEPT)
        if past.question:
            yield clock.now() + 2 * HOUR
            messages.send(booking, past.question, author=Actor.CLIENT, now=clock.now())
        if past.reply:
            yield clock.now() + HOUR
            messages.note_read(booking, queries.writings_of(booking, Purpose.MESSAGE))
            messages.send(booking, past.reply, author=Actor.THERAPIST, now=clock.now())
        yield from _end(booking, past.then)

    def _request(self, past: PastRequest) -> Booking:
        """At the therapist's first open time after that many days."""
        therapist, now = queries.therapist_by_slug(past.therapist), clock.now()
        from_at = now + past.days * DAY
        starts = availability.open_times(
            therapist, past.kind, from_at=from_at, until_at=from_at + 7 * DAY, now=now
        )
        name, email, zone = _CLIENTS[past.client]
        wanted = request.BookingRequest(
            past.therapist, name, email, zone, starts[0], past.kind, past.note
        )
        return request.request_booking(wanted, via=Via.API, now=now)


def _end(booking: Booking, then: str) -> Story:
    now = clock.now()
    if then == "cancelled":
        yield now + 3 * HOUR
        cancel.cancel(booking, by=Actor.CLIENT, via=Via.LINK, now=clock.now())
    elif then == "cancelled_late":
        yield booking.starts_at - 5 * HOUR
        cancel.cancel(booking, by=Actor.CLIENT, via=Via.LINK, now=clock.now())
    elif then == "called_off":
        yield now + 4 * HOUR
        cancel.cancel(booking, by=Actor.THERAPIST, via=Via.DASHBOARD, now=clock.now())
    elif then == "no_show":
        yield booking.ends_at + HOUR
        cancel.mark_no_show(booking, via=Via.DASHBOARD, now=clock.now())
    elif then == "moved":
        yield now + 3 * HOUR
        start = availability.open_for_move(
            booking,
            from_at=booking.starts_at,
            until_at=booking.starts_at + 7 * DAY,
            now=clock.now(),
        )[0]
        propose.propose(booking, [start], by=Actor.CLIENT, via=Via.LINK, now=clock.now())
        yield clock.now() + HOUR
        propose.take(booking, start, by=Actor.THERAPIST, via=Via.LINK, now=clock.now())


def _move(booking: Booking, move: Move, reason: str = "") -> None:
    transitions.make_move(
        booking, move, by=Actor.THERAPIST, via=Via.LINK, now=clock.now(), reason=reason
    )


def _day(number: int, hour: float = 9) -> timedelta:
    return number * DAY + hour * HOUR


_BOOKINGS = (
    # Asha answers quickly, and earns.
    PastRequest("dana", "asha", _day(0), kind=Kind.FREE_CONSULTATION, note="Is this for me?"),
    PastRequest("elio", "asha", _day(1), answer=0.2),
    PastRequest("dana", "asha", _day(3), answer=1.0, note="I sleep badly since the spring."),
    PastRequest("gwen", "asha", _day(5), answer=2.2, then="moved"),
    PastRequest("hana", "asha", _day(7), then="cancelled_late"),
    PastRequest("ines", "asha", _day(9), answer=5.5),
    PastRequest("kim", "asha", _day(11), then="no_show"),
    PastRequest("dana", "asha", _day(12), answer=0.8),
    PastRequest("gwen", "asha", _day(13), then="cancelled"),
    # Bran is often late, lets one expire and calls one off.
    PastRequest("jon", "bran", _day(1, 14), answer=7.0),
    PastRequest("kim", "bran", _day(4, 14), answer=None),
    PastRequest("ines", "bran", _day(9, 14), answer=2.5, then="called_off"),
    # Chi has few requests, and takes them at once. Farah declines some.
    PastRequest("hana", "chi", _day(2, 21), answer=0.1),
    PastRequest("gwen", "farah", _day(3, 11), answer=1.0, then="declined"),
    PastRequest("kim", "farah", _day(8, 11), answer=0.7),
    # What is ahead.
    PastRequest(
        "dana",
        "asha",
        _day(18),
        days=3,
        question="Is there anything that I should read beforehand?",
        reply="Nothing at all. A quiet room is enough.",
    ),
    PastRequest("elio", "asha", LENGTH - 26 * HOUR, days=1),
    PastRequest(
        "ines",
        "asha",
        LENGTH - 8 * HOUR,
        days=4,
        question="Could we keep the camera off the first time?",
    ),
    PastRequest(
        "gwen",
        "asha",
        LENGTH - 0.8 * HOUR,
        answer=None,
        note="I have not slept well since the spring, and my work has begun to show it.",
    ),
    PastRequest("jon", "bran", LENGTH - 4 * HOUR, days=3, answer=None),
)
