"""What visitors say in the address: filters, zone, day and kind, each refused by name if wrong."""

import unicodedata
from datetime import date, datetime, timedelta

from werkzeug.datastructures import MultiDict

from app import config
from app.rules.lifecycle import Kind
from app.services import validation
from app.services.search import SearchFilters
from app.web.template_filters import local_day, long_day

Args = MultiDict[str, str]
Errors = dict[str, str]

_LONGEST_WORD = 120
_LAST_PAGE = 500
_UTC_AHEAD = timedelta(days=1)


def search_filters(args: Args, now: datetime) -> tuple[SearchFilters, Errors]:
    """What the visitor looks for, and what is wrong with it by field."""
    errors: Errors = {}
    filters = SearchFilters(
        name=_clean(args.get("name", "")),
        specialism=_clean(args.get("specialism", "")),
        is_free=args.get("free") in {"on", "1", "true", "yes"},
        on=_day(args, errors, now),
        zone=zone(args, errors),
    )
    return filters, errors


def page(args: Args) -> int:
    """The page number, from 1."""
    number = args.get("page", 1, type=int)
    return min(max(number, 1), _LAST_PAGE)


def zone(args: Args, errors: Errors) -> str | None:
    """The visitor's time zone; None, and what is wrong with it, if it is not one."""
    given = args.get("tz", "").strip()
    if not given:
        return None
    try:
        return validation.timezone(given)
    except ValueError as error:
        errors["tz"] = str(error)
        return None


def kind(args: Args) -> Kind:
    """The kind of session whose open times are wanted."""
    is_free = args.get("kind") == Kind.FREE_CONSULTATION
    return Kind.FREE_CONSULTATION if is_free else Kind.PAID


def from_day(args: Args) -> date | None:
    """From which day on open times are wanted."""
    try:
        return validation.day(args.get("from", ""))
    except ValueError:
        return None


def _clean(value: str) -> str:
    shown = (character for character in value if unicodedata.category(character)[0] != "C")
    return " ".join("".join(shown).split())[:_LONGEST_WORD]


def _day(args: Args, errors: Errors, now: datetime) -> date | None:
    given = args.get("day", "").strip()
    if not given:
        return None
    first = local_day(now - _UTC_AHEAD, "UTC")
    last = local_day(now + config.current().policy.max_ahead + _UTC_AHEAD, "UTC")
    try:
        day = validation.day(given)
    except ValueError:
        errors["day"] = f"Please give a day such as {last.isoformat()}."
        return None
    if not first <= day <= last:
        errors["day"] = f"Please choose a day from today to {long_day(last - _UTC_AHEAD)}."
        return None
    return day
