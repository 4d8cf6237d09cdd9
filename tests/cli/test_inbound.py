"""`mindsum inbound` and ending addresses by the command line."""

import io
import sys

import pytest
from flask import Flask

from app import config
from app.cli import run
from app.cli.common import Mistake
from app.config import Settings
from app.errors import ConfigError, StoreUnavailable
from app.services.inbound import addresses
from app.store.db import database
from app.store.models import InboundMessage, Therapist
from tests.harness.commands import Mindsum
from tests.scenarios.cast import Cast
from tests.scenarios.mailbox import written
from tests.scenarios.story import DEE, Story

DOMAIN = "in.example"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"inbound_domain": DOMAIN})


def address() -> str:
    return f"{addresses.of_person(Therapist.get(Therapist.slug == 'asha'))}@{DOMAIN}"


def pipe(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


@pytest.mark.parametrize(
    ("head", "options", "status"),
    [
        ("Return-Path: <asha@x>\nDelivered-To: {to}\n", (), 0),
        ("Delivered-To: other@elsewhere.example\nTo: {to}, x@y.example\n", (), 0),
        ("", ("--to", "{to}", "--from", "asha@x"), 0),
        (f"Delivered-To: nobody@{DOMAIN}\n", (), 67),
        ("Delivered-To: nobody@elsewhere.example\n", (), 67),
        ("", ("--to", f"postmaster@{DOMAIN}"), 67),
    ],
)
def test_a_message_comes_from_a_mail_servers_pipe(  # type: ignore[no-untyped-def]
    mindsum: Mindsum, cast: Cast, monkeypatch: pytest.MonkeyPatch, head, options, status
) -> None:
    to = address()
    body = written("x@y.example", "Hello").replace(b"To: x@y.example\r\n", b"")
    pipe(monkeypatch, head.format(to=to).replace("\n", "\r\n").encode() + body)
    options = tuple(each.format(to=to) for each in options)
    assert mindsum("inbound", *options).status == status
    assert InboundMessage.select().count() == (0 if status else 1)


def test_an_empty_message_and_a_site_without_a_door_are_refused(
    mindsum: Mindsum, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    pipe(monkeypatch, b"")
    assert mindsum("inbound").status == 65
    config.use(settings.model_copy(update={"inbound_domain": None}))
    assert "INBOUND_DOMAIN" in mindsum("inbound").mistake


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreUnavailable("no answer"), "the database cannot be used now"),
        (ConfigError("PORT", "should be a port"), "PORT should be a port"),
        (Mistake("the database's schema is behind"), "the database's schema is behind"),
        (ZeroDivisionError(), "Traceback"),
    ],
)
def test_a_fault_of_ours_never_makes_a_mail_server_give_the_message_up(
    mindsum: Mindsum, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(database, "schema_fault", fail)
    pipe(monkeypatch, b"To: x@in.example\r\n\r\nHello")
    answer = mindsum("inbound")
    assert answer.status == 75
    assert words in answer.err


def test_a_fault_that_cannot_be_told_is_one_to_try_again_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError("no space left")

    def create() -> Flask:
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(sys, "stderr", Full())
    assert run(["inbound"], create) == 75


def test_without_standard_input_there_is_no_message(
    mindsum: Mindsum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert mindsum("inbound").status == 65


def test_addresses_are_ended_by_the_command_line(mindsum: Mindsum, story: Story) -> None:
    story.ask()
    before = address()
    assert mindsum("therapist", "revoke-addresses", "asha", "--json").data == {
        "slug": "asha",
        "revoked": True,
    }
    assert addresses.owner_of(before) is None
    assert mindsum("client", "revoke-addresses", DEE[1]).status == 0
    assert "there is no" in mindsum("therapist", "revoke-addresses", "nobody").mistake
