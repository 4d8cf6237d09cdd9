"""Another time for a booking: proposing, taking, keeping the old time, taking a proposal back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from peewee import IntegrityError

from app import config
from app.errors import (
    FieldError,
    InvalidFields,
    NoProposal,
    ProposalOpen,
    SlotTaken,
    TimeMoveRefused,
)
from app.rules import availability, proposals
from app.rules.availability import NotOpen
from app.rules.lifecycle import Actor, Move, Status, TimeMove, Verdict, Via
from app.services import availability as open_times
from app.services.bookings import holds, log, proposed_times, request, transitions
from app.services.therapists import ranking
from app.store import outbox, queries
from app.store.db.database import in_transaction
from app.store.db.errors import Key, violated
from app.store.models import Booking, Proposal, ProposalEnd, Role

_OTHER = {Actor.CLIENT: Actor.THERAPIST, Actor.THERAPIST: Actor.CLIENT}
_ROLES = {Actor.CLIENT: Role.CLIENT, Actor.THERAPIST: Role.THERAPIST}
# What brought its calendar entry to each side of a session.
_ENTRIES = {Actor.CLIENT: "booking_accepted", Actor.THERAPIST: "session_confirmed"}


@dataclass(frozen=True, slots=True)
class TimeMoveResult:
    """`is_new`: False if the same was done before, and nothing was changed now."""

    booking: Booking
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class OpenTimesProposed:
    """An open proposal, as pages and emails show it."""

    by: Actor
    starts: list[datetime]
    # Those that can still be taken.
    takable: list[datetime]
    until: datetime
    made_at: datetime
    # Whether its client could have cancelled at no cost when it was made.
    was_free: bool


def open_proposal(booking: Booking, now: datetime) -> OpenTimesProposed | None:
    """The proposal of a booking that can still be answered."""
    if booking.proposal_at(now) is None:
        return None
    times = queries.offered_times_of(booking)
    if not times:
        return None
    proposal: Proposal = times[0].proposal
    starts, policy = [each.starts_at for each in times], config.current().policy
    return OpenTimesProposed(
        by=proposal.by,
        starts=starts,
        takable=[each for each in starts if proposals.is_takable(each, now, policy)],
        until=proposal.until,
        made_at=proposal.made_at,
        was_free=proposal.was_free,
    )


def judge(booking: Booking, move: TimeMove, by: Actor, now: datetime) -> Verdict:
    return proposals.judge(
        move,
        booking.status_at(now),
        booking.times,
        by,
        now,
        open_proposal=booking.open_proposal,
        times_done=_times_done(booking, move),
    )


def may_propose(booking: Booking, by: Actor, now: datetime) -> bool:
    """Whether a page offers that side to name another time."""
    move = proposals.move_to_propose(booking.status_at(now), by)
    is_possible = not booking.therapist.is_deactivated
    return is_possible and judge(booking, move, by, now) is Verdict.ALLOWED


def may_suggest(booking: Booking, now: datetime) -> bool:
    is_open = booking.status_at(now) is Status.REQUESTED
    return is_open and may_propose(booking, Actor.THERAPIST, now)


def _times_done(booking: Booking, move: TimeMove) -> int:
    match move:
        case TimeMove.SUGGEST:
            return int(booking.suggested_at is not None)
        case TimeMove.MOVE_ENQUIRY:
            return booking.moves
        case TimeMove.ASK_AS_THERAPIST:
            return int(booking.move_asked_at is not None)
    return 0


def propose(
    booking: Booking, starts: Sequence[datetime], *, by: Actor, via: Via, now: datetime
) -> TimeMoveResult:
    """Offer other times to the other side; a client's open enquiry moves at once.

    Raises InvalidFields, SlotTaken, ProposalOpen or TimeMoveRefused.
    """
    try:
        return _propose(booking, sorted(set(starts)), by=by, via=via, now=now)
    except IntegrityError as error:
        # A request for one of the times was quicker.
        if violated(error) is Key.HELD_TIME:
            raise SlotTaken from error
        raise


@in_transaction
def _propose(
    booking: Booking, starts: list[datetime], *, by: Actor, via: Via, now: datetime
) -> TimeMoveResult:
    locked = transitions.lock_booking(booking)
    # What ended by the clock holds no time any more.
    transitions.catch_up_therapist(locked.therapist_id, via=via, now=now)
    locked = queries.booking_by_id(locked.id)
    holds.release_ended(locked.therapist, now)
    move = proposals.move_to_propose(locked.status, by)
    if _is_repeated(locked, move, starts, by, now):
        return TimeMoveResult(locked, is_new=False)
    # A start that is wrong in itself is told before what the booking's state refuses.
    is_one_taken = _check_starts(locked, move, starts, now)
    verdict = judge(locked, move, by, now)
    if verdict is not Verdict.ALLOWED:
        _refuse(locked, verdict)
    if locked.therapist.is_deactivated:
        raise TimeMoveRefused(locked.reference, "The therapist takes no bookings any more.")
    if is_one_taken:
        raise SlotTaken
    if move is TimeMove.MOVE_ENQUIRY:
        _move_enquiry(locked, starts[0], via=via, now=now)
    else:
        _offer(locked, move, starts, by=by, via=via, now=now)
    return TimeMoveResult(queries.booking_by_id(locked.id))


def _is_repeated(
    booking: Booking, move: TimeMove, starts: list[datetime], by: Actor, now: datetime
) -> bool:
    if move is TimeMove.MOVE_ENQUIRY:
        return booking.moves > 0 and starts == [booking.starts_at]
    found = open_proposal(booking, now)
    return found is not None and found.by is by and found.starts == starts


def _check_starts(booking: Booking, move: TimeMove, starts: list[datetime], now: datetime) -> bool:
    """Whether one of them is taken. Raises InvalidFields for what cannot be a start."""
    policy = config.current().policy
    most = 1 if move is TimeMove.MOVE_ENQUIRY else policy.most_proposed
    if not 1 <= len(starts) <= most:
        words = (
            "Please choose one time." if most == 1 else f"Please choose up to {most} of the times."
        )
        raise InvalidFields(FieldError("starts", words))
    if booking.starts_at in starts:
        raise InvalidFields(FieldError("starts", "Please give other starts than the present one."))
    windows = open_times.windows_of(booking.therapist)
    offered, is_one_taken = open_times.policy_of_offers(), False
    for starts_at in starts:
        ends_at = starts_at + (booking.ends_at - booking.starts_at)
        taken = queries.taken_spans(booking.therapist, starts_at, ends_at, now, booking.id)
        why = availability.why_not_open(
            starts_at,
            windows,
            ZoneInfo(booking.therapist.timezone),
            held=taken.held,
            time_off=taken.time_off,
            length_minutes=(ends_at - starts_at) // timedelta(minutes=1),
            now=now,
            policy=offered,
        )
        is_one_taken |= why is NotOpen.TAKEN
        if why not in (None, NotOpen.TAKEN):
            raise InvalidFields(FieldError("starts", request.not_open(why, offered)))
    return is_one_taken


def _move_enquiry(booking: Booking, starts_at: datetime, *, via: Via, now: datetime) -> None:
    facts = transitions.move_time(booking, starts_at, by=Actor.CLIENT, via=via, at=now)
    transitions.ask_again(booking, now)
    _tell("time_taken", Actor.THERAPIST, booking, now, facts)
    _tell("booking_received", Actor.CLIENT, booking, now, {**facts, "has_moved": True})


def _offer(
    booking: Booking,
    move: TimeMove,
    starts: list[datetime],
    *,
    by: Actor,
    via: Via,
    now: datetime,
) -> None:
    policy = config.current().policy
    until = proposals.until(move, starts, booking.starts_at, now, policy)
    proposed_times.open_(
        booking,
        starts,
        by=by,
        until=until,
        was_free=transitions.cancelling_rule_of(booking, now).is_in_time,
        now=now,
    )
    is_suggestion = move is TimeMove.SUGGEST
    remind_at = now + policy.remind_answer_after
    Booking.update(
        proposed_by=by,
        proposed_until=until,
        reminder_due_at=remind_at if move is TimeMove.ASK_AS_CLIENT else None,
        move_asked_at=now if move is TimeMove.ASK_AS_THERAPIST else booking.move_asked_at,
        # A suggestion is an answer for the time being.
        suggested_at=now if is_suggestion else booking.suggested_at,
        expires_at=until if is_suggestion else booking.expires_at,
        late_due_at=None if is_suggestion else booking.late_due_at,
    ).where(Booking.id == booking.id).execute()
    if is_suggestion:
        ranking.schedule_refresh(booking.therapist_id, now)
    facts = {"starts": [each.isoformat() for each in starts], "until": until.isoformat()}
    _add_line(booking, "proposed", by=by, via=via, now=now, facts=facts)
    _tell("time_proposed", _OTHER[by], booking, now, {"proposed_by": str(by)})


@in_transaction
def take(
    booking: Booking,
    starts_at: datetime,
    *,
    by: Actor,
    via: Via,
    now: datetime,
    waive_notice: bool = False,
) -> TimeMoveResult:
    """Take a time that the other side offered; a suggestion's enquiry is then accepted.

    `waive_notice`: the therapist lets the client cancel as if the move had been asked for in time.
    Raises InvalidFields, NoProposal or TimeMoveRefused.
    """
    if waive_notice and by is not Actor.THERAPIST:
        words = "Only the therapist can waive the notice."
        raise InvalidFields(FieldError("waive_notice", words))
    locked = transitions.lock_booking(booking)
    transitions.catch_up(locked, via=via, now=now)
    found = open_proposal(locked, now)
    if found is not None and starts_at not in found.starts:
        raise InvalidFields(FieldError("starts_at", "Please choose one of the times offered."))
    verdict = judge(locked, TimeMove.TAKE, by, now)
    if verdict is not Verdict.ALLOWED:
        if was_taken(locked, starts_at, by):
            return TimeMoveResult(locked, is_new=False)
        _refuse(locked, verdict)
    assert found is not None
    if starts_at not in found.takable:
        raise TimeMoveRefused(locked.reference, "That time is too near to be taken.")
    if locked.status is Status.REQUESTED:
        _take_suggestion(locked, starts_at, via=via, now=now)
    else:
        _take_for_session(locked, starts_at, by=by, via=via, now=now, is_waived=waive_notice)
    return TimeMoveResult(locked)


def was_taken(booking: Booking, starts_at: datetime, by: Actor) -> bool:
    last = queries.last_proposal_of(booking)
    return (
        last is not None
        and last.outcome is ProposalEnd.TAKEN
        and last.by is not by
        and booking.starts_at == starts_at
        and booking.status is Status.ACCEPTED
    )


def _take_suggestion(booking: Booking, starts_at: datetime, *, via: Via, now: datetime) -> None:
    _end_as_taken(booking, starts_at, now)
    facts = transitions.move_time(booking, starts_at, by=Actor.CLIENT, via=via, at=now)
    transitions.make_move_with(
        booking, Move.ACCEPT_SUGGESTION, by=Actor.CLIENT, via=via, now=now, facts=facts
    )


def _take_for_session(
    booking: Booking, starts_at: datetime, *, by: Actor, via: Via, now: datetime, is_waived: bool
) -> None:
    proposal = _end_as_taken(booking, starts_at, now)
    keeps_cost = proposals.keeps_cost(
        proposed_by=proposal.by,
        was_free=proposal.was_free,
        cost_before=booking.is_moved_late,
        is_waived=is_waived,
    )
    facts = transitions.move_time(
        booking, starts_at, by=by, via=via, at=now, is_moved_late=keeps_cost
    )
    Booking.update(is_moved_late=keeps_cost).where(Booking.id == booking.id).execute()
    booking.is_moved_late = keeps_cost
    _tell("time_taken", _OTHER[by], booking, now, facts)
    _tell(_ENTRIES[by], by, booking, now, {**facts, "has_moved": True})


def _end_as_taken(booking: Booking, starts_at: datetime, now: datetime) -> Proposal:
    proposal = proposed_times.end(booking, ProposalEnd.TAKEN, now)
    assert proposal is not None
    proposed_times.mark_taken(proposal, starts_at)
    return proposal


@in_transaction
def keep(booking: Booking, *, by: Actor, via: Via, now: datetime) -> TimeMoveResult:
    """Keep the old time: the other side's proposal is declined, one's own is taken back.

    After a suggestion the therapist has the whole time to answer again. Raises NoProposal or
    TimeMoveRefused.
    """
    locked = transitions.lock_booking(booking)
    transitions.catch_up(locked, via=via, now=now)
    proposal = locked.open_proposal
    is_own = proposal is not None and proposal.by is by
    verdict = judge(locked, TimeMove.TAKE_BACK if is_own else TimeMove.KEEP, by, now)
    if verdict is not Verdict.ALLOWED:
        if _is_kept(locked, by):
            return TimeMoveResult(locked, is_new=False)
        _refuse(locked, verdict)
    how = ProposalEnd.TAKEN_BACK if is_own else ProposalEnd.DECLINED
    if locked.status is Status.REQUESTED:
        proposed_times.end(locked, how, now)
        transitions.ask_again(locked, now)
    else:
        proposed_times.refuse(locked, how, at=now, now=now)
    assert proposal is not None
    facts = {"of": str(proposal.by)}
    _add_line(locked, "proposal_declined", by=by, via=via, now=now, facts=facts)
    told = {"proposed_by": str(proposal.by), "how": str(how)}
    _tell("time_kept", _OTHER[by], locked, now, told)
    return TimeMoveResult(locked)


def _is_kept(booking: Booking, by: Actor) -> bool:
    last = queries.last_proposal_of(booking)
    if last is None or booking.status not in (Status.REQUESTED, Status.ACCEPTED):
        return False
    expected = ProposalEnd.TAKEN_BACK if last.by is by else ProposalEnd.DECLINED
    return last.outcome is expected


def _add_line(
    booking: Booking, event: str, *, by: Actor, via: Via, now: datetime, facts: dict[str, Any]
) -> None:
    ordinal = queries.next_ordinal(booking, event)
    transitions.add_timeline_entry(
        booking, event, by=by, via=via, at=now, facts=facts, ordinal=ordinal
    )
    log.booking_event(event, booking, by=by, via=via)


def _tell(kind: str, who: Actor, booking: Booking, now: datetime, facts: dict[str, Any]) -> None:
    outbox.enqueue(
        kind,
        _ROLES[who],
        booking=booking,
        ordinal=outbox.random_ordinal(),
        facts={"sequence": booking.sequence, **facts},
        now=now,
    )


_REFUSALS = {
    Verdict.USED_UP: "Its time cannot be moved again in this way.",
    Verdict.TOO_LATE: "It is too late for that.",
    Verdict.FORBIDDEN: "Only the other side can do that.",
}


def _refuse(booking: Booking, verdict: Verdict) -> NoReturn:
    if verdict is Verdict.PROPOSAL_OPEN:
        raise ProposalOpen(booking.reference)
    if verdict is Verdict.NO_PROPOSAL:
        raise NoProposal(booking.reference)
    words = f"The booking is {str(booking.status).replace('_', ' ')}."
    raise TimeMoveRefused(booking.reference, _REFUSALS.get(verdict, words))
