"""The grammar of values as people and programs send them."""

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services import validation
from emails import formatting
from emails.safety import UnsafeValue, check_reference, check_slug
from tests.harness.every import for_every


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("60.00", "GBP", 6000),
        ("60", "GBP", 6000),
        ("60.5", "GBP", 6050),
        (" 0.01 ", "GBP", 1),
        ("0", "GBP", 0),
        ("6000", "JPY", 6000),
        ("1.234", "KWD", 1234),
        ("1.2", "KWD", 1200),
    ],
)
def test_an_amount_is_read_in_minor_units(text: str, currency: str, minor: int) -> None:
    assert validation.amount(text, currency) == minor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sixty",
        "-1.00",
        "+1.00",
        "60.001",
        "1e3",
        "1,000.00",
        "60.",
        ".50",
        "£60",
        "٦٠",
        "99999999",
    ],
)
def test_a_bad_amount_is_refused_with_a_right_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"GBP is digits with at most 2 decimals.*60\.00"):
        validation.amount(text, "GBP")


def test_yen_have_no_decimals() -> None:
    with pytest.raises(ValueError, match=r"JPY is digits with at most 0 decimals.*example 60$"):
        validation.amount("60.00", "JPY")


@given(st.integers(0, 999_999_999), st.sampled_from(["GBP", "JPY", "KWD"]))
def test_an_amount_that_we_write_is_read_back(minor: int, currency: str) -> None:
    minor %= 10 ** (7 + formatting.minor_digits(currency))
    written = formatting.money(minor, currency).lstrip("£JPYKWD ").replace(",", "")
    assert validation.amount(written, currency) == minor


@pytest.mark.parametrize("slug", ["asha", "asha-rao", "a1", "1", "a" * 64])
def test_a_slug_is_accepted_as_input_and_by_emails(slug: str) -> None:
    assert validation.slug(slug) == check_slug("slug", slug) == slug


@pytest.mark.parametrize(
    "slug", ["", "Asha", "asha_rao", "asha--rao", "-asha", "asha-", "asha rao", "é", "a" * 65]
)
def test_a_bad_slug_is_refused_as_input_and_by_emails(slug: str) -> None:
    with pytest.raises(ValueError, match="hyphens"):
        validation.slug(slug)
    with pytest.raises(UnsafeValue, match=r"^slug"):
        check_slug("slug", slug)


def test_a_reference_is_read_without_regard_to_letter_case_and_spaces_around_it() -> None:
    assert validation.reference(" mb-7k3qxd ") == "MB-7K3QXD"


@pytest.mark.parametrize(
    "reference", ["", "MB-7K3QX", "MB-7K3QXDD", "XX-7K3QXD", "7K3QXD", "MB-7K3QX-", "MB-７K3QXD"]
)
def test_a_bad_reference_is_refused_as_input_and_by_emails(reference: str) -> None:
    with pytest.raises(ValueError, match="MB-7K3QXD"):
        validation.reference(reference)
    with pytest.raises(UnsafeValue, match=r"^reference"):
        check_reference("reference", reference)


HIDDEN = (
    "\u200b",
    "\u200d\u200d",
    "\u3164",
    "\u2800\u2800",
    "\u0301",
    "\ufe0f",
    "A\u200bsha",
    "\u2060Asha",
    "Asha\ufeff",
    "Asha\xad",
    "\u202eoaR ahsA",
    "\u2066Asha\u2069",
    "Asha\u061c",
    "Asha \U000e0041",
    "Asha\x00",
    "Asha\x7f",
    "Asha\nRao",
    "\ud800",
)


@for_every(list(product((validation.name, validation.given_name), HIDDEN)))
def test_a_name_that_hides_something_or_shows_nothing_is_refused(
    grammar: Callable[[str], str | None], name: str
) -> None:
    with pytest.raises(ValueError, match=r"name"):
        grammar(name)


@pytest.mark.parametrize("name", ["علی\u200cرضا", "👩\u200d⚕️ Asha", "🌸", "Éloïse", "क्\u200dष"])
def test_characters_that_hold_a_name_together_stay(name: str) -> None:
    assert validation.name(name) == name


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("", None), ("  ", None), (" Asha ", "Asha"), ("Rao,,", "Rao"), ("Dr. Rao", "Dr. Rao")],
)
def test_a_given_name_is_optional_and_kept_as_typed(typed: str, kept: str | None) -> None:
    assert validation.given_name(typed) == kept


@pytest.mark.parametrize("typed", [",", "...", "- ?!", "\u00ab\u0301\u00bb"])
def test_signs_alone_are_no_name(typed: str) -> None:
    with pytest.raises(ValueError, match="give a name"):
        validation.name(typed)


@pytest.mark.parametrize("typed", ["https://evil.example", "Win now: WWW.evil.example", "a://b"])
def test_a_web_address_is_no_name_since_every_email_begins_with_it(typed: str) -> None:
    for grammar in (validation.name, validation.given_name):
        with pytest.raises(ValueError, match="not a web address"):
            grammar(typed)


@pytest.mark.parametrize("typed", ["X", "J.R.R.", "Anna s/o Raj", "👩", "3", "D'Arcy-Ng, Jo"])
def test_short_and_unusual_names_stay_names(typed: str) -> None:
    assert validation.name(typed) == typed


def test_a_message_with_nothing_to_see_is_none() -> None:
    with pytest.raises(ValueError, match="write something"):
        validation.required_text("\u200b\u2800")


@pytest.mark.parametrize("line", ["Calm\u202e", "Calm\u200b"])
def test_a_line_for_a_public_page_hides_nothing(line: str) -> None:
    with pytest.raises(ValueError, match="invisible"):
        validation.line(line, 200)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("+44 20 7946 0018", "+442079460018"),
        ("+44 (0)20 7946-0018", "+442079460018"),
        (" (020) 7946 0018 ", "02079460018"),
        ("(0)20 7946 0018", "02079460018"),
        ("+1\u00a0(212)\u202f555-0147", "+12125550147"),
        ("12345", "12345"),
        ("9" * 20, "9" * 20),
    ],
)
def test_a_phone_number_is_kept_as_its_digits(typed: str, kept: str) -> None:
    assert validation.phone(typed) == kept
    assert validation.phone(kept) == kept


@pytest.mark.parametrize(
    "typed",
    ["", "1234", "9" * 21, "()-+", "12345\u202e", "12345\x00", "tel:02079460018",
     "44+20794600", "+", "ext 12345", "020/7946", "٠٢٠٧٩٤٦", "１２３４５",],
)  # fmt: skip
def test_what_is_no_phone_number_is_refused_with_a_right_one(typed: str) -> None:
    with pytest.raises(ValueError, match=r"5 to 20 digits.*\+44 20 7946 0018"):
        validation.phone(typed)
