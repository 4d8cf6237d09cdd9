"""Find a Therapist: therapists that match the filters, with their next open times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app import config
from app.rules.availability import Span
from app.rules.lifecycle import Kind
from app.rules.weekly_hours import day_starts_at
from app.services.availability import OpenTimes
from app.store.models import Therapist
from app.store.queries import directory

PAGE_SIZE = 20
OPEN_TIMES_SHOWN = 3
# A filter by day, and the order by open times, look at this many of the best-ranked therapists.
_CHECKED = 500
_NEVER = datetime.max.replace(tzinfo=UTC)


class Sort(StrEnum):
    RANKING = "ranking"
    PRICE = "price"
    SOONEST = "soonest"


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """What a visitor looks for; empty means anything. `zone` is the visitor's, if known.

    `most_minor`: the highest price of a session, in minor units of the site's currency.
    """

    name: str = ""
    specialism: str = ""
    language: str = ""
    most_minor: int | None = None
    is_free: bool = False
    on: date | None = None
    zone: str | None = None
    sort: Sort = Sort.RANKING

    @property
    def kind(self) -> Kind:
        return Kind.FREE_CONSULTATION if self.is_free else Kind.PAID


@dataclass(frozen=True, slots=True)
class Card:
    therapist: Therapist
    open_times: list[datetime]


@dataclass(frozen=True, slots=True)
class SearchPage:
    """In the order that was asked for."""

    cards: list[Card]
    has_more: bool


def find(filters: SearchFilters, *, page: int, now: datetime) -> SearchPage:
    """`page` counts from 1."""
    first = (page - 1) * PAGE_SIZE
    if filters.on is None and filters.sort is not Sort.SOONEST:
        listed = _listed(filters, now, offset=first, limit=PAGE_SIZE + 1)
        cards = _with_open_times(listed[:PAGE_SIZE], filters, now)
        return SearchPage(cards, len(listed) > PAGE_SIZE)
    cards = _with_open_times(_listed(filters, now, offset=0, limit=_CHECKED), filters, now)
    if filters.on is not None:
        cards = [card for card in cards if card.open_times]
    if filters.sort is Sort.SOONEST:
        cards.sort(key=lambda card: card.open_times[0] if card.open_times else _NEVER)
    return SearchPage(cards[first : first + PAGE_SIZE], len(cards) > first + PAGE_SIZE)


def alternatives_to(therapist: Therapist, now: datetime) -> list[Card]:
    """Up to three other listed therapists, best first."""
    listed = _listed(SearchFilters(), now, offset=0, limit=4)
    return _with_open_times(
        [each for each in listed if each.id != therapist.id][:3], SearchFilters(), now
    )


def _listed(filters: SearchFilters, now: datetime, *, offset: int, limit: int) -> list[Therapist]:
    currency = config.current().currency
    wanted = directory.Wanted(
        name=filters.name,
        specialism=filters.specialism,
        language=filters.language,
        is_free=filters.is_free,
        most=None if filters.most_minor is None else (filters.most_minor, currency),
        is_cheapest_first=filters.sort is Sort.PRICE,
    )
    return directory.therapists(now, wanted, offset=offset, limit=limit)


def _with_open_times(
    listed: Sequence[Therapist], filters: SearchFilters, now: datetime
) -> list[Card]:
    if not listed:
        return []
    spans = [_span(filters, therapist, now) for therapist in listed]
    whole = min(span[0] for span in spans), max(span[1] for span in spans)
    open_times = OpenTimes(listed, filters.kind, whole, now)
    return [
        Card(therapist, open_times(therapist, span, OPEN_TIMES_SHOWN))
        for therapist, span in zip(listed, spans, strict=True)
    ]


def _span(filters: SearchFilters, therapist: Therapist, now: datetime) -> Span:
    # The chosen day, or else every day that can be booked.
    if filters.on is None:
        return now, now + config.current().policy.max_ahead + timedelta(days=1)
    zone = ZoneInfo(filters.zone or therapist.timezone)
    return day_starts_at(filters.on, zone), day_starts_at(filters.on + timedelta(days=1), zone)
