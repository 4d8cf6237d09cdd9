"""Mail door and scheduler are killed at every step: what was taken has its effect once."""

import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL

import pytest

from app import config
from app.config import Settings
from app.rules.lifecycle import Status
from app.services.inbound import addresses
from app.store import queries
from app.store.db import database
from app.store.models import Booking, InboundMessage, InboundStatus, OutboxEmail, TimelineEntry
from emails.calendar import event_uid
from tests.harness.fork_supervisor import INBOUND, SCHEDULER, Child, ForkSupervisor
from tests.harness.processes import Site
from tests.harness.smtp_server import LOOPBACK, PATIENCE_S, MailServer, unused_port
from tests.harness.soak import runs
from tests.harness.waiting import until
from tests.scenarios import fault_cast
from tests.scenarios.mailbox import Answer, google

DOMAIN = "in.example"
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


def message_of(reference: str) -> tuple[str, bytes]:
    """A Yes to that booking: the address it is sent to, and its bytes."""
    with database.connection():
        booking = queries.booking_by_reference(reference)
        to = f"{addresses.of_person(booking.therapist)}@{DOMAIN}"
    answer = Answer(
        to=to,
        sender=booking.therapist.email,
        uid=event_uid(reference),
        message_id=f"<{reference}@google.com>",
    )
    return to, google(answer)


def send_until_taken(port: int, reference: str) -> int:
    """As mail servers do: again until it is taken with 250; how many tries."""
    to, raw = message_of(reference)
    give_up_at, tries = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < give_up_at:
        tries += 1
        with (
            suppress(OSError, smtplib.SMTPException),
            smtplib.SMTP(LOOPBACK, port, "mx.example", timeout=PATIENCE_S) as client,
        ):
            client.sendmail("asha@x.example", [to], raw)
            return tries
        time.sleep(0.05)
    raise AssertionError(f"{reference} was not taken")


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
                tries += sum(send_until_taken(port, each) for each in new)
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
    tries = 0
    for reference in references:
        to, raw = message_of(reference)
        while ended(forks, doomed) is None:
            tries += 1
            with (
                suppress(OSError, smtplib.SMTPException),
                smtplib.SMTP(LOOPBACK, port, "mx.example", timeout=PATIENCE_S) as client,
            ):
                client.sendmail("asha@x.example", [to], raw)
                break
            time.sleep(0.05)
    until("the kill", lambda: ended(forks, doomed), lambda status: status is not None)
    forks.start(INBOUND)
    return tries + sum(send_until_taken(port, each) for each in references)


def check(references: list[str]) -> None:
    with database.connection():
        assert InboundMessage.select().count() == len(references)
        statuses = {each.status for each in Booking.select()}
        accepted = list(TimelineEntry.select().where(TimelineEntry.event == "accepted"))
        emails = list(OutboxEmail.select().where(OutboxEmail.kind == "booking_accepted"))
        assert statuses == {Status.ACCEPTED}
        assert [str(each.via) for each in accepted] == ["mail"] * len(references)
        assert len(emails) == len(references)
