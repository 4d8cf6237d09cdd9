"""Verbs with which a test plays the life of a booking: ask, accept, wait, sweep, deliver."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask

from app import clock
from app.mailer import Mailer
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services.bookings import cancel, propose, request, transitions
from app.services.bookings.propose import TimeMoveResult
from app.services.bookings.transitions import MoveResult
from app.services.jobs import due
from app.services.jobs.result import JobResult, PartialResults
from app.services.mail.leases import LeapWatch
from app.services.mail.sender import OutboxSender
from app.services.mail.throttle import ProcessorShare
from app.store import queries
from app.store.db import database
from app.store.models import Booking, TimelineEntry
from tests.harness.smtp_server import PATIENCE_S, Accepted, MailServer

DEE = ("Dee Stone", "dee@clients.example", "America/New_York")
ELI = ("Eli Park", "eli@clients.example", "Europe/London")

JOBS: tuple[Callable[[datetime], PartialResults], ...] = (
    due.remind_answers,
    due.escalate_late,
    due.expire_enquiries,
    due.complete_sessions,
    due.apply_standing,
    due.remind_sessions,
    due.purge,
)


def sender_to(
    app: Flask,
    port: int,
    must_stop: Callable[[], bool] = lambda: False,
    share: ProcessorShare | None = None,
    leaps: LeapWatch | None = None,
    **settings: Any,
) -> OutboxSender:
    """A sender to another mail server than the story's own, with some MAIL_* settings changed."""
    elsewhere = Flask("elsewhere")
    elsewhere.config.update(app.config, MAIL_PORT=port, MAIL_TIMEOUT=PATIENCE_S)
    elsewhere.config.update(settings)
    return OutboxSender(Mailer(elsewhere), clock.now, must_stop, share=share, leaps=leaps)


def total(parts: Iterable[JobResult]) -> JobResult:
    """The sum of the results of all parts of a job."""
    return sum(parts, JobResult())


@contextmanager
def sending_in_thread(app: Flask, sender: OutboxSender) -> Iterator[None]:
    """Another thread of the sender's process sends what is due; it has ended after the block."""

    def run() -> None:
        with app.app_context(), database.connection():
            total(sender.deliver())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The result or exception of each call, in order of ending.

    All start at the same moment, in threads with connections of their own.
    """
    start = threading.Barrier(len(calls))
    outcomes: list[Any] = []

    def run(call: Callable[[], Any]) -> None:
        with database.connection():
            start.wait(PATIENCE_S)
            try:
                outcomes.append(call())
            except Exception as error:
                outcomes.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@dataclass
class Story:
    """The application, its mail server and its clock, for one test."""

    app: Flask
    mail: MailServer
    at: Callable[[datetime], datetime]

    @property
    def now(self) -> datetime:
        return clock.now()

    def wait(self, **span: float) -> datetime:
        """Move the clock on."""
        return self.at(self.now + timedelta(**span))

    def ask(
        self,
        therapist: str = "asha",
        *,
        starts_at: datetime | None = None,
        client: tuple[str, str, str] = DEE,
        kind: Kind = Kind.PAID,
        note: str = "",
    ) -> Booking:
        """Request a session; by default at ten o'clock in London, two days ahead."""
        if starts_at is None:
            starts_at = self.now.replace(hour=10, minute=0, second=0, microsecond=0)
            starts_at += timedelta(days=2)
        name, email, zone = client
        wanted = request.BookingRequest(therapist, name, email, zone, starts_at, kind, note)
        return request.request_booking(wanted, via=Via.API, now=self.now)

    def accept(self, booking: Booking) -> MoveResult:
        return transitions.make_move(
            booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=self.now
        )

    def decline(self, booking: Booking, reason: str = "") -> MoveResult:
        return transitions.make_move(
            booking,
            Move.DECLINE,
            by=Actor.THERAPIST,
            via=Via.LINK,
            now=self.now,
            reason=reason,
        )

    def withdraw(self, booking: Booking) -> MoveResult:
        return transitions.make_move(
            booking, Move.WITHDRAW, by=Actor.CLIENT, via=Via.LINK, now=self.now
        )

    def cancel(self, booking: Booking, by: Actor) -> MoveResult:
        return cancel.cancel(booking, by=by, via=Via.DASHBOARD, now=self.now)

    def propose(
        self, booking: Booking, *starts: datetime, by: Actor = Actor.THERAPIST
    ) -> TimeMoveResult:
        return propose.propose(booking, starts, by=by, via=Via.LINK, now=self.now)

    def take(
        self,
        booking: Booking,
        starts_at: datetime,
        *,
        by: Actor = Actor.CLIENT,
        waive_notice: bool = False,
    ) -> TimeMoveResult:
        return propose.take(
            booking, starts_at, by=by, via=Via.LINK, now=self.now, waive_notice=waive_notice
        )

    def keep(self, booking: Booking, *, by: Actor = Actor.CLIENT) -> TimeMoveResult:
        return propose.keep(booking, by=by, via=Via.LINK, now=self.now)

    def sweep(self) -> None:
        """Run every job of the clock once; none may fail."""
        for job in JOBS:
            run = total(job(self.now))
            assert run.failed == 0, job.__name__

    def deliver(self) -> list[tuple[str, str]]:
        """Send the emails that are due; returns (kind, recipient) of each, in order."""
        return [(each.kind, each.rcpt_tos[0]) for each in self.sent()]

    def sent(self) -> list[Accepted]:
        """Send the emails that are due; returns them as the server received them."""
        before = len(self.mail.messages)
        total(OutboxSender(self.app.extensions["mailer"], clock.now).deliver())
        return self.mail.messages[before:]

    @staticmethod
    def reload(booking: Booking) -> Booking:
        return queries.booking_by_reference(booking.reference)

    @staticmethod
    def timeline(booking: Booking) -> list[tuple[str, str, str]]:
        """(event, by, via) of each line, oldest first."""
        lines = (
            TimelineEntry.select()
            .where(TimelineEntry.booking == booking)
            .order_by(TimelineEntry.id)
        )
        return [(line.event, str(line.by), str(line.via)) for line in lines]

    @staticmethod
    def balances(booking: Booking) -> dict[str, int]:
        """The sum of the booking's lines on each account of the ledger."""
        sums: dict[str, Any] = {}
        for line in booking.ledger:
            sums[line.account] = sums.get(line.account, 0) + line.amount_minor
        return sums
