"""`mindsum access list`: the access trail for ops."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.cli import run
from app.rules.lifecycle import Via
from app.services import access_trail
from app.services.access_trail import Access, Origin
from app.services.clients.export import export_client
from app.store.models import AccessEvent, Booking, Party
from tests.scenarios.story import DEE, ELI, Story

Listed = Callable[..., Any]


@pytest.fixture
def bookings(story: Story) -> tuple[Booking, Booking]:
    """Dee's with Asha, which Asha read; a minute later Eli's with Bran, opened; Dee's export."""
    dees = story.ask()
    elis = story.ask("bran", client=ELI, starts_at=dees.starts_at + timedelta(hours=6))
    access_trail.come_from(Origin(Party.THERAPIST, Via.DASHBOARD, "0123456789abcdef"))
    access_trail.record_after([Access(AccessEvent.READ, dees, about="note")], story.now)
    story.wait(minutes=1)
    opened = Access(AccessEvent.LINK_OPENED, elis, about="manage", by=Party.CLIENT)
    access_trail.record_after([opened], story.now)
    access_trail.come_from(access_trail.COMMAND_LINE)
    story.wait(minutes=1)
    export_client(DEE[1], story.now)
    return dees, elis


@pytest.fixture
def listed(app: Flask, capsys: pytest.CaptureFixture[str]) -> Listed:
    """`listed(*options)`: what the command prints as JSON."""

    def call(*options: str) -> Any:
        capsys.readouterr()
        assert run(["access", "list", "--json", *options], lambda: app) == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_the_newest_comes_first_with_fields_that_stay(
    bookings: tuple[Booking, Booking], listed: Listed
) -> None:
    exported, opened, read = listed()
    assert read == {
        "at": "2026-11-02T09:00:00Z",
        "last_at": "2026-11-02T09:00:00Z",
        "times": 1,
        "event": "read",
        "about": "note",
        "by": "therapist",
        "via": "dashboard",
        "ops": None,
        "booking": bookings[0].reference,
        "therapist": "asha",
        "client": bookings[0].client_id,
        "network": "0123456789abcdef",
        "link_made_at": None,
        "email": None,
    }
    assert (opened["event"], opened["by"]) == ("link_opened", "client")
    assert (exported["event"], exported["by"], exported["booking"]) == ("exported", "ops", None)


@pytest.mark.both_databases
def test_it_is_narrowed_by_booking_therapist_moment_and_number(
    bookings: tuple[Booking, Booking], listed: Listed
) -> None:
    dees, elis = bookings
    for options, events in (
        (("--booking", dees.reference), ["read"]),
        (("--booking", elis.reference), ["link_opened"]),
        (("--therapist", "asha"), ["read"]),
        (("--therapist", "chi"), []),
        (("--since", "2026-11-02T09:01:00Z"), ["exported", "link_opened"]),
        (("--limit", "1"), ["exported"]),
    ):
        assert [each["event"] for each in listed(*options)] == events, options


def test_a_table_shows_it_and_an_empty_one_says_so(
    bookings: tuple[Booking, Booking], app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["access", "list"], lambda: app) == 0
    printed = capsys.readouterr().out
    assert bookings[1].reference in printed and "link_opened" in printed
    assert DEE[0] not in printed and DEE[1] not in printed
    assert run(["access", "list", "--therapist", "chi"], lambda: app) == 0
    assert capsys.readouterr().out == "Nothing on record fits.\n"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--booking", "MB-NOPE22"), "there is no booking 'MB-NOPE22'"),
        (("--therapist", "zoe"), "there is no therapist 'zoe'"),
        (("--since", "soon"), "--since should be an instant"),
    ],
)
def test_what_is_not_there_is_one_line(
    options: tuple[str, ...], complaint: str, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["access", "list", *options], lambda: app) == 2
    assert complaint in capsys.readouterr().err
