"""Bookings, clients and the ledger by the command line."""

import json
from datetime import timedelta

from app import config
from app.rules.lifecycle import Actor
from app.services.bookings import messages
from app.services.ops import replay
from app.store import queries
from app.store.db import database
from app.store.models import LedgerLine, Therapist
from tests.harness.api_calls import caller, wanted, z
from tests.harness.commands import Mindsum
from tests.scenarios.cast import MONDAY, TUESDAY_10
from tests.scenarios.story import DEE, Story

HOUR = timedelta(hours=1)
NOTE = "I have not slept since the fire"


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


def test_ops_sees_which_api_key_did_what_and_other_callers_do_not(
    story: Story, mindsum: Mindsum
) -> None:
    keys = ("desk:write:desk-secret", "shop:write:shop-secret", "test-api-key")
    config.use(config.current().model_copy(update={"api_keys": keys}))
    call = caller(story.app)
    desk, shop = ({"Authorization": f"Bearer {name}-secret"} for name in ("desk", "shop"))
    reference = call("POST", "bookings", wanted(), **desk).get_json()["reference"]
    story.accept(story.reload(queries.booking_by_reference(reference)))
    answer = call("POST", f"bookings/{reference}/cancel", {"by": "client"}, **shop)
    assert "desk" not in answer.text
    assert [line["via"] for line in answer.get_json()["timeline"]] == ["api", "link", "api"]
    shown = mindsum("booking", "show", reference, "--json").data["timeline"]
    assert [line.get("api_key") for line in shown] == ["desk", None, "shop"]
    assert "api (shop)" in mindsum("booking", "show", reference).out
    # A key without a name leaves none, nor does one leave its name to what comes later.
    other = call("POST", "bookings", wanted(starts_at=z(TUESDAY_10 + 2 * HOUR))).get_json()
    assert "api_key" not in str(mindsum("booking", "show", other["reference"], "--json").data)
    assert [*replay.find_differences(story.now)] == []


def test_a_start_that_is_not_open_is_named_by_its_option(story: Story, mindsum: Mindsum) -> None:
    move = ("booking", "move", story.ask().reference, "--by", "client", "--to")
    assert mindsum(*move, "2026-11-05T10:07:00Z").mistake.startswith("--to: This is not one of")


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
    assert any("backups" in each for each in erased.pop("left"))
    assert erased == {"erased": True, "bookings": 1, "remembered": database.is_sqlite()}
    assert mindsum("client", "export", DEE[1]).mistake.startswith("there is no client")
    assert mindsum("ledger", "show", booking.reference, "--json").data["sum"] == 0
