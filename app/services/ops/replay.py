"""Replay: recompute what is stored from what happened, and name every difference."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from app import config
from app.rules import cancellation
from app.rules import standing as standing_rules
from app.rules.cancellation import Settlement
from app.rules.lifecycle import MOVES, Move, Status
from app.rules.standing import Standing, StandingEvent
from app.services.therapists import ranking
from app.store.db.database import snapshot
from app.store.models import Booking, LedgerLine, StandingEntry, Therapist, TimelineEntry

SCORE_TOLERANCE = 1e-9
BATCH = 500

T = TypeVar("T", TimelineEntry, LedgerLine)

_MOVE_TO = {rule.target.value: move for move, rule in MOVES.items()}
_COUNTED = frozenset(event.value for event in StandingEvent)


@dataclass(frozen=True, slots=True)
class Difference:
    """One stored value that does not follow from what happened."""

    subject: str
    field: str
    stored: str
    replayed: str


def compare(now: datetime) -> Iterator[Difference]:
    """Every difference between what is stored and what the timeline leads to."""
    with snapshot():
        for bookings in _batches():
            entries, lines = _of_each(TimelineEntry, bookings), _of_each(LedgerLine, bookings)
            for booking in bookings:
                yield from _booking(booking, entries[booking.id], lines[booking.id])
        for therapist in Therapist.select().order_by(Therapist.id).iterator():
            yield from _therapist(therapist, now)


def _batches() -> Iterator[list[Booking]]:
    last_id = 0
    while bookings := list(
        Booking.select().where(Booking.id > last_id).order_by(Booking.id).limit(BATCH)
    ):
        yield bookings
        last_id = bookings[-1].id


def _of_each(table: type[T], bookings: list[Booking]) -> dict[int, list[T]]:
    """The rows of each booking by its id, in the order in which they were written."""
    found: dict[int, list[T]] = defaultdict(list)
    span = table.booking.between(bookings[0].id, bookings[-1].id)
    for row in table.select().where(span).order_by(table.id):
        found[row.booking_id].append(row)
    return found


def _booking(
    booking: Booking, entries: list[TimelineEntry], lines: list[LedgerLine]
) -> Iterator[Difference]:
    status, problem = _status(entry.event for entry in entries)
    if problem:
        yield Difference(booking.reference, "timeline", problem, "a move that exists")
    yield from _differ(booking.reference, "status", booking.status.value, status)
    stored = sorted((line.event, line.account, line.amount_minor) for line in lines)
    replayed = sorted(_lines(entries))
    yield from _differ(booking.reference, "ledger", stored, replayed)
    total = sum(amount for _, _, amount in stored)
    yield from _differ(booking.reference, "ledger sum", total, 0)


def _status(events: Iterable[str]) -> tuple[str, str]:
    """The status that the events lead to, and the first event that the table does not know."""
    status = ""
    for event in events:
        if event == "requested" and not status:
            status = Status.REQUESTED.value
        elif event in _MOVE_TO:
            if status not in MOVES[_MOVE_TO[event]].sources:
                return status, f"{event} after {status or 'nothing'}"
            status = event
        elif event not in ("reminded", "late") or status != Status.REQUESTED:
            return status, f"{event} after {status or 'nothing'}"
    return status, ""


def _lines(entries: list[TimelineEntry]) -> Iterator[tuple[str, str, int]]:
    """The ledger lines that the numbers in the timeline lead to."""
    for entry in entries:
        if entry.event == "requested":
            lines = cancellation.request_lines(entry.facts["fee_minor"])
        elif _MOVE_TO.get(entry.event) not in (None, Move.ACCEPT):
            lines = cancellation.settlement_lines(_settlement(entry.facts))
        else:
            continue
        for account, amount in lines:
            yield entry.event, account.value, amount


def _settlement(facts: dict[str, Any]) -> Settlement:
    return Settlement(**{name: facts[name] for name in Settlement.__dataclass_fields__})


def _therapist(therapist: Therapist, now: datetime) -> Iterator[Difference]:
    events = (
        StandingEvent(entry.event)
        for entry in StandingEntry.select()
        .where(StandingEntry.therapist == therapist)
        .order_by(StandingEntry.id)
        if entry.event in _COUNTED
    )
    replayed = standing_rules.replay(events, config.current().policy)
    yield from _differ(therapist.slug, "streak", therapist.streak, replayed.streak)
    if therapist.standing_due_at is None:
        yield from _standing(therapist, replayed)
    is_current = therapist.ranking_due_at is None or therapist.ranking_due_at > now
    if is_current:
        yield from _score(therapist, therapist.ranked_at or now)


def _standing(therapist: Therapist, replayed: Standing) -> Iterator[Difference]:
    is_flagged = therapist.is_flagged
    is_deactivated = therapist.is_deactivated
    yield from _differ(therapist.slug, "flagged", is_flagged, replayed.is_flagged)
    yield from _differ(therapist.slug, "deactivated", is_deactivated, replayed.is_deactivated)


def _score(therapist: Therapist, ranked_at: datetime) -> Iterator[Difference]:
    score = float(ranking.compute(therapist, ranked_at).score)
    if abs(score - therapist.score) > SCORE_TOLERANCE:
        yield Difference(therapist.slug, "score", f"{therapist.score}", f"{score}")


def _differ(subject: str, field: str, stored: object, replayed: object) -> Iterator[Difference]:
    if stored != replayed:
        yield Difference(subject, field, str(stored), str(replayed))
