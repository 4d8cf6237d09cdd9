"""The command line: its commands, its usage, and one line for a mistake."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import click
import pytest

from app import cli
from app.cli.common import utc
from app.store import attempts
from app.store.models import OutboxEmail, OutboxStatus, Outcome
from tests.harness.commands import ADD, Mindsum, typed
from tests.harness.processes import ROOT
from tests.harness.smtp_server import unused_port
from tests.scenarios.story import Story


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """The words of every command below a group."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        is_group = isinstance(command, click.Group)
        found += commands(command, *path, name) if is_group else []
        # `check` does something by itself, too.
        if not is_group or command.invoke_without_command:
            found.append((*path, name))
    return found


PUBLISHED = """
    demo / db upgrade / check / replay / ledger show
    therapist add / therapist list / therapist show / therapist reactivate
    therapist pause / therapist hide
    booking list / booking show / booking accept / booking decline / booking cancel
    outbox list / outbox show / outbox retry / client export / client erase
    check mail / inbound
"""


BEYOND = {"db backup", "db restore", "outbox hold", "outbox release", "outbox skip",
          "outbox unreachable", "outbox try-again",
          "emails preview", "therapist address", "therapist set", "booking revoke-links",
          "booking move",
          "client address", "therapist sign-out", "therapist reachable",
          "notes rekey", "access list", "therapist revoke-addresses",
          "client revoke-addresses", "db scrub",
          "therapist export", "therapist erase"}  # fmt: skip


def test_every_published_command_exists_and_no_others_but_those_named_here() -> None:
    published = {" ".join(words.split()) for words in re.split(r"[/\n]", PUBLISHED)} - {""}
    found = {" ".join(words) for words in commands(cli.mindsum)}
    assert found >= published
    assert found - published <= BEYOND


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("words", commands(cli.mindsum), ids=" ".join)
def test_every_command_has_help_and_json(words: tuple[str, ...], mindsum: Mindsum) -> None:
    help_text = mindsum(*words, "--help")
    assert (help_text.status, help_text.err) == (0, "")
    assert "--json" in help_text.out


@pytest.mark.process
def test_help_imports_neither_flask_nor_the_database() -> None:
    program = (
        "import sys; from app.cli import run; status = run(['--help']);"
        "print({'flask', 'peewee', 'rich'} & set(sys.modules)); sys.exit(status)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "therapist  Open and look after" in ran.stdout
    assert ran.stdout.endswith("set()\n")


BEYOND_ALL_TIME = ("0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00")


USAGE = [
    (
        (),
        "mindsum needs one of: "
        "access, booking, check, client, db, demo, emails, inbound, ledger, notes, outbox,"
        " replay, therapist",
    ),
    (
        ("booking",),
        "mindsum booking needs one of: accept, cancel, decline, list, move, revoke-links, show",
    ),
    (("bokking",), "no such command 'bokking'"),
    (("booking", "list", "--nope"), "no such option '--nope'"),
    (("booking", "list", "extra"), "got unexpected extra argument"),
    (("booking", "list", "--status", "gone"), "--status should be requested, accepted,"),
    (
        ("booking", "list", "--limit", "0"),
        "--limit should be a whole number from 1 to 1000, not '0'",
    ),
    (("booking", "list", "--limit", "１２"), "--limit should be a whole number from 1 to 1000"),
    (("outbox", "skip", "1_0"), "ID should be the number of an email, such as 7, not '1_0'"),
    (("booking", "list", "--therapist", "zoe"), "there is no therapist 'zoe'"),
    (("therapist", "show", ""), "there is no therapist ''"),
    (("booking", "show"), "REF is missing"),
    (("booking", "show", "MB-NOPE22"), "there is no booking 'MB-NOPE22'"),
    (("booking", "show", "NOPE"), "REF should be a reference such as MB-7K3QXD, not 'NOPE'"),
    (("booking", "cancel", "MB-NOPE22"), "--by is missing"),
    *(
        (("outbox", "skip", "--due-before", at), "--due-before should be an instant such as 2026-")
        for at in ("soon", "2026-11-03T10:00:00", *BEYOND_ALL_TIME)
    ),
    (("booking", "cancel", "MB-NOPE22", "--by", "ops"), "--by should be client or therapist, not"),
    (("booking", "accept", "MB-NOPE22"), "there is no booking 'MB-NOPE22'"),
    (("ledger", "show", "MB-NOPE22"), "there is no booking 'MB-NOPE22'"),
    (("therapist", "show", "zoe"), "there is no therapist 'zoe'"),
    (("therapist", "pause", "zoe"), "there is no therapist 'zoe'"),
    (("therapist", "reactivate", "zoe"), "there is no therapist 'zoe'"),
    (("outbox", "show", "7"), "there is no email 7"),
    (("outbox", "show", "seven"), "ID should be the number of an email, such as 7, not 'seven'"),
    (("outbox", "retry", "7"), "there is no email 7"),
    (("outbox", "list", "--status", "lost"), "--status should be queued, sending, sent, failed"),
    (("client", "export", "eli@clients.example"), "there is no client with that address"),
    (("client", "erase", "eli@clients.example"), "there is no client with that address"),
    (("demo", "--port", "70000"), "--port should be a whole number from 1 to 65535, not '70000'"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("words", "line"), USAGE)
def test_a_mistake_gets_one_line_and_exit_status_2(
    mindsum: Mindsum, words: tuple[str, ...], line: str
) -> None:
    assert mindsum(*words).mistake.startswith(line)


def test_the_outbox_shows_the_state_of_emails_and_never_their_text(
    story: Story, mindsum: Mindsum
) -> None:
    booking = story.ask(note="I have not slept")
    emails = mindsum("outbox", "list", "--json").data
    assert {(each["kind"], each["to"], each["status"]) for each in emails} == {
        ("booking_requested", "therapist", "queued"),
        ("booking_received", "client", "queued"),
    }
    for flags in ((), ("--json",)):
        shown = mindsum("outbox", "show", str(emails[0]["id"]), *flags).out
        assert booking.reference in shown
        assert not any(each in shown for each in ("/link/", "@", "slept"))


def test_an_email_is_shown_with_every_attempt_to_deliver_it(story: Story, mindsum: Mindsum) -> None:
    story.ask()
    email = OutboxEmail.select().order_by(OutboxEmail.id).first()
    assert "No attempt" in mindsum("outbox", "show", str(email.id)).out
    first, second = story.now, story.now + timedelta(minutes=1)
    attempts.add(email, Outcome.DEFERRED, first, "recipient: 451 later", code=451)
    attempts.add(email, Outcome.SENT, second)
    assert mindsum("outbox", "show", str(email.id), "--json").data["history"] == [
        {"at": utc(first), "outcome": "deferred", "code": 451, "said": "recipient: 451 later"},
        {"at": utc(second), "outcome": "sent", "code": None, "said": None},
    ]
    last = [line.split() for line in mindsum("outbox", "show", str(email.id)).out.splitlines()[-2:]]
    assert last[0][-5:] == ["deferred", "451", "recipient:", "451", "later"]
    assert last[1][-1] == "sent"


def test_a_failed_email_is_queued_again_and_a_sent_one_is_not(
    story: Story, mindsum: Mindsum
) -> None:
    story.ask()
    story.deliver()
    number = OutboxEmail.select().order_by(OutboxEmail.id).first().id
    assert mindsum("outbox", "retry", str(number)).mistake.startswith(f"email {number} is sent")
    OutboxEmail.update(status=OutboxStatus.FAILED).execute()
    assert mindsum("outbox", "retry", str(number), "--json").data == {"queued": 1}
    assert mindsum("outbox", "retry", "--json").data == {"queued": 1}
    assert mindsum("outbox", "list", "--status", "failed", "--json").data == []


def test_tables_are_plain_text_in_a_pipe(story: Story, mindsum: Mindsum) -> None:
    story.ask()
    for words in (("booking", "list"), ("therapist", "list"), ("outbox", "list")):
        listed = mindsum(*words)
        assert listed.status == 0
        assert "\x1b" not in listed.out
        assert len(listed.out.splitlines()) > 1


@pytest.mark.process
def test_a_database_without_tables_is_a_mistake_that_names_the_command_to_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "ops.db").touch()
    assert typed(tmp_path, "booking", "list").mistake.endswith(": mindsum db upgrade")
    assert typed(tmp_path, "check").status == 1
    assert typed(tmp_path, "db", "upgrade").status == 0
    assert typed(tmp_path, "db", "upgrade", "--json").data == {"applied": [], "erased_again": 0}
    assert typed(tmp_path, "booking", "list", "--json").data == []


@pytest.mark.process
def test_a_missing_database_is_a_fault_and_is_not_created(tmp_path: Path) -> None:
    failed = typed(tmp_path, "booking", "list")
    assert (failed.status, failed.out) == (1, "")
    assert "no database at" in failed.err
    assert "mindsum db upgrade" in failed.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_a_database_that_does_not_answer_is_a_fault_in_one_line(tmp_path: Path) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{unused_port()}/nothing"
    for words in (("booking", "list"), ("db", "upgrade"), ("replay",)):
        failed = typed(tmp_path, *words, DATABASE_URL=nowhere)
        assert (failed.status, failed.out) == (1, "")
        assert failed.err.startswith("mindsum: the database cannot be used now: ")
        assert failed.err.count("\n") == 1


@pytest.mark.process
def test_the_currency_decides_how_many_decimals_an_amount_has(tmp_path: Path) -> None:
    typed(tmp_path, "db", "upgrade")
    assert typed(tmp_path, *ADD, CURRENCY="JPY").mistake == (
        "--rate should be an amount in JPY above zero, such as 60, not '60.00'"
    )
    rate = typed(tmp_path, *ADD, "--rate", "6000", "--json", CURRENCY="JPY").data["rate"]
    assert rate == {"amount": 6000, "currency": "JPY"}
