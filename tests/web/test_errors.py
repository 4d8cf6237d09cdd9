"""Every error is a page that says what happened and what to do next, and gives nothing away."""

import re
from collections.abc import Callable

import pytest
from flask import Flask, abort

from app import config, errors
from tests.harness.page_stories import sign_in, sign_in_as_ops
from tests.scenarios.cast import Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor

# What an error page says does not depend on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TOKEN = "a-token-that-nobody-may-read"


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    """An application that takes another route."""
    return fresh_app


def raising(error: Exception) -> Callable[[], str]:
    def view() -> str:
        raise error

    return view


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (errors.NotFound("booking"), 404, "does not exist"),
        (errors.LinkInvalid("cut"), 400, "This link does not work"),
        (errors.LinkExpired("old"), 410, "has expired"),
        (errors.LinkGone("erased"), 404, "leads nowhere"),
        (errors.StoreUnavailable("down"), 503, "cannot reach our records"),
        (errors.SlotTaken(), 409, "That time has just been taken"),
        (errors.TherapistUnavailable("asha"), 409, "not taking bookings"),
        (errors.InvalidFields(errors.FieldError("name", "no")), 422, "check what you entered"),
        (errors.NotesKeyWrong(), 500, "on our side"),
        (errors.StoredTextMoved(), 500, "on our side"),
        (RuntimeError("secret detail"), 500, "on our side"),
    ],
)
def test_each_error_has_a_page_and_no_stack_trace(
    app: Flask, visitor: Visitor, error: Exception, status: int, says: str
) -> None:
    app.add_url_rule("/broken", view_func=raising(error))
    answer = visitor.get("/broken")
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert says in answer.text
    assert "Traceback" not in answer.text
    assert "secret detail" not in answer.text


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 413, 422, 429, 500, 503])
def test_each_status_says_something_of_its_own(app: Flask, visitor: Visitor, status: int) -> None:
    app.add_url_rule("/broken", "broken", lambda: abort(status))
    app.add_url_rule("/odd", "odd", lambda: abort(418))
    answer, odd = visitor.get("/broken"), visitor.get("/odd")
    assert (answer.status_code, odd.status_code) == (status, 418)
    assert status == 400 or heading(answer.text) != heading(odd.text)
    assert 'href="/my-links"' in answer.text


def heading(page: str) -> str:
    return re.search("<h1>(.*)</h1>", page)[1]


def test_a_wrong_method_names_the_right_ones(app: Flask, visitor: Visitor) -> None:
    answer = visitor.delete("/therapists/asha/requested")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path", ["/nope", "/therapists/nobody", "/therapists/asha/nope", "/link/nope/x"]
)
def test_an_address_that_is_nothing_is_a_page(cast: Cast, visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert "does not exist" in answer.text


def test_what_is_not_there_for_a_therapist_or_ops_leads_back_to_their_own_pages(
    app: Flask, story: Story
) -> None:
    asha, olu, stranger = (another_visitor(app) for _ in range(3))
    sign_in(app, story.mail, asha, "asha@therapists.example")
    sign_in_as_ops(app, story.mail, olu)
    therapists, desk = asha.get("/dashboard/sessions/MB-NOTONE"), olu.get("/ops/bookings/MB-NOTONE")
    assert {therapists.status_code, desk.status_code} == {404}
    assert 'href="/dashboard/sessions"' in therapists.text
    assert 'href="/ops/bookings"' in desk.text
    config.use(config.current().model_copy(update={"ops_sign_in": ()}))
    assert 'href="/ops' not in stranger.get("/ops/bookings").text


def test_a_fault_of_ours_is_logged_without_the_token_in_its_path(
    app: Flask, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(token: str) -> str:
        raise RuntimeError(token)

    app.add_url_rule("/link/broken/<token>", "links.broken", broken)
    answer = visitor.get(f"/link/broken/{TOKEN}")
    assert answer.status_code == 500
    assert TOKEN not in answer.text
    assert "links.broken" in caplog.text
    assert "RuntimeError" in caplog.text
    assert TOKEN not in caplog.text


def test_under_the_api_errors_are_problem_details(app: Flask, visitor: Visitor) -> None:
    app.add_url_rule("/api/broken", view_func=raising(RuntimeError("secret detail")))
    answer = visitor.get("/api/broken", headers={"Authorization": "Bearer test-api-key"})
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "secret detail" not in answer.text
