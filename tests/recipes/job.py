"""The main job over HTTP and SMTP: ask, confirm, accept, be told."""

import http.cookiejar
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

from app.demo.maildir import stored_messages
from tests.harness.page_stories import Form, forms
from tests.harness.smtp_server import PATIENCE_S, MailServer
from tests.harness.waiting import until

# The text of the newest email of a kind, or None.
Mailbox = Callable[[str], str | None]


def received(mail: MailServer) -> Mailbox:
    return lambda kind: _text([each.parsed for each in mail.messages if each.kind == kind])


def in_maildir(folder: Path) -> Mailbox:
    def newest(kind: str) -> str | None:
        stored = [each.message for each in reversed(stored_messages(folder))]
        return _text([each for each in stored if each["X-Mindsum-Email"] == kind])

    return newest


def _text(messages: list[Any]) -> str | None:
    return str(messages[-1].get_body(("plain",)).get_content()) if messages else None


def play(site: str, mail: Mailbox) -> None:
    """Dee asks Asha, confirms, Asha accepts, Dee is told. AssertionError, or OSError, if not."""
    dee, asha = Browser(site), Browser(site)
    until("the site to answer", lambda: dee.get("/healthz"))
    page = dee.get("/therapists/asha")
    starts = re.findall(r'value="(\d{4}-\d\d-\d\dT\d\d:\d\d:00Z)"', page)
    assert starts, "Asha has no open time"
    [form] = [each for each in forms_of(page) if "form_key" in each.fields][:1]
    person = {"name": "Dee Stone", "email": "dee@clients.example", "note": "I sleep badly."}
    dee.post("/therapists/asha", {**form.fields, **person, "starts_at": starts[-1]})
    assert mail("booking_requested") is None
    dee.press(until("the email to confirm", lambda: mail("confirm_request")), "confirm")
    asha.press(until("the therapist's email", lambda: mail("booking_requested")), "accept")
    told = until("the confirmation", lambda: mail("booking_accepted"))
    assert told.startswith("Confirmed: Asha"), told


def forms_of(page: str) -> list[Form]:
    answer: Any = SimpleNamespace(text=page)
    return forms(answer)


class Browser:
    """Without scripts, with cookies of its own."""

    def __init__(self, site: str) -> None:
        self._site = site
        cookies = HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = build_opener(ProxyHandler({}), cookies)

    def get(self, path: str) -> str:
        with self._opener.open(f"{self._site}{path}", timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def post(self, path: str, fields: dict[str, str]) -> str:
        body = urlencode(fields).encode()
        with self._opener.open(f"{self._site}{path}", body, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def press(self, email: str, purpose: str) -> None:
        """Open the link of an email and press the button of its page."""
        found = re.search(rf"https?://[^/\s]+(/link/{purpose}/\S+)", email)
        assert found, f"no link for {purpose} in {email}"
        self.press_at(found[1])

    def press_at(self, path: str) -> str:
        """Open a link and press its page's first button; the page that follows."""
        [form] = forms_of(self.get(path))[:1]
        return self.post(path, form.fields)
