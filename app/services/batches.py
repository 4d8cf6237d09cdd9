"""Doing something to all that is due, batch by batch; one that cannot be done stops no other."""

from collections.abc import Callable
from datetime import datetime

import structlog
from peewee import Expression, Field

from app.errors import StoreUnavailable
from app.services import moves
from app.services.runs import Parts, Run
from app.store import queries
from app.store.database import in_transaction
from app.store.models import Booking, Therapist

BATCH = 25

_log = structlog.get_logger("mindsum")


def each_booking(due: Expression, since: Field, act: Callable[[Booking], bool]) -> Parts:
    """Do `act` to each booking that is due, longest overdue first; one that fails stops none.

    Those of a therapist whom somebody else is busy with come last, and only they are waited for.
    """
    failed: list[int] = []
    busy: set[int] = set()
    yield from _batches(due, since, act, failed, busy)
    if busy:
        yield from _batches(due, since, act, failed, None)


def _batches(
    due: Expression,
    since: Field,
    act: Callable[[Booking], bool],
    failed: list[int],
    busy: set[int] | None,
) -> Parts:
    while True:
        left = due & Booking.id.not_in(failed) if failed else due
        left = left & Booking.therapist.not_in(busy) if busy else left
        # Most of the time nothing is, and nobody need be kept from writing to find that out.
        if not queries.therapists_of_due(left, since, 1):
            return
        known = len(busy or ())
        try:
            run = _batch(left, since, act, busy)
        except StoreUnavailable:
            raise
        except Exception:
            # One of them cannot be done; taken one by one, the others can.
            run = _one_by_one(left, since, act, failed)
        yield run
        # What was left as it is would only come back the same.
        if not (run.done or run.failed or len(busy or ()) > known):
            return


@in_transaction
def _batch(
    due: Expression, since: Field, act: Callable[[Booking], bool], busy: set[int] | None
) -> Run:
    """Take a batch in one transaction, with its therapists locked: a commit each would be slow.

    Adds to `busy` the therapists whose locks somebody has; where it is None, waits for them.
    """
    therapists = set(queries.therapists_of_due(due, since, BATCH))
    if busy is None:
        queries.lock_therapists(therapists)
    else:
        idle = queries.lock_idle_therapists(therapists)
        busy |= therapists - idle
        therapists = idle
    theirs = due & Booking.therapist.in_(therapists)
    bookings = list(queries.with_therapist_and_client(theirs).order_by(since).limit(BATCH))
    done = sum(act(booking) for booking in bookings)
    return Run(len(bookings), done, 0, getattr(bookings[0], since.name) if bookings else None)


def _one_by_one(
    due: Expression, since: Field, act: Callable[[Booking], bool], failed: list[int]
) -> Run:
    run = Run()
    for booking in list(queries.with_therapist_and_client(due).order_by(since).limit(BATCH)):
        since_at = getattr(booking, since.name)
        try:
            run += Run(1, _alone(booking.reference, act), 0, since_at)
        except Exception:
            failed.append(booking.id)
            run += Run(1, 0, 1, since_at)
            _log.exception("sweep_failed", booking=booking.reference)
    return run


@in_transaction
def _alone(reference: str, act: Callable[[Booking], bool]) -> bool:
    return act(moves.lock(reference))


def each_therapist(column: Field, now: datetime, act: Callable[[Therapist], object]) -> Parts:
    """Do `act` to each therapist for whom `column` has come; one that fails stops none."""
    failed: list[int] = []
    while due := queries.therapists_due(column, now, BATCH, failed):
        for therapist in due:
            try:
                act(therapist)
            except Exception:
                failed.append(therapist.id)
                _log.exception("sweep_failed", therapist=therapist.slug)
        went_wrong = sum(therapist.id in failed for therapist in due)
        yield Run(len(due), len(due) - went_wrong, went_wrong, getattr(due[0], column.name))
