"""A misbehaving mail server: each fault ends in the right state, and no web request waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import links
from app.links import LinkPurpose
from app.store.models import Booking, OutboxEmail, Suppression
from tests.harness.certificates import self_signed
from tests.harness.mail_sending import timeout_for
from tests.harness.smtp_server import (
    NOT_CALLED_LOOPBACK,
    PATIENCE_S,
    Action,
    Fault,
    FaultyServer,
    unused_port,
)
from tests.scenarios.story import DEE, Story, sender_to, total

ASHA = "asha@therapists.example"
TO_ASHA = f"rcpt {ASHA}"
CLOSING = "421 4.3.2 closing down"

Standing = tuple[str, int]
"""An email's status and number of attempts."""

UNTRIED, TRIED = ("queued", 0), ("queued", 1)
SENT, FAILED = ("sent", 1), ("failed", 1)


@dataclass(frozen=True)
class Case:
    """What the server does, and how the emails to the therapist and the client stand then."""

    script: Mapping[str, Action | Sequence[Action]]
    to_asha: Standing
    to_dee: Standing
    is_suppressed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {
    "greeting: blackhole": Case({"greeting": Fault.SILENCE}, TRIED, UNTRIED),
    "greeting: drip": Case({"greeting": Fault.DRIP}, TRIED, UNTRIED),
    "greeting: drop": Case({"greeting": Fault.DROP}, TRIED, UNTRIED),
    "greeting: 421": Case({"greeting": CLOSING}, TRIED, UNTRIED),
    "greeting: 554": Case({"greeting": "554 5.7.1 not from you"}, UNTRIED, UNTRIED),
    "ehlo: 421": Case({"ehlo": CLOSING}, TRIED, UNTRIED),
    "no STARTTLS": Case({}, TRIED, UNTRIED, settings={"MAIL_USE_TLS": True}),
    "auth: 535": Case(
        {"auth": "535 5.7.8 wrong"},
        UNTRIED,
        UNTRIED,
        settings={"MAIL_USERNAME": "mindsum", "MAIL_PASSWORD": "wrong"},
    ),
    "auth: 421": Case(
        {"auth": CLOSING},
        TRIED,
        UNTRIED,
        settings={"MAIL_USERNAME": "mindsum", "MAIL_PASSWORD": "right"},
    ),
    "mail: 421": Case({"mail": CLOSING}, TRIED, TRIED),
    "mail: 450": Case({"mail": "450 4.7.1 slow down"}, TRIED, TRIED),
    "mail: 550 for the sender": Case({"mail": "550 5.7.1 not yours"}, UNTRIED, UNTRIED),
    "mail: 552 too large": Case({"mail": ["552 5.3.4 too large"]}, FAILED, SENT),
    "mail: 530": Case({"mail": "530 5.7.0 log in first"}, UNTRIED, UNTRIED),
    "rcpt: blackhole": Case({"rcpt": Fault.SILENCE}, TRIED, TRIED),
    "rcpt: 421": Case({"rcpt": CLOSING}, TRIED, TRIED),
    "rcpt: 450 for one": Case({TO_ASHA: "450 4.2.1 greylisted"}, TRIED, SENT),
    "rcpt: 451": Case({"rcpt": "451 4.3.0 try later"}, TRIED, TRIED),
    "rcpt: 452 for one": Case({TO_ASHA: "452 4.2.2 mailbox full"}, TRIED, SENT),
    "rcpt: 550 for one": Case({TO_ASHA: "550 5.1.1 unknown"}, FAILED, SENT, is_suppressed=True),
    "rcpt: 552 for one": Case({TO_ASHA: "552 5.2.2 full"}, TRIED, SENT),
    "rcpt: 550 in words": Case({TO_ASHA: "550 user unknown"}, FAILED, SENT),
    "rcpt: 550 too many": Case({TO_ASHA: "550 too many messages"}, UNTRIED, SENT),
    "rcpt: 554 by policy": Case({TO_ASHA: "554 5.7.1 relay denied"}, UNTRIED, SENT),
    "data: drop before 354": Case({"data": Fault.DROP}, TRIED, TRIED),
    "data: 421": Case({"data": CLOSING}, TRIED, TRIED),
    "data: drop after 354": Case({"data": Fault.REPLY_THEN_DROP}, TRIED, TRIED),
    "dot: lost reply": Case({"dot": Fault.DROP}, TRIED, TRIED),
    "dot: drip": Case({"dot": Fault.DRIP}, TRIED, TRIED),
    "dot: blackhole": Case({"dot": Fault.SILENCE}, TRIED, TRIED),
    "dot: 421": Case({"dot": CLOSING}, TRIED, TRIED),
    "dot: 452": Case({"dot": "452 4.3.1 disk full"}, TRIED, TRIED),
    "dot: 550 mailbox": Case({"dot": ["550 5.1.1 unknown"]}, FAILED, SENT, is_suppressed=True),
    "dot: 552 too large": Case({"dot": ["552 5.3.4 too large"]}, FAILED, SENT),
    "dot: 554 content": Case({"dot": ["554 5.6.0 refused"]}, FAILED, SENT),
    "250, then drop": Case({"dot": Fault.REPLY_THEN_DROP}, SENT, SENT),
    "goodbye: drop": Case({"quit": Fault.DROP}, SENT, SENT),
    "goodbye: 421": Case({"quit": CLOSING}, SENT, SENT),
}


def settings_of(case: Case, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The case's settings, with a short timeout only for a reply that never comes."""
    timeouts = [
        timeout_for(what, stage, monkeypatch)
        for stage, what in case.script.items()
        if isinstance(what, Fault)
    ]
    return {**case.settings, "MAIL_TIMEOUT": min(timeouts, default=PATIENCE_S)}


def standing(kind: str) -> Standing:
    row = OutboxEmail.get(OutboxEmail.kind == kind)
    return row.status.value, row.attempts


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_fault_ends_in_the_right_state_and_loses_nothing(
    story: Story, app: Flask, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = story.ask()
    with FaultyServer(case.script) as server:
        total(sender_to(app, server.port, **settings_of(case, monkeypatch)).deliver())
        taken = {each.parsed["Message-ID"]: each.rcpt_tos[0] for each in server.messages}
    assert (standing("booking_requested"), standing("booking_received")) == (
        case.to_asha,
        case.to_dee,
    )
    assert [row.address_key for row in Suppression.select() if row.until] == [
        ASHA
    ] * case.is_suppressed
    assert bool(story.reload(booking).handed_over_at) == (case.to_asha == SENT)
    has_alert = OutboxEmail.select().where(OutboxEmail.kind == "account_alert").exists()
    assert has_alert == (case.to_asha == FAILED)
    story.wait(minutes=2)
    for again in story.sent():
        # A message that the server took before comes again under the same Message-ID.
        taken.setdefault(again.parsed["Message-ID"], again.rcpt_tos[0])
    reached = {each for each in taken.values() if each in {ASHA, DEE[1]}}
    assert reached == ({DEE[1]} if case.to_asha == FAILED else {ASHA, DEE[1]})


def test_a_certificate_that_is_not_trusted_costs_one_attempt_and_sends_nothing(
    story: Story, app: Flask, tmp_path: Path
) -> None:
    story.ask()
    with FaultyServer(tls=self_signed(tmp_path, "elsewhere.test").context) as server:
        sender = sender_to(app, server.port, MAIL_SERVER=NOT_CALLED_LOOPBACK, MAIL_USE_TLS=True)
        total(sender.deliver())
        assert server.messages == []
    assert (standing("booking_requested"), standing("booking_received")) == (TRIED, UNTRIED)
    assert "certificate" in OutboxEmail.get(OutboxEmail.kind == "booking_requested").last_error
    story.wait(minutes=2)
    assert len(story.deliver()) == 2


def test_a_server_that_is_not_there_costs_one_attempt(story: Story, app: Flask) -> None:
    story.ask()
    sender = sender_to(app, unused_port())
    total(sender.deliver())
    for _ in range(5):
        total(sender.deliver())
    assert (standing("booking_requested"), standing("booking_received")) == (TRIED, UNTRIED)


def test_a_refused_login_costs_no_attempt_however_long_it_lasts(story: Story, app: Flask) -> None:
    story.ask()
    with FaultyServer({"auth": "535 5.7.8 wrong"}) as server:
        sender = sender_to(app, server.port, MAIL_USERNAME="mindsum", MAIL_PASSWORD="wrong")
        for _ in range(5):
            total(sender.deliver())
            story.wait(hours=4)
        assert server.connections == 5
    assert (standing("booking_requested"), standing("booking_received")) == (UNTRIED, UNTRIED)
    assert len(story.deliver()) == 2


def test_a_lost_reply_leads_to_a_second_copy_with_the_same_message_id_and_to_no_third(
    story: Story, app: Flask
) -> None:
    story.ask()
    with FaultyServer({"dot": [Fault.DROP]}) as server:
        sender = sender_to(app, server.port)
        for _ in range(4):
            total(sender.deliver())
            story.wait(minutes=2)
        copies = [each.parsed["Message-ID"] for each in server.messages if each.rcpt_tos == (ASHA,)]
    assert len(copies) == 2
    assert len(set(copies)) == 1


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.DROP], ids=["blackhole", "dead"])
def test_no_web_request_talks_to_the_mail_server(story: Story, app: Flask, fault: Fault) -> None:
    starts_at = story.now.replace(hour=10) + timedelta(days=2)
    body = {
        "therapist": "asha",
        "client": {"name": DEE[0], "email": DEE[1], "timezone": DEE[2]},
        "starts_at": starts_at.isoformat(),
        "kind": "paid",
    }
    with FaultyServer({"greeting": fault}) as server:
        app.extensions["mail"].port = server.port
        visitor = app.test_client()
        asked = visitor.post(
            "/api/v1/bookings", json=body, headers={"Authorization": "Bearer test-api-key"}
        )
        assert asked.status_code == 201
        booking = Booking.get(reference=asked.json["reference"])
        address = links.url(
            LinkPurpose.ACCEPT,
            holder=f"t{booking.therapist_id}",
            subject=booking.reference,
            epoch=booking.epoch,
        )
        answered = visitor.post(address.removeprefix("http://mindsum.test"))
        assert answered.status_code == 200
        assert visitor.post("/my-links", data={"email": DEE[1]}).status_code < 400
        assert server.connections == 0
        assert OutboxEmail.select().count() == 4
        total(sender_to(app, server.port, MAIL_TIMEOUT=0.2).deliver())
        assert server.connections == 1
