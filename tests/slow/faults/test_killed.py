"""Web and schedulers are killed at every point of an email's way: nothing lost, nothing doubled."""

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
from tests.harness.processes import Site
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.harness.supervision import COMMITS, MAIL_POINTS, Supervisor
from tests.scenarios import fault_cast, kill_report

SEED = 7
WEBS, SCHEDULERS = 2, 6
PATIENCE_S = runs(300, 1500)

DEATHS = Counter(
    {
        **{(WEB, point): runs(2, 50) for point in COMMITS},
        **{(SCHEDULER, point): runs(2, 50) for point in (*COMMITS, *MAIL_POINTS)},
    }
)
DEATHS_IN_SWEEPS = Counter({(SCHEDULER, point): runs(1, 10) for point in COMMITS})
BOOKINGS = runs(24, 1250)


@pytest.fixture
def site(database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    """The practice, with leases that last seconds."""
    with fault_cast.opened(database_url, tmp_path, mail) as opened:
        opened.environment["MAIL_TIMEOUT"] = str(runs(25, 50) / 100)
        yield opened


def test_killed_at_six_points_the_house_loses_nothing_and_doubles_only_what_the_server_had_taken(
    site: Site, tell_figures: Callable[[str], None]
) -> None:
    began = time.monotonic()
    clients = Clients(site, fault_cast.THERAPISTS, fault_cast.first_at(), SEED)
    with ForkSupervisor(site.environment, site.folder) as forks:
        supervisor = Supervisor(forks, DEATHS, {WEB: WEBS, SCHEDULER: SCHEDULERS}, SEED)
        with clients:
            live_through(supervisor, clients)
        forks.end_all()
        supervisor.check()
        with database.connection():
            emails = reckoned(forks, clients, site, is_over=False)
        again = complete(forks, site)
        with database.connection():
            kill_report.check_lives(clients.answered, is_over=True)
            assert kill_report.check_emails(site.mail.messages, clients.answered) == emails
    assert json.loads(site.mindsum("replay", "--json")) == {"differences": []}
    figures = {
        "database": "SQLite" if database.is_sqlite() else "PostgreSQL",
        "bookings": len(clients.answered),
        "emails": emails,
        "copies": len(site.mail.messages) - emails,
        "deaths": named(supervisor.deaths + again.deaths),
        "asked_again": dict(clients.again),
        "took_s": round(time.monotonic() - began),
    }
    tell_figures(json.dumps(figures))


def live_through(supervisor: Supervisor, clients: Clients) -> None:
    """Until all have died who were to die, all wishes are answered and nothing waits any more."""
    deadline = time.monotonic() + PATIENCE_S
    chunk = max(BOOKINGS // 20, 4)
    while True:
        supervisor.tend()
        assert clients.wrong == []
        wanted = BOOKINGS * min(supervisor.share + 0.2, 1)
        if clients.allowed < wanted or (clients.is_idle and not supervisor.is_over):
            clients.allowed += chunk
        if supervisor.is_over and clients.is_idle and clients.allowed >= BOOKINGS and not waiting():
            return
        assert time.monotonic() < deadline, state(supervisor, clients)
        time.sleep(0.05)


def waiting() -> int:
    """How many emails are still to be sent."""
    pending = [OutboxStatus.QUEUED, OutboxStatus.SENDING]
    with database.connection():
        return int(OutboxEmail.select().where(OutboxEmail.status.in_(pending)).count())


def state(supervisor: Supervisor, clients: Clients) -> str:
    left = supervisor.wanted - supervisor.deaths
    return f"left {left}, {clients.allowed} allowed, {len(clients.answered)} answered, {waiting()}"


def reckoned(forks: ForkSupervisor, clients: Clients, site: Site, *, is_over: bool) -> int:
    """All that must hold; how many emails there are."""
    kill_report.check_bookings(clients.told, clients.answered)
    kill_report.check_lives(clients.answered, is_over=is_over)
    lost = itertools.chain(forks.journalled("reply_lost"), forks.journalled("outlived"))
    journal = kill_report.Journal.of(forks.journalled("reached"), lost)
    kill_report.check_copies(site.mail.messages, journal)
    assert forks.journalled("unsettled") == []
    return kill_report.check_emails(site.mail.messages, clients.answered)


def complete(forks: ForkSupervisor, site: Site) -> Supervisor:
    """The sessions come to their end, under schedulers that are killed while they note it."""
    with database.connection():
        last = max(booking.completes_at for booking in Booking.select(Booking.completes_at))
    site.move_to(last + timedelta(minutes=1), clock.now())
    # All of the short form is one transaction: whoever is to die after it has to be the last.
    sizes = {SCHEDULER: runs(1, SCHEDULERS)}
    supervisor = Supervisor(
        forks, DEATHS_IN_SWEEPS, sizes, SEED, table="ledger_line", furthest=runs(1, 2)
    )
    deadline = time.monotonic() + PATIENCE_S
    while not supervisor.is_over or accepted():
        supervisor.tend()
        assert time.monotonic() < deadline, supervisor.deaths
        time.sleep(0.05)
    forks.end_all()
    supervisor.check()
    return supervisor


def accepted() -> int:
    """How many sessions are still ahead."""
    with database.connection():
        return int(Booking.select().where(Booking.status == Status.ACCEPTED).count())


def named(deaths: Counter[tuple[str, str]]) -> dict[str, int]:
    return {f"{role} {point}": count for (role, point), count in sorted(deaths.items())}
