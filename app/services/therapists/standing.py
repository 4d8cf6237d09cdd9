"""A therapist's cancellation streak: counting it and applying what the rules say it leads to."""

from datetime import datetime
from typing import Any

import structlog

from app import config
from app.rules import standing as rules
from app.rules.lifecycle import Move
from app.rules.standing import Standing, StandingEvent, StandingStep
from app.services.ops import acts
from app.services.therapists import accounts, ranking
from app.store import outbox, queries
from app.store.db.database import in_transaction, on_commit
from app.store.models import Booking, Role, StandingEntry, Therapist

_COUNTED = {
    Move.CANCEL_BY_THERAPIST: StandingEvent.CANCELLED,
    Move.CANCEL_IN_ANSWER: StandingEvent.CANCELLED,
    Move.COMPLETE: StandingEvent.COMPLETED,
}
# `therapist.streak_told` is an index into this: the last step that was emailed.
_LEVELS: tuple[StandingStep | None, ...] = (None, *StandingStep)
_EMAILS = {
    StandingStep.WARN: "streak_warning",
    StandingStep.FLAG: "account_flagged",
    StandingStep.DEACTIVATE: "account_deactivated",
}
_OPS_ALERTS = {StandingStep.FLAG: "flagged", StandingStep.DEACTIVATE: "deactivated"}

_log = structlog.get_logger("mindsum")


def record(booking: Booking, move: Move, *, at: datetime, now: datetime) -> int | None:
    """The therapist is locked; returns the new streak, None if it stays."""
    event = _COUNTED.get(move)
    if event is None:
        return None
    therapist = queries.therapist_by_id(booking.therapist_id)
    if event is StandingEvent.CANCELLED:
        therapist.streak = therapist.streak + 1
        therapist.standing_due_at = now
    else:
        # A completion.
        if _must_be_deactivated(therapist):
            therapist = _deactivate_first(therapist, now)
        notified = rules.announced_after_completion(_LEVELS[therapist.streak_told])
        therapist.streak, therapist.flagged_at = 0, None
        therapist.streak_told = _LEVELS.index(notified)
    therapist.save()
    _add_entry(therapist, event, at, booking)
    return therapist.streak


@in_transaction
def apply(therapist_id: int, now: datetime) -> StandingStep | None:
    """Once per step; returns the step taken. The caller expires the open enquiries."""
    # If several steps became due at once, only the furthest is emailed.
    therapist = queries.locked_therapist(therapist_id)
    policy = config.current().policy
    since = therapist.standing_due_at or now
    therapist.standing_due_at = None
    step = rules.furthest_step(_LEVELS[therapist.streak_told], _reached(therapist), policy)
    # Also if the furthest step is a later one.
    if therapist.streak >= policy.flag_streak and not therapist.is_flagged:
        therapist.flagged_at = now
    if step is not None:
        therapist.streak_told = _LEVELS.index(step)
        if step is StandingStep.DEACTIVATE:
            therapist.deactivated_at = now
        _notify(therapist, step, since, now)
    therapist.save()
    ranking.schedule_refresh(therapist_id, now)
    return step


def _reached(therapist: Therapist) -> Standing:
    return Standing(therapist.streak, is_deactivated=therapist.is_deactivated)


def ends_enquiries(therapist: Therapist) -> bool:
    """Whether the account is deactivated, or the next run of apply_standing does it."""
    is_due = therapist.standing_due_at is not None and _must_be_deactivated(therapist)
    return therapist.is_deactivated or is_due


def _must_be_deactivated(therapist: Therapist) -> bool:
    step = rules.step_reached(therapist.streak, config.current().policy)
    return step is StandingStep.DEACTIVATE and not therapist.is_deactivated


def _deactivate_first(therapist: Therapist, now: datetime) -> Therapist:
    # A completion resets the streak but never undoes a deactivation, which therefore comes first.
    # `standing_due_at` stays set, so that the scheduler expires the open enquiries.
    apply(therapist.id, now)
    deactivated = queries.therapist_by_id(therapist.id)
    deactivated.standing_due_at = therapist.standing_due_at or now
    return deactivated


def _notify(therapist: Therapist, step: StandingStep, since: datetime, now: datetime) -> None:
    _add_entry(therapist, f"{step}", now)
    about: dict[str, Any] = {
        "about": f"therapist-{therapist.id}",
        "ordinal": outbox.random_ordinal(),
        "therapist": therapist,
        "due_at": since,
    }
    facts = {"streak": therapist.streak}
    outbox.enqueue(_EMAILS[step], Role.THERAPIST, facts=facts, now=now, **about)
    if step in _OPS_ALERTS:
        facts_for_ops = {**facts, "what": _OPS_ALERTS[step]}
        outbox.enqueue("account_alert", Role.OPS, facts=facts_for_ops, now=now, **about)
    slug, streak = therapist.slug, therapist.streak
    on_commit(lambda: _log.warning(_EMAILS[step], therapist=slug, streak=streak))


@in_transaction
def reactivate(slug: str, now: datetime, *, reason: str = "") -> bool:
    """False if the account was not deactivated. `reason`: why ops does it. Raises NotFound."""
    therapist = queries.locked_therapist_by_slug(slug)
    if not therapist.is_deactivated:
        return False
    therapist.deactivated_at = therapist.flagged_at = therapist.standing_due_at = None
    therapist.streak = therapist.streak_told = 0
    therapist.save()
    _add_entry(therapist, StandingEvent.REACTIVATED, now, reason=reason or None)
    acts.record("reactivate", now, therapist=therapist)
    accounts.email_about_account("account_reactivated", therapist, now)
    # At once: ops reads the score beside the factors that make it.
    ranking.refresh(therapist.id, now)
    on_commit(lambda: _log.warning("account_reactivated", therapist=slug))
    return True


def _add_entry(
    therapist: Therapist,
    event: str,
    at: datetime,
    booking: Booking | None = None,
    reason: str | None = None,
) -> StandingEntry:
    entry: StandingEntry = StandingEntry.create(
        therapist=therapist,
        event=event,
        booking=booking,
        streak=therapist.streak,
        at=at,
        reason=reason,
    )
    return entry
