"""Sixteen people live their lives at once while processes are killed; all of it stays true."""

import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Status
from app.rules.weekly_hours import parse_windows
from app.services.therapists import accounts, standing
from app.store.models import Booking, OutboxEmail, Therapist, TimelineEntry
from tests.harness.browser_clients import THERAPISTS, Notes, Person
from tests.harness.mail_reader import MailReader
from tests.harness.processes import Site
from tests.harness.random_kill import RandomKills
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.harness.waiting import is_quiet, until
from tests.scenarios import invariants

PEOPLE = 16
LASTING_S = runs(7, 90)
LASTING_AT_MOST_S = LASTING_S + 60
VARIETY = 5
LEAPS_MINUTES = (1, 1, 2, 5, 10, 20, 40, 61, 90, 125, 190, 400)
LEASE = timedelta(minutes=4)


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    """Three practices that are always open; nothing runs yet."""
    clock.follow(tmp_path / "clock")
    for slug in THERAPISTS:
        accounts.add_therapist(
            accounts.NewTherapist(
                slug, f"{slug.title()} Rao", f"{slug}@therapists.example", "Europe/London", 6005,
                parse_windows("Mon-Sun 00:00-24:00"), meeting_url="https://meet.example/rao",
            ),
            clock.now(),
        )  # fmt: skip
    yield Site(database_url, tmp_path, mail)
    clock.follow(None)


@pytest.mark.parametrize("round_", range(runs(1, 4)))
def test_whatever_people_do_at_once_and_whoever_is_killed_all_of_it_stays_true(
    site: Site, tell_figures: Callable[[str], None], round_: int
) -> None:
    seed = int(os.environ.get("LIVES_SEED", 0)) or runs(703328, random.randrange(1, 10**6)) + round_
    kills, mail_reader, notes = RandomKills(site), MailReader(site.mail), Notes()
    people = [
        Person(number, site, mail_reader, notes, random.Random(f"{seed}-{number}"))
        for number in range(PEOPLE)
    ]
    with kills.running():
        varied = live(site, kills, people, notes, random.Random(seed))
        settle_down(site)
    emails = mail_reader.emails()
    faults = notes.wrong + list(invariants.everything(site, notes, emails, kills.killed.total()))
    faults += re.findall(r".*(?:Traceback|event=\w+_fault|event=\w+_failed).*", site.logs())
    assert faults[:5] == [], f"{len(faults)} faults; LIVES_SEED={seed}, {notes.said}"
    assert "Everything stored follows" in site.mindsum("replay"), f"LIVES_SEED={seed}"
    stand = Counter(booking.status.value for booking in Booking.select())
    assert varied >= VARIETY, f"too quiet a life; LIVES_SEED={seed}: {stand}"
    again = len(emails) - len({each.message_id for each in emails})
    tell_figures(
        f"seed {seed}: {stand.total()} bookings ({dict(stand)}), {len(notes.done)} moves,"
        f" {len(emails)} emails, {again} of them again; killed {dict(kills.killed)}"
    )


def live(
    site: Site, kills: RandomKills, people: list[Person], notes: Notes, chance: random.Random
) -> int:
    """Let everybody live, time leap and processes be killed; the variety that came of it.

    On a slow machine it lasts for longer.
    """
    over = threading.Event()
    threads = [threading.Thread(target=person.live, args=(over,)) for person in people]
    for thread in threads:
        thread.start()
    try:
        began_s, done = time.monotonic(), 0
        while (lasted_s := time.monotonic() - began_s) < LASTING_S or (
            lasted_s < LASTING_AT_MOST_S and variety() < VARIETY
        ):
            time.sleep(chance.uniform(0.3, 1.2))
            if len(notes.done) == done:
                # Time that ran on while nobody gets round to anything would only expire it all.
                continue
            done = len(notes.done)
            if chance.random() < 0.3:
                kills.kill_one(chance)
            site.pass_time(timedelta(minutes=chance.choice(LEAPS_MINUTES)))
            for therapist in Therapist.select().where(Therapist.deactivated_at.is_null(False)):
                standing.reactivate(therapist.slug, clock.now())
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return variety()


def variety() -> int:
    """How many different things have become of bookings: this never falls."""
    outcomes = TimelineEntry.event.in_([status.value for status in Status])
    return int(TimelineEntry.select(TimelineEntry.event).where(outcomes).distinct().count())


def settle_down(site: Site) -> None:
    """Wait until nothing is due and every email has left, also what the dead had in hand."""

    def has_settled() -> bool:
        left = OutboxEmail.select().where(OutboxEmail.status.in_(["queued", "sending"]))
        if not left.exists():
            return not Therapist.select().where(Therapist.standing_due_at.is_null(False)).exists()
        if is_quiet(lambda: len(site.mail.messages), looks=6):
            site.pass_time(LEASE)
        return False

    until("every email and standing to be settled", has_settled, patience_s=300)
