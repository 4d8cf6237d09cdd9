"""While the database is away every page, API call and command says so; afterwards all work."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from app import cli
from app.store.db import database
from app.store.db.database import db
from app.store.models import Booking, Therapist
from tests.harness.page_stories import link, sign_in
from tests.harness.postgresql_server import cut_while_committing, end_backends, execute
from tests.scenarios.cast import Cast
from tests.scenarios.story import Story
from tests.slow.faults.test_database_file import file_of
from tests.web.conftest import Visitor, another_visitor

Away = Callable[[], Any]
KEY = {"Authorization": "Bearer test-api-key"}
REQUEST = {
    "therapist": "asha",
    "client": {"name": "Dee Stone", "email": "dee@clients.example", "timezone": "Europe/London"},
    "starts_at": "2026-11-05T10:00:00Z",
    "kind": "paid",
}


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """A browser without cookies."""
    return another_visitor(app)


@pytest.fixture
def away(database_url: str) -> Away:
    """`with away():` the database cannot be reached."""

    @contextmanager
    def unreachable() -> Iterator[None]:
        db.close()
        if database.is_sqlite():
            path = file_of(database_url)
            kept = path.rename(path.with_name("kept.db"))
            yield
            kept.rename(path)
            return
        end_backends(database_url)
        db.obj.connect_params["port"] = 1
        yield
        del db.obj.connect_params["port"]

    return unreachable


@pytest.mark.parametrize(
    "path",
    ["/", "/therapists/asha", "/link/accept/cut", "/dashboard", "/sign-in", "/dashboard/profile"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_page_says_that_nothing_was_done_and_when_to_reload(
    story: Story,
    app: Flask,
    visitor: Visitor,
    away: Away,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
) -> None:
    sign_in(app, story.mail, visitor, "asha@therapists.example")
    usual = visitor.open(path, method=method).status_code
    assert usual < 500
    caplog.clear()
    with away():
        answer = visitor.open(path, method=method)
    if usual == 405:
        assert answer.status_code == 405
    else:
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "Nothing was done" in answer.text and "reload this page" in answer.text
        lines = [line for line in caplog.messages if "store_unavailable" in line]
        assert len(lines) == 1 and "Traceback" not in caplog.text
    assert visitor.open(path, method=method).status_code == usual


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/therapists"),
        ("GET", "/api/v1/bookings/B-1"),
        ("POST", "/api/v1/bookings"),
        ("POST", "/api/v1/bookings/B-1/cancel"),
    ],
)
def test_the_api_answers_with_problem_details(
    cast: Cast,
    visitor: Visitor,
    away: Away,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
) -> None:
    with away():
        answer = visitor.open(path, method=method, headers=KEY, json=REQUEST)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.json["code"] == "store_unavailable"
    assert "Nothing was done" in answer.json["detail"]
    assert int(answer.headers["Retry-After"]) > 0
    assert len([line for line in caplog.messages if "store_unavailable" in line]) == 1
    assert visitor.get("/api/v1/therapists", headers=KEY).status_code == 200


def test_pages_that_need_no_database_work(cast: Cast, visitor: Visitor, away: Away) -> None:
    with away():
        assert visitor.get("/nope").status_code == 404
        assert visitor.get("/healthz").status_code == 200
        assert visitor.get("/readyz").status_code == 503
        metrics = visitor.get("/metrics")
        assert metrics.status_code == 200
        assert "mindsum_database_up 0.0" in metrics.text
    assert "mindsum_database_up 1.0" in visitor.get("/metrics").text


def test_a_form_that_failed_in_an_outage_can_be_sent_again(
    story: Story, app: Flask, visitor: Visitor, away: Away
) -> None:
    booking = story.ask()
    path = link(app, story.mail, "booking_requested", "Accept")
    with away():
        assert visitor.post(path).status_code == 503
    assert story.reload(booking).status.value == "requested"
    assert visitor.post(path).status_code == 200
    assert story.reload(booking).status.value == "accepted"


def test_a_database_that_goes_away_during_a_request_is_reported(
    fresh_app: Flask, database_url: str, away: Away
) -> None:
    def read() -> str:
        with away():
            return str(Therapist.select().count())

    fresh_app.add_url_rule("/reading", view_func=read)
    db.close()
    answer = Visitor(fresh_app, fresh_app.response_class).get("/reading")
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_answer_says_that_nothing_was_done_if_that_is_unknown(
    story: Story, app: Flask, visitor: Visitor, database_url: str
) -> None:
    booking = story.ask()
    path = link(app, story.mail, "booking_requested", "Accept")
    headers = {**KEY, "Idempotency-Key": "one"}
    with cut_while_committing(database_url, "booking"):
        page = visitor.post(path)
        problem = visitor.post("/api/v1/bookings", headers=headers, json=REQUEST)
    for answer, words in ((page, page.text), (problem, problem.json["detail"])):
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert "completely or not at all" in " ".join(words.split())
        assert "Nothing was done" not in words
    assert "Idempotency-Key" in problem.json["detail"]
    assert visitor.post(path).status_code == 200
    assert story.reload(booking).status.value == "accepted"
    again = [visitor.post("/api/v1/bookings", headers=headers, json=REQUEST) for _ in range(2)]
    assert [answer.status_code for answer in again] == [201, 201]
    assert Booking.select().count() == 2


@pytest.mark.parametrize("words", [("booking", "list"), ("therapist", "pause", "asha"), ("check",)])
def test_a_command_says_in_one_line_that_the_database_is_away(
    cast: Cast,
    app: Flask,
    away: Away,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    capsys.readouterr()
    with away():
        status = cli.run(words, lambda: app)
    said = capsys.readouterr()
    assert status == 1
    if words == ("check",):
        assert re.search("^database +FAILED .*does not answer", said.out, re.MULTILINE)
    else:
        assert re.fullmatch(r"mindsum: the database cannot [^\n]+\n", said.err)


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_command_says_in_one_line_what_the_database_refused(
    cast: Cast,
    app: Flask,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    if database.is_sqlite():
        db.execute_sql("PRAGMA query_only = 1")
    else:
        state = {"full": "53100", "read-only": "25006"}[fault]
        execute(
            database_url,
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$;"
            " CREATE TRIGGER refuse BEFORE UPDATE ON therapist EXECUTE FUNCTION refuse()",
        )
    try:
        capsys.readouterr()
        status = cli.run(("therapist", "pause", "asha"), lambda: app)
    finally:
        if database.is_sqlite():
            db.execute_sql("PRAGMA query_only = 0")
        else:
            execute(database_url, "DROP TRIGGER refuse ON therapist; DROP FUNCTION refuse()")
    said = capsys.readouterr()
    assert (status, said.out) == (1, "")
    assert re.fullmatch(r"mindsum: [^\n]*(refused|readonly)[^\n]*\n", said.err)
    assert cli.run(("therapist", "pause", "asha"), lambda: app) == 0
