"""`mindsum check`: one line for each check and for each fault."""

import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from app import clock, config
from app.config import Settings
from app.scheduler.process import run_once
from app.services import limits
from app.store import encryption
from app.store.db.database import in_transaction
from tests.harness.commands import Mindsum, typed
from tests.harness.smtp_server import MailServer, unused_port
from tests.scenarios.story import DEE, Story


def test_check_prints_one_line_for_each_check(
    app: Flask, mail: MailServer, mindsum: Mindsum
) -> None:
    run_once(app)
    looked = mindsum("check", "--json").data
    assert [(each["check"], each["ok"]) for each in looked] == [
        ("settings", True),
        ("notes_key", True),
        ("ops_desk", True),
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
    assert len(failed.out.splitlines()) == 9
    assert "MAIL_SERVER" in failed.out


def test_check_says_that_a_proxy_hides_the_networks_of_visitors(
    app: Flask, mail: MailServer, mindsum: Mindsum
) -> None:
    in_transaction(limits.count_request)(None, clock.now())
    looked = {each["check"]: each for each in json.loads(mindsum("check", "--json").out)}
    assert not looked["proxies"]["ok"]
    assert "TRUSTED_PROXIES" in looked["proxies"]["detail"]


def test_a_shared_mailbox_of_ops_is_named_as_one(
    app: Flask, settings: Settings, mindsum: Mindsum
) -> None:
    def desk(**changes: object) -> str | None:
        config.use(settings.model_copy(update=changes))
        looked = {each["check"]: each for each in json.loads(mindsum("check", "--json").out)}
        return str(looked["ops_desk"]["detail"]) if "ops_desk" in looked else None

    assert desk(ops_sign_in=("olu@ops.example",)) == "for olu@ops.example"
    shared = desk(ops_sign_in=("olu@ops.example", "team@ops.example"), ops_email="Team@OPS.example")
    assert shared is not None
    assert "OPS_EMAIL is one of them" in shared
    assert desk(ops_sign_in=()) is None


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
