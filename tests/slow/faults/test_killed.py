"""Web and schedulers are killed at every point of a delivery: nothing is lost or doubled."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app import clock
from app.rules.lifecycle import Status
from app.store.db import database
from app.store.models import Booking, OutboxEmail, OutboxStatus
from tests.harness.fork_supervisor import SCHEDULER, WEB, ForkSupervisor
from tests.harness.load_clients import Clients
from tests.harness.planned_kills import COMMITS, MAIL_POINTS, PlannedKills
from tests.harness.processes import Site
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.scenarios import fault_cast, kill_report

SEED = 7
WEBS, SCHEDULERS = 2, 6
PATIENCE_S = runs(300, 1500)

KILLS = Counter(
    {
        **{(WEB, point): runs(2, 50) for point in COMMITS},
        **{(SCHEDULER, point): runs(2, 50) for point in (*COMMITS, *MAIL_POINTS)},
    }
)
KILLS_IN_SWEEPS = Counter({(SCHEDULER, point): runs(1, 10) for point in COMMITS})
BOOKINGS = runs(24, 1250)


@pytest.fixture
def site(database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    with fault_cast.opened(database_url, tmp_path, mail) as opened:
        yield opened


def test_kills_at_six_points_lose_nothing_and_repeat_only_what_the_server_had_accepted(
    site: Site, report_figures: Callable[[str], None]
) -> None:
    began = time.monotonic()
    clients = Clients(site, fault_cast.THERAPISTS, fault_cast.first_at(), SEED)
    with ForkSupervisor(site.environment, site.folder) as forks:
        kills = PlannedKills(forks, KILLS, {WEB: WEBS, SCHEDULER: SCHEDULERS}, SEED)
        with clients:
            run_until_all_killed(kills, clients)
        forks.stop_all()
        kills.check_exits()
        with database.connection():
            emails = check_all(forks, clients, site, is_over=False)
        again = complete(forks, site)
        with database.connection():
            kill_report.check_steps(clients.answers, is_over=True)
            assert kill_report.check_emails(site.mail.messages, clients.answers) == emails
    assert json.loads(site.mindsum("replay", "--json")) == {"differences": []}
    figures = {
        "database": "SQLite" if database.is_sqlite() else "PostgreSQL",
        "bookings": len(clients.answers),
        "emails": emails,
        "copies": len(site.mail.messages) - emails,
        "kills": named(kills.done + again.done),
        "retries": dict(clients.retries),
        "took_s": round(time.monotonic() - began),
    }
    report_figures(json.dumps(figures))


def run_until_all_killed(kills: PlannedKills, clients: Clients) -> None:
    """Run until every planned kill is done, every request answered and every email sent."""
    deadline = time.monotonic() + PATIENCE_S
    chunk = max(BOOKINGS // 20, 4)
    while True:
        kills.replace_killed()
        assert clients.errors == []
        wanted = BOOKINGS * min(kills.progress + 0.2, 1)
        if clients.allowed < wanted or (clients.is_idle and not kills.is_over):
            clients.allowed += chunk
        if kills.is_over and clients.is_idle and clients.allowed >= BOOKINGS and not waiting():
            return
        assert time.monotonic() < deadline, state(kills, clients)
        time.sleep(0.05)


def waiting() -> int:
    """How many emails are still to be sent."""
    pending = [OutboxStatus.QUEUED, OutboxStatus.SENDING]
    with database.connection():
        return int(OutboxEmail.select().where(OutboxEmail.status.in_(pending)).count())


def state(kills: PlannedKills, clients: Clients) -> str:
    left = kills.planned - kills.done
    return f"left {left}, {clients.allowed} allowed, {len(clients.answers)} answered, {waiting()}"


def check_all(forks: ForkSupervisor, clients: Clients, site: Site, *, is_over: bool) -> int:
    """Check everything; returns how many emails there are."""
    kill_report.check_bookings(clients.references, clients.answers)
    kill_report.check_steps(clients.answers, is_over=is_over)
    lost = itertools.chain(forks.journal_entries("reply_lost"), forks.journal_entries("outlived"))
    journal = kill_report.Journal.from_notes(forks.journal_entries("reached"), lost)
    kill_report.check_copies(site.mail.messages, journal)
    assert forks.journal_entries("not_ended") == []
    return kill_report.check_emails(site.mail.messages, clients.answers)


def complete(forks: ForkSupervisor, site: Site) -> PlannedKills:
    """Complete the sessions, by schedulers that are killed while they do."""
    with database.connection():
        last = max(booking.completes_at for booking in Booking.select(Booking.completes_at))
    site.move_to(last + timedelta(minutes=1), clock.now())
    # The short form is one transaction, so the process killed after it must be the last.
    sizes = {SCHEDULER: runs(1, SCHEDULERS)}
    kills = PlannedKills(
        forks, KILLS_IN_SWEEPS, sizes, SEED, table="ledger_line", max_occurrence=runs(1, 2)
    )
    deadline = time.monotonic() + PATIENCE_S
    while not kills.is_over or accepted():
        kills.replace_killed()
        assert time.monotonic() < deadline, kills.done
        time.sleep(0.05)
    forks.stop_all()
    kills.check_exits()
    return kills


def accepted() -> int:
    """How many sessions are not completed yet."""
    with database.connection():
        return int(Booking.select().where(Booking.status == Status.ACCEPTED).count())


def named(kills: Counter[tuple[str, str]]) -> dict[str, int]:
    return {f"{role} {point}": count for (role, point), count in sorted(kills.items())}
