"""Asking for a session, on both databases."""

from datetime import timedelta

import pytest

from app import clock
from app.errors import FreeConsultationUsed, SlotTaken
from app.rules.lifecycle import Kind, Via
from app.services import bookings
from app.store.models import Booking
from tests.conftest import MONDAY, Cast

TUESDAY_10 = MONDAY + timedelta(days=1, hours=1)


def ask(email: str = "dee@clients.example", **more: object) -> Booking:
    asked = {
        "therapist": "asha",
        "name": "Dee Stone",
        "email": email,
        "timezone": "America/New_York",
        "starts_at": TUESDAY_10,
        "kind": Kind.PAID,
        **more,
    }
    return bookings.request(bookings.Request(**asked), via=Via.API, now=clock.now())


def test_a_request_holds_its_time_against_another_client(cast: Cast) -> None:
    ask()
    with pytest.raises(SlotTaken):
        ask(email="eli@clients.example")


def test_a_second_free_consultation_with_the_same_therapist_is_refused(cast: Cast) -> None:
    ask(kind=Kind.FREE_CONSULTATION)
    with pytest.raises(FreeConsultationUsed):
        ask(
            email="DEE@Clients.example",
            kind=Kind.FREE_CONSULTATION,
            starts_at=TUESDAY_10 + timedelta(hours=1),
        )
