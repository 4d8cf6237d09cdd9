"""Time zones by the words that people use: cities, countries, abbreviations and old names."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from emails.formatting import LOCALE
from emails.zones import NAMES

# Large cities after which no zone is named, other spellings, parts of countries.
_CITIES = {
    "Africa/Cairo": "Alexandria, Giza",
    "Africa/Johannesburg": "Cape Town, Durban, Pretoria, Soweto",
    "Africa/Lagos": "Abuja, Ibadan, Kano, Port Harcourt",
    "Africa/Casablanca": "Fes, Marrakech, Marrakesh, Rabat, Tangier",
    "Africa/Nairobi": "Mombasa",
    "America/Bogota": "Cali, Cartagena, Medellin",
    "America/Chicago": "Austin, Dallas, Houston, Kansas City, Memphis, Milwaukee, Minneapolis,"
    " Nashville, New Orleans, Oklahoma City, Saint Louis, San Antonio",
    "America/Denver": "Albuquerque, Salt Lake City, Santa Fe",
    "America/Edmonton": "Calgary",
    "America/Los_Angeles": "LA, Las Vegas, Oakland, Portland, Sacramento, San Diego,"
    " San Francisco, San Jose, Seattle",
    "America/Mexico_City": "Guadalajara, Puebla",
    "America/New_York": "Atlanta, Baltimore, Boston, Brooklyn, Charlotte, Cleveland, Miami,"
    " New York City, NYC, Orlando, Philadelphia, Pittsburgh, Tampa, Washington, Washington DC",
    "America/Sao_Paulo": "Brasilia, Curitiba, Porto Alegre, Rio, Rio de Janeiro",
    "America/Toronto": "Hamilton Ontario, Montreal, Ottawa, Quebec, Quebec City",
    "America/Vancouver": "Victoria BC",
    "America/Winnipeg": "Manitoba",
    "Asia/Dubai": "Abu Dhabi, Sharjah",
    "Asia/Ho_Chi_Minh": "Da Nang, Hanoi, Ho Chi Minh City",
    "Asia/Jerusalem": "Haifa",
    "Asia/Karachi": "Islamabad, Lahore, Rawalpindi",
    "Asia/Kolkata": "Ahmedabad, Bangalore, Bengaluru, Bombay, Chennai, Delhi, Goa, Hyderabad,"
    " Jaipur, Kochi, Lucknow, Madras, Mumbai, New Delhi, Pune",
    "Asia/Kuala_Lumpur": "George Town, Penang",
    "Asia/Riyadh": "Jeddah, Mecca, Medina",
    "Asia/Shanghai": "Beijing, Guangzhou, Nanjing, Peking, Shenzhen, Tianjin, Wuhan",
    "Asia/Tokyo": "Hiroshima, Kobe, Kyoto, Nagoya, Osaka, Sapporo, Yokohama",
    "Asia/Yangon": "Burma",
    "Australia/Adelaide": "South Australia",
    "Australia/Brisbane": "Cairns, Gold Coast, Queensland",
    "Australia/Perth": "Fremantle, Western Australia",
    "Australia/Sydney": "New South Wales, Newcastle NSW, Wollongong",
    "Australia/Darwin": "Northern Territory",
    "Australia/Melbourne": "Geelong, Launceston, Tasmania",
    "Europe/Amsterdam": "Eindhoven, Holland, Rotterdam, The Hague, Utrecht",
    "Europe/Athens": "Thessaloniki",
    "Europe/Berlin": "Bonn, Bremen, Cologne, Dresden, Dusseldorf, Frankfurt, Hamburg, Hanover,"
    " Koln, Leipzig, Munchen, Munich, Nuremberg, Stuttgart",
    "Europe/Brussels": "Antwerp, Bruges, Ghent, Liege",
    "Europe/Copenhagen": "Aarhus, Odense",
    "Europe/Dublin": "Cork, Galway, Limerick, Republic of Ireland",
    "Europe/Istanbul": "Ankara, Antalya, Constantinople, Izmir, Turkey",
    "Europe/Kyiv": "Kharkiv, Lviv, Odesa, Odessa",
    "Europe/Lisbon": "Porto",
    "Europe/London": "Aberdeen, Bath, Belfast, Birmingham, Bradford, Brighton, Bristol, Britain,"
    " Cambridge, Cardiff, Coventry, Dundee, Edinburgh, England, Exeter, Glasgow, Great Britain,"
    " Hull, Inverness, Leeds, Leicester, Liverpool, Manchester, Newcastle, Newcastle upon Tyne,"
    " Northern Ireland, Norwich, Nottingham, Oxford, Plymouth, Portsmouth, Scotland, Sheffield,"
    " Southampton, Swansea, UK, Wales, York",
    "Europe/Madrid": "Barcelona, Bilbao, Malaga, Seville, Valencia",
    "Europe/Moscow": "Petersburg, Saint Petersburg",
    "Europe/Oslo": "Bergen, Trondheim",
    "Europe/Paris": "Bordeaux, Lille, Lyon, Marseille, Nantes, Nice, Strasbourg, Toulouse",
    "Europe/Prague": "Brno, Czech Republic",
    "Europe/Rome": "Bologna, Florence, Milan, Milano, Naples, Palermo, Turin, Venice",
    "Europe/Stockholm": "Gothenburg, Malmo, Uppsala",
    "Europe/Vienna": "Graz, Innsbruck, Linz, Salzburg",
    "Europe/Warsaw": "Cracow, Gdansk, Krakow, Lodz, Poznan, Wroclaw",
    "Europe/Zurich": "Basel, Bern, Berne, Geneva, Lausanne",
    "Pacific/Auckland": "Christchurch, Dunedin, Wellington",
}
# Before the names of zones: "EST" is also the name of one that has no summer time.
_ABBREVIATIONS = {
    "Africa/Johannesburg": "SAST",
    "Africa/Lagos": "WAT",
    "Africa/Maputo": "CAT",
    "Africa/Nairobi": "EAT",
    "America/Anchorage": "AKST, AKDT, Alaska time",
    "America/Argentina/Buenos_Aires": "ART",
    "America/Bogota": "COT",
    "America/Chicago": "CDT, CT, Central time",
    "America/Denver": "MDT, MT, Mountain time",
    "America/Halifax": "ADT",
    "America/Los_Angeles": "PST, PDT, PT, Pacific time",
    "America/New_York": "EST, EDT, ET, Eastern time",
    "America/Phoenix": "Arizona",
    "America/Santiago": "CLT, CLST",
    "America/Sao_Paulo": "BRT",
    "America/St_Johns": "NST, NDT, Newfoundland",
    "Asia/Bangkok": "ICT",
    "Asia/Dubai": "GST",
    "Asia/Hong_Kong": "HKT",
    "Asia/Jakarta": "WIB",
    "Asia/Jerusalem": "IDT",
    "Asia/Karachi": "PKT",
    "Asia/Kathmandu": "NPT",
    "Asia/Manila": "PHT",
    "Asia/Seoul": "KST",
    "Asia/Singapore": "SGT",
    "Asia/Tokyo": "JST",
    "Australia/Adelaide": "ACDT",
    "Australia/Perth": "AWST",
    "Australia/Sydney": "AEDT",
    "CET": "CEST, MEZ, MESZ",
    "EET": "EEST",
    "Europe/Istanbul": "TRT",
    "Europe/London": "BST, UK time",
    "Europe/Moscow": "MSK",
    "Pacific/Auckland": "NZST, NZDT",
    "Pacific/Honolulu": "HST, Hawaii",
    "WET": "WEST",
}
_AMBIGUOUS = {
    "ACST": ("Australia/Adelaide", "Australia/Darwin"),
    "AEST": ("Australia/Sydney", "Australia/Brisbane"),
    "AMT": ("Asia/Yerevan", "America/Manaus"),
    "AST": ("America/Halifax", "America/Puerto_Rico", "Asia/Riyadh"),
    "Central": ("America/Chicago", "Australia/Adelaide"),
    "CST": ("America/Chicago", "Asia/Shanghai", "America/Havana"),
    "Eastern": ("America/New_York", "Australia/Sydney"),
    "Georgia": ("Asia/Tbilisi", "America/New_York"),
    "GMT": ("Europe/London", "UTC"),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "MST": ("America/Denver", "America/Phoenix"),
    "Mountain": ("America/Denver", "America/Phoenix"),
    "Samoa": ("Pacific/Apia", "Pacific/Pago_Pago"),
    "SST": ("Pacific/Pago_Pago", "Asia/Singapore"),
    "West": ("Australia/Perth", "America/Manaus"),
}
# Names that people use for countries beside the ones of Babel.
_COUNTRIES = {
    "US": "America, United States of America, US, USA",
    "AE": "Emirates, UAE",
    "CI": "Ivory Coast",
    "HK": "Hong Kong",
    "KR": "Korea",
}
_MOST_CHOICES = 8
_CONTINENTS = frozenset(
    {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)
_LEFT_OUT = str.maketrans("", "", ".'’")


class AmbiguousPlace(ValueError):
    """The words fit several zones: `zones`, the likeliest first."""

    def __init__(self, words: str, zones: tuple[str, ...]) -> None:
        super().__init__(words)
        self.zones = zones


def zone_of(words: str) -> str:
    """The IANA name of the zone that the words name. Raises AmbiguousPlace or ValueError."""
    zones = _zones_of(_plain(words))
    if not zones:
        raise ValueError(words)
    if len(zones) > 1:
        raise AmbiguousPlace(words, zones)
    return zones[0]


def city_of(zone: str) -> str:
    """`New York`, from `America/New_York`."""
    return zone.rpartition("/")[2].replace("_", " ")


def _zones_of(plain: str) -> tuple[str, ...]:
    """All that fit, of those with the same clocks only one."""
    head, *rest = (each.strip() for each in plain.split(","))
    zones = _by_words().get(head, ())
    for part in rest:
        # "Paris, France": where the last word names another place, it is not that Paris.
        within = {_clock(each) for each in _by_words().get(part, ())}
        zones = tuple(each for each in zones if _clock(each) in within)
    return zones


@cache
def _by_words() -> dict[str, tuple[str, ...]]:
    """Zones by plain words; what is written later counts."""
    found: dict[str, tuple[str, ...]]
    in_cities = [name for name in sorted(NAMES) if name.partition("/")[0] in _CONTINENTS]
    found = {_plain(name): (name,) for name in NAMES}
    found |= _by_country() | {_plain(city_of(name)): (name,) for name in in_cities}
    found |= {_plain(name): (name,) for name in NAMES if "/" in name}
    for table in (_CITIES, _ABBREVIATIONS):
        for zone, words in table.items():
            found |= dict.fromkeys(map(_plain, words.split(", ")), (zone,))
    return found | {_plain(words): zones for words, zones in _AMBIGUOUS.items()}


def _by_country() -> dict[str, tuple[str, ...]]:
    lines = files("tzdata").joinpath("zoneinfo/zone.tab").read_text().splitlines()
    zones: dict[str, list[str]] = {}
    for line in lines:
        if not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            zones.setdefault(country, []).append(zone)
    found = {}
    for country, within in zones.items():
        others = filter(None, _COUNTRIES.get(country, "").split(", "))
        for name in (LOCALE.territories.get(country, country), *others):
            found[_plain(name)] = _distinct(within)
    return found


def _distinct(zones: Iterable[str]) -> tuple[str, ...]:
    """One zone of each set of clocks that show the same, those with large cities first."""
    by_clock: dict[tuple[object, ...], str] = {}
    for zone in sorted(zones, key=lambda zone: zone not in _CITIES):
        by_clock.setdefault(_clock(zone), zone)
    return tuple(by_clock.values())[:_MOST_CHOICES]


@cache
def _clock(zone: str) -> tuple[object, ...]:
    """Its offsets from UTC by month: the same for zones whose clocks agree."""
    months = (datetime(2026 + each // 12, each % 12 + 1, 15, tzinfo=UTC) for each in range(24))
    return tuple(at.astimezone(ZoneInfo(zone)).utcoffset() for at in months)


def _plain(words: str) -> str:
    """Lower case without accents, dots and apostrophes; other signs but , and + are spaces."""
    bare = (
        each for each in unicodedata.normalize("NFKD", words) if not unicodedata.combining(each)
    )
    kept = "".join(bare).translate(_LEFT_OUT)
    text = "".join(each if each.isalnum() or each in ",+" else " " for each in kept)
    spelt = ("st" if each == "saint" else each for each in text.casefold().split())
    return " ".join(spelt).replace(" ,", ",")
