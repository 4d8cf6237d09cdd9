"""What the command line shares with the ops desk: filters, unreachable people, acts on record."""

from datetime import timedelta

import pytest
from flask import Flask

from app.services.therapists.export import export_therapist
from app.store import suppressions
from app.store.models import AccessEntry, AccessEvent, OutboxEmail, OutboxStatus, Therapist
from tests.harness.commands import Mindsum
from tests.harness.smtp_server import FaultyServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total


def acts() -> list[tuple[str, str, str]]:
    """(about, by, via) of each act on record."""
    rows = AccessEntry.select().where(AccessEntry.event == AccessEvent.ACTED)
    return [(each.about, str(each.by), str(each.via)) for each in rows.order_by(AccessEntry.id)]


def test_bookings_are_listed_by_client_therapist_and_day(story: Story, mindsum: Mindsum) -> None:
    dee = story.ask()
    eli = story.ask(client=ELI, starts_at=dee.starts_at + timedelta(days=1))
    bran = story.ask("bran", client=ELI, starts_at=dee.starts_at + timedelta(hours=6))

    day = f"{dee.starts_at:%Y-%m-%d}"

    def listed(*options: str) -> list[str]:
        return [each["reference"] for each in mindsum("booking", "list", "--json", *options).data]

    assert listed() == [bran.reference, eli.reference, dee.reference]
    assert listed("--client", "ELI@clients.example") == [bran.reference, eli.reference]
    assert listed("--date", day) == [dee.reference, bran.reference]
    assert listed("--date", day, "--client", ELI[1], "--therapist", "bran") == [bran.reference]
    assert listed("--date", day, "--status", "declined") == []
    unknown = mindsum("booking", "list", "--client", "eve@clients.example")
    assert "no client 'eve@clients.example'" in unknown.mistake
    assert "--date should be a day" in mindsum("booking", "list", "--date", "soon").mistake


def test_emails_are_listed_by_kind_booking_and_therapist(story: Story, mindsum: Mindsum) -> None:
    first = story.ask()
    story.ask("bran", client=ELI, starts_at=first.starts_at + timedelta(hours=6))

    def kinds(*options: str) -> list[tuple[str, str]]:
        rows = mindsum("outbox", "list", "--json", *options).data
        return [(each["kind"], each["about"]) for each in rows]

    both = {("booking_requested", first.reference), ("booking_received", first.reference)}
    assert set(kinds("--booking", first.reference)) == both
    assert set(kinds("--therapist", "asha")) == both
    assert kinds("--kind", "booking_received", "--therapist", "asha") == [
        ("booking_received", first.reference)
    ]
    assert "--kind should be" in mindsum("outbox", "list", "--kind", "letter").mistake


def test_unreachable_people_are_listed_and_tried_again(
    app: Flask, story: Story, mindsum: Mindsum
) -> None:
    story.ask()
    with FaultyServer({f"rcpt {DEE[1]}": "550 5.1.1 no such mailbox"}) as server:
        total(sender_to(app, server.port).deliver())
    [row] = mindsum("outbox", "unreachable", "--json").data
    assert (row["address"], row["who"]) == (DEE[1], "client")
    assert "no such mailbox" in row["why"]
    assert mindsum("outbox", "try-again", DEE[1], "--json").data == {"queued": 1}
    assert not OutboxEmail.select().where(OutboxEmail.status == OutboxStatus.FAILED).exists()
    tried = suppressions.of_address(DEE[1])
    assert tried is not None
    assert tried.until is None
    assert "eve@clients.example" in mindsum("outbox", "try-again", "eve@clients.example").mistake
    assert acts() == [("try_again", "ops", "cli")]


def test_a_reason_stays_with_a_reactivation(story: Story, mindsum: Mindsum) -> None:
    Therapist.update(deactivated_at=story.now, streak=5).where(Therapist.slug == "asha").execute()
    assert mindsum("therapist", "reactivate", "asha", "--reason", "She was ill.").status == 0
    assert export_therapist("asha", story.now)["standing"][-1]["reason"] == "She was ill."
    assert acts() == [("reactivate", "ops", "cli")]


def test_acts_of_the_command_line_are_on_record(story: Story, mindsum: Mindsum) -> None:
    reference = story.ask().reference
    for words in (
        ("booking", "show", reference),
        ("booking", "revoke-links", reference),
        ("booking", "accept", reference),
        ("booking", "cancel", reference, "--by", "client"),
        ("outbox", "hold"),
        ("outbox", "release"),
        ("therapist", "sign-out", "asha"),
    ):
        assert mindsum(*words).status == 0, words
    assert [about for about, _, _ in acts()] == [
        "revoke_links", "accept", "cancel_for_client", "outbox_hold", "outbox_release", "sign_out",
    ]  # fmt: skip
    viewed = AccessEntry.get(AccessEntry.event == AccessEvent.VIEWED)
    assert (viewed.about, viewed.via, viewed.ops_address) == ("booking", "cli", "")


@pytest.mark.parametrize(
    ("option", "typed", "stored"),
    [
        ("--headline", "Sleep and worry", "Sleep and worry"),
        ("--about", "I listen.", "I listen."),
        ("--specialisms", "sleep, Worry, SLEEP", "sleep, Worry"),
        ("--qualifications", "BACP", "BACP"),
        ("--languages", "English, Welsh", "English, Welsh"),
    ],
)
def test_what_clients_read_is_set_by_the_rules_of_profile_settings(
    option: str, typed: str, stored: str, story: Story, mindsum: Mindsum
) -> None:
    assert mindsum("therapist", "set", "asha", option, typed).status == 0
    assert getattr(Therapist.get(slug="asha"), option[2:]) == stored
    too_long = mindsum("therapist", "set", "asha", option, "x" * 5000)
    assert too_long.mistake.startswith(option)
