"""A therapist's phone: stored encrypted, for ops alone, and named only where there is one."""

from typing import Any

import pytest
from flask import Flask

from app.errors import StoredTextMoved
from app.store import queries
from app.store.db import database
from app.store.models import TherapistPhone
from tests.harness.api_calls import caller
from tests.harness.commands import ADD, Mindsum
from tests.harness.page_stories import sign_in
from tests.scenarios.story import Story
from tests.web.conftest import another_visitor

TYPED, STORED = "+44 (0)20 7946-0018", "+442079460018"
OPS = "ops@mindsum.invalid"


def stored() -> list[str]:
    return [row[0] for row in database.db.execute_sql("SELECT number FROM therapist_phone")]


def told_to_ops(story: Story) -> str:
    """The text of the newest email to ops."""
    [*_, newest] = [each for each in story.sent() if each.rcpt_tos == (OPS,)]
    return str(newest.parsed.get_body(("plain",)).get_content())


@pytest.mark.both_databases
def test_a_phone_is_added_changed_shown_and_cleared(mindsum: Mindsum) -> None:
    assert mindsum(*ADD, "--phone", TYPED, "--json").data["phone"] == STORED
    for words, phone in (
        (("--name", "Asha R Rao"), STORED),
        (("--phone", "020 7946 0019"), "02079460019"),
        (("--phone", ""), None),
        (("--phone", TYPED, "--name", "Asha Rao"), STORED),
        (("--phone", " "), None),
    ):
        changed = mindsum("therapist", "set", "asha", *words, "--json").data
        assert changed["phone"] == phone
        assert mindsum("therapist", "show", "asha", "--json").data == changed
        lines = [each.split() for each in mindsum("therapist", "show", "asha").out.splitlines()]
        assert [each[1:] for each in lines if each[:1] == ["phone"]] == ([[phone]] if phone else [])


def test_only_show_and_what_changes_an_account_print_the_phone(mindsum: Mindsum) -> None:
    mindsum(*ADD, "--phone", TYPED)
    [listed] = mindsum("therapist", "list", "--json").data
    assert "phone" not in listed
    assert "2079460018" not in mindsum("therapist", "list").out


@pytest.mark.parametrize("command", ["add", "set"])
@pytest.mark.parametrize("phone", ["1234", "1" * 21, "call me", "020.7946.0018", "++442079460018"])
def test_a_bad_phone_is_named_and_changes_nothing(
    mindsum: Mindsum, command: str, phone: str
) -> None:
    if command == "set":
        mindsum(*ADD)
    words = {"add": ADD, "set": ("therapist", "set", "asha", "--name", "Changed")}[command]
    assert mindsum(*words, "--phone", phone).mistake.startswith("--phone")
    assert stored() == []
    assert [each.name for each in queries.every_therapist()] == ["Asha Rao"] * (command == "set")


@pytest.mark.both_databases
def test_a_phone_is_encrypted_and_goes_with_its_therapist(story: Story, mindsum: Mindsum) -> None:
    mindsum("therapist", "set", "chi", "--phone", TYPED)
    [number] = stored()
    assert "2079460018" not in number
    assert queries.phone_of(queries.therapist_by_slug("chi")) == STORED
    assert queries.phone_of(queries.therapist_by_slug("bran")) is None
    queries.therapist_by_slug("chi").delete_instance()
    assert TherapistPhone.select().count() == 0


@pytest.mark.both_databases
def test_an_update_gives_no_therapist_the_phone_of_another(story: Story, mindsum: Mindsum) -> None:
    mindsum("therapist", "set", "chi", "--phone", TYPED)
    bran = queries.therapist_by_slug("bran")
    database.db.execute_sql(f"UPDATE therapist_phone SET therapist_id = {bran.id}")
    with pytest.raises(StoredTextMoved):
        queries.phone_of(bran)


@pytest.mark.parametrize("phone", [TYPED, ""])
def test_ops_are_told_to_call_only_where_a_phone_is_stored(
    story: Story, mindsum: Mindsum, phone: str
) -> None:
    mindsum("therapist", "set", "asha", "--phone", phone)
    story.ask()
    story.deliver()
    story.wait(hours=3, seconds=1)
    story.sweep()
    text = told_to_ops(story)
    assert ("call" in text) == bool(phone)
    assert ("mindsum therapist show asha" in text) == bool(phone)


def test_a_phone_that_comes_before_the_email_leaves_is_named_in_it(
    story: Story, mindsum: Mindsum
) -> None:
    story.ask()
    story.wait(hours=3, seconds=1)
    story.sweep()
    mindsum("therapist", "set", "asha", "--phone", TYPED)
    assert "call asha" in told_to_ops(story)


def test_the_number_is_in_no_email_page_log_or_answer_of_the_api(
    app: Flask, story: Story, mindsum: Mindsum, caplog: pytest.LogCaptureFixture
) -> None:
    mindsum("therapist", "set", "asha", "--phone", TYPED)
    booking = story.ask()
    story.wait(hours=3, seconds=1)
    story.sweep()
    assert ("answer_late_ops", OPS) in story.deliver()
    story.accept(booking)
    story.deliver()
    call, visitor = caller(app), another_visitor(app)
    sign_in(app, story.mail, visitor, "asha@therapists.example")
    answers = [
        call("GET", path).text
        for path in ("therapists", "therapists/asha", f"bookings/{booking.reference}")
    ]
    assert [each for each in answers if "phone" in each] == []
    seen: list[Any] = [
        *(
            part.get_content()
            for each in story.mail.messages
            for part in each.parsed.walk()
            if part.get_content_maintype() == "text"
        ),
        *answers,
        *(visitor.get(path).text for path in ("/", "/therapists/asha", "/metrics")),
        *(visitor.get(f"/dashboard{path}").text for path in ("", "/profile", "/ranking")),
        mindsum("booking", "show", booking.reference, "--json").out,
        mindsum("outbox", "list", "--json").out,
        caplog.text,
    ]
    assert all(seen)
    assert [each for each in seen if "2079460018" in each] == []
