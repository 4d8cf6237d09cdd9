"""Doing something to all that is due, batch by batch; one that cannot be done stops no other."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from peewee import Expression, Field

from app.errors import StoreUnavailable
from app.services.bookings import transitions
from app.services.jobs.result import JobResult, PartialResults
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Booking, Therapist

R = TypeVar("R")

BATCH = 25

_log = structlog.get_logger("mindsum")


class _BusyError(Exception):
    """Somebody else has the therapist's lock."""


def in_turn(*sweeps: PartialResults) -> PartialResults:
    """Each sweep after the other, also where one of them was kept from what it needs.

    Raises StoreUnavailable at the end, of the first that was.
    """
    kept_from: StoreUnavailable | None = None
    for sweep in sweeps:
        try:
            yield from sweep
        except StoreUnavailable as error:
            kept_from = kept_from or error
    if kept_from is not None:
        raise kept_from


def each_booking(due: Expression, since: Field, act: Callable[[Booking], bool]) -> PartialResults:
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
) -> PartialResults:
    waits = busy is None
    while True:
        left = due & Booking.id.not_in(failed) if failed else due
        left = left & Booking.therapist.not_in(busy) if busy else left
        # Most of the time nothing is, and nobody need be kept from writing to find that out.
        if not queries.therapists_of_due(left, since, 1):
            return
        try:
            run, passed_over = _batch(left, since, act, waits=waits)
        except StoreUnavailable:
            raise
        except Exception:
            # One of them cannot be done; taken one by one, the others can.
            run, passed_over = _one_by_one(left, since, act, failed, waits=waits)
        yield run
        if busy is not None:
            busy |= passed_over
        # What was left as it is would only come back the same.
        if run.due and not (run.done or run.failed or passed_over):
            return


@in_transaction
def _batch(
    due: Expression, since: Field, act: Callable[[Booking], bool], *, waits: bool
) -> tuple[JobResult, set[int]]:
    """Take a batch in one transaction, with its therapists locked: a commit each would be slow.

    What it came to, and the therapists passed over since somebody else has their locks; where it
    waits for those, there are none.
    """
    therapists = set(queries.therapists_of_due(due, since, BATCH))
    if waits:
        queries.lock_therapists(therapists)
        idle = therapists
    else:
        idle = queries.lock_idle_therapists(therapists)
    theirs = due & Booking.therapist.in_(idle)
    bookings = list(queries.with_therapist_and_client(theirs).order_by(since).limit(BATCH))
    done = sum(act(booking) for booking in bookings)
    since_at = getattr(bookings[0], since.name) if bookings else None
    return JobResult(len(bookings), done, 0, since_at), therapists - idle


def _one_by_one(
    due: Expression,
    since: Field,
    act: Callable[[Booking], bool],
    failed: list[int],
    *,
    waits: bool,
) -> tuple[JobResult, set[int]]:
    run, passed_over = JobResult(), set[int]()
    for booking in list(queries.with_therapist_and_client(due).order_by(since).limit(BATCH)):
        if booking.therapist_id in passed_over:
            continue
        since_at = getattr(booking, since.name)
        try:
            done = _alone(booking.therapist_id, partial(_locked, booking, act), waits=waits)
        except StoreUnavailable:
            raise
        except _BusyError:
            passed_over.add(booking.therapist_id)
        except Exception:
            failed.append(booking.id)
            run += JobResult(1, 0, 1, since_at)
            _log.exception("sweep_failed", booking=booking.reference)
        else:
            run += JobResult(1, done, 0, since_at)
    return run, passed_over


def _locked(booking: Booking, act: Callable[[Booking], bool]) -> bool:
    return act(transitions.lock_booking(booking.reference))


def each_therapist(
    column: Field, now: datetime, act: Callable[[Therapist], object]
) -> PartialResults:
    """Do `act` to each therapist for whom `column` has come; one that fails stops none.

    Those whom somebody else is busy with come last, and only they are waited for.
    """
    failed: list[int] = []
    busy: list[int] = []
    yield from _therapists(column, now, act, failed, busy)
    if busy:
        yield from _therapists(column, now, act, failed, None)


def _therapists(
    column: Field,
    now: datetime,
    act: Callable[[Therapist], object],
    failed: list[int],
    busy: list[int] | None,
) -> PartialResults:
    passed_over = [] if busy is None else busy
    while due := queries.therapists_due(column, now, BATCH, failed + passed_over):
        for therapist in due:
            since_at = getattr(therapist, column.name)
            try:
                _alone(therapist.id, partial(act, therapist), waits=busy is None)
            except StoreUnavailable:
                raise
            except _BusyError:
                passed_over.append(therapist.id)
            except Exception:
                failed.append(therapist.id)
                _log.exception("sweep_failed", therapist=therapist.slug)
                yield JobResult(1, 0, 1, since_at)
            else:
                yield JobResult(1, 1, 0, since_at)


@in_transaction
def _alone(therapist_id: int, act: Callable[[], R], *, waits: bool) -> R:
    """What `act` comes to. Raises _BusyError where it would have to wait for the therapist."""
    if not waits and not queries.lock_idle_therapists([therapist_id]):
        raise _BusyError
    return act()
