"""Replies in words: answers, messages to the other party, and what is explained."""

import pytest

from app.rules.lifecycle import Actor, Status
from app.services.inbound.receive import MOST_AN_HOUR, Taken, receive
from app.store import queries
from app.store.models import Booking, Client, Purpose, Role
from tests.scenarios.mailbox import AUTOMATIC, NOT_ANSWERS, QUOTED, SEPARATORS, crlf, written
from tests.scenarios.story import DEE, Story
from tests.services.inbound.conftest import Post


@pytest.fixture
def asked(story: Story) -> Booking:
    booking = story.ask()
    story.deliver()
    story.wait(minutes=2)
    return booking


def messages(story: Story, booking: Booking) -> list[tuple[str, str]]:
    found = queries.writings_of(story.reload(booking), Purpose.MESSAGE)
    return [(str(each.author), each.body) for each in found]


@pytest.mark.parametrize("program", SEPARATORS)
def test_yes_above_the_quote_of_every_program_accepts(
    post: Post, story: Story, asked: Booking, program: str
) -> None:
    assert post.reply("booking_requested", f"Yes{SEPARATORS[program]}") == "accepted"
    assert story.timeline(asked)[-1] == ("accepted", "therapist", "mail")
    assert messages(story, asked) == []


@pytest.mark.parametrize("text", NOT_ANSWERS)
def test_other_words_are_a_message_to_the_client_and_answer_nothing(
    post: Post, story: Story, asked: Booking, text: str
) -> None:
    assert post.reply("booking_requested", text + SEPARATORS["gmail"]) == "message"
    assert story.reload(asked).status is Status.REQUESTED
    assert messages(story, asked) == [("therapist", text)]
    told = story.deliver()
    assert ("new_message", DEE[1]) in told
    # Who may think that this was an answer is told that it was none.
    reads_like_one = text.lower().startswith(("yes", "no ", "no-", "ok"))
    assert ("answer_not_taken" in dict(told)) is reads_like_one


@pytest.mark.parametrize(("text", "is_html"), [("<p>Yes</p>", True), (f"{QUOTED}\n\nYes", False)])
def test_a_yes_that_is_not_taken_is_passed_on_and_explained(
    post: Post, story: Story, asked: Booking, text: str, is_html: bool
) -> None:
    sent = next(each for each in story.mail.messages if each.kind == "booking_requested")
    to = post.organizer(asked)
    reply = written(to, text, in_reply_to=str(sent.parsed["Message-ID"]), html=is_html)
    assert post.hear(reply, to) == "message"
    assert messages(story, asked) == [("therapist", "Yes")]
    assert story.reload(asked).status is Status.REQUESTED
    assert sorted(kind for kind, _ in story.deliver()) == ["answer_not_taken", "new_message"]


def test_no_with_a_reason_declines_and_gives_it(post: Post, story: Story, asked: Booking) -> None:
    assert post.reply("booking_requested", "No, I am away\n\nSorry!") == "declined"
    reasons = queries.writings_of(story.reload(asked), Purpose.REASON)
    assert [each.body for each in reasons] == ["I am away\nSorry!"]


def test_who_was_too_quick_may_answer_once_more_as_soon_as_they_are_asked(
    post: Post, story: Story
) -> None:
    booking = story.ask()
    story.deliver()
    story.wait(seconds=50)
    assert post.reply("booking_requested", "Yes") == "explained_too_quick"
    story.deliver()
    story.wait(seconds=20)
    assert post.reply("answer_not_taken", "Yes") == "accepted"
    assert story.reload(booking).status is Status.ACCEPTED


def test_what_follows_a_yes_is_passed_on(post: Post, story: Story, asked: Booking) -> None:
    assert post.reply("booking_requested", "Yes\n\nPlease bring water.") == "accepted"
    assert messages(story, asked) == [("therapist", "Please bring water.")]


def test_the_reminder_can_be_answered_too(post: Post, story: Story, asked: Booking) -> None:
    story.wait(hours=2)
    story.sweep()
    story.deliver()
    story.wait(minutes=2)
    assert post.reply("answer_reminder", "ok") == "accepted"


def test_a_word_to_an_email_that_asks_nothing_is_a_message(
    post: Post, story: Story, asked: Booking
) -> None:
    story.accept(asked)
    story.deliver()
    story.wait(minutes=2)
    assert post.reply("session_confirmed", "No") == "message"
    assert story.reload(asked).status is Status.ACCEPTED
    # To the request itself, once accepted, it would cancel: that takes a page.
    assert post.reply("booking_requested", "No", message_id="<b@x>") == "explained_cancels"


def test_what_a_client_writes_is_always_a_message(post: Post, story: Story, asked: Booking) -> None:
    for text in ("yes", "No, thank you", "Is it upstairs?"):
        story.wait(minutes=1)
        assert post.reply("booking_received", text, Role.CLIENT) == "message"
    assert [body for _, body in messages(story, asked)] == [
        "yes",
        "No, thank you",
        "Is it upstairs?",
    ]


def test_neither_sees_the_address_of_the_other(post: Post, story: Story, asked: Booking) -> None:
    signature = "\n-- \nDee Stone, dee@private.example, +44 20 7946 0018"
    post.reply("booking_received", f"Is it upstairs?{signature}", Role.CLIENT)
    sent = story.sent()
    assert [each.rcpt_tos[0] for each in sent] == ["asha@therapists.example"]
    assert messages(story, asked) == [("client", "Is it upstairs?")]
    for hidden in (b"dee@clients.example", b"private.example", b"upstairs"):
        assert hidden not in sent[0].raw


def test_a_signature_that_only_a_name_begins_is_not_passed_on(
    post: Post, story: Story, asked: Booking
) -> None:
    to = post.organizer(asked)
    sent = next(each for each in story.mail.messages if each.kind == "booking_requested")
    text = "Yes\n\nSee you then.\n\nAsha Rao\nPsychotherapist\n+44 20 7946 0018"
    reply = written(to, text, in_reply_to=str(sent.parsed["Message-ID"]))
    assert post.hear(reply.replace(b"From: Asha <", b"From: Asha Rao <"), to) == "accepted"
    assert messages(story, asked) == [("therapist", "See you then.")]


def test_after_the_end_of_a_booking_its_reply_is_told_where_to_turn(
    post: Post, story: Story, asked: Booking
) -> None:
    story.withdraw(asked)
    story.deliver()
    story.wait(minutes=2)
    assert post.reply("withdrawal_receipt", "Hello?", Role.CLIENT) == "explained_over"
    email = story.sent()[0]
    assert (email.parsed["X-Mindsum-Email"], email.rcpt_tos[0]) == ("answer_not_taken", DEE[1])


@pytest.mark.parametrize("name", AUTOMATIC)
def test_an_automatic_reply_does_nothing_and_tells_nobody(
    post: Post, story: Story, asked: Booking, name: str
) -> None:
    assert post.reply("booking_requested", "Yes", headers=AUTOMATIC[name]) == "automatic"
    assert story.reload(asked).status is Status.REQUESTED
    assert story.deliver() == []


def test_exchange_answers_for_its_owner_and_does_nothing(
    post: Post, story: Story, asked: Booking
) -> None:
    to = post.organizer(asked)
    away = written(to, "Yes", headers="X-Auto-Response-Suppress: All\n")
    by_subject = away.replace(b"Re: Dee", b"Automatic reply: Dee")
    assert post.hear(by_subject, to) == "automatic"
    # An answer of a person has a sender.
    by_path = away.replace(b"words-1", b"words-2")
    assert post.hear(by_path, to, is_from_server=True) == "automatic"
    assert story.deliver() == []


def test_an_email_of_ours_that_comes_back_does_nothing(
    post: Post, story: Story, asked: Booking
) -> None:
    headers = "X-Mindsum-Email: booking_requested\n"
    assert post.reply("booking_requested", "Yes", headers=headers) == "loop"
    assert post.reply("booking_requested", "", message_id="<e@x>") == "explained_empty"
    assert post.reply("booking_requested", "", message_id="<f@x>") == "explained_before"


def test_files_are_refused_kindly_and_the_words_beside_them_passed_on(
    post: Post, story: Story, asked: Booking
) -> None:
    to = post.organizer(asked)
    raw = crlf(f"""
Message-ID: <files@x>
In-Reply-To: {story.mail.messages[0].parsed["Message-ID"]}
From: asha@therapists.example
To: {to}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain

Here is the form.
--x
Content-Type: application/pdf; name="form.pdf"
Content-Disposition: attachment; filename="form.pdf"
Content-Transfer-Encoding: base64

JVBERi0=
--x--
""")
    assert post.hear(raw, to) == "message"
    assert messages(story, asked) == [("therapist", "Here is the form.")]
    assert sorted(kind for kind, _ in story.deliver()) == ["answer_not_taken", "new_message"]


def test_what_names_no_booking_is_told_once_an_hour(
    post: Post, story: Story, asked: Booking
) -> None:
    to = post.organizer(asked)
    assert post.hear(written(to, "Hello"), to) == "unplaced"
    assert post.hear(written(to, "Hello", message_id="<2@x>"), to) == "unplaced_again"
    assert story.deliver() == [("reply_not_placed", "asha@therapists.example")]


def test_one_address_takes_so_many_messages_an_hour(
    post: Post, story: Story, asked: Booking
) -> None:
    to = post.organizer(asked)
    taken = [
        receive(
            to,
            written(to, "x", message_id=f"<{n}@x>"),
            is_from_server=False,
            now=story.now,
        )
        for n in range(MOST_AN_HOUR + 1)
    ]
    assert taken == [Taken.STORED] * MOST_AN_HOUR + [Taken.TOO_MANY]
    story.wait(hours=1)
    assert receive(to, written(to, "x"), is_from_server=False, now=story.now) is Taken.STORED


def test_the_address_of_an_erased_client_has_ended(
    post: Post, story: Story, asked: Booking
) -> None:
    to = post.organizer(asked, Role.CLIENT)
    Client.update(email_key="erased-1@erased.invalid").where(Client.email == DEE[1]).execute()
    raw = written(to, "x")
    assert receive(to, raw, is_from_server=False, now=story.now) is Taken.UNKNOWN


def test_a_client_who_may_not_answer_cannot_by_the_therapists_email(
    post: Post, story: Story, asked: Booking
) -> None:
    # The client's own address, with the Message-ID of the therapist's email.
    to = post.organizer(asked, Role.CLIENT)
    id_of_request = str(story.mail.messages[0].parsed["Message-ID"])
    outcome = post.hear(written(to, "Yes", in_reply_to=id_of_request), to)
    assert outcome == "unplaced"
    assert story.reload(asked).status is Status.REQUESTED
    assert story.cancel(story.reload(asked), by=Actor.CLIENT).is_done
