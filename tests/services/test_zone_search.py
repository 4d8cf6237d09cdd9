"""Time zones by the words that people use."""

import pytest

from app.services import validation, zone_search
from app.services.zone_search import AmbiguousPlace
from emails.zones import NAMES
from tests.harness.every import for_every

# Names of zones that people mean in another way: the words of one country or abbreviation.
READ_ANOTHER_WAY = {
    "Cuba", "EST", "Egypt", "GMT", "HST", "Iceland", "Iran", "Israel", "Jamaica", "Japan",
    "Kwajalein", "Libya", "MST", "Poland", "Portugal", "Singapore", "Turkey",
}  # fmt: skip


@for_every(
    [
        ("London", "Europe/London"),
        (" london ", "Europe/London"),
        ("LONDON, UK", "Europe/London"),
        ("Paris", "Europe/Paris"),
        ("Paris, France", "Europe/Paris"),
        ("New York", "America/New_York"),
        ("new_york", "America/New_York"),
        ("NYC", "America/New_York"),
        ("Washington D.C.", "America/New_York"),
        ("BST", "Europe/London"),
        ("EST", "America/New_York"),
        ("PST", "America/Los_Angeles"),
        ("CEST", "CET"),
        ("Bombay", "Asia/Kolkata"),
        ("Calcutta", "Asia/Calcutta"),
        ("Kiev", "Europe/Kiev"),
        ("Peking", "Asia/Shanghai"),
        ("Zürich", "Europe/Zurich"),
        ("São Paulo", "America/Sao_Paulo"),
        ("St. John's", "America/St_Johns"),
        ("Saint Johns", "America/St_Johns"),
        ("U.K.", "Europe/London"),
        ("Scotland", "Europe/London"),
        ("Ireland", "Europe/Dublin"),
        ("Germany", "Europe/Berlin"),
        ("Japan", "Asia/Tokyo"),
        ("Turkey", "Europe/Istanbul"),
        ("Côte d'Ivoire", "Africa/Abidjan"),
        ("Singapore", "Asia/Singapore"),
        ("UTC", "UTC"),
        ("utc", "UTC"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("europe/london", "Europe/London"),
        ("GB", "GB"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ]
)
def test_a_place_is_found_by_its_words(words: str, zone: str) -> None:
    assert validation.place(words) == zone


@for_every(
    [
        ("IST", {"Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"}),
        ("cst", {"America/Chicago", "Asia/Shanghai", "America/Havana"}),
        ("GMT", {"Europe/London", "UTC"}),
        ("Georgia", {"Asia/Tbilisi", "America/New_York"}),
        ("Spain", {"Europe/Madrid", "Atlantic/Canary"}),
        ("China", {"Asia/Shanghai", "Asia/Urumqi"}),
    ]
)
def test_words_that_fit_several_zones_ask_which(words: str, zones: set[str]) -> None:
    with pytest.raises(AmbiguousPlace) as asked:
        validation.place(words)
    assert set(asked.value.zones) == zones
    assert zone_search.city_of(asked.value.zones[-1]) in str(asked.value)


def test_the_largest_cities_of_a_country_stand_first() -> None:
    with pytest.raises(AmbiguousPlace) as asked:
        validation.place("USA")
    assert asked.value.zones[:2] == ("America/New_York", "America/Chicago")


@for_every(
    [
        "", "  ", "Mars/Olympus", "Paris, Texas", "London, Ontario", "GMT-5", "UTC+1", "localtime",
        "Factory", "../etc/passwd", "Europe/", "/", ",", "x" * 5000, "\0", "😀",
        "Eu\u200brope/London",
    ]
)  # fmt: skip
def test_words_that_name_no_place_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="time zone such as Europe/London") as refused:
        validation.place(words)
    assert not isinstance(refused.value, AmbiguousPlace)


@for_every(sorted(NAMES))
def test_the_name_of_a_zone_is_that_zone(name: str) -> None:
    if name in READ_ANOTHER_WAY:
        return
    assert validation.place(name) == name


def zones_of(words: str) -> tuple[str, ...]:
    try:
        return (validation.place(words),)
    except AmbiguousPlace as asked:
        return asked.zones


@for_every(sorted(READ_ANOTHER_WAY))
def test_a_name_is_read_in_another_way_only_where_people_mean_that(name: str) -> None:
    assert name not in zones_of(name)


@for_every(
    sorted(
        {
            *zone_search._CITIES,
            *zone_search._ABBREVIATIONS,
            *sum(zone_search._AMBIGUOUS.values(), ()),
        }
    )
)
def test_every_zone_of_the_tables_exists(zone: str) -> None:
    assert validation.timezone(zone) == zone


def test_programs_give_the_name_of_a_zone() -> None:
    with pytest.raises(ValueError, match="such as Europe/London"):
        validation.timezone("London")
