"""Therapists' scores: computed from enquiries and stored with the therapist, for the list."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from app import config
from app.rules import ranking as rules
from app.rules import ranking_explanation
from app.rules.lifecycle import Status
from app.rules.ranking import Enquiry, EnquiryOutcome, Ranking
from app.rules.ranking_explanation import Factor
from app.store import queries
from app.store.db import statements
from app.store.db.database import in_transaction
from app.store.models import Booking, Therapist

# A request email that no mail server took within this time is our fault, not the therapist's.
HANDOVER_GRACE = timedelta(minutes=5)

_OUTCOMES = {
    Status.REQUESTED: EnquiryOutcome.OPEN,
    Status.DECLINED: EnquiryOutcome.DECLINED,
    Status.WITHDRAWN: EnquiryOutcome.WITHDRAWN,
    Status.EXPIRED: EnquiryOutcome.EXPIRED,
}


def compute(therapist: Therapist, now: datetime) -> Ranking:
    return rules.score(
        recent_enquiries(therapist, now),
        is_flagged=therapist.is_flagged,
        now=now,
        policy=config.current().policy,
    )


def explain(therapist: Therapist, now: datetime) -> tuple[Factor, ...]:
    return ranking_explanation.explain(compute(therapist, now), config.current().policy)


def schedule_refresh(therapist_id: int, now: datetime) -> None:
    # The scheduler's next run refreshes the score.
    statements.update(Therapist, {"ranking_due_at": now}, id=therapist_id)


@in_transaction
def refresh(therapist_id: int, now: datetime) -> None:
    """Compute and store one therapist's score, and when it next changes by time alone."""
    statements.update(
        Therapist, _columns(queries.locked_therapist(therapist_id), now), id=therapist_id
    )


def prepare_refresh(therapist_id: int, now: datetime) -> Callable[[], bool]:
    """As `refresh`, computed without a lock: writers need not wait for it.

    What is returned stores it; False if something that counts has changed since.
    """
    therapist = queries.therapist_by_id(therapist_id)
    # Whatever changes a score sets it.
    due_at, columns = therapist.ranking_due_at, _columns(therapist, now)
    if due_at is None:
        return lambda: False
    return lambda: bool(
        statements.update(Therapist, columns, id=therapist_id, ranking_due_at=due_at)
    )


def _columns(therapist: Therapist, now: datetime) -> dict[str, Any]:
    policy = config.current().policy
    enquiries = recent_enquiries(therapist, now)
    ranking = rules.score(enquiries, is_flagged=therapist.is_flagged, now=now, policy=policy)
    return {
        "score": float(ranking.score),
        "median_answer_s": round(ranking.median_answer_seconds),
        "answers_counted": ranking.answered + ranking.expired,
        "ranked_at": now,
        # None if only an event can change it.
        "ranking_due_at": rules.changes_next_at(enquiries, now, policy),
    }


def waited(booking: Booking, at: datetime) -> timedelta:
    """How long the client of an enquiry has waited for its therapist until `at`."""
    return rules.delay(_enquiry(booking, expiry_counts=True), at)


def recent_enquiries(therapist: Therapist, now: datetime) -> list[Enquiry]:
    since = now - config.current().policy.ranking_window
    never_visited = queries.never_visited_since(therapist, since)
    return [
        _enquiry(booking, expiry_counts=booking.id not in never_visited)
        for booking in queries.requested_since(therapist, since)
    ]


def _enquiry(booking: Booking, *, expiry_counts: bool) -> Enquiry:
    # Every other status follows an acceptance.
    outcome = _OUTCOMES.get(booking.status, EnquiryOutcome.ACCEPTED)
    if outcome is EnquiryOutcome.EXPIRED and booking.ended_by_deactivation:
        outcome = EnquiryOutcome.ENDED_BY_DEACTIVATION
    elif outcome is EnquiryOutcome.EXPIRED and booking.waits_for_client:
        outcome = EnquiryOutcome.NOT_CHOSEN
    ended_at = booking.answered_at or booking.ended_at
    return Enquiry(
        requested_at=booking.requested_at,
        expires_at=booking.expires_at,
        handed_over_at=booking.handed_over_at,
        outcome=outcome,
        ended_at=ended_at,
        expiry_counts=expiry_counts,
        is_email_overdue=booking.handed_over_at is None
        and ended_at is not None
        and ended_at - (booking.asked_at or booking.requested_at) > HANDOVER_GRACE,
        asked_at=booking.asked_at,
        suggested_at=booking.suggested_at,
        earlier_delay=timedelta(microseconds=booking.earlier_delay_us),
    )
