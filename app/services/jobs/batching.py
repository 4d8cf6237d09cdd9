"""Applies a step to everything that is due, in batches; one failure stops nothing else."""

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from peewee import Field

from app.errors import StoreUnavailable
from app.services.jobs.result import JobResult, PartialResults
from app.store import queries
from app.store.db import errors
from app.store.db.database import in_transaction, savepoint
from app.store.models import Booking, Therapist
from app.store.queries import DueBookings

BATCH = 25

_log = structlog.get_logger("mindsum")


def each_booking(
    due: DueBookings, given: Sequence[datetime], step: Callable[[Booking], bool]
) -> PartialResults:
    """Apply `step`, which returns whether it changed the booking, to all that are `due`.

    `given`: the values of its condition.
    """
    left: list[int] = []
    while True:
        # Usually nothing is due. Reading first keeps others from waiting for the write lock.
        oldest_at = due.since(left, *given)
        if oldest_at is None:
            return
        result, unchanged = _batch(due, left, given, oldest_at, step)
        if not result.due:
            # Somebody else has locked the rest; the next run takes them.
            if locked := due.count(left, *given):
                yield JobResult(due=locked, oldest_at=oldest_at)
            return
        left += unchanged
        yield result


@in_transaction
def _batch(
    due: DueBookings,
    left: list[int],
    given: Sequence[datetime],
    oldest_at: datetime,
    step: Callable[[Booking], bool],
) -> tuple[JobResult, list[int]]:
    """The result, and ids of the bookings that failed or did not change."""
    # Together, because a commit for each booking would be slow.
    bookings = due.locked(BATCH, left, *given)
    try:
        with savepoint():
            changed: list[bool | None] = [step(booking) for booking in bookings]
    except Exception as error:
        _raise_if_environmental(error)
        # Read again, since they say what was undone.
        bookings = due.locked(BATCH, left, *given)
        changed = [_step_alone(booking, step) for booking in bookings]
    unchanged = [booking.id for booking, has in zip(bookings, changed, strict=True) if not has]
    done, failed = changed.count(True), changed.count(None)
    return JobResult(len(bookings), done, failed, oldest_at if bookings else None), unchanged


def _step_alone(booking: Booking, step: Callable[[Booking], bool]) -> bool | None:
    """Whether it changed the booking; None if it failed."""
    try:
        with savepoint():
            return step(booking)
    except Exception as error:
        _raise_if_environmental(error)
        _log.exception("sweep_failed", booking=booking.reference)
        return None


def _raise_if_environmental(error: Exception) -> None:
    if isinstance(error, StoreUnavailable) or errors.is_environmental(error):
        raise error


def each_therapist(
    due_at: Field, now: datetime, prepare: Callable[[Therapist], Callable[[], bool]]
) -> PartialResults:
    """`prepare` reads without a lock; what it returns is done, or not, under the therapist's."""
    left: list[int] = []
    while due := queries.therapists_due(due_at, now, BATCH, left):
        for therapist in due:
            oldest_at = getattr(therapist, due_at.name)
            try:
                done = _done_if_free(therapist.id, prepare(therapist))
            except Exception as error:
                _raise_if_environmental(error)
                _log.exception("sweep_failed", therapist=therapist.slug)
                result = JobResult(1, 0, 1, oldest_at)
            else:
                result = JobResult(1, done, 0, oldest_at)
            if not result.done:
                # It failed, or somebody else has locked the therapist or changed what was read: the
                # next run tries again.
                left.append(therapist.id)
            yield result


@in_transaction
def _done_if_free(therapist_id: int, step: Callable[[], bool]) -> bool:
    return queries.lock_therapist_if_free(therapist_id) and step()
