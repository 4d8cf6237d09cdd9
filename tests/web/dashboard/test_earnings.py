"""Earnings: sums by month of the therapist's own zone, session by session, and as a spreadsheet."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app.rules.lifecycle import Actor, Kind
from app.services.clients.erase import erase_client
from app.services.jobs import due
from app.services.ops import replay
from app.services.therapists import profile
from app.store.db.database import in_transaction
from app.store.models import Booking, LedgerLine
from app.store.queries import earnings
from tests.harness.page_stories import sign_in
from tests.harness.pages import has_word
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import ELI, Story, total
from tests.web.conftest import Visitor, counted_queries


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


def held(story: Story, **more: object) -> Booking:
    booking = story.ask(**more)  # type: ignore[arg-type]
    story.accept(booking)
    story.at(booking.completes_at)
    total(due.complete_sessions(story.now))
    return booking


def earned_at(booking: Booking, at: datetime) -> None:
    """Move what a booking brought to another moment."""
    LedgerLine.update(at=at).where(LedgerLine.booking == booking).execute()
    in_transaction(earnings.recount)(booking.therapist)


def rows(visitor: Visitor, query: str = "") -> list[dict[str, str]]:
    answer = visitor.get(f"/dashboard/earnings.csv{query}")
    assert answer.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


@pytest.mark.both_databases
def test_a_month_sums_fees_commission_and_payout(story: Story, asha: Visitor) -> None:
    assert "Nothing earned yet" in asha.get("/dashboard/earnings").text
    held(story)
    late = story.ask(client=ELI)
    story.accept(late)
    story.at(late.starts_at - timedelta(hours=24))
    story.cancel(late, Actor.CLIENT)
    page = asha.get("/dashboard/earnings").text
    assert "November 2026" in page
    assert "£108.00" in page
    assert "£120.00 in fees, less £12.00" in page
    assert "Cancelled late by the client" in page
    assert "London, GMT" in page


def test_what_brought_nothing_is_no_earning(story: Story, asha: Visitor) -> None:
    held(story, kind=Kind.FREE_CONSULTATION)
    cancelled = story.ask(client=ELI)
    story.accept(cancelled)
    story.cancel(cancelled, Actor.THERAPIST)
    assert "Nothing earned yet" in asha.get("/dashboard/earnings").text
    assert rows(asha) == []


def test_months_begin_at_midnight_in_the_therapists_zone(
    story: Story, app: Flask, mail: MailServer, visitor: Visitor
) -> None:
    booking = held(story, therapist="bran", starts_at=datetime(2026, 11, 4, 15, tzinfo=UTC))
    # Half past eleven in the evening of 31 October in New York, already November in UTC.
    earned_at(booking, datetime(2026, 11, 1, 3, 30, tzinfo=UTC))
    sign_in(app, mail, visitor, "bran@therapists.example")
    page = visitor.get("/dashboard/earnings").text
    assert "October 2026" in page
    assert "November 2026" not in page
    assert len(rows(visitor, "?month=2026-10")) == 1
    assert rows(visitor, "?month=2026-11") == []
    assert rows(visitor)[0]["earned_at"] == "2026-10-31 23:30"
    november = visitor.get("/dashboard/earnings?month=2026-11").text
    assert "earned nothing" in november


def test_the_spreadsheet_adds_up_and_names_its_zone(story: Story, asha: Visitor) -> None:
    booking = held(story)
    assert rows(asha, "?month=2026-11") == [
        {
            "earned_at": "2026-11-04 11:00",
            "time_zone": "Europe/London",
            "reference": booking.reference,
            "client": "Dee Stone",
            "session_starts_at": "2026-11-04 10:00",
            "reason": "Took place",
            "fee": "60.00",
            "commission": "6.00",
            "payout": "54.00",
            "currency": "GBP",
        }
    ]


@pytest.mark.both_databases
def test_an_erased_client_leaves_the_earnings_and_takes_the_name(
    story: Story, asha: Visitor
) -> None:
    held(story)
    erase_client("dee@clients.example", story.now)
    page = asha.get("/dashboard/earnings").text
    assert "£54.00" in page
    assert "Erased" in page
    assert not has_word("Dee", page)
    assert rows(asha)[0]["client"] == "Erased"


@pytest.mark.both_databases
def test_another_time_zone_counts_the_months_again(story: Story, asha: Visitor) -> None:
    # Half past eleven in the evening of 30 November in London.
    earned_at(held(story), datetime(2026, 11, 30, 23, 30, tzinfo=UTC))
    held(story, client=ELI)
    assert "from 2 sessions" in asha.get("/dashboard/earnings?month=2026-11").text
    profile.update("asha", {"timezone": "Europe/Athens"}, story.now)
    for month in ("2026-11", "2026-12"):
        assert "from one session" in asha.get(f"/dashboard/earnings?month={month}").text
        assert len(rows(asha, f"?month={month}")) == 1
    assert list(replay.find_differences(story.now)) == []


@pytest.mark.both_databases
def test_each_year_has_its_own_sum(story: Story, asha: Visitor) -> None:
    first, second = held(story), held(story, client=ELI)
    earned_at(first, datetime(2025, 12, 9, tzinfo=UTC))
    page = asha.get("/dashboard/earnings").text
    assert "month=2025-12" in page
    assert "December" not in page
    assert page.count("£54.00") == 4
    assert first.reference not in page
    assert second.reference in page
    assert "December 2025" in asha.get("/dashboard/earnings?month=2025-12").text


def test_a_month_that_is_none_is_answered_calmly(story: Story, asha: Visitor) -> None:
    held(story)
    for month in ("x", "2026-13", "2026", "-", "9999-12", "0001-01", "2026-1"):
        for path in ("/dashboard/earnings", "/dashboard/earnings.csv"):
            assert asha.get(f"{path}?month={month}").status_code == 200, month


@pytest.mark.both_databases
def test_earnings_need_no_more_queries_as_sessions_grow(story: Story, asha: Visitor) -> None:
    booking = held(story)
    asha.get("/dashboard/earnings")  # notes that the session was used
    with counted_queries() as few:
        asha.get("/dashboard/earnings")
    stored = Booking.get_by_id(booking.id)
    columns = {name: value for name, value in stored.__data__.items() if name != "id"}
    for number in range(45):
        copy = Booking.create(**{**columns, "reference": f"MB-{number:06}"})
        LedgerLine.create(
            booking=copy,
            event="completed",
            account="therapist",
            amount_minor=5400,
            currency="GBP",
            at=datetime(2026, 11, 4, tzinfo=UTC) - timedelta(days=number % 3),
            therapist=stored.therapist_id,
        )
    in_transaction(earnings.recount)(booking.therapist)
    with counted_queries() as many:
        page = asha.get("/dashboard/earnings")
    assert len(many) == len(few) <= 5
    assert len(page.data) < 40_000
    assert "Page 1 of 2" in page.text
    assert "from 46 sessions" in page.text
    assert "from 46 sessions" in asha.get("/dashboard/earnings?month=2026-11&page=2").text


def test_another_therapists_earnings_are_not_shown(
    story: Story, app: Flask, mail: MailServer, visitor: Visitor
) -> None:
    held(story)
    sign_in(app, mail, visitor, "bran@therapists.example")
    for query in ("", "?month=2026-11"):
        assert "£54.00" not in visitor.get(f"/dashboard/earnings{query}").text
        assert rows(visitor, query) == []
