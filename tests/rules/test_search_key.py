"""What a search takes for the same words."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from app.rules.search_key import search_key
from tests.harness.every import for_every

FOUND = (
    ("Åsa", "åsa"),
    ("Åsa", "ÅSA"),
    ("Åsa", "asa"),
    ("Asa", "åsa"),
    ("Åsa", "A\u030asa"),
    ("\u212bsa", "åsa"),
    ("Jürgen Weiß", "JÜRGEN WEISS"),
    ("Jürgen", "jurgen"),
    ("Łukasz", "lukasz"),
    ("Søren", "SOREN"),
    ("Đorđe", "dorde"),
    ("Iğdır", "igdir"),
    ("İpek", "ipek"),
    ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ("Артём", "АРТЕМ"),
    ("Ｃｈｉ", "chi"),
    ("O’Neil", "o'neil"),
    ("Jean‑Pierre", "jean-pierre"),
    ("Work  stress", "work stress"),
    ("علي\u200c", "علي"),
    ("مُحَمَّد", "محمد"),
    ("ﬁrst", "FIRST"),
)

NOT_FOUND = (("が", "か"), ("Asha", "Aska"), ("कि", "की"), ("Åsa", "Åse"))


@for_every(FOUND)
def test_letter_case_accents_and_normal_forms_make_no_difference(written: str, typed: str) -> None:
    assert search_key(written) == search_key(typed)


@for_every(NOT_FOUND)
def test_different_letters_stay_different(written: str, typed: str) -> None:
    assert search_key(written) != search_key(typed)


@given(st.text(), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_no_way_of_storing_a_text_changes_its_key(text: str, form: str) -> None:
    assert search_key(unicodedata.normalize(form, text)) == search_key(text)


@given(st.text())
def test_a_key_is_its_own_key(text: str) -> None:
    assert search_key(search_key(text)) == search_key(text)
