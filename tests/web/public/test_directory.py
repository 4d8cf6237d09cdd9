"""Find a Therapist and a therapist's page, as a visitor without scripts sees them."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.services.therapists import accounts, profile
from app.services.therapists.profile import Away
from app.store.models import Therapist, TimeOff
from app.store.queries import directory
from tests.harness.pages import ASHA, TUESDAY_10, ask, filled, text
from tests.scenarios.cast import MONDAY, Cast, therapist
from tests.web.conftest import Visitor, counted_queries

MOST_QUERIES = 5


def names(response: Any) -> list[str]:
    return re.findall(r'id="card-([^"]+)"', response.text)


@pytest.mark.both_databases
def test_everyone_who_is_listed_has_a_card_with_their_next_open_times(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get("/?tz=Europe/London")
    assert page.status_code == 200
    assert sorted(names(page)) == ["asha", "bran", "chi"]
    assert "£60.00" in text(page)
    # Asha's Monday begins at nine; four hours' notice leave one o'clock as the first start.
    assert "/therapists/asha?at=2026-11-02T13:00:00Z&amp;tz=Europe/London#request" in page.text


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("name=ash", ["asha"]),
        ("name=ASHA", ["asha"]),
        ("name=Rao Asha", ["asha"]),
        ("name=Rao, Asha", ["asha"]),
        ("name=nak ch", ["chi"]),
        ("name=Asha Cole", []),
        ("name=%25", []),
        ("specialism=sleep", ["chi"]),
        ("free=on", ["asha", "bran"]),
        ("day=2026-11-04", ["asha", "bran", "chi"]),
        ("day=2026-11-05&tz=Europe/London", ["bran", "chi"]),
        ("day=2026-11-05&free=on", ["bran"]),
        ("name=nobody", []),
    ],
)
def test_a_filter_leaves_only_those_who_fit(
    app: Flask, at: Any, visitor: Visitor, query: str, left: list[str]
) -> None:
    at(MONDAY)
    asha = therapist("Asha Rao", "Europe/London")
    therapist("Bran Cole", "America/New_York")
    therapist(
        "Chi Nakamura",
        "Australia/Lord_Howe",
        specialisms="Sleep, Stress",
        offers_free_consultation=False,
    )
    TimeOff.create(
        therapist=asha,
        starts_at=MONDAY + timedelta(days=2, hours=14),
        ends_at=MONDAY + timedelta(days=4),
    )
    assert sorted(names(visitor.get(f"/?{query}"))) == left


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("name=åsa", ["asa"]),
        ("name=ÅSA", ["asa"]),
        ("name=asa", ["asa"]),
        ("name=A%CC%8Asa", ["asa"]),
        ("name=ÖBERG", ["asa"]),
        ("name=JÜRGEN", ["jurgen"]),
        ("name=weiss", ["jurgen"]),
        ("specialism=ängste", ["jurgen"]),
        ("specialism=A%CC%88NGSTE", ["jurgen"]),
        ("specialism=schlaf", ["asa", "jurgen"]),
        ("name=%CC%8A_", []),
    ],
)
def test_a_search_knows_letter_case_and_accents_of_every_script(
    app: Flask, at: Any, visitor: Visitor, query: str, left: list[str]
) -> None:
    at(MONDAY)
    for name, renamed, specialisms in (
        ("Asa", "A\u030asa Öberg", "Schlaf"),
        ("Jurgen", "Jürgen Weiß", "Ängste, SCHLAF"),
    ):
        slug = therapist(name, "Europe/London").slug
        profile.update(slug, {"name": renamed, "specialisms": specialisms}, MONDAY)
    assert sorted(names(visitor.get(f"/?{query}"))) == left


@pytest.fixture
def priced(cast: Cast) -> None:
    """Asha at £60 speaks Hindi, Bran at £80, Chi at £70 speaks Japanese and offers nothing free."""
    profile.update("asha", {"languages": "English, Hindī"}, MONDAY)
    profile.update("chi", {"languages": "日本語", "offers_free_consultation": False}, MONDAY)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("language=hindi", ["asha"]),
        ("language=HINDI", ["asha"]),
        ("language=日本", ["chi"]),
        ("language=%25", []),
        ("price=70", ["asha", "chi"]),
        ("price=69.99", ["asha"]),
        ("price=%C2%A370.00", ["asha", "chi"]),
        ("price=GBP 70", ["asha", "chi"]),
        ("price=1", []),
        ("price=80&free=on", ["asha", "bran"]),
        ("price=75&sort=price", ["asha", "chi"]),
    ],
)
def test_a_filter_by_language_or_price_leaves_only_those_who_fit(
    priced: None, visitor: Visitor, query: str, left: list[str]
) -> None:
    assert sorted(names(visitor.get(f"/?{query}"))) == left


@pytest.mark.both_databases
def test_amounts_of_another_currency_are_not_compared(priced: None, visitor: Visitor) -> None:
    Therapist.update(currency="JPY").where(Therapist.slug == "asha").execute()
    assert names(visitor.get("/?price=70")) == ["chi"]


@pytest.mark.both_databases
def test_the_order_is_by_ranking_price_or_soonest_time(
    app: Flask, cast: Cast, visitor: Visitor
) -> None:
    for slug, score in (("asha", 80.0), ("bran", 90.0), ("chi", 70.0)):
        Therapist.update(score=score).where(Therapist.slug == slug).execute()
    Therapist.update(rate_minor=7000).where(Therapist.slug == "asha").execute()
    assert names(visitor.get("/")) == ["bran", "asha", "chi"]
    # Of equal price, the better one first.
    assert names(visitor.get("/?sort=price")) == ["asha", "chi", "bran"]
    # At nine in London: Asha at one, Bran at nine in New York, Chi tomorrow on Lord Howe.
    assert names(visitor.get("/?sort=soonest")) == ["asha", "bran", "chi"]
    profile.add_time_off("asha", Away(MONDAY, MONDAY + timedelta(days=90)), MONDAY)
    assert names(visitor.get("/?sort=soonest")) == ["bran", "chi", "asha"]
    assert names(visitor.get("/?sort=soonest&day=2026-11-04&tz=Europe/London")) == ["chi", "bran"]


def test_what_is_in_use_is_told_and_each_can_be_removed(priced: None, visitor: Visitor) -> None:
    page = visitor.get("/?language=Hindi&price=£60&sort=price&free=on&tz=Europe/London&day=")
    in_use = page.text.partition('aria-label="In use"')[2].partition("</ul>")[0]
    links = {
        re.sub(r"<[^>]+>|×", "", html.unescape(words)).strip(): html.unescape(address)
        for address, words in re.findall(r'<a href="([^"]+)"[^>]*>(.*?)</a>', in_use)
    }
    assert links == {
        "Speaks Hindi": "/?price=60.00&free=on&tz=Europe/London&sort=price",
        "Up to £60.00": "/?language=Hindi&free=on&tz=Europe/London&sort=price",
        "Free first consultation": "/?language=Hindi&price=60.00&tz=Europe/London&sort=price",
        "Lowest price first": "/?language=Hindi&price=60.00&free=on&tz=Europe/London",
        "Clear filters": "/?tz=Europe/London",
    }
    for address in links.values():
        assert "asha" in names(visitor.get(address))
    assert 'aria-label="In use"' not in visitor.get("/?tz=Europe/London").text


@pytest.mark.parametrize("query", ["price=cheap", "sort=newest", "day=soon", "tz=Mars"])
def test_the_filters_are_folded_unless_one_has_to_be_corrected(
    cast: Cast, visitor: Visitor, query: str
) -> None:
    assert '<details class="fold">' in visitor.get("/?price=60").text
    assert '<details class="fold" open>' in visitor.get(f"/?{query}").text


def test_qualifications_and_languages_are_on_cards_and_on_the_page(
    cast: Cast, visitor: Visitor
) -> None:
    fields = {"qualifications": "MBACP (Accred) <b>", "languages": "English, Hindi"}
    profile.update("asha", fields, MONDAY)
    for path in ("/", ASHA):
        page = visitor.get(path)
        assert "MBACP (Accred) &lt;b&gt;" in page.text
        assert "English, Hindi" in text(page)
    assert directory.offered().languages == ["English", "Hindi"]


def test_a_usual_answer_time_is_told_once_there_are_enough_answers(
    cast: Cast, visitor: Visitor
) -> None:
    def told(median_s: int, counted: int) -> list[bool]:
        stored = {"median_answer_s": median_s, "answers_counted": counted}
        Therapist.update(stored).where(Therapist.slug == "asha").execute()
        pages = [text(visitor.get(path)) for path in ("/", ASHA)]
        return ["Usually answers in 40 minutes" in page for page in pages]

    assert told(2300, 5) == [True, True]
    assert told(2300, 4) == [False, False]
    told(24 * 3600, 9)
    assert "answers in" not in text(visitor.get("/"))


@pytest.mark.both_databases
def test_a_search_follows_a_changed_name(cast: Cast, visitor: Visitor) -> None:
    profile.update("asha", {"name": "Älva Rao", "specialisms": "Schlaf"}, MONDAY)
    assert names(visitor.get("/?name=älva")) == ["asha"]
    assert names(visitor.get("/?name=asha")) == []
    assert names(visitor.get("/?specialism=SCHLAF")) == ["asha"]


@pytest.mark.both_databases
def test_one_specialism_is_offered_once_however_it_is_written(cast: Cast) -> None:
    for slug, written in (("asha", "Ängste, sleep"), ("bran", "ängste, Sleep"), ("chi", "")):
        profile.update(slug, {"specialisms": written}, MONDAY)
    assert directory.offered().specialisms == ["Ängste", "Sleep"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("day=2029-01-01", "Please choose a day from today"),
        ("price=cheap", "Please give an amount in GBP above zero, such as 60.00."),
        ("price=0", "Please give an amount in GBP above zero, such as 60.00."),
        ("price=60,50", "Please give an amount in GBP above zero, such as 60.00."),
        ("day=31.12.2026", "Please give a day such as"),
        ("day=20261104", "Please give a day such as"),
        ("day=2026-W45-3", "Please give a day such as"),
        ("tz=Mars/Olympus", "Please give a time zone such as Europe/London."),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_name_and_kept(
    cast: Cast, visitor: Visitor, query: str, said: str
) -> None:
    page = visitor.get(f"/?{query}")
    assert page.status_code == 200
    assert said in text(page)
    assert f'value="{query.partition("=")[2]}"' in page.text


def test_nobody_who_fits_is_an_answer_of_its_own(cast: Cast, visitor: Visitor) -> None:
    assert "No therapist matches" in text(visitor.get("/?name=zzz"))


def test_a_site_without_therapists_says_so(app: Flask, visitor: Visitor) -> None:
    assert "No therapist is taking bookings" in text(visitor.get("/"))


@pytest.mark.both_databases
def test_twenty_cards_to_a_page_and_every_therapist_on_exactly_one(
    app: Flask, at: Any, visitor: Visitor
) -> None:
    at(MONDAY)
    for letter in "abcdefghijklmnopqrstuvw":
        therapist(f"{letter}{letter} Marsh", "Europe/London")
    first, second = names(visitor.get("/")), names(visitor.get("/?page=2"))
    assert len(first) == 20
    assert len(second) == 3
    assert len({*first, *second}) == 23
    assert "There is no page 3" in text(visitor.get("/?page=3"))


@pytest.mark.both_databases
def test_the_next_page_keeps_the_filters_and_nothing_else(
    app: Flask, at: Any, visitor: Visitor
) -> None:
    at(MONDAY)
    for letter in "abcdefghijklmnopqrstuvw":
        therapist(f"{letter}{letter} Marsh", "Europe/London")
    query = "name=Marsh&price=60.00&free=on&day=2026-11-04&tz=Europe/London&sort=price"
    page = visitor.get(f"/?{query}&_external=1&endpoint=x&_anchor=y&page=1")
    following = re.search(r'rel="next" href="([^"]+)"', page.text)[1]
    assert html.unescape(following) == (
        "/?name=Marsh&price=60.00&free=on&day=2026-11-04&tz=Europe/London&sort=price&page=2"
    )
    assert len(names(visitor.get(html.unescape(following)))) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?day=2026-11-04&free=on",
        "/?sort=soonest&price=90&language=e",
        "/?sort=price",
        ASHA,
        "/therapists/bran?tz=Asia/Tokyo",
    ],
)
def test_a_page_needs_few_queries_and_no_more_as_bookings_increase(
    cast: Cast, visitor: Visitor, path: str
) -> None:
    with counted_queries() as before:
        visitor.get(path)
    for hour in range(5):
        ask(email=f"c{hour}@clients.example", starts_at=TUESDAY_10 + timedelta(hours=hour))
        therapist(f"d{hour} Marsh", "Europe/Paris")
    with counted_queries() as after:
        visitor.get(path)
    assert len(after) == len(before) <= MOST_QUERIES


def test_a_paused_therapists_page_needs_few_queries(cast: Cast, visitor: Visitor) -> None:
    accounts.pause("asha", on=True)
    with counted_queries() as seen:
        visitor.get(ASHA)
    assert len(seen) <= MOST_QUERIES


def test_the_longest_pages_stay_under_forty_eight_kilobytes(
    app: Flask, at: Any, visitor: Visitor
) -> None:
    at(MONDAY)
    for number in range(20):
        therapist(
            f"n{number} Featherstonehaugh-Marjoribanks",
            "America/New_York",
            headline="Talking it through, at your own pace, in plain words",
            specialisms="Anxiety, Depression, Trauma, Relationships",
            languages="English, Hindi",
            qualifications="BSc Psychology, MBACP (Accred)",
        )
    for path in ("/?tz=America/New_York", "/therapists/n1?tz=America/New_York"):
        assert len(visitor.get(path).data) < 48 * 1024


def test_a_hidden_therapist_is_not_listed_but_takes_requests_from_those_with_the_link(
    cast: Cast, visitor: Visitor
) -> None:
    accounts.hide("asha", on=True)
    assert "asha" not in names(visitor.get("/"))
    assert visitor.get(ASHA).headers["X-Robots-Tag"] == "noindex"
    assert visitor.post(ASHA, data=filled(visitor)).status_code == 303


def test_a_paused_therapists_page_says_so_and_offers_others(cast: Cast, visitor: Visitor) -> None:
    accounts.pause("asha", on=True)
    page = visitor.get(ASHA)
    assert page.status_code == 200
    assert "not taking bookings" in text(page)
    assert sorted(names(page)) == ["bran", "chi"]
    assert "starts_at" not in page.text


def test_open_times_are_shown_in_the_visitors_zone_which_is_named(
    cast: Cast, visitor: Visitor
) -> None:
    page = visitor.get(f"{ASHA}?tz=Asia/Tokyo&from=2026-11-03")
    assert "Times in Tokyo, UTC+9" in text(page).replace("JST", "UTC+9")
    assert re.search(r'value="2026-11-03T10:00:00Z">19:00', page.text)


def test_while_only_one_zone_has_changed_clocks_each_sees_their_own(
    cast: Cast, at: Any, visitor: Visitor
) -> None:
    at(MONDAY - timedelta(days=10))
    page = visitor.get(f"{ASHA}?tz=America/New_York&from=2026-10-28")
    # London went back on 25 October, New York does on 1 November: four hours apart in between.
    assert re.search(r'value="2026-10-28T10:00:00Z">06:00', page.text)
    assert re.search(r'value="2026-11-02T10:00:00Z">05:00', page.text)
    assert "clocks change" in text(page)


def test_a_time_that_clocks_show_twice_is_shown_with_its_zone(
    cast: Cast, at: Any, visitor: Visitor
) -> None:
    at(MONDAY - timedelta(days=10))
    # Nine to five on Lord Howe reaches into the repeated hour of a Lisbon night.
    page = visitor.get("/therapists/chi?tz=Europe/Lisbon&from=2026-10-25")
    labels = re.findall(r'value="2026-10-25T0[01]:30:00Z">([^<]+)', page.text)
    assert labels == ["01:30 WEST", "01:30 WET"]


def test_the_week_can_be_turned_and_ends_where_bookings_end(cast: Cast, visitor: Visitor) -> None:
    page = visitor.get(ASHA)
    assert "Later days" in text(page)
    assert "Earlier days" not in text(page)
    last = visitor.get(f"{ASHA}?from=2029-01-01")
    assert "Later days" not in text(last)
    assert "Earlier days" in text(last)


@pytest.mark.parametrize("day", ["20261110", "2026-W46-2", "0001-01-01"])
def test_a_week_is_turned_to_by_one_form_of_day_only(
    cast: Cast, visitor: Visitor, day: str
) -> None:
    assert "Earlier days" in text(visitor.get(f"{ASHA}?from=2026-11-10"))
    assert "Earlier days" not in text(visitor.get(f"{ASHA}?from={day}"))


def test_a_chosen_time_from_a_card_is_chosen_on_the_page(cast: Cast, visitor: Visitor) -> None:
    page = visitor.get(f"{ASHA}?at=2026-11-10T10:00:00Z")
    assert 'value="2026-11-10T10:00:00Z" checked' in page.text


def test_nothing_open_for_weeks_is_said_and_no_form_is_shown(
    app: Flask, at: Any, visitor: Visitor
) -> None:
    at(MONDAY)
    accounts.add_therapist(
        accounts.NewTherapist(
            slug="fay",
            name="Fay Long",
            email="fay@therapists.example",
            timezone="Europe/London",
            rate_minor=5000,
            windows=(),
        ),
        clock.now(),
    )
    page = text(visitor.get("/therapists/fay"))
    assert "No open times" in page
    assert "Your name" not in page
