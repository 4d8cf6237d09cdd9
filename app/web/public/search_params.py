"""Parameters in the addresses of public pages: filters, page, time zone, day and kind."""

import unicodedata
from datetime import date, datetime, timedelta

from werkzeug.datastructures import MultiDict

from app import config
from app.rules.lifecycle import Kind
from app.services import validation
from app.services.search import SearchFilters
from app.web.template_filters import local_day, long_day

Args = MultiDict[str, str]
# Sentences by the name of the parameter that they are about.
Errors = dict[str, str]

_MAX_TEXT_LENGTH = 120
_MAX_PAGE = 500
# How far a visitor's date may be from UTC's.
_ONE_DAY = timedelta(days=1)


def search_filters(args: Args, now: datetime) -> tuple[SearchFilters, Errors]:
    errors: Errors = {}
    filters = SearchFilters(
        name=_clean(args.get("name", "")),
        specialism=_clean(args.get("specialism", "")),
        is_free=args.get("free") in {"on", "1", "true", "yes"},
        on=_day(args, errors, now),
        zone=zone(args, errors),
    )
    return filters, errors


def page_number(args: Args) -> int:
    """From 1."""
    number = args.get("page", 1, type=int)
    return min(max(number, 1), _MAX_PAGE)


def zone(args: Args, errors: Errors) -> str | None:
    given = args.get("tz", "").strip()
    if not given:
        return None
    try:
        return validation.timezone(given)
    except ValueError as error:
        errors["tz"] = str(error)
        return None


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
