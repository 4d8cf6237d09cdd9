"""One address is one person at every door, and two addresses are two."""

import pytest

from app.errors import FreeConsultationUsed, InvalidFields, NotFound
from app.rules.lifecycle import Kind
from app.services import auth
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.services.clients.links import send_links
from app.services.therapists import accounts
from app.store import queries, suppressions
from app.store.models import Client, OutboxEmail, Role
from tests.scenarios.story import Story

SHARP, DOUBLE = "dee@faß.example", "dee@fass.example"
FREE = Kind.FREE_CONSULTATION


def ask(story: Story, address: str, hours: int = 0, kind: Kind = FREE) -> str:
    at = story.now.replace(hour=10 + hours, minute=0)
    at = at.replace(day=at.day + 2)
    return story.ask(client=("Dee Stone", address, "UTC"), starts_at=at, kind=kind).reference


def refuse(reference: str, story: Story) -> None:
    """A mail server proves that the mailbox of the booking's client does not exist."""
    to_client = (OutboxEmail.about == reference) & (OutboxEmail.role == Role.CLIENT)
    email = OutboxEmail.select().where(to_client).get()
    suppressions.add(email, "550 5.1.1", story.now, is_proven=True, is_doubted=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SHARP, DOUBLE),
        ("straße@x.example", "strasse@x.example"),
        ("ıda@x.example", "ida@x.example"),
        ("ſam@x.example", "sam@x.example"),
    ],
)
def test_two_addresses_share_nothing(story: Story, one: str, other: str) -> None:
    theirs, others = ask(story, one), ask(story, other, hours=1)
    assert [each["reference"] for each in export_client(one, story.now)["bookings"]] == [theirs]
    assert [each["reference"] for each in export_client(other, story.now)["bookings"]] == [others]
    refuse(theirs, story)
    assert suppressions.of_address(other) is None
    story.deliver()
    send_links(other, story.now)
    [links] = story.sent()
    assert theirs not in links.parsed.as_string()
    story.withdraw(queries.booking_by_reference(theirs))
    erase_client(one, story.now)
    with pytest.raises(NotFound):
        export_client(one, story.now)
    assert export_client(other, story.now)["bookings"]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dee@bücher.example", "DEE@xn--bcher-kva.example"),
        (SHARP, "Dee@FAß.example"),
        ("dée@x.example", "DE\u0301E@X.example"),
        ("ДИ@x.example", "ди@x.example"),
    ],
)
def test_two_ways_to_write_an_address_are_one_client(story: Story, one: str, other: str) -> None:
    theirs = ask(story, one)
    with pytest.raises(FreeConsultationUsed):
        ask(story, other, hours=1)
    ask(story, other, hours=1, kind=Kind.PAID)
    assert Client.select().count() == 1
    assert len(export_client(other, story.now)["bookings"]) == 2
    refuse(theirs, story)
    refused = suppressions.of_address(other)
    assert refused is not None and refused.reason == "550 5.1.1"


def test_a_therapist_signs_in_with_any_way_to_write_their_address_and_no_other(
    story: Story,
) -> None:
    accounts.change_address("asha", "asha@faß.example", story.now)
    accounts.change_address("bran", "asha@fass.example", story.now)
    told = []
    for address in ("ASHA@xn--fa-hia.example", "Asha@Faß.example", "asha@FASS.example"):
        auth.request_sign_in(address, "/dashboard", story.now)
        told += [to for kind, to in story.deliver() if kind == "sign_in"]
        story.wait(minutes=1)
    assert told == ["asha@xn--fa-hia.example"] * 2 + ["asha@fass.example"]
    with pytest.raises(InvalidFields):
        accounts.change_address("chi", "asha@xn--fa-hia.example", story.now)
