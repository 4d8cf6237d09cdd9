"""Sixteen people use the site at random while processes are killed; all stays consistent."""

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
from tests.harness.mail_reader import MailReader
from tests.harness.processes import Site
from tests.harness.random_clients import THERAPISTS, Notes, Person
from tests.harness.random_kill import RandomKills
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.harness.waiting import is_quiet, until
from tests.scenarios import invariants

PEOPLE = 16
AT_LEAST_S = runs(7, 90)
# It goes on until there is enough to judge; only a site that answers nothing ends it here.
AT_MOST_S = AT_LEAST_S + 600
STUCK_S = 15
"""Without progress for so long, only a later time can make times free again."""
VARIETY = 5
"""How many different states bookings must reach; a slow machine takes longer for each."""
KILLS = runs(2, 20)
STEPS_MINUTES = (1, 1, 2, 5, 10, 20, 40, 61, 90, 125, 190, 400)
LEASE = timedelta(minutes=4)


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    """Three therapists who are always available; no process runs yet."""
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
def test_random_use_and_random_kills_leave_everything_consistent(
    site: Site, report_figures: Callable[[str], None], round_: int
) -> None:
    seed = (
        int(os.environ.get("RANDOM_SEED", 0)) or runs(703328, random.randrange(1, 10**6)) + round_
    )
    kills, mail_reader, notes = RandomKills(site), MailReader(site.mail), Notes()
    people = [
        Person(number, site, mail_reader, notes, random.Random(f"{seed}-{number}"))
        for number in range(PEOPLE)
    ]
    with kills.running():
        varied = use_and_kill(site, kills, people, notes, random.Random(seed))
        await_end(site)
    emails = mail_reader.emails()
    faults = notes.errors + list(invariants.faults(site, notes, emails, kills.killed.total()))
    faults += re.findall(r".*(?:Traceback|event=\w+_fault|event=\w+_failed).*", site.logs())
    assert faults[:5] == [], f"{len(faults)} faults; RANDOM_SEED={seed}, {notes.replies}"
    assert "Everything stored follows" in site.mindsum("replay"), f"RANDOM_SEED={seed}"
    states = Counter(booking.status.value for booking in Booking.select())
    assert varied >= VARIETY, f"only {varied} different states; RANDOM_SEED={seed}: {states}"
    assert kills.killed.total() >= KILLS, f"RANDOM_SEED={seed}: killed {dict(kills.killed)}"
    repeated = len(emails) - len({each.message_id for each in emails})
    report_figures(
        f"seed {seed}: {states.total()} bookings ({dict(states)}), {len(notes.done)} moves,"
        f" {len(emails)} emails, {repeated} of them repeated; killed {dict(kills.killed)}"
    )


def use_and_kill(
    site: Site, kills: RandomKills, people: list[Person], notes: Notes, chance: random.Random
) -> int:
    """Let people act, move time on and kill processes; what `variety` is at the end."""
    over = threading.Event()
    threads = [threading.Thread(target=person.act_until, args=(over,)) for person in people]
    for thread in threads:
        thread.start()
    try:
        began_s = moved_s = time.monotonic()
        progress = 0, 0
        while (lasted_s := time.monotonic() - began_s) < AT_LEAST_S or (
            lasted_s < AT_MOST_S and (variety() < VARIETY or kills.killed.total() < KILLS)
        ):
            time.sleep(chance.uniform(0.3, 1.2))
            before, progress = progress, (len(notes.done), len(site.mail.messages))
            has_worked = progress[0] > before[0] and progress[1] > before[1]
            # Without requests and emails in between, time would only expire all bookings.
            if not has_worked and time.monotonic() - moved_s < STUCK_S:
                progress = before
                continue
            if has_worked and chance.random() < 0.3:
                kills.kill_one(chance)
            moved_s = time.monotonic()
            site.pass_time(timedelta(minutes=chance.choice(STEPS_MINUTES)))
            for therapist in Therapist.select().where(Therapist.deactivated_at.is_null(False)):
                standing.reactivate(therapist.slug, clock.now())
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return variety()


def variety() -> int:
    """How many different states bookings have reached; it never falls."""
    outcomes = TimelineEntry.event.in_([status.value for status in Status])
    return int(TimelineEntry.select(TimelineEntry.event).where(outcomes).distinct().count())


def await_end(site: Site) -> None:
    """Wait until nothing is due and every email has left, those of killed processes too."""

    def has_ended() -> bool:
        left = OutboxEmail.select().where(OutboxEmail.status.in_(["queued", "sending"]))
        if not left.exists():
            return not Therapist.select().where(Therapist.standing_due_at.is_null(False)).exists()
        if is_quiet(lambda: len(site.mail.messages), looks=6):
            site.pass_time(LEASE)
        return False

    until("every email and every standing to be done", has_ended, patience_s=600)
