"""The key that a statement violated, as each driver reports it; values never mislead it."""

from collections.abc import Callable
from typing import Any

import peewee
import pytest

from app.errors import InvalidFields
from app.services.therapists import accounts
from app.services.therapists.accounts import NewTherapist
from app.store.db.errors import Key, violated
from app.store.models import Booking, HeldTime, LedgerLine, Table, Therapist
from tests.scenarios.story import Story

# A value that names every key, so that reading the message's words would find the wrong one.
MISLEADING = " ".join(f"{key} {key.name}" for key in Key) + " email held_time free_consultation"


def copy_of(row: Table, **changes: Any) -> None:
    columns = {name: value for name, value in row.__data__.items() if name != "id"}
    type(row).insert(columns | changes).execute()


def same_slug(booking: Booking) -> None:
    copy_of(booking.therapist, email_key="email-key-of-someone-else")


def same_address(booking: Booking) -> None:
    Therapist.update(email_key=MISLEADING).execute()
    copy_of(booking.therapist, slug="slug", email_key=MISLEADING)


def same_time(booking: Booking) -> None:
    cell = HeldTime.get(booking=booking)
    HeldTime.insert(therapist=cell.therapist_id, cell_at=cell.cell_at, booking=booking).execute()


def second_free_consultation(booking: Booking) -> None:
    Booking.update(uses_free_consultation=True).execute()
    copy_of(booking, reference="held_time", uses_free_consultation=True)


def same_reference(booking: Booking) -> None:
    copy_of(booking)


def same_ledger_line(booking: Booking) -> None:
    LedgerLine.update(account="held_time", event="booking_requested").where(
        LedgerLine.account == "held"
    ).execute()
    copy_of(LedgerLine.get(account="held_time"))


def no_therapist(booking: Booking) -> None:
    HeldTime.insert(therapist=booking.id + 1000, cell_at=0, booking=booking).execute()


@pytest.mark.parametrize(
    ("violate", "key"),
    [
        (same_slug, Key.THERAPIST_SLUG),
        (same_address, Key.THERAPIST_ADDRESS),
        (same_time, Key.HELD_TIME),
        (second_free_consultation, Key.FREE_CONSULTATION),
        (same_reference, None),
        (same_ledger_line, None),
        (no_therapist, None),
    ],
)
def test_the_violated_key_is_the_one_that_the_driver_names(
    story: Story, violate: Callable[[Booking], None], key: Key | None
) -> None:
    booking = story.ask()
    with pytest.raises(peewee.IntegrityError) as raised:
        violate(booking)
    assert violated(raised.value) is key


@pytest.mark.parametrize("slug", ["email-coach", "therapist_email_key", "email_key"])
def test_a_taken_slug_that_contains_a_key_s_name_is_still_a_taken_slug(
    story: Story, slug: str
) -> None:
    def add(address: str) -> None:
        new = NewTherapist(
            slug=slug, name="Eve", email=address, timezone="UTC", rate_minor=6000, windows=()
        )
        accounts.add_therapist(new, story.now)

    add("eve@therapists.example")
    with pytest.raises(InvalidFields) as taken:
        add("other@therapists.example")
    assert [error.field for error in taken.value.errors] == ["slug"]


def test_a_taken_address_that_contains_a_key_s_name_is_still_a_taken_address(story: Story) -> None:
    def add(slug: str) -> None:
        new = NewTherapist(
            slug=slug,
            name="Eve",
            email="slug@therapist-slug.example",
            timezone="UTC",
            rate_minor=6000,
            windows=(),
        )
        accounts.add_therapist(new, story.now)

    add("eve")
    with pytest.raises(InvalidFields) as taken:
        add("eve-2")
    assert [error.field for error in taken.value.errors] == ["email"]
