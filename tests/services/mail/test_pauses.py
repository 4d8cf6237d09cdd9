"""Refusals that are about us: their emails wait, and no more is paused than it must."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask

from app.services import auth
from app.services.mail import pauses
from app.services.mail.sender import OutboxSender
from app.store import claiming
from app.store import pauses as stored
from app.store.models import MailPause, OutboxEmail, Suppression
from tests.harness.smtp_server import Action, FaultyServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.services.mail.conftest import Logged

ASHA = "asha@therapists.example"
# What silenced an address for good in the last release.
ABOUT_US = [
    "550 exceeded the max emails per hour",
    "550 listed in a black list",
    "550 SPF check failed",
    "550 Sender verify failed",
    "550 Too many messages, slow down",
    "550 5.7.1 not from you",
]


@contextmanager
def refusing(app: Flask, script: dict[str, Action]) -> Iterator[tuple[OutboxSender, FaultyServer]]:
    with FaultyServer(script) as server:
        yield sender_to(app, server.port), server


def recipients(server: FaultyServer) -> list[str]:
    """Who was offered to the server, in order."""
    offered = [line for line in server.commands if line.startswith("RCPT")]
    return [line.partition("<")[2].rstrip(">") for line in offered]


def state_of(kind: str) -> tuple[str, int]:
    row = OutboxEmail.get(OutboxEmail.kind == kind)
    return row.status.value, row.attempts


@pytest.mark.parametrize("reply", [*ABOUT_US, "552 5.2.2 over quota"])
def test_a_refusal_that_proves_nothing_silences_no_address_and_keeps_sign_in(
    story: Story, app: Flask, reply: str
) -> None:
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    with refusing(app, {f"rcpt {ASHA}": reply}) as (sender, _):
        total(sender.deliver())
    assert state_of("sign_in")[0] == "queued"
    assert not Suppression.select().exists()
    story.wait(minutes=5)
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    assert story.deliver() == [("sign_in", ASHA)]


def test_a_domain_that_refuses_us_gets_one_email_after_each_pause_and_delays_no_other(
    story: Story, app: Flask, logged: Logged
) -> None:
    for number in range(4):
        story.ask(client=ELI, starts_at=story.now.replace(hour=10 + number) + timedelta(days=2))
    with refusing(app, {f"rcpt {ELI[1]}": ABOUT_US[0]}) as (sender, server):
        total(sender.deliver())
        assert recipients(server).count(ASHA) == 4
        assert recipients(server).count(ELI[1]) == 1
        for probes in range(2, 8):
            total(sender.deliver())
            story.wait(minutes=15)
            total(sender_to(app, server.port).deliver())
            assert recipients(server).count(ELI[1]) == probes
    assert state_of("booking_received") == ("queued", 0)
    assert len(logged("domain_paused")) == 1
    assert not logged("email_failed")
    story.wait(minutes=16)
    assert len(story.deliver()) == 4
    assert not MailPause.select().exists()
    assert len(logged("mail_resumed")) == 1


@pytest.mark.both_databases
def test_pauses_grow_to_fifteen_minutes_and_no_longer(story: Story, app: Flask) -> None:
    story.ask()
    lengths = []
    with refusing(app, {f"rcpt {DEE[1]}": ABOUT_US[1]}) as (sender, _):
        for _ in range(9):
            total(sender.deliver())
            pause = MailPause.get()
            lengths.append(pause.until - story.now)
            story.at(pause.until + timedelta(seconds=1))
    assert lengths[0] < timedelta(minutes=1)
    assert max(lengths) == lengths[-1] == pauses.LONGEST


@pytest.mark.parametrize("reply", ABOUT_US)
def test_three_unrelated_domains_that_refuse_us_pause_the_queue_once(
    story: Story, app: Flask, logged: Logged, reply: str
) -> None:
    for number in range(5):
        client = (f"C{number} Long", f"c@mail.domain{number}.example", "UTC")
        story.ask(
            "bran", client=client, starts_at=story.now.replace(hour=15) + timedelta(days=number + 2)
        )
    OutboxEmail.delete().where(OutboxEmail.kind == "booking_requested").execute()
    with refusing(app, {"rcpt": reply}) as (sender, server):
        total(sender.deliver())
        assert len(recipients(server)) == 3
        story.wait(minutes=15)
        total(sender_to(app, server.port).deliver())
        total(sender.deliver())
        assert len(recipients(server)) == 4
    assert {row.status.value for row in OutboxEmail.select()} == {"queued"}
    assert len(logged("outbox_paused")) == 1
    story.wait(minutes=15)
    assert len(story.deliver()) == 5


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("domains", "is_queue_paused"),
    [
        (["a.example", "b.example"], False),
        (["a.example", "b.example", "c.example"], True),
        (["mx.a.example", "eu.a.example", "a.example"], False),
        (["a.co.uk", "b.co.uk", "c.co.uk"], True),
        (["x.a.co.uk", "y.a.co.uk", "b.example"], False),
        (["a.web.de", "b.web.de", "web.de"], False),
        (["a.sch.uk", "b.police.uk", "c.nhs.uk"], True),
        (["x.hill.islington.sch.uk", "y.hill.islington.sch.uk", "hill.islington.sch.uk"], False),
        (["a.xn--55qx5d.cn", "b.xn--55qx5d.cn", "c.xn--55qx5d.cn"], True),
        (["localhost", "com", "co.uk"], True),
    ],
)
def test_domains_of_one_organisation_count_once(
    story: Story, domains: list[str], is_queue_paused: bool
) -> None:
    booking = story.ask()
    for domain in domains:
        email = OutboxEmail.get(OutboxEmail.booking == booking)
        email.domain = domain
        pauses.refuse(claiming.Claim(email, "token", story.now), "550 no", story.now)
    assert stored.covers("unrelated.example") == is_queue_paused


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "script",
    [
        {"greeting": "554 5.7.1 not from your network"},
        {"mail": "550 5.7.1 not your address"},
    ],
    ids=["greeting", "sender"],
)
def test_what_our_own_server_refuses_pauses_the_queue_for_every_scheduler(
    story: Story, app: Flask, script: dict[str, Action]
) -> None:
    story.ask()
    with refusing(app, script) as (sender, server):
        total(sender.deliver())
        total(sender_to(app, server.port).deliver())
        assert server.connections == 1
    assert {row.status.value for row in OutboxEmail.select()} == {"queued"}
    story.wait(minutes=15)
    assert len(story.deliver()) == 2
    assert not MailPause.select().exists()


@pytest.mark.both_databases
def test_of_several_schedulers_one_alone_tries_an_email_after_a_pause(story: Story) -> None:
    story.ask()
    OutboxEmail.delete().where(OutboxEmail.kind == "booking_requested").execute()
    stored.put("clients.example", "550 no", until=story.now, now=story.now)
    first = claiming.claim(story.now, 10)
    assert [each.probes for each in first] == ["clients.example"]
    story.ask(client=ELI, starts_at=story.now.replace(hour=12) + timedelta(days=2))
    others = claiming.claim(story.now, 10)
    assert [each.email.role.value for each in others] == ["therapist"]
    # Its process died: after the lease somebody else tries.
    story.wait(minutes=10)
    assert [each.probes for each in claiming.claim(story.now, 1)] == ["clients.example"]


def test_a_message_that_alone_is_refused_pauses_its_domain_once_and_is_given_up(
    story: Story, app: Flask
) -> None:
    in_a_week = story.now.replace(hour=10, minute=0) + timedelta(days=7)
    story.accept(story.ask(starts_at=in_a_week))
    with refusing(app, {f"rcpt {DEE[1]}": "550 5.7.1 restricted"}) as (sender, server):
        for number in range(6):
            story.ask("bran", client=ELI, starts_at=in_a_week + timedelta(days=number, hours=5))
            total(sender.deliver())
            story.wait(hours=8)
        assert recipients(server).count(ELI[1]) >= 6
    assert not MailPause.select().exists()
    assert OutboxEmail.get(OutboxEmail.kind == "booking_accepted").status == "failed"


def test_a_limit_told_as_temporary_rests_the_domain_and_costs_an_attempt(
    story: Story, app: Flask
) -> None:
    story.ask()
    with refusing(app, {f"rcpt {DEE[1]}": "451 4.7.0 too many messages, slow down"}) as (sender, _):
        total(sender.deliver())
    assert state_of("booking_received") == ("queued", 1)
    assert stored.covers("clients.example")
    story.wait(minutes=15)
    assert ("booking_received", DEE[1]) in story.deliver()


def test_greylisting_rests_nothing(story: Story, app: Flask) -> None:
    story.ask()
    with refusing(app, {"rcpt": "450 4.7.1 greylisted, try again in 60 s"}) as (sender, _):
        total(sender.deliver())
    assert not MailPause.select().exists()
