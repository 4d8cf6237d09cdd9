"""Every form of the site: it takes what a form sends and no more, and says in view what came."""

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, url_for

from app import clock
from app.links import LinkPurpose, mint
from app.rules.lifecycle import Kind
from app.services import auth
from app.services.bookings import confirm
from app.services.bookings.request import BookingRequest
from app.store.models import Booking, PendingRequest, SignIn
from app.web.links import tokens
from tests.harness.page_stories import all_rows, forms, sign_in, sign_in_as_ops
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import TUESDAY_10, Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor

BODIES: dict[str, dict[str, Any]] = {
    "json": {"json": {"on": "yes", "monday": ["09:00"], "name": 7, "csrf_token": {}}},
    "json list": {"json": ["name"]},
    "broken json": {"data": b"{", "content_type": "application/json"},
    "text": {"data": b"on=yes", "content_type": "text/plain"},
    "no type": {"data": b"on=yes", "content_type": ""},
    "file": {"files": ("name", "monday", "message", "email", "on", "choice", "reason")},
}
REFUSED = {400, 404, 422}


def post_paths(app: Flask, booking: Booking, sign_in_key: str) -> dict[str, str]:
    """The path of each page that takes a POST, by its endpoint."""
    email = booking.emails.get().id
    given = {"slug": "asha", "reference": booking.reference, "number": email, "who": "client"}
    purposes = {"links.accept": LinkPurpose.ACCEPT, "links.decline": LinkPurpose.DECLINE}
    paths = {}
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "POST" not in (rule.methods or ()) or rule.rule.startswith("/api/"):
                continue
            purpose = purposes.get(rule.endpoint, LinkPurpose.MANAGE)
            if rule.endpoint.startswith("choose."):
                purpose = LinkPurpose.CHOOSE
            token = tokens.path(purpose, booking).rpartition("/")[2]
            if rule.endpoint == "links.sign_in":
                token = sign_in_key
            if rule.endpoint == "confirm.confirm_request":
                token = confirm_token()
            values = {**given, "token": token}
            paths[rule.endpoint] = url_for(
                rule.endpoint, **{name: values[name] for name in rule.arguments}
            )
    return paths


def confirm_token() -> str:
    wanted = BookingRequest(
        therapist="bran",
        name="Eli Marsh",
        email="eli@clients.example",
        timezone="UTC",
        starts_at=TUESDAY_10 + timedelta(hours=6),
        kind=Kind.PAID,
    )
    key = confirm.take_request(wanted, now=clock.now())
    return confirm.url(PendingRequest.get(PendingRequest.key == key)).rpartition("/")[2]


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in, and to the ops desk as well."""
    sign_in_as_ops(app, mail, visitor)
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


@pytest.fixture
def paths(app: Flask, story: Story, asha: Visitor, cast: Cast) -> dict[str, str]:
    auth.request_sign_in("asha@therapists.example", "", story.now)
    key = SignIn.select().order_by(SignIn.id.desc()).get().key
    found = post_paths(
        app, story.ask(), mint(LinkPurpose.SIGN_IN, holder=f"t{cast.asha.id}", subject=key)
    )
    assert len(found) > 15
    return found


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_form_is_refused_everywhere_and_changes_nothing(
    asha: Visitor, paths: dict[str, str], body: str
) -> None:
    token = forms(asha.get("/dashboard/profile"))[0].fields["csrf_token"]
    before, wrong = all_rows(), {}
    for endpoint, path in paths.items():
        sent = dict(BODIES[body])
        if "files" in sent:
            files = {name: (io.BytesIO(b"x"), "x.txt") for name in sent.pop("files")}
            sent["data"] = {**files, "csrf_token": token}
        answer = asha.post(path, **sent, headers={"X-CSRFToken": token})
        if answer.status_code not in REFUSED:
            wrong[endpoint] = answer.status_code
    assert wrong == {}
    assert all_rows() == before


def test_the_address_of_every_answer_can_be_opened_again(
    asha: Visitor, paths: dict[str, str]
) -> None:
    before = all_rows()
    statuses = {path: asha.get(path, follow_redirects=True).status_code for path in paths.values()}
    assert {path: status for path, status in statuses.items() if status == 405} == {}
    assert all_rows() == before


@pytest.mark.parametrize("action", ["about", "offer", "hours", "add-time-off", "pause", "hide"])
def test_a_form_that_came_without_its_fields_clears_nothing(asha: Visitor, action: str) -> None:
    token = forms(asha.get("/dashboard/profile"))[0].fields["csrf_token"]
    before = all_rows()
    answer = asha.post(f"/dashboard/profile/{action}", data={"csrf_token": token})
    assert answer.status_code in REFUSED
    assert all_rows() == before


def focused(page: Any) -> list[str]:
    """The opening tags of what a browser gives the focus on that page, in order."""
    return re.findall(r"<[^>]*\sautofocus[^>]*>", page.text)


@pytest.mark.parametrize(("form", "field"), [("message", "message"), ("note", "private_note")])
def test_a_text_is_answered_beside_its_field(
    story: Story, asha: Visitor, form: str, field: str
) -> None:
    path = f"/dashboard/sessions/{story.ask().reference}"
    token = forms(asha.get(path))[0].fields["csrf_token"]
    refused = asha.post(f"{path}/{form}", data={"csrf_token": token, field: " "})
    assert [f'id="{field}"' in tag for tag in focused(refused)] == [True]
    done = asha.post(f"{path}/{form}", data={"csrf_token": token, field: "Hello."})
    assert (done.status_code, done.headers["Location"]) == (303, f"{path}#said")
    page = asha.get(path)
    assert page.text.count('id="said"') == 1
    section = {"message": "messages", "note": "notes"}[form]
    assert f'id="{section}"' in page.text[: page.text.index('id="said"')].rpartition("<section")[2]
    assert focused(asha.get(path)) == []


def test_a_setting_is_answered_in_its_own_section(asha: Visitor) -> None:
    for form in forms(asha.get("/dashboard/profile"))[1:]:
        if not form.action.endswith(("/hours", "/offer", "/about", "/hide", "/pause")):
            continue
        done = asha.post(form.action, data=form.fields, follow_redirects=True)
        before = done.text[: done.text.index('id="said"')]
        section = re.findall(r'<section class="panel" id="([a-z-]+)"', before)[-1]
        assert form.action.endswith((section, "/hide", "/pause"))
        assert (section == "visibility") == form.action.endswith(("/hide", "/pause"))


def test_a_message_by_link_is_confirmed_only_while_it_is_so(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    booking = story.ask()
    with app.test_request_context():
        path = tokens.path(LinkPurpose.MANAGE, booking)
    assert 'id="said"' not in visitor.get(f"{path}?sent=message").text
    done = visitor.post(f"{path}/message", data={"message": "Hello."})
    assert done.headers["Location"].endswith("?sent=message#said")
    assert 'id="said"' in visitor.get(f"{path}?sent=message").text
    story.wait(hours=1)
    assert 'id="said"' not in visitor.get(f"{path}?sent=message").text
    refused = visitor.post(f"{path}/message", data={"message": ""})
    assert ['id="message"' in tag for tag in focused(refused)] == [True]
