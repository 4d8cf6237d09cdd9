"""Find a Therapist: who fits, and when each of them is next open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app import config
from app.rules import availability
from app.rules.lifecycle import Kind
from app.services import availability as calendar
from app.store import queries
from app.store.models import Therapist
from app.store.queries import directory

PAGE_SIZE = 20
OPEN_TIMES_SHOWN = 3
_LOOKED_AT = 500
"""A filter by day looks at this many of the best-ranked therapists."""


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """What a visitor looks for; empty means anything. `zone` is theirs, None if not given."""

    name: str = ""
    specialism: str = ""
    is_free: bool = False
    on: date | None = None
    zone: str | None = None

    @property
    def kind(self) -> Kind:
        """The kind of session whose open times are wanted."""
        return Kind.FREE_CONSULTATION if self.is_free else Kind.PAID


@dataclass(frozen=True, slots=True)
class Card:
    """A therapist who fits, with their next open times."""

    therapist: Therapist
    open_times: list[datetime]


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of those who fit, best first, and whether more follow."""

    cards: list[Card]
    has_more: bool


def find(filters: SearchFilters, *, page: int, now: datetime) -> SearchPage:
    """The page (from 1) of listed therapists who fit the filters."""
    first = (page - 1) * PAGE_SIZE
    if filters.on is None:
        listed = _listed(filters, now, offset=first, limit=PAGE_SIZE + 1)
        cards = _with_open_times(listed[:PAGE_SIZE], filters, now)
        return SearchPage(cards, len(listed) > PAGE_SIZE)
    everyone = _with_open_times(_listed(filters, now, offset=0, limit=_LOOKED_AT), filters, now)
    free = [card for card in everyone if card.open_times]
    return SearchPage(free[first : first + PAGE_SIZE], len(free) > first + PAGE_SIZE)


def others(than: Therapist, now: datetime) -> list[Card]:
    """A few listed therapists, best first, who could be asked instead."""
    listed = _listed(SearchFilters(), now, offset=0, limit=4)
    return _with_open_times(
        [each for each in listed if each.id != than.id][:3], SearchFilters(), now
    )


def _listed(filters: SearchFilters, now: datetime, *, offset: int, limit: int) -> list[Therapist]:
    return directory.therapists(
        now,
        name=filters.name,
        specialism=filters.specialism,
        is_free=filters.is_free,
        offset=offset,
        limit=limit,
    )


def _with_open_times(
    listed: Sequence[Therapist], filters: SearchFilters, now: datetime
) -> list[Card]:
    def span_of(therapist: Therapist) -> availability.Span:
        if filters.on is None:
            return now, now + config.current().policy.max_ahead + timedelta(days=1)
        return _day_in(filters.on, filters.zone or therapist.timezone)

    times = _next_open_times(listed, filters.kind, span_of, now)
    return [Card(therapist, times[therapist.id]) for therapist in listed]


def _day_in(day: date, zone: str) -> availability.Span:
    begins_at, ends_at = (
        datetime.combine(each, time(), ZoneInfo(zone)).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    return begins_at, ends_at


def _next_open_times(
    therapists: Sequence[Therapist],
    kind: Kind,
    span_of: Callable[[Therapist], availability.Span],
    now: datetime,
) -> dict[int, list[datetime]]:
    """The first few open times of each therapist in their span, in three queries for all."""
    if not therapists:
        return {}
    policy = config.current().policy
    ids = [therapist.id for therapist in therapists]
    spans = [span_of(therapist) for therapist in therapists]
    windows = directory.windows(ids)
    # A session that begins at the end of a span may run into what is booked after it.
    last_end = max(span[1] for span in spans) + queries.LONGEST_SESSION
    busy = directory.busy_spans(ids, min(span[0] for span in spans), last_end, now)
    return {
        therapist.id: [
            starts_at
            for starts_at in availability.next_open_times(
                windows[therapist.id],
                ZoneInfo(therapist.timezone),
                busy[therapist.id],
                length_minutes=calendar.length_minutes(kind, policy),
                from_at=from_at,
                now=now,
                policy=policy,
                limit=OPEN_TIMES_SHOWN,
            )
            if starts_at < until_at
        ]
        for therapist, (from_at, until_at) in zip(therapists, spans, strict=True)
    }
