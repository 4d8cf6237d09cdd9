"""What a person typed is never lost: not to another button of the page, nor to an error."""

from typing import Any

import pytest
from flask import Flask, abort

from app.errors import OutcomeUnknown, StoreUnavailable
from app.links import LinkPurpose
from app.store.models import Therapist, TimeOff, Writing
from app.web.links import tokens
from app.web.security import csrf, limiter
from tests.harness.page_stories import Form, all_rows, forms, now_of, sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor

PROFILE = "/dashboard/profile"
TEXTS = {"reason": "I am\naway <3", "message": "Please bring\nwater.", "private_note": "Tired."}


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


def form_to(page: Any, end: str) -> Form:
    return next(form for form in forms(page) if form.action.endswith(end))


def typed_on(page: Any) -> dict[str, str]:
    fields = forms(page)[-1].fields
    return {name: fields[name].strip() for name in TEXTS if fields.get(name, "").strip()}


@pytest.mark.parametrize(
    ("button", "sent", "gone"),
    [
        ("/accept", None, ("reason",)),
        ("/decline", "reason", ("message",)),
        ("/message", "message", ()),
        ("/note", "private_note", ()),
    ],
)
def test_each_button_of_a_session_keeps_what_was_typed_beside_the_others(
    story: Story, asha: Visitor, button: str, sent: str | None, gone: tuple[str, ...]
) -> None:
    booking = story.ask()
    page = f"/dashboard/sessions/{booking.reference}"
    fields = {**form_to(asha.get(page), button).fields, **TEXTS}
    answer = asha.post(page + button, data=fields)
    assert answer.status_code == 200
    left = {name: text for name, text in TEXTS.items() if name not in (sent, *gone)}
    kept = typed_on(answer)
    assert kept == left
    # What has no box any more is shown as not sent.
    assert ("This was not sent" in answer.text) == bool(gone)
    assert all(text.partition("\n")[0] in answer.text for text in TEXTS.values())
    assert 'id="said"' in answer.text
    before = all_rows()
    assert asha.post(page + button, data=fields).status_code == 200
    assert all_rows() == before


def test_a_refused_text_keeps_the_others(story: Story, asha: Visitor) -> None:
    page = f"/dashboard/sessions/{story.ask().reference}"
    sent = {**form_to(asha.get(page), "/message").fields, **TEXTS, "message": "x" * 4001}
    refused = asha.post(f"{page}/message", data=sent)
    assert refused.status_code == 422
    assert typed_on(refused) == {**TEXTS, "message": "x" * 4001}
    assert "4000 characters" in refused.text


def test_a_move_that_came_too_late_keeps_what_was_typed(story: Story, asha: Visitor) -> None:
    booking = story.ask()
    page = f"/dashboard/sessions/{booking.reference}"
    sent = {**form_to(asha.get(page), "/decline").fields, **TEXTS}
    story.withdraw(booking)
    refused = asha.post(f"{page}/decline", data=sent)
    assert refused.status_code == 409
    for text in TEXTS.values():
        assert text.partition("\n")[0] in refused.text


def test_a_second_no_with_another_reason_does_not_swallow_it(story: Story, asha: Visitor) -> None:
    booking = story.ask()
    page = f"/dashboard/sessions/{booking.reference}"
    token = {"csrf_token": form_to(asha.get(page), "/decline").fields["csrf_token"]}
    assert asha.post(f"{page}/decline", data={**token, "reason": "Ill."}).status_code == 303
    assert asha.post(f"{page}/decline", data={**token, "reason": "Ill."}).status_code == 303
    again = asha.post(f"{page}/decline", data={**token, "reason": "On holiday."})
    assert "This was not sent" in again.text
    assert "On holiday." in again.text


def test_showing_all_messages_keeps_what_was_typed(app: Flask, story: Story, asha: Visitor) -> None:
    booking = story.ask()
    page = f"/dashboard/sessions/{booking.reference}"
    token = forms(asha.get(page))[0].fields
    for number in range(11):
        asha.post(f"{page}/note", data={**token, "private_note": f"Note {number}."})
    more = form_to(asha.get(page), "#notes")
    assert more.fields["messages"] == "all"
    shown = asha.post(more.action, data={**more.fields, **TEXTS})
    assert "Note 0." in shown.text
    assert typed_on(shown) == TEXTS

    with app.test_request_context():
        path = tokens.path(LinkPurpose.MANAGE, booking)
    asha.post(path + "/message", data={"message": "Good evening."})
    press = forms(asha.get(path))[0]
    assert press.action == path
    read = asha.post(path, data={**press.fields, "message": "I am on my way."})
    assert "Good evening." in read.text
    assert typed_on(read) == {"message": "I am on my way."}


SETTINGS = {
    "monday_from": "10:00",
    "first_on": "2026-12-24",
    "rate": "75.00",
    "about": "One.\r\nTwo.",
}


@pytest.mark.parametrize(
    ("button", "saved"),
    [
        ("/hours", ("monday_from",)),
        ("/offer", ("rate",)),
        ("/about", ("about",)),
        ("/pause", ()),
        ("/hide", ()),
    ],
)
def test_each_button_of_the_settings_keeps_what_was_typed_in_the_others(
    asha: Visitor, button: str, saved: tuple[str, ...]
) -> None:
    sent = {**form_to(asha.get(PROFILE), button).fields, **SETTINGS}
    answer = asha.post(PROFILE + button, data=sent)
    assert answer.status_code == 200
    assert answer.text.count('id="said"') == 1
    assert answer.text.count("Not saved yet") == len(SETTINGS) - len(saved)
    shown = forms(answer)[-1].fields
    for name, text in SETTINGS.items():
        assert shown[name].split() == text.split()
    later = forms(asha.get(PROFILE))[-1].fields
    for name, text in SETTINGS.items():
        assert (later[name].split() == text.split()) == (name in saved)


def test_a_wrong_setting_keeps_what_was_typed_in_the_others(asha: Visitor) -> None:
    before = all_rows()
    sent = {**forms(asha.get(PROFILE))[-1].fields, **SETTINGS, "rate": "free"}
    refused = asha.post(f"{PROFILE}/offer", data=sent)
    assert refused.status_code == 422
    shown = forms(refused)[-1].fields
    assert [shown[name].split() for name in SETTINGS] == [
        text.split() for text in {**SETTINGS, "rate": "free"}.values()
    ]
    assert all_rows() == before


def test_enter_saves_what_was_changed_and_says_what_was_not(asha: Visitor) -> None:
    before = forms(asha.get(PROFILE))[-1].fields
    sent = {**before, "about": "Calm.", "rate": "75.00", "monday_from": "25:00"}
    answer = asha.post(PROFILE, data=sent)
    assert answer.status_code == 422
    found = Therapist.get(slug="asha")
    assert (found.about, found.rate_minor) == ("Calm.", 7500)
    assert answer.text.count("Not saved yet") == 1
    assert answer.text.count('class="notice-title">Saved.') == 2
    assert forms(answer)[-1].fields["monday_from"] == "25:00"
    assert not TimeOff.select().exists()
    assert asha.post(PROFILE, data=before).status_code == 303


def test_enter_on_an_older_page_undoes_nothing_that_was_saved_since(asha: Visitor) -> None:
    older = forms(asha.get(PROFILE))[-1].fields
    asha.post(f"{PROFILE}/about", data={**older, "about": "Newer."})
    asha.post(PROFILE, data={**older, "rate": "80.00"})
    found = Therapist.get(slug="asha")
    assert (found.about, found.rate_minor) == ("Newer.", 8000)


def raising(error: Exception | int) -> Any:
    def view(**_: str) -> str:
        if isinstance(error, int):
            abort(error)
        raise error

    return view


@pytest.mark.parametrize(
    ("error", "status", "may_send_again"),
    [
        (429, 429, True),
        (RuntimeError("bug"), 500, True),
        (StoreUnavailable("down"), 503, True),
        (OutcomeUnknown("lost"), 503, True),
        (404, 404, False),
        (410, 410, False),
    ],
)
def test_an_error_page_shows_what_was_typed(
    fresh_app: Flask, error: Exception | int, status: int, may_send_again: bool
) -> None:
    fresh_app.add_url_rule("/link/manage/x/y", "y", csrf.exempt(raising(error)), methods=["POST"])
    typed = {"message": "I am\n<b>late</b>.", "agreed": "cancel.0", "csrf_token": "secret"}
    answer = fresh_app.test_client().post("/link/manage/x/y", data=typed)
    assert answer.status_code == status
    assert "&lt;b&gt;late" in answer.text
    assert "secret" not in answer.text
    again = [form for form in forms(answer) if "message" in form.fields]
    assert bool(again) == may_send_again
    for form in again:
        assert (form.action, form.fields["agreed"]) == ("/link/manage/x/y", "cancel.0")
        assert form.fields["message"].strip() == typed["message"]
        assert "csrf_token" not in form.fields


def test_an_error_page_without_a_form_or_texts_shows_none(cast: Cast, visitor: Visitor) -> None:
    for answer in (
        visitor.get("/nope"),
        visitor.post("/nope", data={"choice": "x", "message": " "}),
        visitor.post("/nope", data=b"x" * (300 * 1024), content_type="text/plain"),
    ):
        assert "What you typed" not in answer.text


def test_over_the_limit_a_message_is_kept_and_can_be_sent_once_it_is_over(
    app: Flask, story: Story, limited: Visitor
) -> None:
    visitor, booking = limited, story.ask()
    with app.test_request_context():
        path = tokens.path(LinkPurpose.MANAGE, booking)
    for number in range(10):
        visitor.post(f"{path}/message", data={"message": f"Message {number}."})
    refused = visitor.post(f"{path}/message", data={"message": "The last one."})
    assert refused.status_code == 429
    [again] = forms(refused)
    limiter.reset()
    assert visitor.post(again.action, data=again.fields).status_code == 303
    assert Writing.select().where(Writing.booking == booking).count() == 11


def test_over_the_limit_a_request_is_kept_and_can_be_sent_once_it_is_over(
    cast: Cast, limited: Visitor
) -> None:
    visitor = limited
    page = visitor.get("/therapists/asha")
    typed = {
        **forms(page)[0].fields,
        "starts_at": "2026-11-03T10:00:00Z",
        "kind": "paid",
        "name": "Dee Stone",
        "email": "dee@clients.example",
        "timezone": "Europe/London",
        "note": "I sleep badly.",
    }
    typed.pop("enter", None)
    for _ in range(10):
        visitor.post("/therapists/asha", data={**typed, "name": ""})
    refused = visitor.post("/therapists/asha", data=typed)
    assert refused.status_code == 429
    [again] = forms(refused)
    assert again.fields["note"].strip() == "I sleep badly."
    limiter.reset()
    assert visitor.post(again.action, data=again.fields).status_code == 303


def test_a_form_whose_cookie_is_gone_keeps_the_address_that_was_corrected(
    app: Flask, story: Story, visitor: Visitor
) -> None:
    refused = visitor.post("/therapists/asha/requested", data={"email": "dee@clients.example"})
    assert refused.status_code == 400
    assert "Please send it again" in refused.text
    [again] = forms(refused)
    assert again.fields["email"] == "dee@clients.example"
    assert visitor.post(again.action, data=again.fields).status_code == 303


def test_what_was_pressed_while_signed_out_can_be_pressed_again(
    story: Story, asha: Visitor
) -> None:
    booking = story.ask()
    page = f"/dashboard/sessions/{booking.reference}"
    sent = {**form_to(asha.get(page), "/accept").fields, **TEXTS, "csrf_token": "old"}
    kept = asha.post(f"{page}/accept", data=sent)
    assert kept.status_code == 400
    again = forms(kept)[-1]
    assert asha.post(again.action or f"{page}/accept", data=again.fields).status_code == 200
    assert now_of(booking).status == "accepted"
