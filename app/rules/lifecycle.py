"""The life of a booking: the table of moves, who may make them and when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    CANCELLED_BY_CLIENT = "cancelled_by_client"
    CANCELLED_BY_THERAPIST = "cancelled_by_therapist"
    COMPLETED = "completed"
    NO_SHOW = "no_show"


class Actor(StrEnum):
    CLIENT = "client"
    THERAPIST = "therapist"
    OPS = "ops"
    SYSTEM = "system"


class Via(StrEnum):
    PAGE = "page"
    LINK = "link"
    DASHBOARD = "dashboard"
    API = "api"
    CLI = "cli"
    SCHEDULER = "scheduler"
    MAIL = "mail"


class Kind(StrEnum):
    PAID = "paid"
    FREE_CONSULTATION = "free_consultation"


class Move(StrEnum):
    ACCEPT = "accept"
    DECLINE = "decline"
    WITHDRAW = "withdraw"
    EXPIRE = "expire"
    CANCEL_BY_CLIENT = "cancel_by_client"
    CANCEL_BY_THERAPIST = "cancel_by_therapist"
    COMPLETE = "complete"
    NO_SHOW = "no_show"


class Verdict(StrEnum):
    ALLOWED = "allowed"
    # The booking already has the status that the move leads to.
    REPEATED = "repeated"
    # Another move was made before.
    OVERTAKEN = "overtaken"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Times:
    """The instants on which one booking's moves depend, aware UTC."""

    requested_at: datetime
    expires_at: datetime
    starts_at: datetime
    ends_at: datetime
    completes_at: datetime
    no_show_until: datetime


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table: a move is possible in [opens, closes); if `inclusive`, at closes too."""

    target: Status
    sources: frozenset[Status]
    actors: frozenset[Actor]
    opens: Callable[[Times], datetime] = lambda times: times.requested_at
    closes: Callable[[Times], datetime] | None = None
    inclusive: bool = False


_ANSWERERS = frozenset({Actor.THERAPIST, Actor.OPS})
_SYSTEM = frozenset({Actor.SYSTEM})
_OPEN = frozenset({Status.REQUESTED})
_ACCEPTED = frozenset({Status.ACCEPTED})

MOVES: dict[Move, Rule] = {
    Move.ACCEPT: Rule(Status.ACCEPTED, _OPEN, _ANSWERERS, closes=lambda times: times.expires_at),
    Move.DECLINE: Rule(Status.DECLINED, _OPEN, _ANSWERERS, closes=lambda times: times.expires_at),
    Move.WITHDRAW: Rule(
        Status.WITHDRAWN, _OPEN, frozenset({Actor.CLIENT}), closes=lambda times: times.expires_at
    ),
    Move.EXPIRE: Rule(Status.EXPIRED, _OPEN, _SYSTEM, opens=lambda times: times.expires_at),
    Move.CANCEL_BY_CLIENT: Rule(
        Status.CANCELLED_BY_CLIENT,
        _ACCEPTED,
        frozenset({Actor.CLIENT}),
        closes=lambda times: times.starts_at,
    ),
    Move.CANCEL_BY_THERAPIST: Rule(
        Status.CANCELLED_BY_THERAPIST,
        _ACCEPTED,
        frozenset({Actor.THERAPIST}),
        closes=lambda times: times.starts_at,
    ),
    Move.COMPLETE: Rule(
        Status.COMPLETED, _ACCEPTED, _SYSTEM, opens=lambda times: times.completes_at
    ),
    Move.NO_SHOW: Rule(
        Status.NO_SHOW,
        frozenset({Status.ACCEPTED, Status.COMPLETED}),
        frozenset({Actor.THERAPIST}),
        opens=lambda times: times.ends_at,
        closes=lambda times: times.no_show_until,
        inclusive=True,
    ),
}

# Statuses in which a booking holds its time.
LIVE = frozenset({Status.REQUESTED, Status.ACCEPTED})
# After a session its client and therapist can write to each other for so long.
MESSAGES_LAST = timedelta(days=14)


def due_move(status: Status, times: Times, now: datetime) -> Move | None:
    """The move that the clock makes by `now`, whether or not a job has stored it."""
    for move in (Move.EXPIRE, Move.COMPLETE):
        rule = MOVES[move]
        if status in rule.sources and now >= rule.opens(times):
            return move
    return None


def takes_messages(status: Status, times: Times, now: datetime) -> bool:
    """Whether client and therapist can write to each other; `status` is the one by the clock."""
    if status in (Status.COMPLETED, Status.NO_SHOW):
        return now < times.ends_at + MESSAGES_LAST
    return status in LIVE


def judge(move: Move, status: Status, times: Times, actor: Actor, now: datetime) -> Verdict:
    rule = MOVES[move]
    if actor not in rule.actors:
        return Verdict.FORBIDDEN
    if status == rule.target:
        return Verdict.REPEATED
    if status not in rule.sources:
        return Verdict.OVERTAKEN
    if now < rule.opens(times):
        return Verdict.TOO_EARLY
    closes = rule.closes(times) if rule.closes else None
    if closes is not None and (now > closes if rule.inclusive else now >= closes):
        return Verdict.TOO_LATE
    return Verdict.ALLOWED
