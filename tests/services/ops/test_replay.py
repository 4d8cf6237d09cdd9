"""Replay finds nothing in an untouched database, and names every value that was tampered with."""

import random
from datetime import timedelta

import pytest

from app.errors import DomainError
from app.rules.lifecycle import Actor, Kind, Status, Via
from app.services.bookings import cancel
from app.services.ops import replay
from app.services.ops.replay import Difference
from app.services.therapists import standing
from app.store.models import Booking, LedgerLine, MonthEarned, Therapist, TimelineEntry
from tests.harness.soak import runs
from tests.scenarios.story import DEE, ELI, Story

DAY = timedelta(days=1)


def live_at_random(story: Story, seed: int, steps: int) -> None:
    """Clients and therapists do things at random; some are refused."""
    chance = random.Random(seed)
    known: list[Booking] = []
    for _ in range(steps):
        deed = chance.choice(["ask", "ask", "ask", "accept", "accept", "decline", "withdraw",
                              "client", "therapist", "no_show", "wait", "sweep"])  # fmt: skip
        booking = chance.choice(known) if known else None
        if deed == "wait":
            story.wait(minutes=chance.choice([7, 60, 600, 1500]))
        elif deed == "sweep":
            story.sweep()
        elif deed == "ask" or booking is None:
            day = story.now.replace(hour=16, minute=0, second=0, microsecond=0)
            try:
                known.append(
                    story.ask(
                        chance.choice(["asha", "bran"]),
                        starts_at=day + chance.randint(1, 3) * DAY,
                        client=chance.choice([DEE, ELI]),
                        kind=chance.choice([Kind.PAID, Kind.FREE_CONSULTATION]),
                    )
                )
            except DomainError:
                continue
        elif deed == "accept":
            story.accept(booking)
        elif deed == "decline":
            story.decline(booking)
        elif deed == "withdraw":
            story.withdraw(booking)
        elif deed == "no_show":
            cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)
        else:
            story.cancel(booking, Actor(deed))


@pytest.mark.parametrize("seed", range(runs(2, 20)))
def test_a_random_life_replays_to_what_is_stored(
    story: Story, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "BATCH", 7)
    live_at_random(story, seed, 90)
    assert len({booking.status for booking in Booking.select()}) >= 4, "too quiet a life"
    assert list(replay.find_differences(story.now)) == []
    story.wait(hours=30)
    assert list(replay.find_differences(story.now)) == [], (
        "what no sweep has written down yet is no fault"
    )
    story.sweep()
    assert list(replay.find_differences(story.now)) == []


@pytest.fixture
def played(story: Story) -> Booking:
    """A story with something to tamper with: one completed session, three cancelled ones."""
    booking = story.ask()
    story.accept(booking)
    story.at(booking.completes_at)
    for _ in range(3):
        other = story.ask(starts_at=booking.starts_at + 5 * DAY)
        story.accept(other)
        story.cancel(other, Actor.THERAPIST)
    story.sweep()
    assert list(replay.find_differences(story.now)) == []
    return story.reload(booking)


def found(story: Story) -> list[tuple[str, str]]:
    return [(each.subject, each.field) for each in replay.find_differences(story.now)]


@pytest.mark.both_databases
def test_a_changed_status_is_found(story: Story, played: Booking) -> None:
    Booking.update(status=Status.NO_SHOW).where(Booking.id == played.id).execute()
    assert list(replay.find_differences(story.now)) == [
        Difference(played.reference, "status", stored="no_show", replayed="completed")
    ]


@pytest.mark.both_databases
def test_a_changed_amount_is_found(story: Story, played: Booking) -> None:
    LedgerLine.update(amount_minor=LedgerLine.amount_minor + 1).where(
        LedgerLine.booking == played, LedgerLine.account == "therapist"
    ).execute()
    assert found(story) == [
        (played.reference, "ledger"),
        (played.reference, "ledger sum"),
        ("asha", "earnings"),
    ]


@pytest.mark.both_databases
def test_a_changed_sum_of_a_month_is_found(story: Story, played: Booking) -> None:
    MonthEarned.update(payout_minor=MonthEarned.payout_minor + 1).execute()
    assert found(story) == [("asha", "earnings")]
    MonthEarned.delete().execute()
    assert found(story) == [("asha", "earnings")]


@pytest.mark.both_databases
def test_an_earning_of_another_therapist_is_found(story: Story, played: Booking) -> None:
    bran = Therapist.get(slug="bran")
    LedgerLine.update(therapist=bran.id).where(LedgerLine.account == "therapist").execute()
    assert found(story) == [
        (played.reference, "ledger therapist"),
        ("asha", "earnings"),
        ("bran", "earnings"),
    ]


@pytest.mark.both_databases
def test_money_moved_between_accounts_is_found_though_the_sum_is_right(
    story: Story, played: Booking
) -> None:
    for account, amount in (("therapist", 6000), ("commission", 0)):
        LedgerLine.update(amount_minor=amount).where(
            LedgerLine.booking == played, LedgerLine.account == account
        ).execute()
    assert found(story) == [(played.reference, "ledger"), ("asha", "earnings")]


@pytest.mark.both_databases
def test_a_lost_ledger_line_is_found(story: Story, played: Booking) -> None:
    LedgerLine.delete().where(
        LedgerLine.booking == played, LedgerLine.account == "commission"
    ).execute()
    assert found(story) == [(played.reference, "ledger"), (played.reference, "ledger sum")]


@pytest.mark.both_databases
def test_a_changed_streak_is_found(story: Story, played: Booking) -> None:
    Therapist.update(streak=2).where(Therapist.slug == "asha").execute()
    assert list(replay.find_differences(story.now)) == [
        Difference("asha", "streak", stored="2", replayed="3")
    ]


@pytest.mark.both_databases
def test_a_forged_flag_is_found(story: Story, played: Booking) -> None:
    Therapist.update(flagged_at=story.now).where(Therapist.slug == "asha").execute()
    # A flag halves the score too, so a forged one leaves two traces.
    assert found(story) == [("asha", "flagged"), ("asha", "score")]


def test_an_account_reactivated_by_hand_is_found(story: Story, played: Booking) -> None:
    for _ in range(2):
        other = story.ask(starts_at=played.starts_at + 5 * DAY)
        story.accept(other)
        story.cancel(other, Actor.THERAPIST)
    story.sweep()
    Therapist.update(deactivated_at=None).where(Therapist.slug == "asha").execute()
    assert found(story) == [("asha", "deactivated")]


@pytest.mark.parametrize("slug", ["asha", "chi"], ids=["ranked", "never asked"])
def test_a_changed_score_is_found(story: Story, played: Booking, slug: str) -> None:
    Therapist.update(score=99.0).where(Therapist.slug == slug).execute()
    assert list(replay.find_differences(story.now)) == [
        Difference(slug, "score", stored="99.0", replayed="100.0")
    ]


@pytest.mark.both_databases
def test_a_timeline_that_no_booking_can_have_is_found(story: Story, played: Booking) -> None:
    TimelineEntry.delete().where(
        TimelineEntry.booking == played, TimelineEntry.event == "accepted"
    ).execute()
    assert (played.reference, "timeline") in found(story)


@pytest.mark.both_databases
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_each_booking_is_compared_with_its_own_rows_whatever_the_batch_size(
    story: Story, played: Booking, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(replay, "BATCH", batch)
    last = story.ask(starts_at=played.starts_at + 5 * DAY)
    Booking.update(status=Status.EXPIRED).where(Booking.id.in_([played.id, last.id])).execute()
    assert found(story) == [(played.reference, "status"), (last.reference, "status")]


@pytest.mark.both_databases
def test_replay_changes_nothing(story: Story, played: Booking) -> None:
    before = [booking.__data__ for booking in Booking.select().order_by(Booking.id)]
    story.wait(hours=100)
    list(replay.find_differences(story.now))
    assert [booking.__data__ for booking in Booking.select().order_by(Booking.id)] == before


def test_a_reactivated_account_replays(story: Story, played: Booking) -> None:
    for _ in range(2):
        other = story.ask(starts_at=played.starts_at + 5 * DAY)
        story.accept(other)
        story.cancel(other, Actor.THERAPIST)
    story.sweep()
    assert standing.reactivate("asha", story.now)
    assert found(story) == []
    story.sweep()
    assert found(story) == []
