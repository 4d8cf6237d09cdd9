"""After an outage of the schedulers every booking gets its due steps, each once."""

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask

from app import config
from app.store import claiming, queries
from app.store.models import (
    Booking,
    LedgerLine,
    OutboxEmail,
    OutboxStatus,
    SignIn,
    Therapist,
    TimelineEntry,
)
from emails.message import message_id
from tests.harness.deferring_smtp import DEFERRED, DeferringServer
from tests.harness.processes import Site
from tests.harness.soak import runs
from tests.harness.waiting import until
from tests.scenarios.bulk_copies import STRIDE, copy
from tests.scenarios.outage_cases import QUIET, THERAPISTS
from tests.scenarios.outage_scenario import OutageScenario, Played

UP_AT = datetime(2026, 11, 12, 12, tzinfo=UTC)
"""When the schedulers come back; nothing falls due in the half hour after it."""

PATIENCE_S = runs(300, 1_800)
FEE = 6000

Email = tuple[str, str, str]
"""Kind, Message-ID and recipient."""


@pytest.fixture
def mail() -> Iterator[DeferringServer]:
    """A mail server that defers some addresses."""
    with DeferringServer() as server:
        yield server


A_DAY = timedelta(days=1), runs(1, 100), runs(100, 10_000), False
THREE_DAYS = timedelta(days=3), runs(1, 50), runs(100, 5_000), True
EACH_ON_ONE = [("sqlite", *A_DAY), ("postgresql", *THREE_DAYS)]
THE_OTHERS = [("postgresql", *A_DAY), ("sqlite", *THREE_DAYS)]


@pytest.mark.parametrize(
    ("database_url", "outage", "copies", "due", "is_killed"),
    runs(EACH_ON_ONE, EACH_ON_ONE + THE_OTHERS),
    indirect=["database_url"],
    ids=lambda each: f"{each.days} days" if isinstance(each, timedelta) else None,
)
def test_after_an_outage_each_step_is_taken_once_and_only_the_newest(
    app: Flask, mail: DeferringServer, database_url: str, at: Any, tmp_path: Path,
    report_figures: Callable[[str], None],
    outage: timedelta, copies: int, due: int, is_killed: bool,
) -> None:  # fmt: skip
    scenario = OutageScenario(app, mail, at)
    played = scenario.play(UP_AT - outage, UP_AT)
    due_in_a_copy = sum(each.is_due for each in played.values())
    copy(range(1, copies))
    quiet = -(-max(due - copies * due_in_a_copy, 0) // len(QUIET))
    copy(range(copies, copies + quiet), Therapist.get(Therapist.slug == "quiet"))
    accounts = Counter(dict.fromkeys(THERAPISTS, copies)) + Counter(quiet=quiet)
    last_line = TimelineEntry.select().order_by(TimelineEntry.id.desc()).get().id
    sent_before = len(mail.messages)
    mail.defers = (DEFERRED,)

    site = Site(database_url, tmp_path, mail)
    site.move_to(UP_AT, time_machine.escape_hatch.datetime.datetime.now(UTC))
    seed = runs(55, random.randrange(10**6))
    began = time.monotonic()
    catch_up(site, seed if is_killed else None)
    took_s = time.monotonic() - began

    check_bookings(played, last_line, f"seed {seed}")
    check_accounts(scenario, accounts)
    check_emails(mail.messages[sent_before:], site, f"seed {seed}")
    assert SignIn.select().count() == 0, "sign-ins of a day ago were kept"
    assert "Everything stored follows" in site.mindsum("replay")
    due = copies * due_in_a_copy + quiet * len(QUIET)
    left = len(mail.messages) - sent_before
    report_figures(f"{due} due, {left} emails: {took_s:.1f} s until the last had left")


def catch_up(site: Site, seed: int | None) -> None:
    """Run two schedulers and one `--once`; with a seed, one of the two is killed."""
    with ExitStack() as stack:
        once = stack.enter_context(site.spawn("scheduler.py", "--once"))
        staying = [stack.enter_context(site.spawn("scheduler.py")) for _ in range(2)]
        if seed is not None:
            middle = in_the_middle(site, random.Random(seed))
            until("the middle of the catch-up", middle, patience_s=PATIENCE_S)
            killed = staying.pop()
            killed.kill()
            killed.wait()
            until("all steps to be written", steps_due().count, is_none, patience_s=PATIENCE_S)
        assert once.wait(PATIENCE_S) in (0, 1)
        # What the killed one had claimed is free again once its short lease is over. The clock is
        # not moved: that would end the leases of the living too.
        until("all emails to leave", pending().count, is_none, patience_s=PATIENCE_S)
        until("all standing to be applied", standing_due().count, is_none, patience_s=PATIENCE_S)
        assert all(each.poll() is None for each in staying)
    assert not re.findall(".*(?:Traceback|_fault|job_failed|sweep_failed).*", site.logs())


def claimed_again(site: Site) -> set[str]:
    """The Message-IDs of the emails that were claimed more than once, as after a lease's end."""
    host = str(urlsplit(site.environment["PUBLIC_URL"]).hostname)
    rows = OutboxEmail.select().where(OutboxEmail.attempts > 1, OutboxEmail.settled_at >= UP_AT)
    return {
        message_id(
            row.booking.reference if row.booking else None,
            row.kind,
            row.recipient.email if row.recipient else config.current().ops_email,
            row.ordinal,
            host,
        )
        for row in claiming.load([row.id for row in rows]).values()
    }


def is_none(count: int) -> bool:
    return count == 0


def in_the_middle(site: Site, chance: random.Random) -> Callable[[], bool]:
    """A look that is true once a part of the steps is written, or a part of the emails sent."""
    share, sent, due = chance.uniform(0.05, 0.6), len(site.mail.messages), steps_due().count()
    emails = share * pending().count()
    if chance.random() < 0.5:
        return lambda: steps_due().count() < due * (1 - share)
    return lambda: len(site.mail.messages) - sent > emails


def pending() -> Any:
    return OutboxEmail.select().where(OutboxEmail.status.in_(["queued", "sending"]))


def standing_due() -> Any:
    return Therapist.select().where(Therapist.standing_due_at.is_null(False))


def steps_due() -> Any:
    """Bookings with a step that is due and not written."""
    return Booking.select().where(queries.overdue_expiry(UP_AT) | queries.overdue_completion(UP_AT))


def check_bookings(played: dict[int, Played], last_line: int, said: str) -> None:
    """Every booking has the right state, new events, emails and money."""
    lines, money = defaultdict[int, list[str]](list), defaultdict[int, Counter[str]](Counter)
    settled = defaultdict[int, dict[str, list[str]]](lambda: defaultdict(list))
    for line in TimelineEntry.select().where(TimelineEntry.id > last_line):
        lines[line.booking_id].append(line.event)
    for email in OutboxEmail.select().where(OutboxEmail.settled_at >= UP_AT):
        settled[email.booking_id][email.status].append(email.kind)
    for owed in LedgerLine.select():
        money[owed.booking_id][owed.account] += owed.amount_minor
    wrong = []
    for booking in Booking.select():
        each = played[booking.id % STRIDE]
        emails = {status: sorted(kinds) for status, kinds in settled[booking.id].items()}
        found = (booking.status.value, lines[booking.id], emails, money[booking.id])
        must_be = (
            each.expected.status,
            each.new_events,
            each.emails(),
            each.expected.balances(0 if each.case.is_free else FEE),
        )
        if found != must_be:
            wrong.append((each.case.name, booking.reference, found, must_be))
    assert wrong[:3] == [], f"{len(wrong)} wrong, {said}"


def check_accounts(scenario: OutageScenario, counts: Counter[str]) -> None:
    """Every therapist has the right streak, flag and account, and one email about it."""
    kinds = defaultdict[int, list[str]](list)
    for email in OutboxEmail.select().where(
        OutboxEmail.settled_at >= UP_AT, OutboxEmail.about.startswith("therapist-")
    ):
        kinds[email.therapist_id].append(email.kind)
    found = Counter(
        (
            therapist.name.removesuffix(" Rao").lower(), therapist.streak,
            therapist.is_flagged, therapist.is_deactivated, tuple(sorted(kinds[therapist.id])),
        )
        for therapist in Therapist.select()
    )  # fmt: skip
    must_be = {}
    for name, count in counts.items():
        standing, emails = scenario.model.standing(name), scenario.announced.get(name, set())
        each = name, standing.streak, standing.is_flagged, standing.is_deactivated
        must_be[(*each, tuple(sorted(emails)))] = count
    assert found == must_be


def check_emails(messages: list[Any], site: Site, said: str) -> None:
    """The server got what the outbox calls sent.

    What a process had claimed when it was killed, or when its lease ended, may have come once more.
    """
    sent = Counter(email_in(each.raw) for each in messages)
    rows = OutboxEmail.select().where(
        OutboxEmail.settled_at >= UP_AT, OutboxEmail.status == OutboxStatus.SENT
    )
    assert Counter(kind for kind, *_ in sent) == Counter(row.kind for row in rows), said
    again = {number: count for (_, number, _), count in sent.items() if count > 1}
    assert set(again) <= claimed_again(site), (again, said)
    assert set(again.values()) <= {2}, (again, said)


def email_in(raw: bytes) -> Email:
    kind, number, to = (
        re.search(rb"(?im)^%s:\s*(\S+)" % name, raw)[1].decode()  # type: ignore[index]
        for name in (b"X-Mindsum-Email", b"Message-ID", b"To")
    )
    return kind, number, to
