"""Reading public pages and filling in the request form."""

import html
import re
from datetime import timedelta
from typing import Any

from app import clock
from app.rules.lifecycle import Kind, Via
from app.services.bookings.request import BookingRequest, request_booking
from app.store.models import Booking
from tests.scenarios.cast import MONDAY
from tests.web.conftest import Visitor

TUESDAY_10 = MONDAY + timedelta(days=1, hours=1)
ASHA = "/therapists/asha"


def text(response: Any) -> str:
    """The visible text, with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


def has_word(word: str, page: str) -> bool:
    """Whether a page has the whole word; its letters may be part of a token by chance."""
    return bool(re.search(rf"\b{re.escape(word)}\b", page))


def token(response: Any, name: str = "csrf_token") -> str:
    return re.search(rf'name="{name}"[^>]*value="([^"]+)"', response.text)[1]


def filled(visitor: Visitor, path: str = ASHA, **changed: str) -> dict[str, str]:
    page = visitor.get(path)
    return {
        "csrf_token": token(page),
        "form_key": token(page, "form_key"),
        "starts_at": "2026-11-03T10:00:00Z",
        "kind": "paid",
        "name": "Dee Stone",
        "email": "dee@clients.example",
        "timezone": "America/New_York",
        "note": "A note for Asha",
        **changed,
    }


def ask(slug: str = "asha", email: str = "eli@clients.example", **more: Any) -> Booking:
    asked = {
        "name": "Eli Marsh",
        "timezone": "Europe/London",
        "starts_at": TUESDAY_10,
        "kind": Kind.PAID,
        **more,
    }
    request = BookingRequest(therapist=slug, email=email, **asked)
    return request_booking(request, via=Via.PAGE, now=clock.now())
