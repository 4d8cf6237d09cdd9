"""The command line: results, and one line for a mistake."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography.fernet import Fernet
from flask import Flask

from app import cli, clock, config
from app.cli.common import utc
from app.config import Settings
from app.rules.lifecycle import Actor
from app.scheduler.process import run_once
from app.services import limits
from app.services.bookings import messages
from app.store import attempts, encryption
from app.store.db import database
from app.store.db.database import in_transaction
from app.store.models import LedgerLine, OutboxEmail, OutboxStatus, Outcome, Therapist
from tests.harness.processes import ROOT
from tests.harness.smtp_server import MailServer, unused_port
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import DEE, Story

NOTE = "I have not slept since the fire"


@dataclass
class Answer:
    """A command's exit status and what it printed."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        assert (self.status, self.err) == (0, ""), self.err
        return json.loads(self.out)

    @property
    def mistake(self) -> str:
        """The one line of a mistake; fails if the command printed anything else."""
        assert (self.status, self.out) == (2, "")
        found = re.fullmatch(r"mindsum: ([^\n]+)\n", self.err)
        assert found, self.err
        return found[1]


Mindsum = Callable[..., Answer]


@pytest.fixture
def mindsum(app: Flask, at: Any, capsys: pytest.CaptureFixture[str]) -> Mindsum:
    """`mindsum("booking", "list")` runs a command on the test's application."""
    at(MONDAY)

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        status = cli.run(arguments, lambda: app)
        printed = capsys.readouterr()
        return Answer(status, printed.out, printed.err)

    return run


ADD = (
    "therapist", "add", "--slug", "asha", "--name", "Asha Rao", "--email",
    "asha@therapists.example", "--timezone", "Europe/London", "--rate", "60.00",
)  # fmt: skip


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """The words of every command below a group."""
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        is_group = isinstance(command, click.Group)
        found += commands(command, *path, name) if is_group else [(*path, name)]
    return found


PUBLISHED = """
    demo / db upgrade / check / replay / ledger show
    therapist add / therapist list / therapist show / therapist reactivate
    therapist pause / therapist hide
    booking list / booking show / booking accept / booking decline / booking cancel
    outbox list / outbox show / outbox retry / client export / client erase
"""
BEYOND = {"db backup", "db restore", "outbox hold", "outbox release", "outbox skip",
          "emails preview", "therapist address", "therapist set", "booking revoke-links",
          "client address", "therapist sign-out", "therapist reachable",
          "notes rekey", "access list"}  # fmt: skip


def test_every_published_command_exists_and_no_others_but_those_named_here() -> None:
    published = {" ".join(words.split()) for words in re.split(r"[/\n]", PUBLISHED)} - {""}
    found = {" ".join(words) for words in commands(cli.mindsum)}
    assert found >= published
    assert found - published <= BEYOND


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "words", [w for w in commands(cli.mindsum) if w != ("demo",)], ids=" ".join
)
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


def test_an_added_therapist_is_listed_and_can_be_booked(mindsum: Mindsum) -> None:
    added = mindsum(
        *ADD, "--available", "Mon-Fri 09:00-17:00", "--meeting-url", "https://meet.example/a",
        "--no-free-consultation", "--json",
    ).data  # fmt: skip
    assert {name: added[name] for name in ("slug", "account", "rate", "available", "score")} == {
        "slug": "asha",
        "account": "active",
        "rate": {"amount": 6000, "currency": "GBP"},
        "available": "Mon-Fri 09:00-17:00",
        "score": 100.0,
    }
    assert added["free_consultation"] is False
    assert mindsum("therapist", "show", "asha", "--json").data == added
    assert added.pop("phone") is None
    assert mindsum("therapist", "list", "--json").data == [added]
    Story(None, None, None).ask("asha")  # type: ignore[arg-type]


BAD_ADDITIONS = [
    (("--rate", "abc"), "--rate should be an amount in GBP above zero, such as 60.00, not 'abc'"),
    (
        ("--rate", "60.005"),
        "--rate should be an amount in GBP above zero, such as 60.00, not '60.005'",
    ),
    (("--rate", "0"), "--rate should be an amount in GBP above zero, such as 60.00, not '0'"),
    (("--rate", "0.00"), "--rate should be an amount in GBP above zero, such as 60.00, not '0.00'"),
    (("--rate", "-5"), "--rate should be an amount in GBP above zero, such as 60.00, not '-5'"),
    (("--slug", "Asha Rao"), "--slug should be lower-case letters"),
    (("--name", " "), "--name: Please give a name, not ' '"),
    (("--name", "Asha\nBcc: x"), "--name: Please leave control characters"),
    (("--email", "asha"), "--email: Please give an email address"),
    (("--timezone", "London"), "--timezone: Please give a time zone such as Europe/London"),
    (("--available", "Mon 9-17"), '--available: "Mon 9-17" is not days and hours'),
    (("--available", "Mon 09:05-17:00"), "--available: 09:05 is not on a quarter hour"),
    (("--meeting-url", "meet.example"), "--meeting-url"),
    (("--name", "\u2800"), "--name: Please give a name that can be seen"),
    (("--given-name", "\u202eahsA"), "--given-name"),
]


@pytest.mark.parametrize(
    ("flags", "called"),
    [
        (("--name", "Dr. Asha Rao"), "Asha"),
        (("--name", "Rao, Asha"), "Asha"),
        (("--given-name", "Dr Rao"), "Dr Rao"),
    ],
)
def test_a_therapist_is_added_with_a_given_name_or_one_is_derived(
    mindsum: Mindsum, flags: tuple[str, ...], called: str
) -> None:
    assert mindsum(*ADD, *flags, "--json").data["given_name"] == called


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("flag", "line"), BAD_ADDITIONS)
def test_a_bad_value_is_named_with_what_is_right_and_nothing_is_added(
    mindsum: Mindsum, flag: tuple[str, str], line: str
) -> None:
    assert mindsum(*ADD, *flag).mistake.startswith(line)
    assert Therapist.select().count() == 0


BEYOND_ALL_TIME = ("0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00")
USAGE = [
    (
        (),
        "mindsum needs one of: "
        "access, booking, check, client, db, demo, emails, ledger, notes, outbox, replay,"
        " therapist",
    ),
    (
        ("booking",),
        "mindsum booking needs one of: accept, cancel, decline, list, revoke-links, show",
    ),
    (("bokking",), "no such command 'bokking'"),
    (("booking", "list", "--nope"), "no such option '--nope'"),
    (("booking", "list", "extra"), "got unexpected extra argument"),
    (("booking", "list", "--status", "gone"), "--status should be requested, accepted,"),
    (
        ("booking", "list", "--limit", "0"),
        "--limit should be a whole number from 1 to 1000, not '0'",
    ),
    (("booking", "list", "--therapist", "zoe"), "there is no therapist 'zoe'"),
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


def test_a_taken_slug_or_address_is_a_mistake_too(mindsum: Mindsum) -> None:
    assert mindsum(*ADD).status == 0
    assert mindsum(*ADD, "--email", "other@therapists.example").mistake == (
        "--slug asha belongs to another therapist; choose another"
    )
    assert mindsum(*ADD, "--slug", "bran", "--email", "ASHA@therapists.example").mistake == (
        "--email ASHA@therapists.example belongs to another therapist; choose another"
    )


def test_ops_accepts_for_the_therapist_and_repeating_it_shows_the_same(
    story: Story, mindsum: Mindsum
) -> None:
    reference = story.ask().reference
    first = mindsum("booking", "accept", reference.lower(), "--json").data
    assert first["status"] == "accepted"
    assert [(line["event"], line["by"], line["via"]) for line in first["timeline"]] == [
        ("requested", "client", "api"),
        ("accepted", "ops", "cli"),
    ]
    assert mindsum("booking", "accept", reference, "--json").data == first


def test_a_refused_move_names_the_state_and_changes_nothing(story: Story, mindsum: Mindsum) -> None:
    booking = story.ask()
    mindsum("booking", "decline", booking.reference, "--reason", "On leave")
    before = story.timeline(booking)
    assert mindsum("booking", "accept", booking.reference).mistake == (
        f"{booking.reference} cannot be accepted: it is declined"
    )
    assert mindsum("booking", "cancel", booking.reference, "--by", "therapist").mistake == (
        f"{booking.reference} cannot be cancelled by the therapist: it is declined"
    )
    assert story.timeline(booking) == before


def test_an_answer_after_expiry_is_refused_with_the_expiry(story: Story, mindsum: Mindsum) -> None:
    booking = story.ask()
    story.wait(hours=24)
    assert mindsum("booking", "accept", booking.reference).mistake.endswith("it is expired")
    assert story.balances(booking) == {"client": 0, "held": 0}


def test_cancelling_is_for_client_or_therapist_and_follows_their_rules(
    story: Story, mindsum: Mindsum
) -> None:
    enquiry, session = story.ask(), story.ask(starts_at=MONDAY + timedelta(days=3))
    story.accept(session)
    withdrawn = mindsum("booking", "cancel", enquiry.reference, "--by", "client", "--json").data
    cancelled = mindsum("booking", "cancel", session.reference, "--by", "therapist", "--json").data
    assert (withdrawn["status"], cancelled["status"]) == ("withdrawn", "cancelled_by_therapist")
    assert Therapist.get(Therapist.slug == "asha").streak == 1


def test_a_started_session_cannot_be_cancelled(story: Story, mindsum: Mindsum) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.starts_at)
    mistake = mindsum("booking", "cancel", booking.reference, "--by", "client").mistake
    assert mistake.startswith(f"{booking.reference} cannot be cancelled by the client")
    assert "too late" in mistake


def test_showing_a_booking_never_shows_what_people_wrote(story: Story, mindsum: Mindsum) -> None:
    booking = story.ask(note=NOTE)
    messages.send(booking, NOTE, author=Actor.THERAPIST, now=story.now)
    for flags in ((), ("--json",)):
        shown = mindsum("booking", "show", booking.reference, *flags)
        assert shown.status == 0
        assert booking.reference in shown.out
        assert "2026-11-04T10:00:00Z" in shown.out
        assert NOTE not in shown.out
        assert DEE[1] not in shown.out


def test_a_list_is_filtered_and_bounded(story: Story, mindsum: Mindsum) -> None:
    first = story.ask()
    second = story.ask("bran", starts_at=MONDAY + timedelta(days=2, hours=6))
    story.accept(second)

    def listed(*flags: str) -> list[str]:
        return [each["reference"] for each in mindsum("booking", "list", "--json", *flags).data]

    assert listed() == [second.reference, first.reference]
    assert listed("--limit", "1") == [second.reference]
    assert listed("--status", "requested") == [first.reference]
    assert listed("--therapist", "bran") == [second.reference]
    assert listed("--late") == []
    story.wait(hours=3, seconds=1)
    assert listed("--late") == [first.reference]
    assert first.reference in mindsum("booking", "list", "--late").out


def test_pausing_and_hiding_can_be_undone(story: Story, mindsum: Mindsum) -> None:
    def account(*words: str) -> str:
        return str(mindsum("therapist", *words, "--json").data["account"])

    assert account("hide", "asha") == "hidden"
    assert account("pause", "asha") == "paused"
    assert account("pause", "asha", "--off") == "hidden"
    assert account("hide", "asha", "--off") == "active"


def test_an_account_is_changed_by_the_rules_of_profile_settings(
    story: Story, mindsum: Mindsum
) -> None:
    changed = mindsum(
        "therapist", "set", "asha", "--rate", "75.50", "--timezone", "Europe/Paris",
        "--available", "Mon 09:00-12:00", "--meeting-url", "", "--no-free-consultation",
        "--email", "rao@therapists.example", "--name", "Asha R Rao", "--json",
    ).data  # fmt: skip
    assert changed["rate"]["amount"] == 7550
    assert (changed["timezone"], changed["available"]) == ("Europe/Paris", "Mon 09:00-12:00")
    assert (changed["meeting_url"], changed["free_consultation"]) == (None, False)
    assert (changed["email"], changed["name"]) == ("rao@therapists.example", "Asha R Rao")
    assert mindsum("therapist", "show", "asha", "--json").data == changed
    for option, value in (
        ("--rate", "0"),
        ("--meeting-url", f"https://meet.example/{'a' * 500}"),
        ("--timezone", "Mars/Olympus"),
        ("--email", "bran@therapists.example"),
    ):
        words = ("therapist", "set", "asha", "--name", "Changed", option, value)
        assert mindsum(*words).mistake.startswith(option)
    assert "needs something" in mindsum("therapist", "set", "asha").mistake
    assert mindsum("therapist", "set", "nobody", "--name", "A").status == 2
    assert mindsum("therapist", "show", "asha", "--json").data == changed


def test_only_a_deactivated_account_can_be_reactivated(story: Story, mindsum: Mindsum) -> None:
    assert mindsum("therapist", "reactivate", "asha").mistake == (
        "asha is active; only a deactivated account can be reactivated"
    )
    for day in range(1, 6):
        booking = story.ask(starts_at=MONDAY + timedelta(days=day, hours=6))
        story.accept(booking)
        story.cancel(booking, Actor.THERAPIST)
    story.sweep()
    assert mindsum("therapist", "show", "asha", "--json").data["account"] == "deactivated"
    back = mindsum("therapist", "reactivate", "asha", "--json").data
    assert (back["account"], back["streak"], back["flagged"]) == ("active", 0, False)


def test_the_outbox_shows_the_state_of_emails_and_never_their_text(
    story: Story, mindsum: Mindsum
) -> None:
    booking = story.ask(note=NOTE)
    emails = mindsum("outbox", "list", "--json").data
    assert {(each["kind"], each["to"], each["status"]) for each in emails} == {
        ("booking_requested", "therapist", "queued"),
        ("booking_received", "client", "queued"),
    }
    for flags in ((), ("--json",)):
        shown = mindsum("outbox", "show", str(emails[0]["id"]), *flags).out
        assert booking.reference in shown
        assert "/link/" not in shown
        assert "@" not in shown


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


def test_the_ledger_shows_lines_that_sum_to_zero(story: Story, mindsum: Mindsum) -> None:
    reference = story.ask().reference
    shown = mindsum("ledger", "show", reference, "--json").data
    assert shown["sum"] == 0
    assert [(line["account"], line["amount"]) for line in shown["lines"]] == [
        ("client", -6000),
        ("held", 6000),
    ]
    assert "-£60.00" in mindsum("ledger", "show", reference).out


def test_replay_finds_a_changed_ledger_line(story: Story, mindsum: Mindsum) -> None:
    booking = story.ask()
    story.accept(booking)
    assert mindsum("replay", "--json").data == {"differences": []}
    LedgerLine.update(amount_minor=6001).where(LedgerLine.account == "held").execute()
    found = mindsum("replay", "--json")
    assert found.status == 1
    fields = {(each["subject"], each["field"]) for each in json.loads(found.out)["differences"]}
    assert fields == {(booking.reference, "ledger"), (booking.reference, "ledger sum")}


def test_a_client_is_exported_and_then_erased(story: Story, mindsum: Mindsum) -> None:
    booking = story.ask(note=NOTE)
    held = mindsum("client", "export", DEE[1].upper(), "--json").data
    assert held["bookings"][0]["written"][0]["text"] == NOTE
    assert mindsum("client", "erase", DEE[1]).mistake == (
        f"{DEE[1]} has live bookings ({booking.reference}); cancel them first"
    )
    story.withdraw(booking)
    erased = mindsum("client", "erase", DEE[1], "--json").data
    assert erased == {"erased": True, "bookings": 1, "remembered": database.is_sqlite()}
    assert mindsum("client", "export", DEE[1]).mistake.startswith("there is no client")
    assert mindsum("ledger", "show", booking.reference, "--json").data["sum"] == 0


def test_tables_are_plain_text_in_a_pipe(story: Story, mindsum: Mindsum) -> None:
    story.ask()
    for words in (("booking", "list"), ("therapist", "list"), ("outbox", "list")):
        listed = mindsum(*words)
        assert listed.status == 0
        assert "\x1b" not in listed.out
        assert len(listed.out.splitlines()) > 1


def test_check_prints_one_line_for_each_check(
    app: Flask, mail: MailServer, mindsum: Mindsum
) -> None:
    run_once(app)
    looked = mindsum("check", "--json").data
    assert [(each["check"], each["ok"]) for each in looked] == [
        ("settings", True),
        ("notes_key", True),
        ("erasures", True),
        ("database", True),
        ("notes", True),
        ("scheduler", True),
        ("outbox", True),
        ("mail", True),
    ]
    app.config["MAIL_PORT"] = unused_port()
    app.extensions["mail"].port = app.config["MAIL_PORT"]
    failed = mindsum("check")
    assert failed.status == 1
    assert len(failed.out.splitlines()) == 8
    assert "MAIL_SERVER" in failed.out


def test_check_says_that_a_proxy_hides_the_networks_of_visitors(
    app: Flask, mail: MailServer, mindsum: Mindsum
) -> None:
    in_transaction(limits.count_request)(None, clock.now())
    looked = {each["check"]: each for each in json.loads(mindsum("check", "--json").out)}
    assert not looked["proxies"]["ok"]
    assert "TRUSTED_PROXIES" in looked["proxies"]["detail"]


def test_check_wants_an_ops_address_of_our_own_in_production(
    app: Flask, settings: Settings, mindsum: Mindsum
) -> None:
    ours = {"public_url": "https://bookings.example.org", "mail_default_sender": "us@example.org"}
    config.use(settings.model_copy(update={**ours, "ops_email": "ops@mindsum.invalid"}))
    failed = mindsum("check")
    said = failed.out.splitlines()[0]
    assert failed.status == 2
    assert said.startswith("settings  FAILED  OPS_EMAIL should be an address of your own")
    config.use(
        settings.model_copy(
            update={**ours, "ops_email": "ops@example.org", "support_email": "help@example.org"}
        )
    )
    assert mindsum("check").out.splitlines()[0].startswith("settings  ok")


@pytest.mark.process
def test_check_names_every_setting_at_fault_in_a_line_of_its_own(tmp_path: Path) -> None:
    faulty = {
        "PUBLIC_URL": "https://bookings.example.org",
        "PORT": "eighty",
        "WARN_STREAK": "4",
        "SECRET_KEY": "short",
        "OPS_EMAIL": "",
    }
    checked = typed(tmp_path, "check", **faulty)
    named = [line.split()[:3] for line in checked.out.splitlines()]
    assert (checked.status, checked.err) == (2, "")
    for name in ("PORT", "WARN_STREAK", "SECRET_KEY", "NOTES_KEY", "OPS_EMAIL"):
        assert ["settings", "FAILED", name] in named
    as_json = typed(tmp_path, "check", "--json", **faulty)
    assert as_json.status == 2
    assert {(each["check"], each["ok"]) for each in json.loads(as_json.out)} == {
        ("settings", False)
    }
    assert len(json.loads(as_json.out)) == len(named)


def test_a_wrong_notes_key_is_a_fault_of_the_service_not_a_mistake(
    story: Story, settings: Settings, mindsum: Mindsum
) -> None:
    story.ask(note="for Asha's eyes")
    config.use(settings.model_copy(update={"notes_key": (Fernet.generate_key().decode(),)}))
    failed = mindsum("client", "export", DEE[1])
    assert (failed.status, failed.out) == (1, "")
    assert failed.err.startswith("mindsum: NOTES_KEY holds no key that opens this stored text")
    checked = [line.split()[:2] for line in mindsum("check").out.splitlines()]
    assert ["notes", "FAILED"] in checked


def test_check_shows_the_fingerprints_of_the_notes_keys_and_rekey_that_of_the_newest(
    story: Story, settings: Settings, mindsum: Mindsum
) -> None:
    story.ask(note="for Asha's eyes")
    new, old = Fernet.generate_key().decode(), settings.notes_key[0]
    config.use(settings.model_copy(update={"notes_key": (new, old)}))
    checked = {each["check"]: each for each in json.loads(mindsum("check", "--json").out)}
    newest, older = encryption.fingerprint(new), encryption.fingerprint(old)
    said = checked["notes_key"]["detail"]
    assert said.index(newest) < said.index(older)
    assert new not in said
    done = mindsum("notes", "rekey", "--json")
    assert done.status == 0
    assert json.loads(done.out) == {"key": newest, "rewritten": 1, "unreadable": 0}
    config.use(settings)
    failed = mindsum("notes", "rekey")
    assert (failed.status, "No key in NOTES_KEY opens 1" in failed.err) == (1, True)


def test_check_reports_a_scheduler_that_never_ran_and_a_stuck_outbox(
    story: Story, mindsum: Mindsum
) -> None:
    story.ask()
    story.wait(hours=1)
    found = mindsum("check")
    assert found.status == 1
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in found.out.splitlines()}
    assert lines["scheduler"] == ["FAILED", "has never run; start: python scheduler.py"]
    assert lines["outbox"][0] == "FAILED"
    says = "oldest waits 3600 s; none was sent for 10 min; look: mindsum outbox show "
    assert lines["outbox"][1].startswith(says)


def typed(tmp_path: Path, *words: str, **environment: str) -> Answer:
    """Run a command in a process of its own, on a SQLite database of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", *words],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path / 'ops.db'}", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return Answer(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.process
def test_a_database_without_tables_is_a_mistake_that_names_the_command_to_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "ops.db").touch()
    assert typed(tmp_path, "booking", "list").mistake.endswith("run mindsum db upgrade")
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
