"""Emails of all kinds with links that act, as they arrive one round of bookings after another."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from urllib.parse import urlsplit

from app.rules.lifecycle import Actor, Kind
from app.services import auth
from app.services.bookings import confirm, messages
from app.services.bookings.request import BookingRequest
from app.services.clients.links import send_links
from app.store.models import Booking
from tests.harness.smtp_server import Accepted
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import ELI, Story

WRITTEN = ("I sleep badly.", "Please bring a pen.")


@dataclass(frozen=True)
class Mail:
    """An email that the mail server has just taken: its kind, and the paths of its links."""

    kind: str
    paths: list[str]


def arriving(story: Story) -> Iterator[Mail]:
    """Every email with a link of ours, each yielded just after its hand-over, without end."""
    for number in count():
        for _ in _round(story, number):
            at, mails = story.now, [read_links(sent) for sent in story.sent()]
            for mail in mails:
                if mail.paths:
                    # Whatever was done with the one before.
                    story.at(at)
                    yield mail
            story.at(at + timedelta(minutes=15))


def _round(story: Story, number: int) -> Iterator[None]:
    """One thing after another happens in a day; each yield lets the emails leave."""
    story.at(MONDAY + timedelta(days=number))
    slow = _ask(story, number, hour=10)
    yield
    for hours in (2, 1):
        story.wait(hours=hours)
        story.sweep()
        yield
    story.decline(story.reload(slow))
    yield
    confirm.take_request(_typed(story, number), now=story.now)
    auth.request_sign_in("bran@therapists.example", "", story.now)
    yield
    firm = _ask(story, number, hour=12)
    yield
    story.accept(firm)
    messages.send(firm, WRITTEN[1], author=Actor.THERAPIST, now=story.now)
    yield
    send_links(_client(number)[1], story.now)
    yield
    story.cancel(firm, Actor.CLIENT)
    yield


def _ask(story: Story, number: int, *, hour: int) -> Booking:
    at = MONDAY + timedelta(days=5 + number, hours=hour - MONDAY.hour)
    return story.ask(starts_at=at, client=_client(number), note=WRITTEN[0])


def _client(number: int) -> tuple[str, str, str]:
    return ("Dee Stone", f"dee.{number}@clients.example", "America/New_York")


def _typed(story: Story, number: int) -> BookingRequest:
    name, email, zone = ELI
    at = MONDAY + timedelta(days=5 + number, hours=16 - MONDAY.hour)
    return BookingRequest("asha", name, email, zone, at, Kind.PAID, note=WRITTEN[0])


def read_links(sent: Accepted) -> Mail:
    body = sent.parsed.get_body(("plain",))
    assert body is not None
    addresses = re.findall(r"^https?://\S+/link/\S+", body.get_content(), re.M)
    parts = map(urlsplit, dict.fromkeys(addresses))
    paths = [f"{each.path}?{each.query}" if each.query else each.path for each in parts]
    return Mail(str(sent.parsed["X-Mindsum-Email"]), paths)
