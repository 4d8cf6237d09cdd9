"""The demo's mailbox sends answers, replies and bounces, and the mail door hears them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import clock, config, create_app
from app.config import Settings
from app.demo.maildir import StoredMessage, serve_maildir, stored_messages
from app.inbound import door_server
from app.rules.lifecycle import Kind, Status, Via
from app.services.bookings import request
from app.services.inbound.handle import process_inbound
from app.services.mail.sender import OutboxSender
from app.store import queries
from app.store.db import database
from app.store.models import Booking, InboundMessage, Purpose
from tests.scenarios.cast import therapist
from tests.scenarios.story import DEE, total


@pytest.fixture
def demo(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    with serve_maildir("127.0.0.1", 0, tmp_path / "mail") as mail:
        settings = Settings(
            database_url=database_url,
            demo_dir=tmp_path,
            mail_port=mail.port,
            public_url="http://mindsum.test",
            ratelimit_enabled=False,
            inbound_domain="in.example",
        )
        built = create_app(settings)
        built.config["WTF_CSRF_ENABLED"] = False
        built.testing = True
        server = door_server(built, settings.model_copy(update={"inbound_port": 0}))
        server.start()
        config.use(settings.model_copy(update={"inbound_port": server.port}))
        try:
            with database.connection():
                therapist("Asha Rao", "Europe/London")
                yield built
        finally:
            server.stop()
            clock.follow(None)


@pytest.fixture
def visitor(demo: Flask) -> FlaskClient:
    return demo.test_client()


@pytest.fixture
def booking(demo: Flask) -> Booking:
    name, email, zone = DEE
    day = clock.now() + timedelta(days=3)
    starts_at = day.replace(hour=11, minute=0, second=0, microsecond=0)
    wanted = request.BookingRequest("asha", name, email, zone, starts_at, Kind.PAID, "")
    asked = request.request_booking(wanted, via=Via.PAGE, now=clock.now())
    deliver(demo)
    return asked


def deliver(demo: Flask) -> None:
    with demo.app_context():
        total(OutboxSender(demo.extensions["mailer"], clock.now).deliver())


def stored(kind: str, folder: Path) -> StoredMessage:
    found = stored_messages(folder / "mail")
    return next(each for each in found if each.message["X-Mindsum-Email"] == kind)


def press(visitor: FlaskClient, email: StoredMessage, choice: str, text: str = "") -> str:
    """Press a button beside an email; the outcome of what it sent."""
    answered = visitor.post(f"/mailbox/{email.id}/answer", data={"choice": choice, "text": text})
    assert answered.status_code == 303
    assert f"sent={choice}" in answered.headers["Location"]
    assert "Sent to the mail door" in visitor.get(answered.headers["Location"]).text
    total(process_inbound(clock.now()))
    newest: Any = InboundMessage.select().order_by(InboundMessage.id.desc()).first()
    return str(newest.outcome)


@pytest.mark.parametrize(
    ("choice", "outcome", "status"),
    [
        ("yes", "accepted", Status.ACCEPTED),
        ("no", "declined", Status.DECLINED),
        ("maybe", "explained_maybe", Status.REQUESTED),
    ],
)
def test_a_press_beside_the_invitation_is_heard_as_a_calendars_answer(  # type: ignore[no-untyped-def]
    visitor: FlaskClient, booking: Booking, tmp_path: Path, choice, outcome, status
) -> None:
    invitation = stored("booking_requested", tmp_path)
    assert ">Maybe<" in visitor.get(f"/mailbox/{invitation.id}").text
    assert press(visitor, invitation, choice) == outcome
    assert queries.booking_by_reference(booking.reference).status is status


def test_a_reply_is_read_and_its_quote_left_out(
    visitor: FlaskClient, booking: Booking, tmp_path: Path
) -> None:
    received = stored("booking_received", tmp_path)
    assert ">Maybe<" not in visitor.get(f"/mailbox/{received.id}").text
    assert press(visitor, received, "reply", "Is it upstairs?") == "message"
    assert press(visitor, stored("booking_requested", tmp_path), "reply", "Yes") == "accepted"
    found = queries.writings_of(booking, Purpose.MESSAGE)
    assert [each.body for each in found] == ["Is it upstairs?"]


def test_an_address_that_bounces_is_told_to_the_other_side(
    demo: Flask, visitor: FlaskClient, booking: Booking, tmp_path: Path
) -> None:
    assert press(visitor, stored("booking_requested", tmp_path), "bounce") == "bounced"
    deliver(demo)
    assert stored("therapist_unreachable", tmp_path).envelope_to == (DEE[1],)


def test_an_unknown_choice_sends_nothing(
    visitor: FlaskClient, booking: Booking, tmp_path: Path
) -> None:
    email = stored("booking_received", tmp_path)
    for choice in ("yes", "perhaps", ""):
        answered = visitor.post(f"/mailbox/{email.id}/answer", data={"choice": choice})
        assert answered.status_code == 400
    assert InboundMessage.select().count() == 0
