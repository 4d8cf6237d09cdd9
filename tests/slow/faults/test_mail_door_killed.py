"""Mail door and scheduler are killed at every step: what was taken has its effect once."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from app import config
from app.config import Settings
from app.rules.lifecycle import Status
from app.store.db import database
from app.store.models import Booking, InboundMessage, InboundStatus, OutboxEmail, TimelineEntry
from tests.harness.fork_supervisor import INBOUND, SCHEDULER, Child, ForkSupervisor
from tests.harness.processes import Site
from tests.harness.smtp_server import MailServer, unused_port
from tests.harness.soak import runs
from tests.harness.waiting import until
from tests.scenarios import fault_cast
from tests.scenarios.mail_answers import DOMAIN, yes_to

PLACES = [
    (role, point, table)
    for role, table in (
        (INBOUND, "inbound_message"),
        (SCHEDULER, "inbound_message"),
        (SCHEDULER, "timeline_entry"),
    )
    for point in ("before_commit", "after_commit")
]
ROUNDS = runs(1, 20)
MESSAGES_A_KILL = 2


@pytest.fixture
def site(database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    config.use(Settings(database_url=database_url, inbound_domain=DOMAIN))
    with fault_cast.opened(database_url, tmp_path, mail) as opened:
        door = {"INBOUND_DOMAIN": DOMAIN, "INBOUND_PORT": str(unused_port())}
        opened.environment |= door
        yield opened


def handled() -> int:
    with database.connection():
        is_done = InboundMessage.status == InboundStatus.HANDLED
        return int(InboundMessage.select().where(is_done).count())


def ended(forks: ForkSupervisor, child: Child) -> int | None:
    forks.read_reports()
    return child.exit_status


def test_every_message_that_was_taken_has_its_effect_exactly_once(
    site: Site, report_figures: Callable[[str], None]
) -> None:
    port, references, tries = int(site.environment["INBOUND_PORT"]), list[str](), 0
    with ForkSupervisor(site.environment, site.folder) as forks:
        for number, (role, point, table) in enumerate(PLACES * ROUNDS):
            fault = {"table": table, "occurrence": 1 + number // len(PLACES) % MESSAGES_A_KILL}
            doomed = forks.start(role, point, **fault)
            with database.connection():
                new = [fault_cast.ask(len(references) + n) for n in range(MESSAGES_A_KILL)]
            if role == INBOUND:
                # The message that kills it is taken by the next one.
                tries += _send_past_the_kill(forks, doomed, port, new)
                forks.start(SCHEDULER)
            else:
                forks.start(INBOUND)
                tries += sum(yes_to(each).send(port) for each in new)
                until("the kill", lambda of=doomed: ended(forks, of), lambda s: s is not None)
                forks.start(SCHEDULER)
            assert doomed.exit_status == -SIGKILL, forks.log()[-2000:]
            references += new
            until("all to be handled", handled, len(references).__eq__)
            forks.stop_all()
    check(references)
    report_figures(f"{len(references)} messages, {len(PLACES) * ROUNDS} kills, {tries} tries")


def _send_past_the_kill(
    forks: ForkSupervisor, doomed: Child, port: int, references: list[str]
) -> int:
    tries, messages = 0, [yes_to(each) for each in references]
    for message in messages:
        while ended(forks, doomed) is None:
            tries += 1
            if message.is_taken(port):
                break
            time.sleep(0.05)
    until("the kill", lambda: ended(forks, doomed), lambda status: status is not None)
    forks.start(INBOUND)
    return tries + sum(each.send(port) for each in messages)


def check(references: list[str]) -> None:
    with database.connection():
        assert InboundMessage.select().count() == len(references)
        statuses = {each.status for each in Booking.select()}
        accepted = list(TimelineEntry.select().where(TimelineEntry.event == "accepted"))
        emails = list(OutboxEmail.select().where(OutboxEmail.kind == "booking_accepted"))
        assert statuses == {Status.ACCEPTED}
        assert [str(each.via) for each in accepted] == ["mail"] * len(references)
        assert len(emails) == len(references)
