"""What a message that came in may do: act, become a message, be explained, or nothing."""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from app.rules.lifecycle import LIVE, Actor, Status

# Scanners and rules of a calendar answer at once; people take longer.
TOO_QUICK = timedelta(seconds=60)
# Reports of an email that left longer ago say nothing of today.
BOUNCES_COUNT_FOR = timedelta(days=30)


class Reaction(StrEnum):
    ACCEPT = "accept"
    DECLINE = "decline"
    MESSAGE = "message"
    # One email says what the message would have meant, and where to do it.
    EXPLAIN = "explain"
    SILENT = "silent"


class Why(StrEnum):
    """Why a message did not do what its sender may think; an email's fact, so never renamed."""

    MAYBE = "maybe"
    OTHER_TIME = "other_time"
    DELEGATED = "delegated"
    # A calendar that declines while its owner is away.
    OUT_OF_OFFICE = "out_of_office"
    TOO_QUICK = "too_quick"
    OTHER_PERSON = "other_person"
    UNPROVEN = "unproven"
    # Something happened since the email that was answered.
    OLDER = "older"
    # A No to a session that was accepted.
    CANCELS = "cancels"
    UNCLEAR = "unclear"
    EMPTY = "empty"
    TOO_LONG = "too_long"
    ATTACHMENTS = "attachments"
    # What reads like an answer: to an email that offers other times, or to one that asks for Yes
    # or No. It is passed on as a message.
    TIMES = "times"
    NOT_PLAIN = "not_plain"
    # Client and therapist do not write to one another here any more.
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Decision:
    reaction: Reaction
    why: Why | None = None


SILENT = Decision(Reaction.SILENT)
_HAPPENED = frozenset({Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW})
_NOT_PLAIN = {
    "TENTATIVE": Why.MAYBE,
    "DELEGATED": Why.DELEGATED,
}
_AWAY = re.compile(
    r"out of (?:the )?office|away from (?:the )?office|automatic(?:ally)? declined|on leave"
    r"|on (?:holiday|vacation)|focus time|abwesen|nicht im büro|außer haus|urlaub"
    r"|absent|en congé|bureau|fuera de la oficina|vacaciones|ausente|fuori ufficio|in ferie"
    r"|fora do escritório|férias|afwezig|niet op kantoor|frånvarande|poza biurem|urlop",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class CalendarCase:
    """A calendar answer, and how the booking stands when it is handled."""

    by: Actor
    # By the clock, with overdue moves made.
    status: Status
    method: str
    # Of the invited person; None if the answer is somebody else's.
    partstat: str | None
    is_plain: bool = True
    # Whether it answers the newest invitation, and no newer answer was handled before.
    is_newest: bool = True
    # Whether it answers an invitation to a time that has been changed since.
    is_before_move: bool = False
    is_superseded: bool = False
    is_out_of_office: bool = False
    is_quick: bool = False
    is_proven: bool = True


def is_out_of_office(comment: str) -> bool:
    """Whether a calendar, and not a person, wrote this beside a No."""
    return bool(_AWAY.search(comment))


def judge_calendar(case: CalendarCase) -> Decision:
    if case.is_superseded:
        return SILENT
    why = _why_not_plain(case)
    if why is not None:
        return _explain_if(case.status in LIVE, why)
    answers = {"ACCEPTED": _yes, "DECLINED": _no}
    return answers[case.partstat](case) if case.partstat in answers else SILENT


def _why_not_plain(case: CalendarCase) -> Why | None:
    if case.method == "COUNTER":
        return Why.OTHER_TIME
    if case.method != "REPLY" or not case.is_plain:
        return Why.UNCLEAR
    return Why.OTHER_PERSON if case.partstat is None else _NOT_PLAIN.get(case.partstat)


def _yes(case: CalendarCase) -> Decision:
    if case.is_before_move and case.status in LIVE:
        # It agrees with a time that is not theirs any more.
        return Decision(Reaction.EXPLAIN, Why.OLDER)
    if case.status in _HAPPENED or (case.by is Actor.CLIENT and case.status in LIVE):
        return SILENT
    if case.status is Status.REQUESTED:
        return _unless_doubted(case, Reaction.ACCEPT)
    # They believe in a session that will not take place.
    return Decision(Reaction.EXPLAIN, Why.OLDER)


def _no(case: CalendarCase) -> Decision:
    if case.status not in LIVE:
        return SILENT
    if case.status is Status.ACCEPTED or case.by is Actor.CLIENT:
        # It costs a fee or a streak, so it takes a page that says so.
        return Decision(Reaction.EXPLAIN, Why.CANCELS)
    if case.is_out_of_office:
        return Decision(Reaction.EXPLAIN, Why.OUT_OF_OFFICE)
    return _unless_doubted(case, Reaction.DECLINE)


def _unless_doubted(case: "CalendarCase | WordsCase", act: Reaction) -> Decision:
    for is_doubted, why in (
        (not case.is_newest, Why.OLDER),
        (not case.is_proven, Why.UNPROVEN),
        (case.is_quick, Why.TOO_QUICK),
    ):
        if is_doubted:
            return Decision(Reaction.EXPLAIN, why)
    return Decision(act)


def _explain_if(holds: bool, why: Why) -> Decision:
    return Decision(Reaction.EXPLAIN, why) if holds else SILENT


@dataclass(frozen=True, slots=True)
class WordsCase:
    """A reply in words; `is_yes` where its whole first line is an answer, else None."""

    by: Actor
    status: Status
    is_yes: bool | None
    # Whether its writer may think that it is one.
    seems_answer: bool
    # Whether it replies to an email that asks for an answer.
    is_to_request: bool
    is_newest: bool
    has_text: bool
    has_attachments: bool
    is_too_long: bool
    takes_messages: bool
    # Whether it replies to an email from before a change of time, or to one that offers times.
    is_before_move: bool = False
    is_to_times: bool = False
    is_quick: bool = False
    is_proven: bool = True


def judge_words(case: WordsCase) -> Decision:
    is_answer = case.by is Actor.THERAPIST and case.is_yes is not None and case.is_to_request
    if is_answer:
        return _answer(case)
    why = _why_not_passed_on(case)
    if why is not None:
        return Decision(Reaction.EXPLAIN, why)
    # The message is passed on, and beside it the sender is told what it does not do.
    if case.seems_answer and case.is_to_times:
        return Decision(Reaction.MESSAGE, Why.TIMES)
    waits = case.by is Actor.THERAPIST and case.status is Status.REQUESTED
    if case.seems_answer and case.is_to_request and waits:
        return Decision(Reaction.MESSAGE, Why.NOT_PLAIN)
    return Decision(Reaction.MESSAGE, Why.ATTACHMENTS if case.has_attachments else None)


def _why_not_passed_on(case: WordsCase) -> Why | None:
    if not case.has_text:
        return Why.ATTACHMENTS if case.has_attachments else Why.EMPTY
    for is_refused, why in (
        (not case.takes_messages, Why.OVER),
        (case.is_too_long, Why.TOO_LONG),
        (not case.is_proven, Why.UNPROVEN),
    ):
        if is_refused:
            return why
    return None


def _answer(case: WordsCase) -> Decision:
    if case.status is Status.REQUESTED:
        return _unless_doubted(case, Reaction.ACCEPT if case.is_yes else Reaction.DECLINE)
    if case.is_yes:
        is_true = case.status in _HAPPENED and not case.is_before_move
        return SILENT if is_true else Decision(Reaction.EXPLAIN, Why.OLDER)
    if case.status is Status.ACCEPTED:
        return Decision(Reaction.EXPLAIN, Why.CANCELS)
    return SILENT
