"""The primary of two database servers is lost under load; the standby takes over."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from app import config
from app.config import Settings
from app.store.db import database
from tests.harness.load_clients import Clients
from tests.harness.postgresql_pair import Pair, pair
from tests.harness.postgresql_server import execute
from tests.harness.processes import Site
from tests.harness.smtp_server import MailServer, unused_port
from tests.harness.soak import runs
from tests.harness.waiting import is_quiet, until
from tests.scenarios import fault_cast, kill_report
from tests.scenarios.mail_answers import DOMAIN, Yes, yes_to

SEED = 11
BOOKINGS = runs(24, 600)
"""As many before the loss as after it."""
OUTAGE_ANSWERS = 20
"""So many answers are 503 before the standby is promoted; they come every tenth of a second."""
ANSWERS_BY_MAIL = runs(6, 40)
# The last therapist answers by mail.
ASKED_BY_CLIENTS = fault_cast.THERAPISTS[:-1]
PAST_THE_GUARD = timedelta(minutes=2)


@pytest.fixture
def servers() -> Iterator[Pair]:
    with pair() as both:
        database.bind(both.url)
        database.upgrade()
        yield both
        database.release()


@pytest.fixture
def site(servers: Pair, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    config.use(Settings(database_url=servers.url, inbound_domain=DOMAIN))
    with fault_cast.opened(servers.url, tmp_path, mail) as opened:
        opened.environment |= {"INBOUND_DOMAIN": DOMAIN, "INBOUND_PORT": str(unused_port())}
        yield opened


def test_all_go_on_with_the_standby_and_nothing_confirmed_is_lost_or_doubled(
    site: Site, servers: Pair, report_figures: Callable[[str], None]
) -> None:
    clients = Clients(site, ASKED_BY_CLIENTS, fault_cast.first_at(), SEED, allowed=BOOKINGS)
    with site.running(schedulers=2), site.spawn("-m", "app.inbound"), clients:
        mailed = invite_by_email(site)
        until("the clients' first bookings", lambda: len(clients.answers) >= BOOKINGS // 2)
        sender = threading.Thread(target=answer_by_mail, args=(site, mailed))
        with watching(site) as failed_at:
            sender.start()
            servers.kill_primary()
            until("answers that say so", lambda: len(failed_at) >= OUTAGE_ANSWERS)
            servers.promote()
            promoted_at = time.monotonic()
            clients.allowed += BOOKINGS
            until("all to be requested and answered", lambda: clients.is_idle)
        sender.join()
        until("all emails to leave", lambda: waiting(servers.url), lambda left: left == 0)
        until("emails to stop", lambda: is_quiet(lambda: len(site.mail.messages)))
    assert clients.errors == []
    for number, answer in enumerate(mailed):
        clients.references[-1 - number] = {answer.reference}
        clients.answers[answer.reference] = "accept"
    with database.connection():
        kill_report.check_bookings(clients.references, clients.answers)
        kill_report.check_steps(clients.answers, is_over=False)
        emails = kill_report.check_emails(site.mail.messages, clients.answers)
    assert json.loads(site.mindsum("replay", "--json")) == {"differences": []}
    figures = {
        "bookings": len(clients.answers),
        "emails": emails,
        "copies": len(site.mail.messages) - emails,
        "seconds_of_503": round(failed_at[-1] - failed_at[0], 1),
        "of_them_after_promotion": round(max(0, failed_at[-1] - promoted_at), 1),
        "retries": dict(clients.retries),
    }
    report_figures(json.dumps(figures))


def invite_by_email(site: Site) -> list[Yes]:
    """Answers to enquiries whose emails came longer ago than the guard asks about an answer."""
    step = len(fault_cast.THERAPISTS)
    with database.connection():
        references = [fault_cast.ask(step - 1 + step * n) for n in range(ANSWERS_BY_MAIL)]
    for reference in references:
        site.email_about("booking_requested", reference)
        site.email_about("booking_received", reference)
    site.pass_time(PAST_THE_GUARD)
    return [yes_to(each) for each in references]


def answer_by_mail(site: Site, answers: list[Yes]) -> None:
    for answer in answers:
        answer.send(int(site.environment["INBOUND_PORT"]))


@contextmanager
def watching(site: Site) -> Iterator[list[float]]:
    """The moments at which a page that reads the database answered 503."""
    failed_at, over = list[float](), threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            if site.call("GET", "/api/v1/therapists")[0] == 503:
                failed_at.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield failed_at
    finally:
        over.set()
        thread.join()


def waiting(url: str) -> int:
    [(count,)] = execute(
        url, "SELECT count(*) FROM outbox_email WHERE status IN ('queued', 'sending')"
    )
    return int(count)
