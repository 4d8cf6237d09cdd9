"""A statement is compiled once and means what peewee's own query means."""

from datetime import timedelta
from typing import Any

import pytest
from peewee import JOIN

from app.rules.lifecycle import Status
from app.store.db import statements
from app.store.db.database import in_transaction
from app.store.db.statements import Statement
from app.store.models import Booking, Client, OutboxEmail, Purpose, Therapist, Writing
from app.store.queries import with_therapist_and_client
from tests.scenarios.story import Story
from tests.web.conftest import counted_queries

pytestmark = pytest.mark.both_databases


def test_a_query_is_built_once_and_executed_with_each_value(story: Story) -> None:
    built: list[Any] = []

    def build(slug: Any) -> Any:
        built.append(slug)
        return Therapist.select().where(Therapist.slug == slug)

    by_slug = Statement[Therapist](build)
    found = [by_slug.first(slug) for slug in ("asha", "bran", "nobody")]
    assert [each and each.slug for each in found] == ["asha", "bran", None]
    assert len(built) == 1


def test_objects_are_those_that_peewee_makes(story: Story) -> None:
    booking = story.ask()
    by_id = Statement[Booking](lambda wanted: with_therapist_and_client(Booking.id == wanted))
    found, usual = (
        by_id.first(booking.id),
        with_therapist_and_client(Booking.id == booking.id).get(),
    )
    assert found is not None
    assert found.__data__ == usual.__data__
    assert {name: type(value) for name, value in found.__data__.items()} == {
        name: type(value) for name, value in usual.__data__.items()
    }
    with counted_queries() as seen:
        assert found.therapist.__data__ == usual.therapist.__data__
        assert found.client.__data__ == usual.client.__data__
    assert seen == []
    assert found.dirty_fields == []


def test_one_parameter_takes_any_number_of_values(story: Story) -> None:
    therapists = Statement[Therapist](
        lambda slugs: Therapist.select().where(Therapist.slug.in_(slugs)).order_by(Therapist.slug)
    )
    for wanted in (["asha"], ["asha", "bran"], [], ["chi", "bran", "asha"]):
        assert [each.slug for each in therapists.all(wanted)] == sorted(wanted)


def test_lists_of_many_lengths_need_few_texts(story: Story) -> None:
    built = list[int]()

    def build(ids: list[Any]) -> Any:
        built.append(len(ids))
        return Therapist.select(Therapist.id).where(Therapist.id.in_(ids)).tuples()

    statement = Statement[tuple[int]](build)
    known = sorted(row.id for row in Therapist.select(Therapist.id))
    for length in range(9):
        found = statement.all([*known, *range(1000, 1010)][:length])
        assert sorted(row[0] for row in found) == known[:length]
    assert built == [0, 1, 2, 4, 8]


def test_a_parameter_is_stored_as_each_field_it_is_compared_with(story: Story) -> None:
    booking = story.ask()
    around = Statement[tuple[Any, ...]](
        lambda at: (
            Booking.select(Booking.starts_at, Booking.status)
            .where(Booking.starts_at <= at, Booking.ends_at > at)
            .tuples()
        )
    )
    expected = [(booking.starts_at, Status.REQUESTED)]
    assert around.all(booking.starts_at + timedelta(minutes=1)) == expected
    assert around.all(booking.starts_at - timedelta(minutes=1)) == []


def test_rows_are_inserted_together_and_one_alone_learns_its_id(story: Story) -> None:
    def client(name: str) -> Client:
        address = f"{name}@clients.example"
        return Client(email=address, email_key=address, created_at=story.now)

    one, *others = client("one"), client("two"), client("three")
    with counted_queries() as seen:
        in_transaction(statements.insert)(one)
        in_transaction(statements.insert)(*others)
    assert len([each for each in seen if each.startswith("INSERT")]) == 2
    assert Client.get(Client.email_key == "one@clients.example").id == one.id
    assert Client.select().count() == 3
    assert one.dirty_fields == []


def test_an_update_counts_the_rows_it_changed(story: Story) -> None:
    asha = Therapist.get(Therapist.slug == "asha")
    change = in_transaction(statements.update)
    assert change(Therapist, {"headline": "new", "meeting_url": None}, id=asha.id, streak=0) == 1
    assert change(Therapist, {"headline": "newer"}, id=asha.id, streak=7) == 0
    found = Therapist.get_by_id(asha.id)
    assert (found.headline, found.meeting_url) == ("new", None)


def test_saving_stores_what_was_assigned_and_nothing_else(story: Story) -> None:
    asha, same = (Therapist.get(Therapist.slug == "asha") for _ in range(2))
    same.headline = "of another"
    same.save()
    asha.streak = 2
    with counted_queries() as seen:
        assert asha.save() == 1
        assert asha.save() == 0
    assert len(seen) == 1
    found = Therapist.get_by_id(asha.id)
    assert (found.headline, found.streak) == ("of another", 2)


def test_text_is_encrypted_for_its_own_row_also_when_rows_are_inserted_together(
    story: Story,
) -> None:
    bookings = [story.ask(), story.ask(starts_at=story.now + timedelta(hours=54))]
    writings = [
        Writing(
            booking=booking.id,
            purpose=Purpose.MESSAGE,
            author="client",
            body=f"for {booking.reference}",
            created_at=story.now,
        )
        for booking in bookings
    ]
    in_transaction(statements.insert)(*writings)
    stored = Statement[Writing](lambda wanted: Writing.select().where(Writing.booking == wanted))
    for booking in bookings:
        found = stored.first(booking.id)
        assert found is not None
        assert found.body == f"for {booking.reference}"


def test_a_joined_row_that_is_not_there_is_none(story: Story) -> None:
    emails = Statement[OutboxEmail](
        lambda about: (
            OutboxEmail.select(OutboxEmail, Booking)
            .join(Booking, JOIN.LEFT_OUTER)
            .where(OutboxEmail.about == about)
        )
    )
    booking = story.ask()
    OutboxEmail.update(booking=None).where(OutboxEmail.role == "therapist").execute()
    assert {each.booking and each.booking.id for each in emails.all(booking.reference)} == {
        None,
        booking.id,
    }
