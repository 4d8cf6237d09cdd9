"""Parameters in the addresses of public pages: filters, page, time zone, day and kind."""

import unicodedata
from datetime import date, datetime, timedelta
from decimal import Decimal

from werkzeug.datastructures import MultiDict

from app import config
from app.rules.lifecycle import Kind
from app.services import validation
from app.services.search import SearchFilters, Sort
from app.web.template_filters import local_day, long_day
from emails import formatting

Args = MultiDict[str, str]
# Sentences by the name of the parameter that they are about.
Errors = dict[str, str]

SORT_WORDS = {
    Sort.RANKING: "Best ranking first",
    Sort.PRICE: "Lowest price first",
    Sort.SOONEST: "Soonest time first",
}
_MAX_TEXT_LENGTH = 120
_MAX_PAGE = 500
# How far a visitor's date may be from UTC's.
_ONE_DAY = timedelta(days=1)


def search_filters(
    args: Args, now: datetime, known_zone: str | None
) -> tuple[SearchFilters, Errors]:
    """`known_zone` is the visitor's where the address names none."""
    errors: Errors = {}
    filters = SearchFilters(
        name=_clean(args.get("name", "")),
        specialism=_clean(args.get("specialism", "")),
        language=_clean(args.get("language", "")),
        most_minor=_most_minor(args, errors),
        is_free=args.get("free") in {"on", "1", "true", "yes"},
        on=_day(args, errors, now),
        zone=_zone(args, errors, known_zone),
        sort=_sort(args, errors),
    )
    return filters, errors


def address_args(args: Args, filters: SearchFilters) -> dict[str, str]:
    """The parameters that ask for the same therapists in the same order.

    A time zone that is known without its parameter needs none.
    """
    is_ranked = filters.sort is Sort.RANKING
    found = {
        "name": filters.name,
        "specialism": filters.specialism,
        "language": filters.language,
        "price": "" if filters.most_minor is None else _amount(filters.most_minor),
        "free": "on" if filters.is_free else "",
        "day": filters.on.isoformat() if filters.on else "",
        "tz": (filters.zone or "") if args.get("tz") else "",
        "sort": "" if is_ranked else str(filters.sort),
    }
    return {name: value for name, value in found.items() if value}


def active(filters: SearchFilters) -> dict[str, str]:
    """In words, what narrows or orders the list, by the name of its parameter."""
    currency = config.current().currency
    words = {
        "name": f"Name: {filters.name}" if filters.name else "",
        "specialism": f"Specialism: {filters.specialism}" if filters.specialism else "",
        "language": f"Speaks {filters.language}" if filters.language else "",
        "price": "",
        "free": "Free first consultation" if filters.is_free else "",
        "day": f"Available on {long_day(filters.on)}" if filters.on else "",
        "sort": SORT_WORDS[filters.sort] if filters.sort is not Sort.RANKING else "",
    }
    if filters.most_minor is not None:
        words["price"] = f"Up to {formatting.money(filters.most_minor, currency)}"
    return {name: text for name, text in words.items() if text}


def page_number(args: Args) -> int:
    """From 1."""
    number = args.get("page", 1, type=int)
    return min(max(number, 1), _MAX_PAGE)


def _zone(args: Args, errors: Errors, known: str | None) -> str | None:
    given = args.get("tz", "").strip()
    # The form sends the known zone as it was shown.
    if given in ("", known):
        return known
    try:
        return validation.place(given)
    except ValueError as error:
        errors["tz"] = str(error)
        return known


def kind(args: Args) -> Kind:
    is_free = args.get("kind") == Kind.FREE_CONSULTATION
    return Kind.FREE_CONSULTATION if is_free else Kind.PAID


def from_day(args: Args) -> date | None:
    try:
        return validation.day(args.get("from", ""))
    except ValueError:
        return None


def _clean(value: str) -> str:
    printable = (character for character in value if unicodedata.category(character)[0] != "C")
    return " ".join("".join(printable).split())[:_MAX_TEXT_LENGTH]


def _most_minor(args: Args, errors: Errors) -> int | None:
    given, currency = args.get("price", "").strip(), config.current().currency
    if not given:
        return None
    try:
        # As people write prices.
        return validation.rate(given.strip("£€$").removeprefix(currency), currency)
    except ValueError as error:
        errors["price"] = f"Please give {error}."
        return None


def _amount(minor: int) -> str:
    digits = formatting.minor_digits(config.current().currency)
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def _sort(args: Args, errors: Errors) -> Sort:
    given = args.get("sort", "").strip()
    if not given:
        return Sort.RANKING
    try:
        return Sort(given)
    except ValueError:
        errors["sort"] = "Please choose one of these orders."
        return Sort.RANKING


def _day(args: Args, errors: Errors, now: datetime) -> date | None:
    given = args.get("day", "").strip()
    if not given:
        return None
    first = local_day(now - _ONE_DAY, "UTC")
    last = local_day(now + config.current().policy.max_ahead + _ONE_DAY, "UTC")
    try:
        day = validation.day(given)
    except ValueError:
        errors["day"] = f"Please give a day such as {last.isoformat()}."
        return None
    if not first <= day <= last:
        errors["day"] = f"Please choose a day from today to {long_day(last - _ONE_DAY)}."
        return None
    return day
