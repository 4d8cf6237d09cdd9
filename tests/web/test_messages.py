"""Messages both ways and private notes: who writes, who reads, and what an email never holds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.errors import MessagesEnded
from app.links import LinkPurpose
from app.rules.lifecycle import MESSAGES_LAST, Actor, Via
from app.services.bookings import cancel, messages
from app.services.bookings.messages import keep_private_note
from app.services.clients.erase import erase_client
from app.store import queries
from app.store.models import Booking, OutboxEmail, Purpose, Writing
from app.web.links import tokens
from tests.harness.page_stories import all_rows, forms, press, sign_in
from tests.harness.pages import text
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import ELI, Story
from tests.web.conftest import Visitor, another_visitor, counted_queries

CANARY = "purple-heron-41"
CLIENT, THERAPIST = Actor.CLIENT, Actor.THERAPIST
DAY = timedelta(days=1)


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


@pytest.fixture
def dee(app: Flask) -> Visitor:
    """Dee, who has her links and no account."""
    return another_visitor(app)


def page_of(booking: Booking) -> str:
    return f"/dashboard/sessions/{booking.reference}"


def manage(app: Flask, booking: Booking) -> str:
    with app.test_request_context():
        return tokens.path(LinkPurpose.MANAGE, booking)


def to_client(asha: Visitor, booking: Booking, words: str) -> TestResponse:
    return press(asha, page_of(booking), "/message", message=words)


def to_therapist(app: Flask, dee: Visitor, booking: Booking, words: str) -> TestResponse:
    return press(dee, manage(app, booking), "/message", message=words)


def test_a_message_goes_to_the_other_partys_page_and_back(
    app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    booking = story.ask()
    sent = to_client(asha, booking, "Is a morning <b>fine</b>?")
    assert "Sent." in sent.text
    assert "Is a morning &lt;b&gt;fine&lt;/b&gt;?" in dee.post(manage(app, booking)).text
    answer = to_therapist(app, dee, booking, "Yes.\nThank you.")
    assert "Sent." in answer.text
    page = asha.get(page_of(booking)).text
    assert "Yes.\nThank you." in page
    assert page.index("Is a morning") < page.index("Thank you.")


def test_times_of_messages_are_in_the_readers_zone(
    app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    booking = story.ask()
    to_client(asha, booking, "Hello.")
    assert "You · <time" in asha.get(page_of(booking)).text
    assert "Mon 2 Nov 2026, 09:00" in asha.get(page_of(booking)).text
    of_client = dee.post(manage(app, booking)).text
    assert "Mon 2 Nov 2026, 04:00" in of_client.partition("Messages with")[2]
    assert "(New York, EST)" in of_client.partition("Messages with")[0]


def test_what_was_written_is_in_no_email(
    app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    booking = story.ask(note=CANARY)
    to_client(asha, booking, f"{CANARY} to you")
    to_therapist(app, dee, booking, f"{CANARY} back")
    press(asha, page_of(booking), "/note", private_note=f"{CANARY} to myself")
    story.accept(booking)
    sent = story.sent()
    kinds = [(each.kind, each.rcpt_tos[0]) for each in sent]
    assert ("new_message", "dee@clients.example") in kinds
    assert ("new_message", "asha@therapists.example") in kinds
    for each in sent:
        parts = [part.get_content() for part in each.parsed.walk() if not part.is_multipart()]
        assert not [part for part in parts if CANARY in str(part)]
        assert CANARY not in str(each.parsed)
    assert CANARY not in str([(row.facts, row.last_error) for row in OutboxEmail.select()])


def test_private_notes_are_for_the_therapist_alone(
    app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    booking = story.ask()
    kept = press(asha, page_of(booking), "/note", private_note=CANARY)
    assert "Only you can read it" in kept.text
    assert CANARY in asha.get(page_of(booking)).text
    assert CANARY not in dee.post(manage(app, booking)).text
    assert not OutboxEmail.select().where(OutboxEmail.kind == "new_message").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Please write something first."),
        ("  \n ", "Please write something first."),
        ("so sorry " * 500, "Please keep it to 4000 characters or fewer."),
        ("a\x07b", "Please leave control characters out of the text."),
    ],
)
def test_what_cannot_be_sent_is_named_and_kept(
    typed: str, said: str, app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    booking = story.ask()
    rows = all_rows()
    answers = {
        "message": [to_client(asha, booking, typed), to_therapist(app, dee, booking, typed)],
        "private_note": [press(asha, page_of(booking), "/note", private_note=typed)],
    }
    for field, refused in answers.items():
        for each in refused:
            assert each.status_code == 422
            assert said in each.text
            kept = [form.fields[field] for form in forms(each) if field in form.fields]
            assert kept[0].split() == typed.split()
    assert all_rows() == rows


def test_a_button_pressed_twice_sends_once(
    app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    booking = story.ask()
    for _ in range(2):
        to_client(asha, booking, "Hello.")
        to_therapist(app, dee, booking, "Hello.")
        to_therapist(app, dee, booking, "Hello.")
    assert [row.author for row in queries.writings_of(booking, Purpose.MESSAGE)] == [
        Actor.THERAPIST,
        Actor.CLIENT,
    ] * 2
    assert OutboxEmail.select().where(OutboxEmail.kind == "new_message").count() == 4


def test_the_same_words_the_next_day_are_another_message(
    app: Flask, story: Story, dee: Visitor
) -> None:
    booking = story.ask()
    for _ in range(2):
        to_therapist(app, dee, booking, "Are you there?")
        story.wait(hours=20)
    assert len(queries.writings_of(booking, Purpose.MESSAGE)) == 2
    assert OutboxEmail.select().where(OutboxEmail.kind == "new_message").count() == 2


def test_a_note_saved_twice_is_one_note(story: Story, asha: Visitor) -> None:
    booking = story.ask()
    for words in ("One.", "One.", "Two.", "One."):
        press(asha, page_of(booking), "/note", private_note=words)
    kept = queries.writings_of(booking, Purpose.PRIVATE_NOTE)
    assert [each.body for each in kept] == ["One.", "Two.", "One."]


def test_another_therapist_can_neither_read_nor_write(
    app: Flask, story: Story, mail: MailServer, visitor: Visitor
) -> None:
    booking = story.ask(note=CANARY)
    messages.send(booking, CANARY, author=Actor.CLIENT, now=story.now)
    keep_private_note(booking, CANARY, now=story.now)
    sign_in(app, mail, visitor, "bran@therapists.example")
    token = forms(visitor.get("/dashboard/profile"))[0].fields["csrf_token"]
    rows = all_rows()
    for address in (booking.reference, booking.reference.lower(), f"{booking.reference}%20"):
        for door in ("", "?messages=all"):
            answer = visitor.get(f"/dashboard/sessions/{address}{door}")
            assert (answer.status_code, CANARY in answer.text) == (404, False)
        for door in ("message", "note"):
            typed = {"csrf_token": token, "message": "x", "private_note": "x"}
            answer = visitor.post(f"/dashboard/sessions/{address}/{door}", data=typed)
            assert (answer.status_code, CANARY in answer.text) == (404, False)
    assert all_rows() == rows


def test_a_link_that_is_no_manage_link_carries_no_message(
    app: Flask, story: Story, dee: Visitor
) -> None:
    booking = story.ask()
    with app.test_request_context():
        others = [
            tokens.path(aim, booking)
            for aim in (LinkPurpose.CHOOSE, LinkPurpose.ACCEPT, LinkPurpose.SESSION)
        ]
    rows = all_rows()
    for token in ["nonsense", *(path.rpartition("/")[2] for path in others)]:
        answer = dee.post(f"/link/manage/{token}/message", data={"message": "x"})
        assert answer.status_code == 400
    assert all_rows() == rows


def test_a_message_by_link_needs_no_cookie_and_sets_none(
    app: Flask, story: Story, dee: Visitor
) -> None:
    path = manage(app, story.ask())
    answer = dee.post(f"{path}/message", data={"message": "Hello."})
    assert answer.status_code == 303
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_without_the_pages_token_nothing_is_sent_and_the_text_is_kept(
    story: Story, asha: Visitor
) -> None:
    booking = story.ask()
    answer = asha.post(f"{page_of(booking)}/message", data={"message": "A long text."})
    assert answer.status_code == 400
    assert "A long text." in answer.text
    assert not Writing.select().where(Writing.purpose == Purpose.MESSAGE).exists()


def test_a_client_who_was_erased_gets_no_message(story: Story, asha: Visitor) -> None:
    booking = story.ask()
    token = forms(asha.get(page_of(booking)))[0].fields["csrf_token"]
    to_client(asha, booking, CANARY)
    story.decline(booking)
    erase_client("dee@clients.example", story.now)
    page = asha.get(page_of(booking))
    assert "Erased" in page.text
    assert CANARY not in page.text
    assert not [form for form in forms(page) if form.action.endswith(("/message", "/note"))]
    rows = all_rows()
    for door, field in (("message", "message"), ("note", "private_note")):
        typed = {"csrf_token": token, field: "x"}
        assert asha.post(f"{page_of(booking)}/{door}", data=typed).status_code == 409
    assert all_rows() == rows


Ending = Callable[[Story, Booking], object]
ENDS: dict[str, tuple[Ending, bool]] = {
    "open": (lambda *_: None, True),
    "late": (lambda story, _: story.wait(hours=4), True),
    "declined": (lambda story, booking: story.decline(booking), False),
    "withdrawn": (lambda story, booking: story.withdraw(booking), False),
    "expired, by the clock": (lambda story, booking: story.at(booking.expires_at), False),
    "accepted": (lambda story, booking: story.accept(booking), True),
    "cancelled by client": (lambda story, booking: cancelled(story, booking, CLIENT), False),
    "cancelled by therapist": (lambda story, booking: cancelled(story, booking, THERAPIST), False),
    "over": (lambda story, booking: past(story, booking, DAY), True),
    "no-show": (lambda story, booking: no_show(story, booking), True),
    "over for 14 days but a second": (
        lambda story, booking: past(story, booking, MESSAGES_LAST - timedelta(seconds=1)), True
    ),
    "over for 14 days": (lambda story, booking: past(story, booking, MESSAGES_LAST), False),
}  # fmt: skip


def cancelled(story: Story, booking: Booking, by: Actor) -> None:
    story.accept(booking)
    story.cancel(booking, by)


def past(story: Story, booking: Booking, since_end: timedelta) -> None:
    story.accept(booking)
    story.at(booking.ends_at + since_end)


def no_show(story: Story, booking: Booking) -> None:
    past(story, booking, timedelta(0))
    cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)


@pytest.mark.parametrize("end", ENDS)
def test_messages_end_with_the_bookings_life_for_both_sides(
    end: str, app: Flask, story: Story, mail: MailServer, asha: Visitor, dee: Visitor
) -> None:
    ends, is_open = ENDS[end]
    booking = story.ask()
    messages.send(booking, "Until then.", author=Actor.CLIENT, now=story.now)
    ends(story, booking)
    sign_in(app, mail, asha, "asha@therapists.example")
    path, mine = manage(app, booking), page_of(booking)
    token = forms(asha.get(mine))[0].fields["csrf_token"]
    pages = {path: dee, mine: asha}
    for address, visitor in pages.items():
        page = visitor.get(address)
        offered = [form for form in forms(page) if form.action.endswith("/message")]
        assert bool(offered) == is_open
        # Who cannot write here is told where a person reads.
        assert is_open or "ops@mindsum.invalid" in text(page)
        typed = {"message": f"{CANARY} {address}", "csrf_token": token}
        answer = visitor.post(f"{address}/message", data=typed)
        assert answer.status_code == (303 if is_open else 409)
        # Nothing that was typed is lost.
        assert is_open or f"{CANARY} {address}" in answer.text
    count = len(queries.writings_of(booking, Purpose.MESSAGE))
    assert count == (3 if is_open else 1)
    assert "Saved." in press(asha, mine, "/note", private_note="x").text


def test_a_message_sent_again_after_the_end_is_the_one_that_was_sent(
    app: Flask, story: Story, dee: Visitor
) -> None:
    booking = story.ask()
    for _ in range(2):
        answer = dee.post(f"{manage(app, booking)}/message", data={"message": "Hello."})
        assert answer.status_code == 303
        story.decline(booking)
    assert len(queries.writings_of(booking, Purpose.MESSAGE)) == 1


def test_what_was_written_is_read_by_a_press_and_by_nothing_that_opens_links(
    app: Flask, story: Story, dee: Visitor
) -> None:
    booking = story.ask(note=f"{CANARY} note")
    for author in (Actor.CLIENT, Actor.THERAPIST):
        messages.send(booking, f"{CANARY} {author}", author=author, now=story.now)
    path = manage(app, booking)
    rows = all_rows()
    for door in ("", "?messages=all", "?sent=message", "/cancel", "/calendar.ics"):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert CANARY not in dee.open(path + door, method=method).text
    [form, _] = forms(dee.get(path))
    assert form.action == path
    read = dee.post(form.action, data=form.fields)
    assert read.status_code == 200
    for words in ("note", "client", "therapist"):
        assert f"{CANARY} {words}" in read.text
    assert "Done." not in read.text
    assert all_rows() == rows


def test_the_reason_of_a_decline_shows_at_once(app: Flask, story: Story, dee: Visitor) -> None:
    booking = story.ask(note="a note")
    story.decline(booking, CANARY)
    page = dee.get(manage(app, booking))
    assert CANARY in page.text
    assert "a note" not in page.text.replace("your note", "")


def test_where_no_one_wrote_there_is_nothing_to_press(
    app: Flask, story: Story, dee: Visitor
) -> None:
    booking = story.ask()
    messages.keep_private_note(booking, CANARY, now=story.now)
    page = dee.get(manage(app, booking))
    assert [form.action.rpartition("/")[2] for form in forms(page)] == ["message"]
    assert CANARY not in dee.post(manage(app, booking)).text


def test_a_client_who_was_erased_writes_nothing(story: Story) -> None:
    booking = story.ask()
    story.decline(booking)
    erase_client("dee@clients.example", story.now)
    with pytest.raises(MessagesEnded):
        messages.send(booking, "x", author=Actor.CLIENT, now=story.now)


def test_a_long_thread_shows_its_newest_and_all_on_request(
    app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    booking = story.ask()
    doors = (
        (lambda: asha.get(page_of(booking)), lambda: asha.get(page_of(booking) + "?messages=all")),
        (
            lambda: dee.post(manage(app, booking)),
            lambda: dee.post(manage(app, booking), data={"messages": "all"}),
        ),
    )
    before = []
    for shown, _ in doors:
        with counted_queries() as few:
            shown()
        before.append(len(few))
    for number in range(40):
        author: Any = (Actor.CLIENT, Actor.THERAPIST)[number % 2]
        messages.send(booking, f"message {number}.", author=author, now=story.now)
    for (shown, every), few_queries in zip(doors, before, strict=True):
        with counted_queries() as many:
            page = shown()
        # The last one records that it was read, after the answer.
        assert many.pop().startswith('INSERT INTO "access_entry"')
        # The first time, the therapist's page also notes that the messages are not unread.
        assert len([each for each in many if "UPDATE" not in each]) == few_queries <= 7
        assert len(page.data) < 40_000
        assert "message 39." in page.text
        assert "message 1." not in page.text
        assert "Show all 40" in page.text
        assert "message 1." in every().text


def test_both_sides_see_only_their_own_booking(
    app: Flask, story: Story, asha: Visitor, dee: Visitor
) -> None:
    one = story.ask()
    other = story.ask(client=ELI, starts_at=one.starts_at + timedelta(hours=2))
    to_client(asha, one, CANARY)
    assert CANARY not in asha.get(page_of(other)).text
    assert CANARY not in dee.post(manage(app, other)).text
