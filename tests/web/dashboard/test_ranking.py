"""Ranking: the place, the sum spelled out, the standing, and the picture with its words."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from flask import Flask

from app.rules.answer_history import Week
from app.services.jobs import due
from app.services.therapists import accounts
from app.store.models import Booking, Therapist
from app.web.dashboard.ranking import draw_chart
from tests.harness.page_stories import sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import Story, total
from tests.web.conftest import Visitor, counted_queries


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


def answered(story: Story, number: int, after_hours: float, how: str = "accept") -> Booking:
    client = (f"Client {number}", f"c{number}@clients.example", "Europe/London")
    start = story.now.replace(hour=10, minute=0) + timedelta(days=3 + number)
    booking = story.ask(client=client, starts_at=start)
    story.deliver()
    story.wait(hours=after_hours)
    if how == "expire":
        total(due.expire_enquiries(story.now))
    else:
        getattr(story, how)(booking)
    return booking


def test_nothing_happened_yet_is_the_best_score(asha: Visitor) -> None:
    page = asha.get("/dashboard/ranking").text
    assert "100.0" in page
    assert "of 100" in page
    assert "No enquiries that count yet" in page
    assert "among 3 listed therapists" in page


def test_the_sum_is_spelled_out_with_how_to_improve_it(story: Story, asha: Visitor) -> None:
    answered(story, 1, 10)
    answered(story, 2, 1, "decline")
    answered(story, 3, 24, "expire")
    page = asha.get("/dashboard/ranking").text
    assert "2 of 3 enquiries" in page
    assert "Each answer within 3 hours" in page
    assert "1 declined and 1 expired" in page
    # lateness (10 - 3) / 21 + 0 + 1 over 3 + 4; refused 2 of 3 + 4; a quarter of that
    assert "100 × 0.810 × 0.929 × 1.000 = <strong>75.2</strong>" in page
    assert '<span class="figure-large">75.2</span>' in page


def test_the_shown_score_is_the_stored_one_once_refreshed(story: Story, asha: Visitor) -> None:
    answered(story, 1, 10)
    total(due.apply_standing(story.now))
    stored = Therapist.get(slug="asha").score
    shown = f"{Decimal(stored).quantize(Decimal('0.1'))}"
    page = asha.get("/dashboard/ranking").text
    assert f'<span class="figure-large">{shown}</span>' in page
    assert '<span class="figure-large">3</span>' in page


def test_the_picture_tells_on_time_late_declined_and_expired_in_words_too(
    story: Story, asha: Visitor
) -> None:
    answered(story, 1, 1)
    answered(story, 2, 10)
    answered(story, 3, 1, "decline")
    answered(story, 4, 24, "expire")
    page = asha.get("/dashboard/ranking").text
    for outcome in ("On time", "Late", "Declined", "Expired"):
        assert f"{outcome}: 1." in page
    assert page.count('class="chart-') >= 4 + 4
    assert "Week from" in page
    assert "<style" not in page
    assert "style=" not in page


def test_what_does_not_count_is_in_no_bar(story: Story, asha: Visitor) -> None:
    booking = story.ask()
    story.deliver()
    story.wait(hours=1)
    story.withdraw(booking)
    story.ask()
    assert "No enquiries that count yet" in asha.get("/dashboard/ranking").text


@pytest.mark.parametrize(
    ("streak", "said"),
    [
        (0, "not cancelled a session"),
        (1, "From 4 in a row your account is flagged"),
        (3, "One more, and your account is flagged"),
        (4, "With 5 in a row it is deactivated"),
    ],
)
def test_the_standing_says_what_comes_next(
    streak: int, said: str, asha: Visitor, cast: Cast
) -> None:
    Therapist.update(streak=streak).where(Therapist.id == cast.asha.id).execute()
    page = asha.get("/dashboard/ranking").text
    assert said in page
    assert "sets the count back to zero" in page


@pytest.mark.parametrize(
    ("switch", "said"),
    [(accounts.pause, "temporarily deactivated"), (accounts.hide, "your profile is invisible")],
)
def test_a_therapist_who_is_not_listed_reads_why(
    switch: Callable[..., Therapist], said: str, asha: Visitor
) -> None:
    switch("asha", on=True)
    page = asha.get("/dashboard/ranking").text
    assert "You are not listed" in page
    assert said in page


def test_ranking_needs_no_more_queries_as_enquiries_grow(story: Story, asha: Visitor) -> None:
    booking = answered(story, 1, 1)
    asha.get("/dashboard/ranking")  # notes that the session was used
    with counted_queries() as few:
        asha.get("/dashboard/ranking")
    stored = Booking.get_by_id(booking.id)
    columns = {name: value for name, value in stored.__data__.items() if name != "id"}
    for number in range(60):
        earlier = timedelta(days=number)
        Booking.create(
            **{
                **columns,
                "reference": f"MB-{number:06}",
                "requested_at": stored.requested_at - earlier,
                "answered_at": stored.answered_at - earlier,
            }
        )
    with counted_queries() as many:
        page = asha.get("/dashboard/ranking")
    assert len(many) == len(few) <= 6
    assert len(page.data) < 40_000
    assert "On time: 61." in page.text


def test_a_month_of_one_week_leaves_the_room_to_the_next_months_name() -> None:
    weeks = [Week(date(2026, 8, 31) + timedelta(weeks=number)) for number in range(6)]
    assert [label.text for label in draw_chart(weeks).labels] == ["Sep", "Oct"]
