"""Find a Therapist: listed therapists, and many therapists' time in a fixed number of queries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from peewee import SQL, Expression, ModelSelect, fn

from app.rules import ranking
from app.rules.search_key import search_key
from app.rules.weekly_hours import Window
from app.store.db.statements import Statement
from app.store.models import (
    Booking,
    PendingRequest,
    Proposal,
    ProposedTime,
    Suppression,
    Therapist,
    TimeOff,
)
from app.store.models import Window as WindowRow
from app.store.queries.bookings import LONGEST_SESSION, holding
from app.store.queries.pending import pending_holding
from app.store.queries.proposals import NO_BOOKING, proposed_holding

# Word for word as in the index therapist_listed.
LISTED = Therapist.deactivated_at.is_null() & ~Therapist.is_paused & ~Therapist.is_hidden

# Each word is looked for in every listed name.
_MOST_WORDS = 10

# [start, end) spans by therapist id.
Spans = dict[int, list[tuple[datetime, datetime]]]


def listed_therapists(now: datetime) -> "ModelSelect[Therapist]":
    """Listed therapists, best first."""
    return _listed(ranking.daily_multiplier(now.date()))


def _listed(multiplier: Any) -> "ModelSelect[Therapist]":
    # No request would reach the others.
    unreached = Suppression.select(Suppression.address_key)
    listed = Therapist.select().where(LISTED, Therapist.email_key.not_in(unreached))
    return listed.order_by(*_best_first(multiplier))


def _best_first(multiplier: Any) -> tuple[Any, ...]:
    # Equals take turns from day to day: ranking.tie_break in SQL, spelled out because peewee's % is
    # LIKE.
    product = Therapist.tie_seed * multiplier
    turn = product - product / ranking.TIE_PRIME * ranking.TIE_PRIME
    return Therapist.score.desc(), Therapist.median_answer_s, turn, Therapist.id


_BEST_LISTED = Statement[Therapist](lambda multiplier, limit: _listed(multiplier).limit(limit))


def best_listed(now: datetime, limit: int) -> list[Therapist]:
    return _BEST_LISTED.all(ranking.daily_multiplier(now.date()), limit)


def listed_ids(now: datetime) -> list[int]:
    return [therapist.id for therapist in listed_therapists(now).select(Therapist.id)]


class Wanted(NamedTuple):
    """What a listed therapist must fit; "" and None fit all. `most` is (minor units, currency)."""

    name: str = ""
    specialism: str = ""
    language: str = ""
    is_free: bool = False
    most: tuple[int, str] | None = None
    is_cheapest_first: bool = False


def therapists(now: datetime, wanted: Wanted, *, offset: int, limit: int) -> list[Therapist]:
    """Listed therapists that fit, best first; the words of `name` in any order.

    `is_cheapest_first`: the best of equal price.
    """
    multiplier = ranking.daily_multiplier(now.date())
    found = _listed(multiplier)
    for word in search_key(wanted.name).replace(",", " ").split()[:_MOST_WORDS]:
        found = found.where(Therapist.name_search.contains(word))
    for column, words in (
        (Therapist.specialisms_search, wanted.specialism),
        (Therapist.languages_search, wanted.language),
    ):
        if words:
            found = found.where(column.contains(search_key(words)))
    if wanted.is_free:
        found = found.where(Therapist.offers_free_consultation)
    if wanted.most is not None:
        minor, currency = wanted.most
        # Amounts of other currencies cannot be compared.
        found = found.where(Therapist.rate_minor <= minor, Therapist.currency == currency)
    if wanted.is_cheapest_first:
        found = found.order_by(Therapist.rate_minor, *_best_first(multiplier))
    return list(found.offset(offset).limit(limit))


def free_between(start: datetime, end: datetime, now: datetime) -> Expression:
    held = Booking.select(SQL("1")).where(
        Booking.therapist == Therapist.id, holding(start, end, now)
    )
    time_off = TimeOff.select(SQL("1")).where(
        TimeOff.therapist == Therapist.id, TimeOff.ends_at > start, TimeOff.starts_at < end
    )
    pending = PendingRequest.select(SQL("1")).where(
        PendingRequest.therapist == Therapist.id, pending_holding(start, end, now)
    )
    proposed = (
        ProposedTime.select(SQL("1"))
        .join(Proposal)
        .where(ProposedTime.therapist == Therapist.id, proposed_holding(start, end, now))
    )
    condition: Expression = ~fn.EXISTS(held) & ~fn.EXISTS(pending) & ~fn.EXISTS(time_off)
    condition &= ~fn.EXISTS(proposed)
    return condition


class Offered(NamedTuple):
    """What the listed therapists offer, in order."""

    specialisms: list[str]
    languages: list[str]


def offered() -> Offered:
    columns = Therapist.specialisms, Therapist.languages
    rows: list[Any] = list(Therapist.select(*columns).where(LISTED).distinct().tuples())
    return Offered(*(_parts(row[index] for row in rows) for index in range(len(columns))))


def _parts(lists: Iterable[str]) -> list[str]:
    names = sorted({part.strip() for each in lists for part in each.split(",")} - {""})
    # Of several ways to write one, the first.
    by_key = {search_key(name): name for name in reversed(names)}
    return [by_key[key] for key in sorted(by_key)]


_WINDOWS = Statement[tuple[int, int, int, int]](
    lambda ids: (
        WindowRow.select(
            WindowRow.therapist, WindowRow.weekday, WindowRow.start_minute, WindowRow.end_minute
        )
        .where(WindowRow.therapist.in_(ids))
        .tuples()
    )
)


def windows(ids: Sequence[int]) -> dict[int, list[Window]]:
    found: dict[int, list[Window]] = {therapist_id: [] for therapist_id in ids}
    for therapist_id, *window in _WINDOWS.all(list(ids)):
        found[therapist_id].append(Window(*window))
    return found


def _busy(ids: Any, start: Any, earliest: Any, end: Any, now: Any, except_booking: Any) -> Any:
    held = Booking.select(Booking.therapist, Booking.starts_at, Booking.ends_at).where(
        Booking.therapist.in_(ids),
        Booking.id != except_booking,
        holding(start, end, now, earliest),
    )
    time_off = TimeOff.select(TimeOff.therapist, TimeOff.starts_at, TimeOff.ends_at).where(
        TimeOff.therapist.in_(ids), TimeOff.ends_at > start, TimeOff.starts_at < end
    )
    pending = PendingRequest.select(
        PendingRequest.therapist, PendingRequest.starts_at, PendingRequest.ends_at
    ).where(PendingRequest.therapist.in_(ids), pending_holding(start, end, now))
    proposed = (
        ProposedTime.select(ProposedTime.therapist, ProposedTime.starts_at, ProposedTime.ends_at)
        .join(Proposal)
        .where(ProposedTime.therapist.in_(ids), proposed_holding(start, end, now, except_booking))
    )
    return held.union_all(time_off).union_all(pending).union_all(proposed).tuples()


_BUSY = Statement[tuple[int, datetime, datetime]](_busy)


def busy_spans(
    ids: Sequence[int],
    start: datetime,
    end: datetime,
    now: datetime,
    except_booking: int = NO_BOOKING,
) -> Spans:
    """`except_booking`: the booking that is to move, whose own time is open to it."""
    found: Spans = {therapist_id: [] for therapist_id in ids}
    rows = _BUSY.all(list(ids), start, start - LONGEST_SESSION, end, now, except_booking)
    for therapist_id, starts_at, ends_at in rows:
        found[therapist_id].append((starts_at, ends_at))
    return found
