"""The identity of an email address: one mailbox has one key, two mailboxes have two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services import validation
from emails.addresses import email_key, looks_like_another_letter
from tests.harness.every import for_every

SAME = (
    ("dee@clients.example", "DEE@Clients.EXAMPLE"),
    ("dee@clients.example", "  Dee@clients.example "),
    ("dee@bücher.example", "dee@xn--bcher-kva.example"),
    ("dee@bücher.example", "Dee@BÜCHER.example"),
    ("dee@faß.example", "dee@xn--fa-hia.example"),
    ("dee@x。example", "dee@x.example"),
    ("dée@x.example", "de\u0301e@x.example"),
    ("DÉE@x.example", "dée@x.example"),
    ("ДИ@x.example", "ди@x.example"),
    ("straße@x.example", "STRAẞE@x.example"),
    ("ǆ@x.example", "ǅ@x.example"),
    ("Σα@x.example", "σα@x.example"),
    ("dee@bu\u0308cher.example", "dee@bücher.example"),
)
DIFFERENT = (
    ("dee@faß.example", "dee@fass.example"),
    ("straße@x.example", "strasse@x.example"),
    ("ızzy@x.example", "izzy@x.example"),
    ("İzzy@x.example", "izzy@x.example"),
    ("\u212aate@x.example", "kate@x.example"),
    ("\u212bsa@x.example", "åsa@x.example"),
    ("\u2126@x.example", "ω@x.example"),
    ("ſam@x.example", "sam@x.example"),
    ("ﬁ@x.example", "fi@x.example"),
    ("σας@x.example", "σασ@x.example"),
    ("ϴ@x.example", "θ@x.example"),
    ("µ@x.example", "μ@x.example"),
    ("ŉ@x.example", "ʼn@x.example"),
    ("dee@βόλος.example", "dee@βόλοσ.example"),
    ("dée@x.example", "dee@x.example"),
    ("d.ee@x.example", "dee@x.example"),
    ("dee+a@x.example", "dee@x.example"),
    ("ｄee@x.example", "dee@x.example"),
)
LETTERS = st.characters(categories=("L", "M", "N"))
ADDRESSES = st.builds("{}@{}".format, st.text(LETTERS, min_size=1), st.text(max_size=20))


@for_every(SAME)
def test_two_ways_to_write_one_mailbox_have_one_key(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@for_every(DIFFERENT)
def test_two_mailboxes_have_two_keys(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@given(st.text() | ADDRESSES)
def test_a_key_is_its_own_key(text: str) -> None:
    assert email_key(email_key(text)) == email_key(text)


@given(LETTERS, LETTERS)
def test_letters_share_a_key_only_if_one_is_the_capital_of_the_other(one: str, other: str) -> None:
    if email_key(f"{one}@x.example") == email_key(f"{other}@x.example"):
        forms = {one, other, one.lower(), other.lower()}
        assert one == other or one.lower() == other.lower()
        assert not any(looks_like_another_letter(each) for each in forms if one != other)


@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1))
def test_letter_case_beyond_ascii_and_within_makes_no_other_person(local: str) -> None:
    assert email_key(f"{local.upper()}@X.example") == email_key(f"{local.lower()}@x.EXAMPLE")


@pytest.mark.parametrize(
    "address", ["\u212aate@x.example", "\u212bsa@x.example", "\u2126@x.example"]
)
def test_a_sign_that_looks_like_a_letter_is_refused_and_not_rewritten(address: str) -> None:
    with pytest.raises(ValueError, match="looks like a letter"):
        validation.email(address)


@pytest.mark.parametrize("address", ["de\u0301e@x.example", "dee@bücher.example", "ß@x.example"])
def test_an_address_beyond_ascii_is_taken(address: str) -> None:
    assert validation.email(address)
