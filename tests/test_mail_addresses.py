"""The grammar of the mail door's addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import mail_addresses
from app.mail_addresses import AddressKind

KEY = b"k" * 32


@given(kind=st.sampled_from([AddressKind.PERSON]), number=st.integers(1, 10**17 - 1))
def test_an_address_fits_and_survives_any_change_of_its_letter_case(
    kind: AddressKind, number: int
) -> None:
    local = mail_addresses.local_part(kind, f"t{number}", "t1 1", KEY)
    assert local == local.lower()
    assert len(local) <= mail_addresses.LONGEST_LOCAL_PART
    for spelling in (local, local.upper(), local.title()):
        parsed = mail_addresses.parse(spelling)
        assert parsed is not None
        assert mail_addresses.is_good(parsed, "t1 1", KEY)
        assert not mail_addresses.is_good(parsed, "t1 2", KEY)
        assert not mail_addresses.is_good(parsed, "t1 1", b"x" * 32)


@given(st.text(max_size=80))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    parsed = mail_addresses.parse(text)
    assert parsed is None or parsed.kind in AddressKind


GOOD = mail_addresses.local_part(AddressKind.REPLY, "42", "", KEY)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "book",
        "postmaster",
        GOOD[:-1],
        GOOD + "a",
        GOOD.replace("re+", "re"),
        GOOD.replace("42", "042"),
        GOOD.replace("42", "4\u0662"),
        GOOD.replace("42", "t42"),
        GOOD.replace("re+", "book+"),
        GOOD.replace("-", "-1", 1),
        "complaints+1",
        "a" * 65,
    ],
)
def test_what_is_no_address_of_ours_is_none(other: str) -> None:
    assert mail_addresses.parse(other) is None
