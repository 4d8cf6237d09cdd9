"""Addresses of the mail door: their recipient, how long they last, which emails carry them."""

from email.utils import parseaddr

import pytest
from flask import Flask

from app import config
from app.errors import NotFound
from app.mail_addresses import AddressKind
from app.rules.lifecycle import Actor
from app.services.clients.links import change_address
from app.services.inbound import addresses, revoke
from app.services.therapists import accounts
from app.store.models import Booking, Client, OutboxEmail, Role
from tests.harness.smtp_server import Accepted
from tests.scenarios.story import DEE, Story
from tests.services.inbound.conftest import DOMAIN
from tests.web.conftest import counted_queries


def organizer_in(sent: Accepted) -> str:
    part = next(p for p in sent.parsed.walk() if p.get_content_type() == "text/calendar")
    lines = part.get_content().replace("\r\n ", "").splitlines()
    line = next(each for each in lines if each.startswith("ORGANIZER"))
    return str(line.rpartition("mailto:")[2])


def reply_to(sent: Accepted) -> str:
    return parseaddr(sent.parsed["Reply-To"])[1]


def person(booking: Booking, role: Role) -> str:
    return organizer_address(addresses.organizer_of(booking, role).sender)


def organizer_address(sender: str) -> str:
    return parseaddr(sender)[1]


def test_the_organizer_of_one_recipient_stays_the_same_and_is_the_reply_to(story: Story) -> None:
    booking = story.ask()
    sent = story.sent()
    story.accept(booking)
    sent += story.sent()
    story.wait(hours=1)
    renamed = config.current().model_copy(
        update={"secret_key": "another key", "mail_default_sender": "New <new@mindsum.test>"}
    )
    config.use(renamed)
    story.cancel(story.reload(booking), by=Actor.THERAPIST)
    sent += story.sent()
    with_calendar = [each for each in sent if b"text/calendar" in each.raw]
    organizers: dict[str, set[str]] = {}
    for each in with_calendar:
        assert reply_to(each) == organizer_in(each)
        organizers.setdefault(each.rcpt_tos[0], set()).add(organizer_in(each))
    assert {address: len(found) for address, found in organizers.items()} == {
        "asha@therapists.example": 1,
        "dee@clients.example": 1,
    }
    # Who knows one must not be able to answer as the other.
    assert len(set.union(*organizers.values())) == 2


def test_a_reply_to_an_email_without_a_calendar_names_that_email(story: Story) -> None:
    story.ask()
    received = next(each for each in story.sent() if each.rcpt_tos[0] == DEE[1])
    owner = addresses.owner_of(reply_to(received))
    assert owner is not None
    assert owner.kind is AddressKind.REPLY
    assert owner.email == OutboxEmail.get(OutboxEmail.kind == "booking_received")
    assert isinstance(owner.person, Client)
    bounced = addresses.owner_of(received.envelope_from)
    assert bounced is not None
    assert (bounced.kind, bounced.email) == (AddressKind.BOUNCE, owner.email)
    assert len(received.envelope_from.partition("@")[0]) <= 64


def test_an_address_ends_with_its_persons_address_and_by_revoking(story: Story) -> None:
    booking = story.ask()
    for role in (Role.THERAPIST, Role.CLIENT):
        assert addresses.owner_of(person(story.reload(booking), role)) is not None
    before = {role: person(story.reload(booking), role) for role in (Role.THERAPIST, Role.CLIENT)}
    accounts.change_address("asha", "asha@new.example", story.now)
    assert addresses.owner_of(before[Role.THERAPIST]) is None
    assert addresses.owner_of(before[Role.CLIENT]) is not None
    revoke.of_client(DEE[1])
    assert addresses.owner_of(before[Role.CLIENT]) is None
    # Calendars take the end of an entry only from the organizer they know.
    after = addresses.organizer_of(story.reload(booking), Role.CLIENT)
    assert organizer_address(after.sender) == before[Role.CLIENT]
    assert not after.hears
    # Another mailbox knows another organizer.
    moved = addresses.organizer_of(story.reload(booking), Role.THERAPIST)
    assert organizer_address(moved.sender) != before[Role.THERAPIST]
    assert moved.hears
    change_address(DEE[1], "dee@new.example", story.now)
    assert addresses.owner_of(before[Role.CLIENT]) is None


def test_wrong_foreign_and_unknown_addresses_take_the_same_steps(story: Story) -> None:
    booking = story.ask()
    good = person(booking, Role.THERAPIST)
    tag = good.partition("-")[2]
    refused = [
        good.replace(tag, "a" * 20 + "@" + DOMAIN),
        f"book+t999-{tag}",
        f"book+c1-{tag}",
        f"book+t2-{tag}",
        f"somebody@{DOMAIN}",
        f"book+t1-short@{DOMAIN}",
    ]
    costs = set()
    for address in [good, *refused]:
        with counted_queries() as seen:
            found = addresses.owner_of(address)
        costs.add(len(seen))
        assert (found is not None) == (address == good), address
    assert costs == {2}
    assert addresses.owner_of(good.replace(DOMAIN, "elsewhere.example")) is None
    assert addresses.owner_of(good.upper()) is not None


def test_who_has_no_account_has_no_addresses(app: Flask) -> None:
    with pytest.raises(NotFound):
        revoke.of_therapist("nobody-here")
    with pytest.raises(NotFound):
        revoke.of_client("nobody@clients.example")
