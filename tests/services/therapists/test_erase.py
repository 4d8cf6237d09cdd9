"""A therapist who leaves: export gives what is held on them; erase leaves bookings and ledger."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import clock, config, links
from app.config import Settings
from app.errors import InvalidFields, NotFound
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind, Move, Status, Via
from app.services import access_trail, auth, sessions
from app.services.bookings import confirm, ledger, messages, transitions
from app.services.bookings.request import BookingRequest
from app.services.clients.export import export_client
from app.services.ops import backup as backups
from app.services.ops import replay
from app.services.therapists import profile
from app.services.therapists.erase import FORMER_NAME, erase_therapist
from app.services.therapists.export import export_therapist
from app.services.therapists.profile import Away
from app.store import erasure_log, queries
from app.store.db import database
from app.store.erasure_log import ErasureLogUnusable
from app.store.models import (
    Booking,
    IdempotentAnswer,
    OutboxEmail,
    OutboxStatus,
    PendingRequest,
    SignIn,
    SignInSession,
    TimelineEntry,
    Writing,
)
from app.web.links import tokens
from tests.harness.stored_bytes import whole_database
from tests.scenarios import cast as people
from tests.scenarios.story import DEE, ELI, Story

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAY = timedelta(days=1)
SLUG = "quetzal"
ADDRESS = "quetzal@therapists.example"
WORDS = (
    "Quetzal", "quetzal", "Marquesas", "axolotl", "narwhal", "okapi", "private ibex", "wombat",
    "2079460958", "quokka", "numbat",
)  # fmt: skip


@pytest.fixture
def done(story: Story) -> Booking:
    """A completed session of a therapist whose every field is filled."""
    people.therapist("Quetzal Coatl", "Pacific/Marquesas", now=story.now, phone="+442079460958")
    fields = {
        "headline": "headline axolotl",
        "about": "about narwhal",
        "specialisms": "wombats",
        "qualifications": "Diploma quokka",
        "languages": "numbat",
        "meeting_url": "https://meet.example/okapi",
    }
    profile.update(SLUG, fields, story.now)
    profile.add_time_off(SLUG, Away(story.now + 20 * DAY, story.now + 21 * DAY), story.now)
    start = story.now.replace(hour=19, minute=30) + 2 * DAY
    booking = story.ask(SLUG, starts_at=start, note="what Dee wrote")
    story.accept(booking)
    messages.send(booking, "message okapi", author=Actor.THERAPIST, now=story.now)
    messages.send(booking, "what Dee answered", author=Actor.CLIENT, now=story.now)
    messages.keep_private_note(booking, "private ibex", now=story.now)
    story.decline(story.ask(SLUG, starts_at=start + DAY), reason="reason okapi")
    auth.request_sign_in(ADDRESS, "", story.now)
    sessions.start(booking.therapist, browser="Firefox", is_kept=True, now=story.now)
    story.deliver()
    story.at(booking.completes_at)
    story.sweep()
    auth.request_sign_in(ADDRESS, "", story.now)
    return story.reload(booking)


def test_export_holds_what_is_held_on_a_therapist_and_nothing_that_clients_wrote(
    story: Story, done: Booking
) -> None:
    exported = export_therapist(SLUG, story.now)
    text = json.dumps(exported)
    assert [word for word in WORDS if word not in text] == []
    kept, declined = exported["bookings"]
    assert [(each["what"], each["text"]) for each in kept["written"]] == [
        ("message", "message okapi"),
        ("private_note", "private ibex"),
    ]
    assert [each["text"] for each in declined["written"]] == ["reason okapi"]
    assert {"account": "therapist", "amount_minor": 5400} in kept["ledger"]
    assert (exported["streak"], len(exported["time_off"]), len(exported["standing"])) == (0, 1, 1)
    assert [each["event"] for each in exported["access"]] == [
        "sign_in_asked", "signed_in", "sign_in_asked", "exported",
    ]  # fmt: skip
    for word in ("what Dee", DEE[0], DEE[1], "Stone"):
        assert word not in text


@pytest.mark.both_databases
def test_erase_leaves_no_trace_of_the_therapist_and_keeps_bookings_and_ledger(
    story: Story, done: Booking
) -> None:
    fields = {"key": "a", "body_hash": "b", "http_status": 201, "created_at": story.now}
    IdempotentAnswer.create(**fields, body='{"therapist":"quetzal"}')
    lines = ledger.lines_of(done)
    before = whole_database()
    assert "Quetzal" in before
    assert erase_therapist(SLUG, story.now) == 2
    after = whole_database()
    assert [word for word in WORDS if word in after] == []
    assert ledger.lines_of(done) == lines
    assert list(replay.find_differences(story.now)) == []
    assert not IdempotentAnswer.select().exists()
    waiting = OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.QUEUED)
    assert {str(each.role) for each in waiting} <= {"client"}
    assert [each.slug for each in queries.every_therapist()] == ["asha", "bran", "chi"]
    for gone in (erase_therapist, export_therapist):
        with pytest.raises(NotFound):
            gone(SLUG, story.now)


def test_what_clients_wrote_stays_theirs_and_their_pages_still_open(
    story: Story, done: Booking, app: Flask
) -> None:
    with app.test_request_context():
        paths = {each: tokens.path(each, done) for each in LinkPurpose if each in tokens._PAGES}
    key = SignIn.select().order_by(SignIn.id.desc()).get().key
    paths[LinkPurpose.SIGN_IN] = "/link/sign-in/" + links.mint(
        LinkPurpose.SIGN_IN, holder=done.therapist.link_holder, subject=key
    )
    erase_therapist(SLUG, story.now)
    statuses = {str(each): app.test_client().get(path).status_code for each, path in paths.items()}
    assert statuses == {
        "manage": 200, "choose": 409, "session": 404, "accept": 404, "decline": 404, "sign-in": 410,
        # They have left; of the two for clients, no other time is proposed.
        "suggest": 404, "agree": 404, "refuse": 404, "take": 409, "keep": 409,
    }  # fmt: skip
    page = app.test_client().post(paths[LinkPurpose.MANAGE]).text
    assert "what Dee answered" in page and FORMER_NAME in page
    assert app.test_client().get(f"/therapists/{SLUG}").status_code == 404
    assert not SignInSession.select().exists()
    [exported, _] = export_client(DEE[1], story.now)["bookings"]
    assert [each["text"] for each in exported["written"]] == ["what Dee wrote", "what Dee answered"]


@pytest.mark.both_databases
def test_a_request_that_waits_for_its_address_ends_with_the_therapist(
    story: Story, done: Booking
) -> None:
    start = story.now.replace(hour=19, minute=30, second=0, microsecond=0) + 3 * DAY
    wanted = BookingRequest(SLUG, *ELI, starts_at=start, kind=Kind.PAID)
    confirm.take_request(wanted, now=story.now)
    erase_therapist(SLUG, story.now)
    assert not PendingRequest.select().exists()
    assert story.deliver() == []


def accepted(story: Story) -> Booking:
    start = story.now.replace(hour=19, minute=30, second=0, microsecond=0) + 3 * DAY
    booking = story.ask(SLUG, starts_at=start, client=ELI)
    transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=story.now)
    return booking


def unchanged(story: Story) -> None:
    assert export_therapist(SLUG, story.now)["name"] == "Quetzal Coatl"
    assert Writing.select().where(Writing.author == Actor.THERAPIST).count() == 3


def test_a_therapist_with_live_bookings_is_not_erased_and_they_are_named(
    story: Story, done: Booking
) -> None:
    booking = accepted(story)
    with pytest.raises(InvalidFields, match=booking.reference):
        erase_therapist(SLUG, story.now)
    unchanged(story)


@pytest.mark.both_databases
@pytest.mark.parametrize("fails", [(erasure_log, "add"), (access_trail, "record_required")])
def test_an_erasure_that_cannot_be_remembered_or_recorded_changes_nothing(
    story: Story, done: Booking, fails: tuple[object, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ErasureLogUnusable(Path("log"), "disk full")

    monkeypatch.setattr(*fails, fail)
    with pytest.raises(ErasureLogUnusable):
        erase_therapist(SLUG, story.now)
    monkeypatch.undo()
    unchanged(story)
    first = TimelineEntry.select().where(TimelineEntry.booking == done)
    kept = first.order_by(TimelineEntry.id).get().facts
    assert kept["therapist_given_name"] == "Quetzal"


@on_sqlite
def test_a_backup_of_before_brings_no_erased_therapist_back(
    story: Story, done: Booking, settings: Settings, tmp_path: Path
) -> None:
    config.use(settings.model_copy(update={"erasure_log": tmp_path / "erasures.log"}))
    booking = accepted(story)
    backups.backup(tmp_path / "monday.db")
    story.cancel(booking, Actor.THERAPIST)
    erase_therapist(SLUG, story.wait(minutes=5))
    database.release()
    answer = backups.restore(tmp_path / "monday.db", backups.live_file(), story.now, replace=True)
    assert answer.erased_again == 1
    with database.connection():
        assert [word for word in WORDS if word in whole_database()] == []
        # Eli does not wait for somebody who has left.
        assert story.reload(booking).status is Status.CANCELLED_BY_THERAPIST
        assert list(replay.find_differences(clock.now())) == []
