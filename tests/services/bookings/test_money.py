"""Who pays what when a booking ends: the cancelling table to the second, and the ledger."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app import config
from app.config import Settings
from app.rules.lifecycle import Actor, Kind, Via
from app.services.bookings import cancel, ledger, transitions
from app.services.jobs import due
from app.services.therapists import profile
from app.store import queries
from app.store.models import Booking, LedgerLine, OutboxEmail, Therapist, TimelineEntry
from tests.scenarios.story import Story, at_once, total

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
FEE, PAYOUT, COMMISSION = 6005, 5404, 601


@dataclass(frozen=True)
class End:
    """How a booking ends: its status, who has the fee, and the emails that say so."""

    status: str
    fee_is: str
    streak: int
    emails: tuple[tuple[str, str], ...] = ()


# The therapist's streak is 1 before.
OPEN = End("requested", "held", 1)
LATE = End(
    "requested",
    "held",
    1,
    (("answer_late", "therapist"), ("answer_late_client", "client"), ("answer_late_ops", "ops")),
)
ACCEPTED = End("accepted", "held", 1)
WITHDRAWN = End(
    "withdrawn",
    "refunded",
    1,
    (("withdrawal_receipt", "client"), ("booking_withdrawn", "therapist")),
)
DECLINED = End(
    "declined", "refunded", 1, (("booking_declined", "client"), ("enquiry_declined", "therapist"))
)
EXPIRED = End(
    "expired", "refunded", 1, (("booking_expired", "client"), ("enquiry_expired", "therapist"))
)
_CLIENT_CANCELLED = (("cancellation_receipt", "client"), ("client_cancelled", "therapist"))
REFUNDED = End("cancelled_by_client", "refunded", 1, _CLIENT_CANCELLED)
CHARGED = End("cancelled_by_client", "earned", 1, _CLIENT_CANCELLED)
CALLED_OFF = End(
    "cancelled_by_therapist",
    "refunded",
    2,
    (("therapist_cancelled", "client"), ("cancellation_recorded", "therapist")),
)
COMPLETED = End("completed", "earned", 0)
MISSED_EARLY = End("no_show", "earned", 1, (("no_show_recorded", "client"),))
MISSED = End("no_show", "earned", 0, (("no_show_recorded", "client"),))

TABLE: list[tuple[str, str, End, End, End]] = [
    # who does what          at                 a second before   then       a second after
    ("client withdraws",     "the expiry",      WITHDRAWN,        EXPIRED,   EXPIRED),
    ("therapist declines",   "the expiry",      DECLINED,         EXPIRED,   EXPIRED),
    ("no answer",            "the expiry",      LATE,             EXPIRED,   EXPIRED),
    ("client cancels",       "24 h before",     REFUNDED,         CHARGED,   CHARGED),
    ("therapist cancels",    "24 h before",     CALLED_OFF,         CALLED_OFF,  CALLED_OFF),
    ("client cancels",       "the start",       CHARGED,          ACCEPTED,    ACCEPTED),
    ("therapist cancels",    "the start",       CALLED_OFF,         ACCEPTED,    ACCEPTED),
    ("no action",            "the completion",  ACCEPTED,           COMPLETED, COMPLETED),
    ("client cancels",       "the completion",  ACCEPTED,           COMPLETED, COMPLETED),
    ("therapist reports",    "the end",         ACCEPTED,           MISSED_EARLY, MISSED_EARLY),
    ("therapist reports",    "the completion",  MISSED_EARLY,     MISSED,    MISSED),
    ("therapist reports",    "7 days later",    MISSED,           MISSED,    COMPLETED),
]  # fmt: skip

CHANGES = {
    "London, clocks forward": ("asha", datetime(2027, 3, 28, 10, tzinfo=ZoneInfo("Europe/London"))),
    "London, clocks back": ("asha", datetime(2027, 10, 31, 10, tzinfo=ZoneInfo("Europe/London"))),
    "New York, clocks forward": (
        "bran",
        datetime(2027, 3, 14, 10, tzinfo=ZoneInfo("America/New_York")),
    ),
    "New York, clocks back": (
        "bran",
        datetime(2027, 11, 7, 10, tzinfo=ZoneInfo("America/New_York")),
    ),
}

ANCHORS: dict[str, Callable[[Booking], datetime]] = {
    "the expiry": lambda booking: booking.requested_at + DAY,
    "24 h before": lambda booking: booking.starts_at - DAY,
    "the start": lambda booking: booking.starts_at,
    "the end": lambda booking: booking.starts_at + timedelta(minutes=50),
    "the completion": lambda booking: booking.starts_at + timedelta(minutes=60),
    "7 days later": lambda booking: booking.starts_at + timedelta(minutes=60) + 7 * DAY,
}

BALANCES = {
    "held": {"client": -FEE, "held": FEE},
    "refunded": {},
    "earned": {"client": -FEE, "therapist": PAYOUT, "commission": COMMISSION},
}


def act(story: Story, booking: Booking, what: str) -> None:
    match what:
        case "client withdraws":
            story.withdraw(booking)
        case "therapist declines":
            story.decline(booking)
        case "client cancels":
            story.cancel(booking, Actor.CLIENT)
        case "therapist cancels":
            story.cancel(booking, Actor.THERAPIST)
        case "therapist reports":
            cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)
        case _:
            story.sweep()


def owed(booking: Booking) -> dict[str, int]:
    """What each account holds because of the booking, without zeros."""
    return {account: amount for account, amount in Story.balances(booking).items() if amount}


def emails() -> list[tuple[str, str]]:
    """(kind, recipient) of every email so far."""
    return [(email.kind, str(email.role)) for email in OutboxEmail.select()]


def last_facts(booking: Booking) -> dict[str, object]:
    lines = TimelineEntry.select().where(TimelineEntry.booking == booking)
    return dict(lines.order_by(TimelineEntry.id.desc()).first().facts)


def cases() -> Iterator[Any]:
    for what, anchor, *ends in TABLE:
        # Only the 24 hours span the change of clocks; the other rows take one of each.
        changes = list(CHANGES) if anchor == "24 h before" else list(CHANGES)[::3]
        offsets = {"before": -SECOND, "then": timedelta(0), "after": SECOND}
        for change in changes:
            for (name, offset), end in zip(offsets.items(), ends, strict=True):
                case = f"{what}-{anchor}-{name}-{change}"
                yield pytest.param(change, what, anchor, offset, end, id=case)


@pytest.mark.parametrize(("change", "what", "anchor", "offset", "end"), list(cases()))
def test_the_cancelling_table_holds_to_the_second_when_clocks_change(
    story: Story, change: str, what: str, anchor: str, offset: timedelta, end: End
) -> None:
    slug, sunday_at = CHANGES[change]
    assert (sunday_at.astimezone(UTC) - DAY).astimezone(sunday_at.tzinfo).hour != 10
    sunday_at = sunday_at.astimezone(UTC)
    Therapist.update(rate_minor=FEE, streak=1).where(Therapist.slug == slug).execute()
    if anchor == "the expiry":
        story.at(sunday_at - timedelta(hours=20))
        booking = story.ask(slug, starts_at=sunday_at + 7 * DAY)
    else:
        story.at(sunday_at - 5 * DAY)
        booking = story.ask(slug, starts_at=sunday_at)
        story.accept(booking)
    emails_before = emails()

    now = story.at(ANCHORS[anchor](booking) + offset)
    by = Actor.THERAPIST if what.startswith("therapist") else Actor.CLIENT
    terms = cancel.terms_of_cancelling(story.reload(booking), by=by, now=now)
    act(story, booking, what)

    booking = story.reload(booking)
    assert booking.status == end.status
    assert owed(booking) == BALANCES[end.fee_is]
    assert booking.therapist.streak == end.streak
    assert sorted(emails()) == sorted([*emails_before, *end.emails])
    assert sum(line.amount_minor for line in ledger.lines_of(booking)) == 0
    facts = last_facts(booking)
    if end.fee_is != "held":
        is_earned = end.fee_is == "earned"
        assert facts["refund_minor"] == (0 if is_earned else FEE)
        assert facts["charge_minor"] == (FEE if is_earned else 0)
        assert facts["payout_minor"] == (PAYOUT if is_earned else 0)
        assert facts["commission_minor"] == (COMMISSION if is_earned else 0)
        assert facts["within_notice"] is (end is CHARGED)
        assert facts["streak_delta"] == (1 if end is CALLED_OFF else 0)
    if "cancels" in what and end.fee_is != "held" and end.status.startswith("cancelled"):
        assert terms is not None, "the page before the click showed no terms"
        assert terms.settlement.charge_minor == facts["charge_minor"]
        assert terms.settlement.refund_minor == facts["refund_minor"]
        assert not terms.settlement.streak_delta or terms.streak == end.streak

    act(story, booking, what)
    assert owed(booking) == BALANCES[end.fee_is], "the repeated move moved money"
    assert story.reload(booking).therapist.streak == end.streak
    assert sorted(emails()) == sorted([*emails_before, *end.emails]), (
        "the repeated move sent an email"
    )


@pytest.mark.parametrize(
    ("fee", "percent", "commission"),
    [
        (1, "10", 0),
        (4, "10", 0),
        (5, "10", 1),
        (6005, "10", 601),
        (9999, "12.5", 1250),
        (7777, "33.33", 2592),
        (333, "0.15", 0),
        (334, "0.15", 1),
        (6000, "0", 0),
        (6000, "100", 6000),
    ],
)
def test_payout_and_commission_are_the_fee_for_every_fee_and_percentage(
    story: Story, monkeypatch: pytest.MonkeyPatch, fee: int, percent: str, commission: int
) -> None:
    changed = {**config.current().model_dump(), "commission_percent": Decimal(percent)}
    monkeypatch.setattr(config, "_current", Settings(**changed))
    profile.update("asha", {"rate_minor": fee}, story.now)
    booking = story.ask()
    story.accept(booking)
    story.at(booking.completes_at)
    total(due.complete_sessions(story.now))
    expected = {"client": -fee, "therapist": fee - commission, "commission": commission}
    assert owed(booking) == {account: amount for account, amount in expected.items() if amount}


def test_a_booking_keeps_the_price_of_its_request(story: Story) -> None:
    booking = story.ask()
    profile.update("asha", {"rate_minor": 9900}, story.now)
    story.accept(booking)
    story.at(booking.completes_at)
    total(due.complete_sessions(story.now))
    assert owed(booking) == {"client": -6000, "therapist": 5400, "commission": 600}
    assert [earning.payout_minor for earning in ledger.earnings_of(booking.therapist)] == [5400]


@pytest.mark.parametrize("end", ["completed", "no_show", "cancelled late", "expired", "declined"])
def test_a_free_session_moves_no_money_however_it_ends(story: Story, end: str) -> None:
    booking = story.ask(kind=Kind.FREE_CONSULTATION)
    if end == "declined":
        story.decline(booking)
    elif end != "expired":
        story.accept(booking)
    if end == "cancelled late":
        story.at(booking.starts_at - SECOND)
        story.cancel(booking, Actor.CLIENT)
    story.at(booking.completes_at)
    story.sweep()
    if end == "no_show":
        cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)
    assert story.reload(booking).status == end.replace("cancelled late", "cancelled_by_client")
    assert ledger.lines_of(booking) == []


def test_a_no_show_after_completion_earns_the_fee_only_once(story: Story) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.completes_at)
    story.sweep()
    cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)
    assert [(line.event, line.account) for line in ledger.lines_of(booking)] == [
        ("requested", "client"),
        ("requested", "held"),
        ("completed", "held"),
        ("completed", "therapist"),
        ("completed", "commission"),
    ]
    assert len(list(ledger.earnings_of(booking.therapist))) == 1


@pytest.mark.parametrize("attempt", range(3))
def test_if_both_cancel_at_once_one_wins_and_the_money_moves_once(
    story: Story, attempt: int
) -> None:
    booking = story.ask()
    story.accept(booking)

    def cancel_as(by: Actor) -> str:
        return f"{by} {story.cancel(booking, by).verdict}"

    verdicts = at_once([partial(cancel_as, by) for by in (Actor.CLIENT, Actor.THERAPIST) * 2])
    winner = "client" if story.reload(booking).status == "cancelled_by_client" else "therapist"
    loser = "therapist" if winner == "client" else "client"
    assert sorted(verdicts) == sorted(
        [f"{winner} allowed", f"{winner} repeated", f"{loser} overtaken", f"{loser} overtaken"]
    )
    assert owed(booking) == {}
    assert LedgerLine.select().where(LedgerLine.booking == booking).count() == 4


def test_terms_that_have_changed_since_they_were_shown_are_not_applied(story: Story) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.starts_at - DAY - SECOND)
    booking = story.reload(booking)
    shown = cancel.terms_of_cancelling(booking, by=Actor.CLIENT, now=story.now)
    assert shown is not None
    now = story.at(booking.starts_at - DAY)
    with pytest.raises(cancel.TermsChanged):
        cancel.cancel(booking, by=Actor.CLIENT, via=Via.LINK, now=now, agreed=shown.key)
    assert story.reload(booking).status == "accepted"
    assert owed(booking) == {"client": -6000, "held": 6000}


def test_reading_a_booking_stores_the_move_that_the_clock_has_made(
    story: Story,
) -> None:
    booking = story.ask()
    story.accept(booking)
    story.at(booking.completes_at)
    seen = transitions.refresh(booking.reference, via=Via.API, now=story.now)
    assert seen.status == "completed"
    assert owed(booking)["therapist"] == 5400
    assert queries.booking_by_reference(booking.reference).status == "completed"
