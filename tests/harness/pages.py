"""Reading public pages and filling in the request form."""

import html
import re
from typing import Any

from app.store.models import Booking
from tests.harness import page_stories
from tests.scenarios.cast import TUESDAY_10 as TUESDAY_10
from tests.web.conftest import Visitor

ELI = {
    "name": "Eli Marsh",
    "email": "eli@clients.example",
    "timezone": "Europe/London",
    "note": "",
}
ASHA = "/therapists/asha"


def text(response: Any) -> str:
    """The visible text, with single spaces."""
    page = re.sub(r"<script>.*?</script>", " ", response.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


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


def ask(**more: Any) -> Booking:
    """Eli asks, unless `more` says who does."""
    return page_stories.ask(**{**ELI, **more})
