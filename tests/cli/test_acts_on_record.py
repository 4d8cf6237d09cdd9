"""Every command that changes something, or shows a person's data, is on record."""

import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from app import cli, clock
from app.services.ops import backup as backups
from app.store import outbox
from app.store.db import database
from app.store.models import (
    AccessEntry,
    AccessEvent,
    OutboxEmail,
    OutboxStatus,
    Suppression,
    Therapist,
)
from tests.cli.test_commands import commands
from tests.harness.commands import ADD, Mindsum
from tests.scenarios.story import DEE, ELI, Story

DAY = timedelta(days=1)
ACTED, VIEWED = AccessEvent.ACTED, AccessEvent.VIEWED
# By command: an example, and what the access trail says of it.
ON_RECORD: dict[str, tuple[str, AccessEvent, str]] = {
    "booking list": ("--client {dee}", VIEWED, "search client"),
    "booking show": ("{open}", VIEWED, "booking"),
    "booking accept": ("{open}", ACTED, "accept"),
    "booking decline": ("{open}", ACTED, "decline"),
    "booking cancel": ("{accepted} --by client", ACTED, "cancel_for_client"),
    "booking move": ("{open} --to {other_time} --by client", ACTED, "move_for_client"),
    "booking revoke-links": ("{open}", ACTED, "revoke_links"),
    "client address": ("{dee} other@clients.example", ACTED, "client_address"),
    "client erase": ("gone@clients.example", AccessEvent.ERASED, "client"),
    "client export": ("{dee}", AccessEvent.EXPORTED, "client"),
    "client revoke-addresses": ("{dee}", ACTED, "revoke_addresses"),
    "db backup": ("{file}", ACTED, "db_backup"),
    "db restore": ("{backup} --replace", ACTED, "db_restore"),
    "db scrub": ("", ACTED, "db_scrub"),
    "ledger show": ("{open}", VIEWED, "ledger"),
    "notes rekey": ("", ACTED, "notes_rekey"),
    "outbox hold": ("", ACTED, "outbox_hold"),
    "outbox release": ("", ACTED, "outbox_release"),
    "outbox retry": ("{failed}", ACTED, "outbox_retry {failed}"),
    "outbox skip": ("{queued}", ACTED, "outbox_skip {queued}"),
    "outbox try-again": ("bran@therapists.example", ACTED, "try_again"),
    "outbox unreachable": ("", VIEWED, "unreachable"),
    "therapist add": (shlex.join(ADD[2:]).replace("asha", "gus"), ACTED, "therapist_add"),
    "therapist address": ("asha a@therapists.example", ACTED, "therapist_address"),
    "therapist erase": ("chi", AccessEvent.ERASED, "therapist"),
    "therapist export": ("asha", AccessEvent.EXPORTED, "therapist"),
    "therapist hide": ("asha", ACTED, "hide"),
    "therapist pause": ("asha --off", ACTED, "pause_end"),
    "therapist reachable": ("bran", ACTED, "reachable"),
    "therapist reactivate": ("chi", ACTED, "reactivate"),
    "therapist revoke-addresses": ("asha", ACTED, "revoke_addresses"),
    "therapist set": (
        "asha --rate 70 --timezone Asia/Tokyo --phone +442079460000 --available 'Mon 09:00-12:00'",
        ACTED,
        "therapist_set timezone rate_minor available phone",
    ),
    "therapist show": ("asha", VIEWED, "therapist"),
    "therapist sign-out": ("asha", ACTED, "sign_out"),
}
# They change nothing, or only what a release or a mail server does; they show no person's data
# beyond names of therapists and states.
OTHERS = {
    "access list", "check", "check mail", "db upgrade", "demo", "emails preview", "inbound",
    "outbox list", "outbox show", "replay", "therapist list",
}  # fmt: skip


def test_each_command_is_on_record_or_named_as_one_that_need_not_be() -> None:
    found = {" ".join(words) for words in commands(cli.mindsum)}
    assert found == ON_RECORD.keys() | OTHERS
    assert not ON_RECORD.keys() & OTHERS


@pytest.fixture
def values(story: Story, tmp_path: Path) -> dict[str, object]:
    """What the examples name. Chi is deactivated, and emails do not reach Bran."""
    requested, accepted = story.ask(), story.ask(client=ELI, starts_at=story.now + DAY + DAY)
    story.accept(accepted)
    gone = ("Gwen Abara", "gone@clients.example", "Africa/Lagos")
    story.decline(story.ask("bran", client=gone, starts_at=story.now + DAY + DAY / 4))
    failed, queued = OutboxEmail.select().order_by(OutboxEmail.id).limit(2)
    OutboxEmail.update(status=OutboxStatus.FAILED).where(OutboxEmail.id == failed.id).execute()
    Therapist.update(deactivated_at=story.now, streak=5).where(Therapist.slug == "chi").execute()
    address = "bran@therapists.example"
    Suppression.create(address_key=address, reason="550 5.1.1 no such user", at=story.now)
    backups.backup(tmp_path / "old.db")
    return {
        "dee": DEE[1],
        "open": requested.reference,
        "accepted": accepted.reference,
        "other_time": f"{requested.starts_at + DAY:%Y-%m-%dT%H:%M:%SZ}",
        "failed": failed.id,
        "queued": queued.id,
        "backup": tmp_path / "old.db",
        "file": tmp_path / "new.db",
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("command", ON_RECORD)
def test_a_command_is_on_record(command: str, values: dict[str, object], mindsum: Mindsum) -> None:
    example, event, about = ON_RECORD[command]
    if command == "outbox release":
        outbox.hold(clock.now())
    database.release()
    answer = mindsum(*command.split(), *shlex.split(example.format(**values)))
    assert answer.status == 0, answer.err
    [row] = AccessEntry.select().where(AccessEntry.event == event)
    assert (row.about, str(row.by), str(row.via)) == (about.format(**values), "ops", "cli")
