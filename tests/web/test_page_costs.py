"""What a page costs: few queries, no more as bookings grow, and few bytes."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from app.rules.lifecycle import Kind
from tests.harness.page_stories import sign_in, sign_in_as_ops
from tests.scenarios import full_site
from tests.scenarios.cast import therapist
from tests.scenarios.full_site import Bookings
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor, counted_queries

# A booking's own page also asks, in one query each, which of its emails did not arrive and who has
# read it; every page of the dashboard asks whether emails reach its therapist.
MOST_QUERIES, MOST_BYTES = 7, 40_000
# The ops desk is read by few; its booking shows all that is on record, and its jobs are checked.
MOST_QUERIES_OF_OPS = 16
# That the link was opened, and that what people wrote was read.
MOST_RECORDED = 3
RECORDS = (
    'INSERT INTO "access_entry"',
    'UPDATE "booking" SET "unread_since"',
    # Taken before that on PostgreSQL.
    'SELECT "t1"."id" FROM "therapist" AS "t1" WHERE ("t1"."id" IN (%s)) ORDER BY',
)


@pytest.fixture
def bookings(story: Story) -> Bookings:
    return full_site.fill(story)


def grow(story: Story) -> None:
    """Add twelve bookings and clients, and four therapists, to what the pages list."""
    for number in range(4):
        therapist(f"T{number} Marsh", "Europe/Paris")
    sunday = story.now.replace(hour=9, minute=0, second=0, microsecond=0) + timedelta(days=5)
    for number in range(12):
        client = (f"Client {number} Long", f"c{number}@clients.example", "Asia/Tokyo")
        at = sunday + timedelta(days=number // 6, hours=number % 6)
        booking = story.ask(client=client, starts_at=at, note="A long note. " * 40)
        story.sent()
        if number % 3:
            story.accept(booking)
        if number % 3 == 1:
            story.ask(client=client, starts_at=at + timedelta(days=3), kind=Kind.FREE_CONSULTATION)
    story.sent()


def costs(visitor: Visitor, paths: list[str]) -> dict[str, int]:
    """The number of queries of each page; AssertionError if a page is too long."""
    counts = {}
    for path in paths:
        with counted_queries() as seen:
            page = visitor.get(path)
        assert page.status_code < 500
        assert len(page.data) < MOST_BYTES, path
        recorded = [each for each in seen if each.startswith(RECORDS)]
        assert len(recorded) <= MOST_RECORDED, path
        counts[path] = len(seen) - len(recorded)
    return counts


def assert_cheap(
    visitor: Visitor, paths: list[str], story: Story, most: int = MOST_QUERIES
) -> None:
    before = costs(visitor, paths)
    assert {path: count for path, count in before.items() if count > most} == {}
    grow(story)
    after = costs(visitor, paths)
    assert {path: count for path, count in after.items() if count > before[path]} == {}


@pytest.mark.parametrize(
    "whose",
    [full_site.by_link, lambda _: [*full_site.public(), *full_site.files()]],
    ids=["link", "public"],
)
def test_a_visitors_pages_need_few_queries_and_no_more_as_bookings_grow(
    app: Flask, story: Story, bookings: Bookings, whose: Callable[[Bookings], list[str]]
) -> None:
    with app.test_request_context():
        paths = whose(bookings)
    assert_cheap(another_visitor(app), paths, story)


def test_a_therapists_pages_need_few_queries_and_no_more_as_bookings_grow(
    app: Flask, story: Story, bookings: Bookings
) -> None:
    asha = another_visitor(app)
    sign_in(app, story.mail, asha, "asha@therapists.example")
    assert_cheap(asha, full_site.for_asha(bookings), story)


def test_the_ops_desks_pages_need_few_queries_and_no_more_as_bookings_grow(
    app: Flask, story: Story, bookings: Bookings
) -> None:
    olu = another_visitor(app)
    sign_in_as_ops(app, story.mail, olu)
    assert_cheap(olu, full_site.for_ops(bookings), story, MOST_QUERIES_OF_OPS)


def test_every_page_of_the_site_is_listed_here(app: Flask, bookings: Bookings) -> None:
    with app.test_request_context():
        paths = [*full_site.public(), *full_site.files(), *full_site.by_link(bookings)]
        paths += full_site.for_asha(bookings)
        paths += full_site.for_ops(bookings)
    elsewhere = {
        "links.view_session",  # goes on to the session's page
        "session.show_again",
        "profile.show_again",
        "signed_in.show_again",
        "photo.show_again",
        "feed.show_again",
        "first_steps.show_again",
        "ops_desk.show_sign_ins_again",
        "ops_bookings.show_again",
        "ops_outbox.show_all_again",
        "ops_outbox.show_again",
        "ops_people.show_unreachable_again",
        "ops_people.show_account_again",
        "client.show_again",
        "client_move.show_again",
        "move.show_again",
        "links.show_sign_in",
        "client.calendar_file",
        "sessions.export",
        "earnings.export",
    }
    assert full_site.pages(app) - elsewhere == full_site.endpoints(app, paths)
