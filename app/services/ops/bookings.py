"""Bookings for ops: who waits for an answer, search, and acting for client or therapist."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app.rules.lifecycle import Actor, Move, Status, Via
from app.services.bookings import cancel, propose, transitions
from app.services.bookings import revoke as revoking
from app.services.bookings.transitions import MoveResult
from app.services.ops import acts
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Booking, Client, Therapist
from app.store.queries import BookingFilters

# More open enquiries than that are a flood, and the list says that there are more.
BOARD_ROWS = 200


@dataclass(frozen=True, slots=True)
class LateBoard:
    """Open enquiries, the longest overdue first; `phones` by therapist id, where one is stored."""

    late: list[Booking]
    waiting: list[Booking]
    # A therapist suggested other times, so it is the client's turn.
    for_client: list[Booking]
    phones: dict[int, str]
    has_more: bool


def late_board(now: datetime) -> LateBoard:
    found = queries.open_enquiries(now, BOARD_ROWS + 1)
    shown = found[:BOARD_ROWS]
    for_client = [each for each in shown if each.waits_for_client]
    theirs = [each for each in shown if not each.waits_for_client]
    return LateBoard(
        late=[each for each in theirs if each.is_late_at(now)],
        waiting=[each for each in theirs if not each.is_late_at(now)],
        for_client=for_client,
        phones=queries.phones_of({each.therapist_id for each in theirs}),
        has_more=len(found) > BOARD_ROWS,
    )


def filters(
    *,
    status: Status | None = None,
    therapist: Therapist | None = None,
    client: Client | None = None,
    late_at: datetime | None = None,
    day: date | None = None,
) -> BookingFilters:
    """`day`: of UTC, on which sessions start."""
    starts_at = datetime.combine(day, time(), UTC) if day else None
    return BookingFilters(
        status=status,
        therapist=therapist,
        client=client,
        late_at=late_at,
        starts_from=starts_at,
        starts_before=starts_at + timedelta(days=1) if starts_at else None,
    )


def answer(reference: str, move: Move, *, via: Via, now: datetime, reason: str = "") -> MoveResult:
    """Accept or decline for the therapist. Raises NotFound."""
    booking = queries.booking_by_reference(reference)
    result = transitions.make_move(booking, move, by=Actor.OPS, via=via, now=now, reason=reason)
    return _recorded(str(move), result, now)


def cancel_for(
    who: Actor, reference: str, *, via: Via, now: datetime, agreed: str | None = None
) -> MoveResult:
    """Cancel or withdraw for client or therapist. Raises NotFound, TermsChanged."""
    booking = queries.booking_by_reference(reference)
    result = cancel.cancel(booking, by=who, via=via, now=now, agreed=agreed)
    return _recorded(f"cancel_for_{who}", result, now)


def move_for(who: Actor, reference: str, to: datetime, *, via: Via, now: datetime) -> Booking:
    """Offer another time for client or therapist, or take it where the other side has offered it.

    Raises NotFound, and what `propose.propose` and `propose.take` raise.
    """
    booking = queries.booking_by_reference(reference)
    offered = propose.open_proposal(booking, now)
    if offered is not None and offered.by is not who and to in offered.starts:
        result = propose.take(booking, to, by=who, via=via, now=now)
    else:
        result = propose.propose(booking, [to], by=who, via=via, now=now)
    if result.is_new:
        acts.record(f"move_for_{who}", now, booking=result.booking)
    return result.booking


def _recorded(what: str, result: MoveResult, now: datetime) -> MoveResult:
    # Not in the move's transaction: a refused move also stores what the clock made due. Who made
    # it stands in the timeline, too.
    if result.is_done:
        acts.record(what, now, booking=result.booking)
    return result


@in_transaction
def revoke_links(reference: str, now: datetime) -> Booking:
    """As `revoke.revoke_links`. Raises NotFound."""
    booking = revoking.revoke_links(reference, now)
    acts.record("revoke_links", now, booking=booking)
    return booking
