"""Another time for a booking: who may propose, take or keep one, and until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.rules.lifecycle import TIME_MOVES, Actor, Proposal, Status, TimeMove, Times, Verdict
from app.rules.policy import Policy


@dataclass(frozen=True, slots=True)
class OpenProposal:
    by: Actor
    # The first instant at which none of its times can be taken any more.
    until: datetime


def move_to_propose(status: Status, by: Actor) -> TimeMove:
    """What naming other times means for a booking of that status."""
    if by is Actor.CLIENT:
        return TimeMove.MOVE_ENQUIRY if status is Status.REQUESTED else TimeMove.ASK_AS_CLIENT
    return TimeMove.SUGGEST if status is Status.REQUESTED else TimeMove.ASK_AS_THERAPIST


def judge(
    move: TimeMove,
    status: Status,
    times: Times,
    actor: Actor,
    now: datetime,
    *,
    open_proposal: OpenProposal | None,
    times_done: int = 0,
) -> Verdict:
    """`times_done`: how often the booking has had this move already."""
    rule = TIME_MOVES[move]
    if actor not in rule.actors:
        return Verdict.FORBIDDEN
    if status not in rule.sources:
        return Verdict.OVERTAKEN
    if rule.proposal is Proposal.NONE:
        if open_proposal is not None and now < open_proposal.until:
            return Verdict.PROPOSAL_OPEN
        is_used_up = rule.most is not None and times_done >= rule.most
        return Verdict.USED_UP if is_used_up else _while_live(status, times, now)
    if open_proposal is None or (now >= open_proposal.until) != (move is TimeMove.LAPSE):
        return Verdict.NO_PROPOSAL
    return _judge_answer(move, rule.proposal, open_proposal.by, times, actor, now)


def _while_live(status: Status, times: Times, now: datetime) -> Verdict:
    closes = times.expires_at if status is Status.REQUESTED else times.starts_at
    return Verdict.ALLOWED if now < closes else Verdict.TOO_LATE


def _judge_answer(
    move: TimeMove, whose: Proposal, by: Actor, times: Times, actor: Actor, now: datetime
) -> Verdict:
    if whose is not Proposal.ANY and (by is actor) != (whose is Proposal.OWN):
        return Verdict.FORBIDDEN
    # A suggestion can stay open past the old start.
    is_gone = move is TimeMove.KEEP and now >= times.starts_at
    return Verdict.TOO_LATE if is_gone else Verdict.ALLOWED


def until(
    move: TimeMove,
    starts: Sequence[datetime],
    session_starts_at: datetime,
    now: datetime,
    policy: Policy,
) -> datetime:
    """When a proposal of these starts ends unanswered."""
    last_takable = max(starts) - policy.min_notice
    if move is TimeMove.SUGGEST:
        return min(now + policy.expire_after, last_takable)
    span = policy.answer_within if move is TimeMove.ASK_AS_CLIENT else policy.expire_after
    return min(now + span, last_takable, session_starts_at)


def is_takable(starts_at: datetime, now: datetime, policy: Policy) -> bool:
    return starts_at - now >= policy.min_notice


def keeps_cost(
    *,
    proposed_by: Actor,
    was_free: bool,
    cost_before: bool,
    is_waived: bool,
) -> bool:
    """Whether cancelling costs the fee from now on, however early, because of a taken move.

    `was_free`: whether cancelling was free when the move was proposed, by its own notice;
    `cost_before`: whether an earlier move had that effect.
    """
    if proposed_by is Actor.THERAPIST or is_waived:
        return False
    return cost_before or not was_free
