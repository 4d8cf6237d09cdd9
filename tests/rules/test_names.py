"""What a person is called in emails, if only a full name was given."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules.names import given_name, is_visible, tells_given_name
from tests.harness.every import for_every

CALLED = (
    ("Asha Rao", "Asha"),
    ("Asha", "Asha"),
    ("asha rao", "asha"),
    # Titles.
    ("Dr. Asha Rao", "Asha"),
    ("Dr Asha Rao", "Asha"),
    ("DR.ASHA RAO", "ASHA"),
    ("Prof Dr. med. Asha Rao", "Asha"),
    ("Prof. Dr. h.c. mult. Asha Rao", "Asha"),
    ("Dr. rer. nat. Asha Rao", "Asha"),
    ("Dr. Phil Stone", "Phil"),
    ("Dipl.-Psych. Asha Rao", "Asha"),
    ("Mrs Asha Rao", "Asha"),
    ("Herr Bran Cole", "Bran"),
    ("Frau Prof. Dr. Asha Rao", "Asha"),
    ("Mme Éloïse Durand", "Éloïse"),
    ("Sig.ra Anna Rossi", "Anna"),
    ("Dott.ssa Anna Rossi", "Anna"),
    ("Sra. Ana Gómez", "Ana"),
    ("Mr & Mrs Stone", "Stone"),
    ("Dr. Rao", "Rao"),
    ("Д-р Анна Иванова", "Анна"),
    ("د. علي حسن", "علي"),
    ('ד"ר דנה לוי', "דנה"),
    # A surname before a comma, and letters after the name.
    ("Rao, Asha", "Asha"),
    ("Rao,Asha", "Asha"),
    ("Rao, Dr. Asha", "Asha"),
    ("Dr. Rao, Asha", "Asha"),
    ("RAO, ASHA MARIA", "ASHA"),
    ("van der Berg, Jan", "Jan"),
    ("Berg, Jan van der", "Jan"),
    ("Smith, J. Robert", "Robert"),
    ("Smith, J. R.", "JR"),
    ("Stone, S. R.", "SR"),
    ("Capt. Jo Stone", "Jo"),
    ("Rao， Asha", "Asha"),
    ("حسن، علي", "علي"),
    ("Asha Rao, PhD", "Asha"),
    ("Asha Rao, Ph.D., M.Sc.", "Asha"),
    ("Rao, Asha, MD", "Asha"),
    ("Jo Rao, MA", "Jo"),
    ("Rao, Ma", "Ma"),
    ("Sammy Stone, Jr.", "Sammy"),
    ("Dee,Lane", "Lane"),
    ("Asha Rao, she/her", "Asha"),
    ("Asha, they/them", "Asha"),
    ("Rao, Asha, she/her", "Asha"),
    # A title alone, or a surname before a comma and no more: an initial.
    ("Ms", "M"),
    ("Dr.", "D"),
    ("Mr & Mrs", "M"),
    ("Smith, Mr", "S"),
    ("Smith,Mr", "S"),
    ("Smith, PhD", "S"),
    ("Smith, Mr, she/her", "S"),
    ("Garcia Lopez, Sra.", "G"),
    ("van der Berg, Herr", "B"),
    ("Asha Rao, Dr.", "Asha"),
    # Signs.
    ("Rao,,", "Rao"),
    ("Hello Rao,,", "Hello"),
    ("  Asha   Rao . ", "Asha"),
    ('"Bob" Stone', "Bob"),
    ("(Asha) Rao", "Asha"),
    ("Asha (she/her)", "Asha"),
    ("-Asha- Rao", "Asha"),
    ("🌸 Asha 🌸", "Asha"),
    ("🌸Asha🌸Rao", "Asha🌸Rao"),
    ("👩‍⚕️ Dr. Asha Rao", "Asha"),
    ("🌸", "🌸"),
    ("?!", "?!"),
    ("99", "99"),
    ("\u3164 Asha Rao", "Asha"),
    # Particles, compounds and initials.
    ("Jan van der Berg", "Jan"),
    ("Herr van der Berg", "van der Berg"),
    ("Van Nguyen", "Van"),
    ("al pacino", "al"),
    ("Jean-Pierre Dupont", "Jean-Pierre"),
    ("Abdul Rahman Khan", "Abdul Rahman"),
    ("Abu Bakr", "Abu Bakr"),
    ("عبد الرحمن خان", "عبد الرحمن"),
    ("O'Neil, D'Arcy", "D'Arcy"),
    ("F. Scott Fitzgerald", "Scott"),
    ("J. R. R. Tolkien", "JRR"),
    ("J.R.R. Tolkien", "JRR"),
    ("J. van der Berg", "J"),
    ("Rao, A.", "A"),
    ("Иванов Иван Иванович", "Иван"),
    ("Иван Иванович Рабинович", "Иван"),
    ("علی‌رضا محمدی", "علی‌رضا"),
    ("अशा राव", "अशा"),
    # The surname comes first; without a space the name stays whole.
    ("山田 太郎", "太郎"),
    ("山田　太郎", "太郎"),
    ("山田 太郎 様", "太郎"),
    ("山田太郎", "山田太郎"),
    ("田中先生", "田中"),
    ("王 小明", "小明"),
    ("김 민준", "민준"),
    ("김민준씨", "김민준"),
    ("ジョン・スミス", "ジョン"),
    ("ジョン スミス", "ジョン"),
)


@for_every(CALLED)
def test_a_person_is_called_by_their_given_name(name: str, called: str) -> None:
    assert given_name(name) == called


@pytest.mark.parametrize("name", ["Ms", "Herr Dr.", "Smith, Mr", "Smith,Mrs", "Smith, PhD"])
def test_a_title_or_a_surname_alone_tells_no_given_name(name: str) -> None:
    assert not tells_given_name(name)


@pytest.mark.parametrize("name", ["Asha", "Dr. Rao", "Rao, Asha", "Rao,,", "?!", "Asha, she/her"])
def test_any_other_name_tells_what_to_call_a_person(name: str) -> None:
    assert tells_given_name(name)


@given(
    st.from_regex(r"[A-Z][a-z]{4,9}son", fullmatch=True),
    st.sampled_from([",", ", ", " , ", "， "]),
    st.sampled_from(["Mr", "Mrs.", "Ms", "Dr.", "PhD", "Herr Dr.", "Jr.", "Mr, PhD"]),
)
def test_a_surname_before_a_comma_is_never_what_a_person_is_called(
    surname: str, comma: str, after: str
) -> None:
    assert given_name(f"{surname}{comma}{after}") == surname[0]


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ("Asha", True),
        ("🌸", True),
        ("?", True),
        ("", False),
        (" \t", False),
        ("\u200b\u200d\ufeff", False),
        ("\u3164\u2800\u115f", False),
        ("\u0301", False),
        ("\u202e\u2066", False),
        ("\ufe0f", False),
    ],
)
def test_a_name_shows_if_there_is_a_letter_digit_or_sign(text: str, shows: bool) -> None:
    assert is_visible(text) is shows


@given(st.text(min_size=1, max_size=60).filter(is_visible))
def test_whatever_shows_gives_a_name_that_is_not_blank_and_not_longer(name: str) -> None:
    called = given_name(name)
    assert is_visible(called)
    assert len(called) <= len(name)


@given(
    st.sampled_from(["", "Dr. ", "Prof. Dr. ", "Frau ", "Mrs "]),
    st.from_regex(r"[A-Z][a-z]{4,9}en", fullmatch=True),
    st.from_regex(r"[A-Z][a-z]{4,9}son", fullmatch=True),
    st.sampled_from(["", ", PhD", ",,", " .", ", Jr."]),
)
def test_title_order_and_letters_after_it_do_not_change_a_given_name(
    title: str, first: str, surname: str, after: str
) -> None:
    assert given_name(f"{title}{first} {surname}{after}") == first
    assert given_name(f"{surname}, {title}{first}{after}") == first


@given(st.text(max_size=40))
def test_what_a_person_is_called_is_part_of_their_name(name: str) -> None:
    letters = [each for each in given_name(name) if unicodedata.category(each)[0] == "L"]
    assert set(letters) <= set(name)
