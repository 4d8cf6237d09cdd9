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
    # The ops desk.
    OPS = "ops"


def is_by_ops(by: Actor, via: Via) -> bool:
    """Whether our team did it, perhaps for client or therapist."""
    is_for_them = by in (Actor.CLIENT, Actor.THERAPIST) and via in (Via.CLI, Via.OPS)
    return by is Actor.OPS or is_for_them


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
    # The client takes a time that the therapist suggested instead of answering.
    ACCEPT_SUGGESTION = "accept_suggestion"
    # The client cancels because the therapist asked to move the session.
    CANCEL_IN_ANSWER = "cancel_in_answer"
    COMPLETE = "complete"
    NO_SHOW = "no_show"


class TimeMove(StrEnum):
    """A move that is about a booking's time and leaves its status."""

    # The therapist names other times instead of answering.
    SUGGEST = "suggest"
    # The client moves an enquiry, at once.
    MOVE_ENQUIRY = "move_enquiry"
    # One side of a session asks the other for another time.
    ASK_AS_CLIENT = "ask_as_client"
    ASK_AS_THERAPIST = "ask_as_therapist"
    TAKE = "take"
    # The other side keeps the old time.
    KEEP = "keep"
    # The proposer keeps the old time after all.
    TAKE_BACK = "take_back"
    LAPSE = "lapse"


class Verdict(StrEnum):
    ALLOWED = "allowed"
    # The booking already has the status that the move leads to.
    REPEATED = "repeated"
    # Another move was made before.
    OVERTAKEN = "overtaken"
    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    FORBIDDEN = "forbidden"
    # Another time is offered already, or none is.
    PROPOSAL_OPEN = "proposal_open"
    NO_PROPOSAL = "no_proposal"
    # It was done as often as it may be.
    USED_UP = "used_up"


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
    # A suggestion of other times can stay open past the old start.
    Move.ACCEPT: Rule(
        Status.ACCEPTED,
        _OPEN,
        _ANSWERERS,
        closes=lambda times: min(times.expires_at, times.starts_at),
    ),
    Move.ACCEPT_SUGGESTION: Rule(
        Status.ACCEPTED, _OPEN, frozenset({Actor.CLIENT}), closes=lambda times: times.expires_at
    ),
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
    Move.CANCEL_IN_ANSWER: Rule(
        Status.CANCELLED_BY_THERAPIST,
        _ACCEPTED,
        frozenset({Actor.CLIENT}),
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


class Proposal(StrEnum):
    """Whose proposal must be open for a move."""

    NONE = "none"
    OF_THE_OTHER = "of_the_other"
    OWN = "own"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class TimeRule:
    """A row of the table for moves of a time; `most`: how often per booking, None: no limit."""

    sources: frozenset[Status]
    actors: frozenset[Actor]
    proposal: Proposal
    most: int | None = None


_CLIENT, _THERAPIST = frozenset({Actor.CLIENT}), frozenset({Actor.THERAPIST})
_BOTH = _CLIENT | _THERAPIST

TIME_MOVES: dict[TimeMove, TimeRule] = {
    TimeMove.SUGGEST: TimeRule(_OPEN, _THERAPIST, Proposal.NONE, most=1),
    TimeMove.MOVE_ENQUIRY: TimeRule(_OPEN, _CLIENT, Proposal.NONE, most=2),
    TimeMove.ASK_AS_CLIENT: TimeRule(_ACCEPTED, _CLIENT, Proposal.NONE),
    TimeMove.ASK_AS_THERAPIST: TimeRule(_ACCEPTED, _THERAPIST, Proposal.NONE, most=1),
    TimeMove.TAKE: TimeRule(LIVE, _BOTH, Proposal.OF_THE_OTHER),
    TimeMove.KEEP: TimeRule(LIVE, _BOTH, Proposal.OF_THE_OTHER),
    # A suggestion is ended by accepting or declining the enquiry.
    TimeMove.TAKE_BACK: TimeRule(_ACCEPTED, _BOTH, Proposal.OWN),
    TimeMove.LAPSE: TimeRule(_ACCEPTED, _SYSTEM, Proposal.ANY),
}
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
