"""What a message that came in may do: scenario tables, and what always holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import inbound
from app.rules.inbound import CalendarCase, Decision, Reaction, Why, WordsCase
from app.rules.lifecycle import LIVE, Actor, Status

THERAPIST, CLIENT = Actor.THERAPIST, Actor.CLIENT
OPEN, ACCEPTED, DECLINED, EXPIRED = (
    Status.REQUESTED,
    Status.ACCEPTED,
    Status.DECLINED,
    Status.EXPIRED,
)
ACCEPT, DECLINE = Decision(Reaction.ACCEPT), Decision(Reaction.DECLINE)
NOTHING = Decision(Reaction.SILENT)


def says(why: Why) -> Decision:
    return Decision(Reaction.EXPLAIN, why)


# (who, method, their PARTSTAT, status of the booking, more facts, what happens)
CALENDAR = [
    (THERAPIST, "REPLY", "ACCEPTED", OPEN, {}, ACCEPT),
    (THERAPIST, "REPLY", "DECLINED", OPEN, {}, DECLINE),
    (THERAPIST, "REPLY", "TENTATIVE", OPEN, {}, says(Why.MAYBE)),
    (THERAPIST, "REPLY", "DELEGATED", OPEN, {}, says(Why.DELEGATED)),
    (THERAPIST, "REPLY", "NEEDS-ACTION", OPEN, {}, NOTHING),
    (THERAPIST, "REPLY", "X-NEW", OPEN, {}, NOTHING),
    (THERAPIST, "REPLY", None, OPEN, {}, says(Why.OTHER_PERSON)),
    (THERAPIST, "COUNTER", "TENTATIVE", OPEN, {}, says(Why.OTHER_TIME)),
    (THERAPIST, "REQUEST", "ACCEPTED", OPEN, {}, says(Why.UNCLEAR)),
    (THERAPIST, "CANCEL", "ACCEPTED", OPEN, {}, says(Why.UNCLEAR)),
    (THERAPIST, "REFRESH", None, DECLINED, {}, NOTHING),
    (THERAPIST, "REPLY", "ACCEPTED", OPEN, {"is_plain": False}, says(Why.UNCLEAR)),
    (THERAPIST, "REPLY", "DECLINED", OPEN, {"is_plain": False}, says(Why.UNCLEAR)),
    (THERAPIST, "REPLY", "ACCEPTED", DECLINED, {"is_plain": False}, NOTHING),
    (THERAPIST, "REPLY", "ACCEPTED", OPEN, {"is_newest": False}, says(Why.OLDER)),
    (THERAPIST, "REPLY", "DECLINED", OPEN, {"is_newest": False}, says(Why.OLDER)),
    (THERAPIST, "REPLY", "ACCEPTED", OPEN, {"is_quick": True}, says(Why.TOO_QUICK)),
    (THERAPIST, "REPLY", "DECLINED", OPEN, {"is_quick": True}, says(Why.TOO_QUICK)),
    (THERAPIST, "REPLY", "DECLINED", OPEN, {"is_out_of_office": True}, says(Why.OUT_OF_OFFICE)),
    (THERAPIST, "REPLY", "ACCEPTED", OPEN, {"is_out_of_office": True}, ACCEPT),
    (THERAPIST, "REPLY", "ACCEPTED", OPEN, {"is_proven": False}, says(Why.UNPROVEN)),
    (THERAPIST, "REPLY", "ACCEPTED", OPEN, {"is_superseded": True}, NOTHING),
    # Answers that agree with how things stand are silent, whatever they answered.
    (THERAPIST, "REPLY", "ACCEPTED", ACCEPTED, {}, NOTHING),
    (THERAPIST, "REPLY", "ACCEPTED", ACCEPTED, {"is_newest": False}, NOTHING),
    (THERAPIST, "REPLY", "ACCEPTED", Status.COMPLETED, {}, NOTHING),
    (THERAPIST, "REPLY", "DECLINED", DECLINED, {}, NOTHING),
    (THERAPIST, "REPLY", "DECLINED", EXPIRED, {}, NOTHING),
    (THERAPIST, "REPLY", "DECLINED", Status.CANCELLED_BY_CLIENT, {}, NOTHING),
    # A Yes to a time that is not the booking's any more.
    (THERAPIST, "REPLY", "ACCEPTED", ACCEPTED, {"is_before_move": True}, says(Why.OLDER)),
    (CLIENT, "REPLY", "ACCEPTED", ACCEPTED, {"is_before_move": True}, says(Why.OLDER)),
    (CLIENT, "REPLY", "ACCEPTED", Status.COMPLETED, {"is_before_move": True}, NOTHING),
    # A Yes to what will not take place.
    (THERAPIST, "REPLY", "ACCEPTED", EXPIRED, {}, says(Why.OLDER)),
    (THERAPIST, "REPLY", "ACCEPTED", Status.WITHDRAWN, {}, says(Why.OLDER)),
    (THERAPIST, "REPLY", "ACCEPTED", Status.CANCELLED_BY_THERAPIST, {}, says(Why.OLDER)),
    # What costs a fee or a streak takes a page.
    (THERAPIST, "REPLY", "DECLINED", ACCEPTED, {}, says(Why.CANCELS)),
    (THERAPIST, "REPLY", "DECLINED", ACCEPTED, {"is_newest": False}, says(Why.CANCELS)),
    (THERAPIST, "REPLY", "TENTATIVE", ACCEPTED, {}, says(Why.MAYBE)),
    (CLIENT, "REPLY", "ACCEPTED", ACCEPTED, {}, NOTHING),
    (CLIENT, "REPLY", "ACCEPTED", OPEN, {}, NOTHING),
    (CLIENT, "REPLY", "ACCEPTED", Status.CANCELLED_BY_THERAPIST, {}, says(Why.OLDER)),
    (CLIENT, "REPLY", "DECLINED", ACCEPTED, {}, says(Why.CANCELS)),
    (CLIENT, "REPLY", "DECLINED", OPEN, {}, says(Why.CANCELS)),
    (CLIENT, "REPLY", "DECLINED", Status.CANCELLED_BY_CLIENT, {}, NOTHING),
    (CLIENT, "REPLY", "DECLINED", Status.NO_SHOW, {}, NOTHING),
    (CLIENT, "REPLY", "TENTATIVE", ACCEPTED, {}, says(Why.MAYBE)),
    (CLIENT, "COUNTER", None, ACCEPTED, {}, says(Why.OTHER_TIME)),
]


@pytest.mark.parametrize(("by", "method", "partstat", "status", "more", "expected"), CALENDAR)
def test_a_calendar_answer(  # type: ignore[no-untyped-def]
    by, method, partstat, status, more, expected
) -> None:
    case = CalendarCase(by=by, status=status, method=method, partstat=partstat, **more)
    assert inbound.judge_calendar(case) == expected


def words(**changes: object) -> WordsCase:
    facts: dict[str, object] = {
        "by": THERAPIST,
        "status": OPEN,
        "is_yes": None,
        "seems_answer": False,
        "is_to_request": True,
        "is_newest": True,
        "has_text": True,
        "has_attachments": False,
        "is_too_long": False,
        "takes_messages": True,
    }
    return WordsCase(**{**facts, **changes})  # type: ignore[arg-type]


MESSAGE = Decision(Reaction.MESSAGE)
WORDS = [
    ({"is_yes": True}, ACCEPT),
    ({"is_yes": False}, DECLINE),
    ({"is_yes": True, "is_newest": False}, says(Why.OLDER)),
    ({"is_yes": True, "is_quick": True}, says(Why.TOO_QUICK)),
    ({"is_yes": False, "is_proven": False}, says(Why.UNPROVEN)),
    ({"is_yes": True, "status": ACCEPTED}, NOTHING),
    ({"is_yes": True, "status": ACCEPTED, "is_before_move": True}, says(Why.OLDER)),
    ({"is_yes": True, "status": EXPIRED}, says(Why.OLDER)),
    ({"is_yes": False, "status": ACCEPTED}, says(Why.CANCELS)),
    ({"is_yes": False, "status": DECLINED}, NOTHING),
    # The word alone, in reply to an email that asks nothing, is written to the client.
    ({"is_yes": True, "is_to_request": False}, MESSAGE),
    # Who says Yes to other times may think that they took one.
    (
        {"seems_answer": True, "is_to_request": False, "is_to_times": True},
        Decision(Reaction.MESSAGE, Why.TIMES),
    ),
    (
        {"by": CLIENT, "seems_answer": True, "is_to_times": True},
        Decision(Reaction.MESSAGE, Why.TIMES),
    ),
    ({"is_to_request": False, "is_to_times": True}, MESSAGE),
    # So may who writes it where it is not taken.
    ({"seems_answer": True}, Decision(Reaction.MESSAGE, Why.NOT_PLAIN)),
    ({"seems_answer": True, "status": ACCEPTED}, MESSAGE),
    ({"by": CLIENT, "seems_answer": True}, MESSAGE),
    ({}, MESSAGE),
    ({"by": CLIENT, "is_yes": True}, MESSAGE),
    ({"by": CLIENT, "is_yes": False, "status": ACCEPTED}, MESSAGE),
    ({"has_text": False}, says(Why.EMPTY)),
    ({"has_text": False, "has_attachments": True}, says(Why.ATTACHMENTS)),
    ({"has_attachments": True}, Decision(Reaction.MESSAGE, Why.ATTACHMENTS)),
    ({"is_too_long": True}, says(Why.TOO_LONG)),
    ({"takes_messages": False}, says(Why.OVER)),
    ({"is_proven": False}, says(Why.UNPROVEN)),
]


@pytest.mark.parametrize(("changes", "expected"), WORDS)
def test_a_reply_in_words(changes: dict[str, object], expected: Decision) -> None:
    assert inbound.judge_words(words(**changes)) == expected


CASES = st.builds(
    CalendarCase,
    by=st.sampled_from([THERAPIST, CLIENT]),
    status=st.sampled_from(Status),
    method=st.sampled_from(["REPLY", "COUNTER", "REQUEST", "CANCEL", ""]),
    partstat=st.sampled_from(["ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED", "", None]),
    is_plain=st.booleans(),
    is_newest=st.booleans(),
    is_before_move=st.booleans(),
    is_superseded=st.booleans(),
    is_out_of_office=st.booleans(),
    is_quick=st.booleans(),
    is_proven=st.booleans(),
)


@given(CASES)
def test_only_a_plain_timely_answer_of_the_therapist_to_an_open_enquiry_acts(
    case: CalendarCase,
) -> None:
    reaction = inbound.judge_calendar(case).reaction
    assert reaction is not Reaction.MESSAGE
    if reaction in (Reaction.ACCEPT, Reaction.DECLINE):
        assert (case.by, case.status, case.method) == (THERAPIST, OPEN, "REPLY")
        assert case.is_plain and case.is_newest and case.is_proven
        assert not (case.is_quick or case.is_superseded or case.is_before_move)


@given(CASES)
def test_who_declines_what_is_live_is_never_left_without_a_word(case: CalendarCase) -> None:
    is_plain_no = case.method == "REPLY" and case.partstat == "DECLINED"
    if is_plain_no and case.status in LIVE and not case.is_superseded:
        assert inbound.judge_calendar(case).reaction is not Reaction.SILENT


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("Declined because I am out of office", True),
        ("Ich bin bis Montag im Urlaub", True),
        ("Absent(e) du bureau", True),
        ("", False),
        ("I have another client then", False),
    ],
)
def test_a_calendar_that_declines_by_itself_says_that_its_owner_is_away(
    comment: str, expected: bool
) -> None:
    assert inbound.is_out_of_office(comment) is expected
