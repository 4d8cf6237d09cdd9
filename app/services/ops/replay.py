"""Recomputes what is stored from the timeline, and reports every difference."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from app import config
from app.rules import cancellation
from app.rules import standing as standing_rules
from app.rules.cancellation import Account, Settlement
from app.rules.lifecycle import LIVE, MOVES, Actor, Status
from app.rules.standing import Standing, StandingEvent
from app.services.therapists import ranking
from app.store.db.database import snapshot
from app.store.models import Booking, LedgerLine, StandingEntry, Therapist, TimelineEntry
from app.store.queries import earnings

# Scores are exact fractions, but stored as floats.
SCORE_TOLERANCE = 1e-9
BATCH = 500

T = TypeVar("T", TimelineEntry, LedgerLine)

# Notices that may follow any move.
UNREACHED = frozenset({"client_unreachable", "therapist_unreachable"})
# What happens to the time of a live booking.
OF_TIME = frozenset({"proposed", "proposal_declined", "proposal_lapsed", "moved"})
# They leave the status. After accepting, the therapist is reminded of a request to move it.
OF_LIVE = OF_TIME | {"reminded"}

_MOVE_TO = {rule.target.value: move for move, rule in MOVES.items()}
_COUNTED = frozenset(event.value for event in StandingEvent)


@dataclass(frozen=True, slots=True)
class Difference:
    """A stored value that does not follow from the timeline."""

    subject: str
    field: str
    stored: str
    replayed: str


def find_differences(now: datetime) -> Iterator[Difference]:
    with snapshot():
        for bookings in _batches():
            entries = _rows_by_booking(TimelineEntry, bookings)
            lines = _rows_by_booking(LedgerLine, bookings)
            for booking in bookings:
                yield from _check_booking(booking, entries[booking.id], lines[booking.id])
        for therapist in Therapist.select().order_by(Therapist.id).iterator():
            yield from _check_therapist(therapist, now)


def _batches() -> Iterator[list[Booking]]:
    last_id = 0
    while bookings := list(
        Booking.select().where(Booking.id > last_id).order_by(Booking.id).limit(BATCH)
    ):
        yield bookings
        last_id = bookings[-1].id


def _rows_by_booking(table: type[T], bookings: list[Booking]) -> dict[int, list[T]]:
    rows: dict[int, list[T]] = defaultdict(list)
    span = table.booking.between(bookings[0].id, bookings[-1].id)
    for row in table.select().where(span).order_by(table.id):
        rows[row.booking_id].append(row)
    return rows


def _check_booking(
    booking: Booking, entries: list[TimelineEntry], lines: list[LedgerLine]
) -> Iterator[Difference]:
    status, problem = _replay_status(entry.event for entry in entries)
    if problem:
        yield Difference(booking.reference, "timeline", problem, "a move that exists")
    yield from _compare(booking.reference, "status", booking.status.value, status)
    stored = sorted((line.event, line.account, line.amount_minor) for line in lines)
    replayed = sorted(_replay_ledger(entries))
    yield from _compare(booking.reference, "ledger", stored, replayed)
    for line in lines:
        earner = booking.therapist_id if line.account == Account.THERAPIST else None
        yield from _compare(booking.reference, "ledger therapist", line.therapist_id, earner)
    total = sum(amount for _, _, amount in stored)
    yield from _compare(booking.reference, "ledger sum", total, 0)
    yield from _check_time(booking, entries)


def _check_time(booking: Booking, entries: list[TimelineEntry]) -> Iterator[Difference]:
    """Its start, how often that changed, and whether another one is proposed."""
    moved = [entry.facts for entry in entries if entry.event == "moved"]
    requested = [entry.facts for entry in entries if entry.event == "requested"]
    # Before moves existed, the request did not record its start.
    first = requested[0].get("starts_at") if requested else None
    starts = [first or (moved[0]["from"] if moved else booking.starts_at.isoformat())]
    for facts in moved:
        yield from _compare(booking.reference, "moved from", facts["from"], starts[-1])
        starts.append(facts["to"])
    yield from _compare(booking.reference, "starts_at", booking.starts_at.isoformat(), starts[-1])
    yield from _compare(booking.reference, "moves", booking.moves, len(moved))
    proposed_by = _replay_proposal(entries)
    yield from _compare(booking.reference, "proposed_by", booking.proposed_by, proposed_by)


def _replay_proposal(entries: list[TimelineEntry]) -> Actor | None:
    """Who has proposed another time that is open, as stored."""
    # A booking that was answered or has ended has no open proposal.
    last = [entry for entry in entries if entry.event in OF_TIME | set(_MOVE_TO)]
    is_open = bool(last) and last[-1].event == "proposed"
    return last[-1].by if is_open else None


def _replay_status(events: Iterable[str]) -> tuple[str, str]:
    """The status that the events lead to, and the first event that was not allowed there."""
    status = ""
    for event in events:
        if event == "requested" and not status:
            status = Status.REQUESTED.value
        elif event in _MOVE_TO:
            if status not in MOVES[_MOVE_TO[event]].sources:
                return status, f"{event} after {status or 'nothing'}"
            status = event
        elif (event in UNREACHED and status) or (event in OF_LIVE and status in LIVE):
            continue
        elif event != "late" or status != Status.REQUESTED:
            return status, f"{event} after {status or 'nothing'}"
    return status, ""


def _replay_ledger(entries: list[TimelineEntry]) -> Iterator[tuple[str, str, int]]:
    """(event, account, amount) of each ledger line that the timeline leads to."""
    for entry in entries:
        if entry.event == "requested":
            lines = cancellation.request_lines(entry.facts["fee_minor"])
        elif entry.event in _MOVE_TO and entry.event != Status.ACCEPTED:
            lines = cancellation.settlement_lines(_settlement(entry.facts))
        else:
            continue
        for account, amount in lines:
            yield entry.event, account.value, amount


def _settlement(facts: dict[str, Any]) -> Settlement:
    return Settlement(**{name: facts[name] for name in Settlement.__dataclass_fields__})


def _check_therapist(therapist: Therapist, now: datetime) -> Iterator[Difference]:
    events = (
        StandingEvent(entry.event)
        for entry in StandingEntry.select()
        .where(StandingEntry.therapist == therapist)
        .order_by(StandingEntry.id)
        if entry.event in _COUNTED
    )
    yield from _check_earnings(therapist)
    replayed = standing_rules.replay(events, config.current().policy)
    yield from _compare(therapist.slug, "streak", therapist.streak, replayed.streak)
    if therapist.standing_due_at is None:
        yield from _check_standing(therapist, replayed)
    is_current = therapist.ranking_due_at is None or therapist.ranking_due_at > now
    if is_current:
        yield from _check_score(therapist, therapist.ranked_at or now)


def _check_earnings(therapist: Therapist) -> Iterator[Difference]:
    stored, replayed = (
        [(row.month, row.currency, row.sessions, row.payout_minor, row.fee_minor) for row in rows]
        for rows in (earnings.months(therapist), earnings.sums_of_lines(therapist))
    )
    yield from _compare(therapist.slug, "earnings", stored, replayed)


def _check_standing(therapist: Therapist, replayed: Standing) -> Iterator[Difference]:
    is_flagged = therapist.is_flagged
    is_deactivated = therapist.is_deactivated
    yield from _compare(therapist.slug, "flagged", is_flagged, replayed.is_flagged)
    yield from _compare(therapist.slug, "deactivated", is_deactivated, replayed.is_deactivated)


def _check_score(therapist: Therapist, ranked_at: datetime) -> Iterator[Difference]:
    score = float(ranking.compute(therapist, ranked_at).score)
    if abs(score - therapist.score) > SCORE_TOLERANCE:
        yield Difference(therapist.slug, "score", f"{therapist.score}", f"{score}")


def _compare(subject: str, field: str, stored: object, replayed: object) -> Iterator[Difference]:
    if stored != replayed:
        yield Difference(subject, field, str(stored), str(replayed))
