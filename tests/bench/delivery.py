"""One scheduler, with its second process, sends a full outbox, beside Flask-Mail."""

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import flask_mail
from flask import Flask

from app import clock, create_app
from app.config import Settings
from app.rules.lifecycle import Kind, Via
from app.rules.weekly_hours import parse_windows
from app.services.bookings import request
from app.services.mail.sender import OutboxSender
from app.services.therapists import accounts
from app.store.db import database
from app.store.models import OutboxEmail, OutboxStatus
from emails.message import Message
from emails.samples import SAMPLES
from tests.bench.figure import IS_QUICK, Figure, at_most, compared
from tests.bench.raw import recorded
from tests.bench.sink import Sink
from tests.harness.processes import API_KEY, Site

# Each has two emails.
BOOKINGS = 100 if IS_QUICK else 400
THERAPISTS = 8
# Of the bookings whose processor time is measured, with each therapist.
DAYS = 5 if IS_QUICK else 20
# Emails that Flask-Mail sends in a round, by the round trip in milliseconds.
COMPARED = {0: 200, 20: 40}
BOUNDS = {0: (2, 4), 20: (25, 60)}


def figures(name: str, url: str, folder: Path) -> Iterator[Figure]:
    """Emails a second at each round trip; processor time of a booking with its emails."""
    create_app(Settings(database_url=url))
    database.upgrade()
    with database.connection():
        fill()
    yield from in_this_process(name, url)
    for round_trip_ms, (must, goal) in BOUNDS.items():
        with Sink(round_trip_ms) as sink:
            measured, floor, ratio = compared(
                lambda sink=sink: scheduler_rate(url, folder, sink),
                lambda sink=sink, count=COMPARED[round_trip_ms]: flask_mail_rate(sink, count),
            )
        yield Figure(
            database=name,
            name=f"emails of one scheduler at {round_trip_ms} ms ÷ Flask-Mail, a connection each",
            unit="/s",
            measured=measured,
            floor=floor,
            ratio=ratio,
            must=must,
            goal=goal,
        )


def fill() -> None:
    """Make bookings whose emails are not sent."""
    now = clock.now()
    hours = parse_windows("Mon-Sun 00:00-24:00")
    for number in range(THERAPISTS):
        slug = f"bran-{number}"
        bran = accounts.NewTherapist(slug, "Bran Cole", f"{slug}@t.example", "UTC", 6000, hours)
        accounts.add_therapist(bran, now)
    first = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=6)
    for number in range(BOOKINGS):
        day, therapist = divmod(number, THERAPISTS)
        email = f"eli{number}@clients.example"
        wanted = request.BookingRequest(
            f"bran-{therapist}", "Eli Park", email, "UTC", first + timedelta(hours=day), Kind.PAID
        )
        request.request_booking(wanted, via=Via.API, now=now)


def in_this_process(name: str, url: str) -> Iterator[Figure]:
    """Processor time of a request over the API with its emails; statements of an email."""
    with Sink() as sink:
        settings = Settings(
            database_url=url, mail_port=sink.port, api_keys=(API_KEY,), ratelimit_enabled=False
        )
        app, hours = create_app(settings), itertools.count()
        with database.connection():
            OutboxEmail.update(status=OutboxStatus.SENT, settled_at=clock.now()).execute()
        # The first compiles templates and statements.
        book_and_send(app, next(hours))
        measured, floor, ratio = compared(
            lambda: processor_ms(lambda: book_and_send(app, next(hours)), THERAPISTS * DAYS),
            lambda: processor_ms(lambda: flask_mail_rate(sink, COMPARED[0]), COMPARED[0]),
        )
        with database.connection():
            waiting = queue_again()
        with recorded() as seen:
            send(app)
    yield at_most(name, "statements of an email", "", len(seen) / waiting, 6, 3)
    yield Figure(
        database=name,
        name="processor time of a booking with its two emails ÷ one email of Flask-Mail",
        unit="ms",
        measured=measured,
        floor=floor,
        ratio=ratio,
        # The booking of django-appointment takes as long as 17 of these: half and a quarter of it.
        must=8.5,
        goal=4.2,
        is_more_better=False,
    )


def processor_ms(act: Callable[[], object], times: int) -> float:
    """Of this process, for each of the things that `act` does."""
    began = time.process_time()
    act()
    return (time.process_time() - began) * 1000 / times


def book_and_send(app: Flask, hours: int) -> None:
    """A booking with each therapist on some days, at another hour each time."""
    visitor, bearer = app.test_client(), {"Authorization": f"Bearer {API_KEY}"}
    # Behind those of `fill`.
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    first = now + timedelta(days=10, hours=hours)
    for number in range(THERAPISTS * DAYS):
        day, therapist = divmod(number, THERAPISTS)
        email = f"dee{hours}-{number}@clients.example"
        asked = {
            "therapist": f"bran-{therapist}",
            "client": {"name": "Dee Stone", "email": email, "timezone": "UTC"},
            "starts_at": (first + timedelta(days=day)).isoformat(),
            "kind": "paid",
        }
        answer = visitor.post("/api/v1/bookings", json=asked, headers=bearer)
        assert answer.status_code == 201, answer.json
    send(app)


def send(app: Flask) -> None:
    with app.app_context(), database.connection():
        for result in OutboxSender(app.extensions["mailer"], clock.now).deliver():
            assert not result.failed


def queue_again() -> int:
    """All emails; how many there are."""
    queued = {"status": OutboxStatus.QUEUED, "due_at": clock.now(), "settled_at": None}
    return int(OutboxEmail.update(queued).execute())


def scheduler_rate(url: str, folder: Path, sink: Sink) -> float:
    """Emails a second, from the first that the server took to the last."""
    sink.taken_at.clear()
    with database.connection():
        waiting = queue_again()
    with Site(url, folder, sink).spawn("scheduler.py"):
        taken_at = sink.wait_until_taken(waiting)
    return (waiting - 1) / (taken_at[-1] - taken_at[0])


def flask_mail_rate(sink: Sink, count: int) -> float:
    """Emails a second of what an application does that uses Flask-Mail as documented."""
    sink.taken_at.clear()
    app = Flask("compared")
    app.config.update(MAIL_SERVER=sink.host, MAIL_PORT=sink.port)
    mail = flask_mail.Mail(app)
    sent = [SAMPLES[kind]() for kind in ("booking_requested", "booking_received")]
    with app.app_context():
        began = time.monotonic()
        for number in range(count):
            mail.send(as_flask_mail(sent[number % 2]))
        return count / (time.monotonic() - began)


def as_flask_mail(message: Message) -> flask_mail.Message:
    made = flask_mail.Message(
        message.subject,
        recipients=[message.recipient.addr_spec],
        body=message.text,
        html=message.html,
        sender=message.sender.addr_spec,
    )
    if message.calendar:
        made.attach("session.ics", "text/calendar", message.calendar.content)
    return made
