"""What the stories of the pages share: asking, reading mail, pressing the buttons of a page."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import clock
from app.rules.lifecycle import Kind, Via
from app.services.bookings import request
from app.services.mail.sender import OutboxSender
from app.store import models
from app.store.models import Booking
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import TUESDAY_10
from tests.scenarios.story import total

HOUR = timedelta(hours=1)


def wanted(**more: Any) -> request.BookingRequest:
    """Dee, who lives in New York, wants to see Asha on Tuesday at ten in London."""
    asked: dict[str, Any] = {
        "therapist": "asha",
        "name": "Dee Stone",
        "email": "dee@clients.example",
        "timezone": "America/New_York",
        "starts_at": TUESDAY_10,
        "kind": Kind.PAID,
        "note": "I sleep badly.",
        **more,
    }
    return request.BookingRequest(**asked)


def ask(**more: Any) -> Booking:
    """Make the request of `wanted`."""
    return request.request_booking(wanted(**more), via=Via.PAGE, now=clock.now())


def now_of(booking: Booking) -> Booking:
    """The booking as the database has it now."""
    found: Booking = Booking.get_by_id(booking.id)
    return found


def all_rows() -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the database holds, but for the trails of who opened what."""
    trails = (models.ManageVisit, models.AccessEntry)
    return {
        table.__name__: sorted(table.select().tuples(), key=repr)
        for table in models.TABLES
        if table not in trails
    }


def link(app: Flask, mail: MailServer, kind: str, name: str) -> str:
    """The path of the link called `name` in the newest email of that kind, once all are sent."""
    total(OutboxSender(app.extensions["mailer"], clock.now).deliver())
    newest = next(sent.parsed for sent in reversed(mail.messages) if sent.kind == kind)
    body = newest.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert f"{name}:" in lines, f"{kind} has no {name}"
    parts = urlsplit(lines[lines.index(f"{name}:") + 1])

    return f"{parts.path}?{parts.query}" if parts.query else parts.path


@dataclass
class Form:
    """A form of a page: where it goes, and what it would send as it stands."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: int = 0
    # What its buttons that go elsewhere send, by where they go.
    elsewhere: list[tuple[str, dict[str, str]]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(said.get("action", ""), said.get("method", "get")))
        elif tag == "button" and self.found:
            self.found[-1].buttons += 1
            if "formaction" in said:
                sent = {said["name"]: said.get("value", "")} if "name" in said else {}
                self.found[-1].elsewhere.append((said["formaction"], sent))
        elif tag == "textarea":
            self._textarea = said["name"]
            self.found[-1].fields[self._textarea] = ""
        elif tag == "input" and self.found and _is_sent(said):
            self.found[-1].fields[said["name"]] = said.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.found[-1].fields[self._textarea] += re.sub(r"^\r?\n", "", data)


def _is_sent(said: dict[str, str]) -> bool:
    has_choice = said.get("type") in ("radio", "checkbox")
    return "name" in said and (not has_choice or "checked" in said)


def forms(page: TestResponse) -> list[Form]:
    """The forms of a page that post; one for each button of a form whose buttons say where."""
    parser = _Forms()
    parser.feed(page.text)
    found = []
    for form in parser.found:
        if form.method != "post" or not form.buttons:
            continue
        places = form.elsewhere or [(form.action, {})]
        found += [
            replace(form, action=action, fields={**form.fields, **sent}) for action, sent in places
        ]
    return found


def press(
    visitor: FlaskClient, path: str, action: str = "", *, follow: bool = True, **typed: str
) -> TestResponse:
    """Open a page and press the button of its form (the one that goes to `...action`)."""
    page = visitor.get(path)
    [form] = [each for each in forms(page) if each.action.endswith(action)][:1]
    return visitor.post(form.action or path, data={**form.fields, **typed}, follow_redirects=follow)


def sign_in(
    app: Flask, mail: MailServer, visitor: FlaskClient, email: str, next_path: str = ""
) -> TestResponse:
    """Sign in by email, as a therapist does, and stay signed in for up to 14 days."""
    visitor.post("/sign-in", data={"email": email, "next": next_path})
    return press(visitor, link(app, mail, "sign_in", "Sign In"), keep="yes")


def sign_in_as_ops(
    app: Flask, mail: MailServer, visitor: FlaskClient, email: str = "olu@ops.example"
) -> TestResponse:
    """Sign in to the ops desk, as somebody of OPS_SIGN_IN does."""
    visitor.post("/ops/sign-in", data={"email": email})
    return press(visitor, link(app, mail, "ops_sign_in", "Sign In"), keep="yes")


def hours_before(booking: Booking, hours: float) -> datetime:
    """An instant before the booking's start."""
    start: datetime = booking.starts_at
    return start - timedelta(hours=hours)
