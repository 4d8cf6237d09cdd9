"""Each form takes what its texts need and no more; what is too large is shown, not lost."""

from datetime import timedelta

import pytest
from flask import Flask

from app.links import LinkPurpose
from app.services.validation import TEXT_LENGTH
from app.web import bodies
from app.web.links import tokens
from tests.harness.page_stories import all_rows, forms, sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import ELI, Story
from tests.web.conftest import Visitor

# None of this depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

# Of all texts these take the most bytes.
LONGEST = "\U0001f30a" * TEXT_LENGTH
TEXTS = {"reason", "message", "private_note", "note", "about"}


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


@pytest.fixture
def pages(app: Flask, story: Story) -> list[str]:
    """Each page with a text to fill in."""
    other, booking = story.ask(client=ELI), story.ask(starts_at=story.now + timedelta(days=3))
    with app.test_request_context():
        links = [tokens.path(each, booking) for each in (LinkPurpose.MANAGE, LinkPurpose.DECLINE)]
    # Of the last one, the last button signs out.
    return [
        f"/dashboard/sessions/{other.reference}",
        *links,
        "/therapists/asha",
        "/dashboard/profile",
    ]


def test_every_form_takes_its_texts_at_their_full_length(asha: Visitor, pages: list[str]) -> None:
    statuses = {}
    for page in pages:
        for form in forms(asha.get(page)):
            if texts := TEXTS & form.fields.keys():
                sent = {**form.fields, **dict.fromkeys(texts, LONGEST)}
                answer = asha.post(form.action or page, data=sent)
                statuses[form.action or page] = answer.status_code
    assert all(any(each.startswith(page) for each in statuses) for page in pages)
    assert 413 not in statuses.values(), statuses


def test_every_limit_is_of_an_endpoint_or_blueprint(app: Flask) -> None:
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert bodies.LIMITS.keys() <= endpoints | app.blueprints.keys() | {"mailbox"}


@pytest.mark.parametrize(
    "path",
    ["/sign-in", "/my-links", "/sign-out", "/nowhere", "/therapists/asha/requested"]
    + [f"/link/{purpose}/cut" for purpose in LinkPurpose if purpose is not LinkPurpose.DECLINE]
    + ["/link/manage/cut/cancel", "/link/manage/cut/move"],
)
def test_where_no_text_is_typed_sixteen_kilobytes_are_the_most(
    app: Flask, visitor: Visitor, path: str
) -> None:
    def status(size: int) -> int:
        body = b"email=".ljust(size, b"x")
        content_type = "application/x-www-form-urlencoded"
        answer = visitor.post(path, data=body, content_type=content_type)
        return answer.status_code

    is_with_text = path == f"/link/{LinkPurpose.MANAGE}/cut"
    most = bodies.WITH_A_TEXT if is_with_text else bodies.SHORT
    assert status(most + 1) == 413
    assert status(most) != 413


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_was_typed_before_the_limit_is_shown(
    asha: Visitor, pages: list[str], content_type: str
) -> None:
    before = all_rows()
    path = f"{pages[0]}/message"
    typed = {
        "reason": "I am\n<b>away</b>.",
        "message": "One. " + "€" * 56_000,
        "private_note": "No",
    }
    answer = asha.post(path, data=typed, content_type=content_type)
    assert answer.status_code == 413
    assert "The beginning of what you typed" in answer.text
    assert "I am\n&lt;b&gt;away" in answer.text
    assert "One. €€€" in answer.text
    assert "%" not in answer.text.partition("One.")[2]
    # What was cut cannot be sent by mistake.
    assert not any(TEXTS & form.fields.keys() for form in forms(answer))
    assert all_rows() == before
