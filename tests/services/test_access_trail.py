"""The access trail: what is recorded, how little a flood of it costs, how long it stays."""

from datetime import timedelta
from typing import Any

import peewee
import pytest
from flask import Flask

from app import clock
from app.errors import StoreUnavailable
from app.rules.lifecycle import Via
from app.services import access_trail, auth, sessions
from app.services.access_trail import Access, Origin, network_hash
from app.services.bookings import revoke
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.services.clients.links import send_links
from app.services.jobs import due
from app.store.db import database
from app.store.models import AccessEntry, AccessEvent, Party, SignIn, Therapist
from tests.scenarios.cast import Cast
from tests.scenarios.story import DEE, Story, total
from tests.web.conftest import counted_queries

WRONG_KEY = Access(AccessEvent.WRONG_KEY, about="api.list_therapists", by=Party.STRANGER)


def trail() -> list[tuple[str, str, str, int]]:
    """(event, by, via, times) of each row, oldest first."""
    rows = AccessEntry.select().order_by(AccessEntry.id)
    return [(str(each.event), str(each.by), str(each.via), each.times) for each in rows]


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64_and_is_not_named(
    app: Flask, one: str, other: str, are_same: bool
) -> None:
    assert (network_hash(one) == network_hash(other)) is are_same
    assert len(network_hash(one)) == 16 and one not in network_hash(one)


@pytest.mark.parametrize("address", [None, "", "unknown", "unix:"])
def test_what_is_no_address_is_no_network(app: Flask, address: str | None) -> None:
    assert network_hash(address) == ""


def test_what_happens_again_within_a_minute_is_counted_in_one_row(story: Story) -> None:
    booking = story.ask()
    for _ in range(3):
        access_trail.record_after([Access(AccessEvent.READ, booking)], story.now)
    story.wait(minutes=1)
    access_trail.record_after([Access(AccessEvent.READ, booking)], story.now)
    first, second = AccessEntry.select().order_by(AccessEntry.id)
    assert (first.times, second.times) == (3, 1)
    assert second.at == first.last_at + timedelta(minutes=1)
    assert (first.booking, first.therapist, first.client) == (
        booking, booking.therapist, booking.client,
    )  # fmt: skip


def test_a_flood_of_wrong_keys_costs_one_row_and_few_writes(cast: Cast) -> None:
    with counted_queries() as seen:
        for _ in range(1000):
            access_trail.record_after([WRONG_KEY], clock.now())
    [row] = AccessEntry.select()
    # Exactly up to sixteen, then at each doubling.
    assert row.times == 512
    assert len([each for each in seen if each.startswith("INSERT")]) == 16 + 5


@pytest.mark.both_databases
def test_a_flood_from_many_networks_shares_a_row_beyond_two_hundred(cast: Cast) -> None:
    for number in range(300):
        network = network_hash(f"192.0.{number // 256}.{number % 256}")
        access_trail.come_from(Origin(Party.STRANGER, Via.API, network))
        access_trail.record_after([WRONG_KEY], clock.now())
    access_trail.come_from(access_trail.COMMAND_LINE)
    assert AccessEntry.select().count() == 201
    shared = AccessEntry.get(AccessEntry.network == "")
    assert shared.times == 64


@pytest.mark.both_databases
def test_signing_in_and_out_is_on_record(story: Story) -> None:
    asha = Therapist.get(slug="asha")
    auth.request_sign_in("asha@therapists.example", "", story.now)
    sessions.start(asha, browser="Firefox", is_kept=False, now=story.now)
    assert sessions.end_all("asha", story.now) == 1
    assert sessions.end_all("asha", story.now) == 0
    assert [each[0] for each in trail()] == ["sign_in_asked", "signed_in", "signed_out"]
    assert {each.therapist for each in AccessEntry.select()} == {asha}


def test_asking_to_sign_in_writes_the_same_for_every_address_but_whose_it_is(
    story: Story,
) -> None:
    auth.request_sign_in("asha@therapists.example", "", story.now)
    auth.request_sign_in("stranger@elsewhere.example", "", story.now)
    send_links("stranger@elsewhere.example", story.now)
    assert [each[0] for each in trail()] == ["sign_in_asked", "sign_in_asked", "links_asked"]
    rows = AccessEntry.select().order_by(AccessEntry.id)
    assert [each.therapist_id is None for each in rows] == [False, True, True]


def test_export_and_erase_and_revoking_are_on_record_and_the_export_shows_it(
    story: Story,
) -> None:
    booking = story.ask()
    access_trail.come_from(Origin(Party.CLIENT, Via.LINK, network_hash("192.0.2.1")))
    access_trail.record_after([Access(AccessEvent.READ, booking, about="note")], story.now)
    access_trail.come_from(access_trail.COMMAND_LINE)
    revoke.revoke_links(booking.reference, story.now)
    exported = export_client(DEE[1], story.now)["access"]
    assert [(each["event"], each["by"], each["booking"]) for each in exported] == [
        ("read", "client", booking.reference),
        ("links_revoked", "ops", booking.reference),
        ("exported", "ops", None),
    ]
    story.withdraw(booking)
    erase_client(DEE[1], story.now)
    assert trail()[-1] == ("erased", "ops", "cli", 1)
    assert {each.network for each in AccessEntry.select()} == {""}


def failing(*_: Any, **__: Any) -> None:
    raise peewee.OperationalError("disk I/O error of the trail alone")


@pytest.mark.parametrize("what", [export_client, erase_client])
def test_what_cannot_be_recorded_is_neither_exported_nor_erased(
    what: Any, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.withdraw(story.ask())
    monkeypatch.setattr(access_trail, "_add", failing)
    with pytest.raises((StoreUnavailable, peewee.OperationalError)):
        what(DEE[1], story.now)
    monkeypatch.undo()
    assert export_client(DEE[1], story.now)["bookings"][0]["name"] == DEE[0]


@pytest.mark.both_databases
def test_a_trail_that_fails_alone_keeps_no_therapist_from_signing_in(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    database.db.execute_sql("ALTER TABLE access_entry RENAME TO access_entry_away")
    try:
        auth.request_sign_in("asha@therapists.example", "", story.now)
        assert SignIn.select().count() == 1
        access_trail.record_after([WRONG_KEY], story.now)
    finally:
        database.db.execute_sql("ALTER TABLE access_entry_away RENAME TO access_entry")
    lost = [each.msg["what"] for each in caplog.records if each.msg["event"] == "access_unrecorded"]
    assert lost == ["sign_in_asked", "wrong_key"]


def test_the_trail_is_deleted_after_a_year(story: Story) -> None:
    booking = story.ask()
    access_trail.record_after([Access(AccessEvent.READ, booking)], story.now)
    story.wait(days=365)
    access_trail.record_after([Access(AccessEvent.READ, booking)], story.now)
    assert total(due.purge(story.now)).failed == 0
    assert AccessEntry.select().count() == 2
    story.wait(seconds=1)
    total(due.purge(story.now))
    assert AccessEntry.select().count() == 1
