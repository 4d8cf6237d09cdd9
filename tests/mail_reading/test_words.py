"""Replies in words: what is new in them, what is an answer, what is automatic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mail_reading import words
from app.mail_reading.facts import WordAnswer
from app.mail_reading.message import read
from tests.scenarios.mailbox import (
    AUTOMATIC,
    AUTOMATIC_SUBJECTS,
    NOT_ANSWERS,
    QUOTE,
    QUOTED,
    SEPARATORS,
    crlf,
    written,
)

TO = "re+7-inpuwpdrzfdztd6caxzq@in.example"
YES, NO = WordAnswer(is_yes=True), WordAnswer(is_yes=False)


@pytest.mark.parametrize("program", SEPARATORS)
@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("Yes", YES),
        ("yes.", YES),
        ("ACCEPT", YES),
        ("OK!", YES),
        ("no", NO),
        ("Decline.", NO),
        ("No, I am away", WordAnswer(is_yes=False, reason="I am away")),
        ("decline , sorry: full", WordAnswer(is_yes=False, reason="sorry: full")),
    ],
)
def test_an_answer_is_found_above_the_quote_of_every_program(
    program: str, line: str, answer: WordAnswer
) -> None:
    facts = read(written(TO, f"\n{line}{SEPARATORS[program]}"))
    assert facts.answer == answer
    assert facts.text == line


@pytest.mark.parametrize("program", SEPARATORS)
@pytest.mark.parametrize("line", NOT_ANSWERS)
def test_other_words_are_no_answer_and_stay_as_they_were_written(program: str, line: str) -> None:
    facts = read(written(TO, f"{line}{SEPARATORS[program]}"))
    assert facts.answer is None
    assert facts.text == line


@pytest.mark.parametrize("program", SEPARATORS)
def test_no_link_or_signature_of_the_quoted_email_is_passed_on(program: str) -> None:
    facts = read(written(TO, f"Could it be later?\nAsha{SEPARATORS[program]}"))
    assert facts.text == "Could it be later?\nAsha"


def test_who_writes_below_the_quote_is_read_but_does_not_answer() -> None:
    above = "On Mon, 2 Nov 2026 at 09:05, Mindsum <b@x.example> wrote:"
    facts = read(written(TO, f"{above}\n{QUOTED}\n\nyes"))
    assert (facts.answer, facts.text) == (None, "yes")


def test_markup_alone_is_text_and_no_answer() -> None:
    page = f"<html><style>p{{}}</style><p>Yes</p><blockquote>{QUOTE}</blockquote></html>"
    facts = read(written(TO, page, html=True))
    assert (facts.answer, facts.text) == (None, "Yes")


def test_an_empty_reply_has_no_text() -> None:
    assert read(written(TO, "")).text == ""
    assert read(written(TO, SEPARATORS["gmail"])).text == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes please", True),
        ("*Accepted*", True),
        ("okay!", True),
        ("No problem!", True),
        ("Not sure", False),
        ("Nobody told me", False),
        ("Could it be later? Yes, five is fine", False),
        ("", False),
    ],
)
def test_what_begins_like_an_answer_is_told_apart(text: str, expected: bool) -> None:
    assert words.seems_answer(text) is expected


def test_a_reaction_is_no_answer_and_no_file() -> None:
    raw = crlf(f"""
From: asha@therapists.example
To: {TO}
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="g"

--g
Content-Type: text/plain; charset=UTF-8

👍
--g
Content-Type: text/vnd.google.email-reaction+json; charset=UTF-8

{{"emoji": "👍", "version": 1}}
--g
Content-Type: text/html; charset=UTF-8

<p>👍</p>
--g--
""")
    facts = read(raw)
    assert (facts.answer, facts.text, facts.has_attachments) == (None, "👍", False)


@pytest.mark.parametrize("name", AUTOMATIC)
def test_what_a_program_answers_is_automatic(name: str) -> None:
    assert read(written(TO, "Yes", headers=AUTOMATIC[name])).is_automatic


@pytest.mark.parametrize("subject", AUTOMATIC_SUBJECTS)
def test_old_programs_tell_only_by_their_subject(subject: str) -> None:
    raw = written(TO, "I am away").replace(b"Re: Dee, Wed 4 Nov 10:00", subject.encode())
    assert read(raw).is_automatic


@pytest.mark.parametrize(
    "headers",
    ["", "X-Auto-Response-Suppress: All\n", "Auto-Submitted: no\n", "Precedence: first-class\n"],
)
def test_what_a_person_wrote_is_not_automatic(headers: str) -> None:
    assert not read(written(TO, "Yes", headers=headers)).is_automatic


def test_our_own_email_is_known_when_it_comes_back() -> None:
    assert read(written(TO, "x", headers="X-Mindsum-Email: new_message\n")).is_ours


def test_ids_are_read_with_the_one_replied_to_first() -> None:
    headers = "In-Reply-To: <b@x>\nReferences: <a@x>\n <b@x> <c@x>\n"
    assert read(written(TO, "x", headers=headers)).replies_to == ("<b@x>", "<c@x>", "<a@x>")


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    words.new_text(text)
    answer = words.answer(text)
    assert answer is None or text.strip()
