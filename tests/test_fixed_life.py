"""A life that release 0.1 lived, lived again: bookings, answers and emails are what they were."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer

from emails.message import message_id
from tests.harness.databases import empty_database
from tests.harness.smtp_server import MailServer
from tests.scenarios import fixed_life, last_release
from tests.scenarios.fixed_life import FixedLife
from tests.scenarios.last_release import LINKS, WIRE


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from empty_database(request, tmp_path)


@pytest.fixture
def fixed(
    database_url: str, mail: MailServer, time_machine: Any, monkeypatch: pytest.MonkeyPatch
) -> FixedLife:
    """Today's application at the start of the life that the last release lived."""

    def move_to(at: datetime) -> None:
        time_machine.move_to(at, tick=False)

    return last_release.begin(database_url, mail, monkeypatch, move_to)


def test_a_fixed_life_looks_the_same_from_outside(fixed: FixedLife) -> None:
    assert fixed_life.live(fixed) == {
        part: reference for part, reference in LINKS["made"].items() if part != "queued"
    }
    assert [each["call"] for each in fixed.answers] == [each["call"] for each in WIRE["answers"]]
    for before, now in zip(WIRE["answers"], fixed.answers, strict=True):
        assert list(fixed_life.missing(before, now, before["call"])) == []
    before = {each["headers"]["Message-ID"]: each for each in WIRE["emails"]}
    # The session was accepted within two hours of what is now the first reminder's time.
    for address in ("asha@therapists.example", "dee@clients.example"):
        reference = LINKS["made"]["completed"]
        del before[message_id(reference, "session_reminder", address, 24, "mindsum.test")]
    now = {str(each["Message-ID"]): fixed_life.wire(each) for each in fixed.received()}
    assert list(now) and set(now) == set(before)
    for number, email in before.items():
        assert lasting(now[number]) == lasting(email)


def lasting(email: dict[str, Any]) -> dict[str, Any]:
    """With what links say, and those lines of the calendar by which a program knows an entry."""
    unfolded = (email["calendar"] or "").replace("\n ", "")
    lines = re.sub(r"(?m)^ORGANIZER;CN=[^:]*:", "ORGANIZER:", unfolded).splitlines()
    words = ("SUMMARY", "DESCRIPTION", "URL")
    return email | {
        "calendar": [each for each in lines if not each.startswith(words)],
        # Links to suggest another time are new.
        "links": sorted(said_by(each) for each in email["links"] if "/suggest/" not in each),
    }


def said_by(link: str) -> list[str]:
    """The parts of a link; of its token the time, and the payload without its email's number."""
    path, _, query = link.partition("?")
    *way, token = path.split("/")
    if "link" not in way:
        return [link]
    _, payload = URLSafeTimedSerializer("any key").loads_unsafe(token)
    return [*way, *map(str, payload[:3]), token.split(".")[-2], query]
