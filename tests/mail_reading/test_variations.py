"""The same message in other clothes says the same: order of fields, charsets, line ends, folds."""

import re
from base64 import b64encode
from itertools import product
from quopri import encodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mail_reading.facts import InboundFacts, WordAnswer
from app.mail_reading.message import read
from tests.scenarios.bounces import SHAPES, Refusal, complaint
from tests.scenarios.invitation_answers import NOT_PLAIN, PROGRAMS, Answer, google_event
from tests.scenarios.mailbox import AUTOMATIC, SEPARATORS, crlf, written

TO = "book+t1-inpuwpdrzfdztd6caxzq@in.example"
ANSWER = Answer(to=TO, uid="MB-7K3QXD@mindsum-bookings", comment="Sorry, été")
MESSAGES = {
    **{name: write(ANSWER) for name, write in PROGRAMS.items()},
    **{f"words_{name}": written(TO, f"No, été{text}") for name, text in SEPARATORS.items()},
    **{
        f"bounce_{name}": shape.write(Refusal(to=TO, **shape.fields))
        for name, shape in SHAPES.items()
    },
    "complaint": complaint(Refusal(to=TO)),
    **{f"not_plain_{name}": write(ANSWER) for name, write in NOT_PLAIN.items()},
    **{f"auto_{name}": written(TO, "Yes", headers=line) for name, line in AUTOMATIC.items()},
}
names = st.sampled_from(sorted(MESSAGES))


def fields_of(raw: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return re.split(rb"\r\n(?![ \t])", head), body


@given(name=names, data=st.data())
def test_the_order_and_case_of_header_fields_change_nothing(name: str, data: st.DataObject) -> None:
    fields, body = fields_of(MESSAGES[name])
    # Only the first field of a name counts, so those that repeat keep their order.
    shuffled = data.draw(st.permutations(fields))
    case = data.draw(st.sampled_from([bytes.upper, bytes.lower, bytes.title]))
    cased = [case(each.partition(b":")[0]) + b":" + each.partition(b":")[2] for each in shuffled]
    assert read(b"\r\n".join(cased) + b"\r\n\r\n" + body) == read(MESSAGES[name])


@given(name=names)
def test_bare_line_ends_change_nothing(name: str) -> None:
    raw = MESSAGES[name]
    assert read(raw.replace(b"\r\n", b"\n")) == read(raw)


@given(name=names, data=st.data())
def test_folded_header_fields_change_nothing(name: str, data: st.DataObject) -> None:
    fields, body = fields_of(MESSAGES[name])
    fold = data.draw(st.sampled_from([b"\r\n ", b"\r\n\t"]))
    folded = [
        each.replace(b"; ", b";" + fold) if each.lower().startswith(b"content-type") else each
        for each in fields
    ]
    assert read(b"\r\n".join(folded) + b"\r\n\r\n" + body) == read(MESSAGES[name])


CHARSETS = ("utf-8", "iso-8859-1", "windows-1252", "utf-16")
ENCODINGS = ("8bit", "base64", "quoted-printable")


def encoded(text: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return b64encode(text)
    return encodestring(text) if encoding == "quoted-printable" else text


def message_of(kind: str, text: str, charset: str, encoding: str) -> InboundFacts:
    head = crlf(f"""
From: asha@therapists.example
MIME-Version: 1.0
Content-Type: {kind}; charset={charset}
Content-Transfer-Encoding: {encoding}

""")
    body = text.replace("\n", "\r\n").encode(charset)
    return read(head + encoded(body, encoding))


def calendar_message(text: str, charset: str, encoding: str) -> InboundFacts:
    return message_of("text/calendar; method=REPLY", text, charset, encoding)


# No mail program sends UTF-16 without an encoding.
SENT = [each for each in product(CHARSETS, ENCODINGS) if each != ("utf-16", "8bit")]


@pytest.mark.parametrize(("charset", "encoding"), SENT)
def test_the_charset_and_encoding_of_the_calendar_change_nothing(
    charset: str, encoding: str
) -> None:
    plain = calendar_message(google_event(ANSWER), "utf-8", "8bit")
    assert plain.calendar is not None
    assert plain.calendar.comment == "Sorry, été"
    assert calendar_message(google_event(ANSWER), charset, encoding) == plain


@pytest.mark.parametrize(("charset", "encoding"), SENT)
@pytest.mark.parametrize("program", SEPARATORS)
def test_the_charset_and_encoding_of_words_change_nothing(
    program: str, charset: str, encoding: str
) -> None:
    facts = message_of("text/plain", f"No, été{SEPARATORS[program]}", charset, encoding)
    assert (facts.text, facts.answer) == ("No, été", WordAnswer(is_yes=False, reason="été"))


@given(name=st.sampled_from(sorted(SHAPES)), fold=st.sampled_from(["\r\n ", "\r\n\t"]))
def test_where_the_fields_of_a_report_are_folded_changes_nothing(name: str, fold: str) -> None:
    raw = MESSAGES[f"bounce_{name}"].decode()
    folded = re.sub(
        r"(?m)^(?:Diagnostic-Code|Final-Recipient|Status): .*$",
        lambda found: found[0].replace("; ", f";{fold}"),
        raw,
    )
    assert read(folded.encode()) == read(raw.encode())


@given(width=st.integers(20, 75))
def test_where_the_calendars_lines_are_folded_changes_nothing(width: int) -> None:
    unfolded = google_event(ANSWER).replace("\n ", "")
    folded = "\n".join(
        "\n ".join([line[:width], *re.findall(f".{{1,{width}}}", line[width:])]).rstrip(" \n")
        for line in unfolded.split("\n")
    )
    facts = calendar_message(folded, "utf-8", "8bit")
    assert facts == calendar_message(unfolded, "utf-8", "8bit")


@given(st.binary(max_size=2000))
def test_any_bytes_are_read(raw: bytes) -> None:
    assert read(raw).calendar is None
