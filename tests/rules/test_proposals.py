"""Another time: who may propose, take, keep and take back, in each state and at each boundary."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import proposals
from app.rules.cancellation import Because, MoveTerms, cancelling_rule
from app.rules.lifecycle import Actor, Status, TimeMove, Times, Verdict
from app.rules.policy import Policy
from app.rules.proposals import OpenProposal

POLICY = Policy()
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
REQUESTED_AT = datetime(2027, 3, 1, 9, tzinfo=UTC)
STARTS_AT = REQUESTED_AT + timedelta(days=2)
ENDS_AT = STARTS_AT + timedelta(minutes=50)
TIMES = Times(
    requested_at=REQUESTED_AT,
    expires_at=REQUESTED_AT + 24 * HOUR,
    starts_at=STARTS_AT,
    ends_at=ENDS_AT,
    completes_at=ENDS_AT + timedelta(minutes=10),
    no_show_until=ENDS_AT + timedelta(days=7, minutes=10),
)
UNTIL = REQUESTED_AT + 12 * HOUR
CLIENT, THERAPIST, OPS, SYSTEM = Actor.CLIENT, Actor.THERAPIST, Actor.OPS, Actor.SYSTEM
OF_CLIENT, OF_THERAPIST = OpenProposal(CLIENT, UNTIL), OpenProposal(THERAPIST, UNTIL)

# What the contract allows: (move, status, who, whose proposal is open).
ALLOWED = {
    (TimeMove.SUGGEST, Status.REQUESTED, THERAPIST, None),
    (TimeMove.MOVE_ENQUIRY, Status.REQUESTED, CLIENT, None),
    (TimeMove.ASK_AS_CLIENT, Status.ACCEPTED, CLIENT, None),
    (TimeMove.ASK_AS_THERAPIST, Status.ACCEPTED, THERAPIST, None),
    (TimeMove.TAKE, Status.REQUESTED, CLIENT, THERAPIST),
    (TimeMove.TAKE, Status.REQUESTED, THERAPIST, CLIENT),
    (TimeMove.TAKE, Status.ACCEPTED, CLIENT, THERAPIST),
    (TimeMove.TAKE, Status.ACCEPTED, THERAPIST, CLIENT),
    (TimeMove.KEEP, Status.REQUESTED, CLIENT, THERAPIST),
    (TimeMove.KEEP, Status.REQUESTED, THERAPIST, CLIENT),
    (TimeMove.KEEP, Status.ACCEPTED, CLIENT, THERAPIST),
    (TimeMove.KEEP, Status.ACCEPTED, THERAPIST, CLIENT),
    (TimeMove.TAKE_BACK, Status.ACCEPTED, CLIENT, CLIENT),
    (TimeMove.TAKE_BACK, Status.ACCEPTED, THERAPIST, THERAPIST),
}


def judge(
    move: TimeMove,
    status: Status,
    who: Actor,
    open_proposal: OpenProposal | None,
    now: datetime = REQUESTED_AT + HOUR,
    times_done: int = 0,
) -> Verdict:
    return proposals.judge(
        move, status, TIMES, who, now, open_proposal=open_proposal, times_done=times_done
    )


@pytest.mark.parametrize("move", sorted(set(TimeMove) - {TimeMove.LAPSE}))
def test_nobody_else_may_move_a_time_and_in_no_other_state(move: TimeMove) -> None:
    for status in Status:
        for who in Actor:
            for proposal in (None, OF_CLIENT, OF_THERAPIST):
                case = (move, status, who, proposal and proposal.by)
                is_allowed = judge(move, status, who, proposal) is Verdict.ALLOWED
                assert is_allowed == (case in ALLOWED), case


@pytest.mark.parametrize(
    ("move", "status", "who", "proposal", "now", "times_done", "verdict"),
    [
        (TimeMove.SUGGEST, "requested", THERAPIST, None, TIMES.expires_at - SECOND, 0, "allowed"),
        (TimeMove.SUGGEST, "requested", THERAPIST, None, TIMES.expires_at, 0, "too_late"),
        (TimeMove.SUGGEST, "requested", THERAPIST, None, UNTIL, 1, "used_up"),
        (TimeMove.SUGGEST, "requested", THERAPIST, OF_THERAPIST, UNTIL - SECOND, 1,
         "proposal_open"),
        (TimeMove.SUGGEST, "accepted", THERAPIST, None, UNTIL, 0, "overtaken"),
        (TimeMove.SUGGEST, "requested", OPS, None, UNTIL, 0, "forbidden"),
        (TimeMove.MOVE_ENQUIRY, "requested", CLIENT, None, UNTIL, 1, "allowed"),
        (TimeMove.MOVE_ENQUIRY, "requested", CLIENT, None, UNTIL, 2, "used_up"),
        (TimeMove.MOVE_ENQUIRY, "requested", CLIENT, OF_THERAPIST, REQUESTED_AT, 0,
         "proposal_open"),
        (TimeMove.ASK_AS_CLIENT, "accepted", CLIENT, None, STARTS_AT - SECOND, 7, "allowed"),
        (TimeMove.ASK_AS_CLIENT, "accepted", CLIENT, None, STARTS_AT, 0, "too_late"),
        # A proposal that has ended by the clock stands in nobody's way.
        (TimeMove.ASK_AS_CLIENT, "accepted", CLIENT, OF_THERAPIST, UNTIL, 0, "allowed"),
        (TimeMove.ASK_AS_THERAPIST, "accepted", THERAPIST, None, UNTIL, 1, "used_up"),
        (TimeMove.TAKE, "requested", CLIENT, OF_THERAPIST, UNTIL - SECOND, 0, "allowed"),
        (TimeMove.TAKE, "requested", CLIENT, OF_THERAPIST, UNTIL, 0, "no_proposal"),
        (TimeMove.TAKE, "requested", CLIENT, None, UNTIL, 0, "no_proposal"),
        (TimeMove.TAKE, "accepted", CLIENT, OF_CLIENT, REQUESTED_AT, 0, "forbidden"),
        (TimeMove.TAKE, "withdrawn", CLIENT, OF_THERAPIST, REQUESTED_AT, 0, "overtaken"),
        (TimeMove.KEEP, "accepted", THERAPIST, OF_CLIENT, UNTIL - SECOND, 0, "allowed"),
        (TimeMove.KEEP, "accepted", THERAPIST, OF_CLIENT, UNTIL, 0, "no_proposal"),
        (TimeMove.TAKE_BACK, "requested", THERAPIST, OF_THERAPIST, REQUESTED_AT, 0, "overtaken"),
        (TimeMove.LAPSE, "accepted", SYSTEM, OF_CLIENT, UNTIL - SECOND, 0, "no_proposal"),
        (TimeMove.LAPSE, "accepted", SYSTEM, OF_CLIENT, UNTIL, 0, "allowed"),
        (TimeMove.LAPSE, "accepted", CLIENT, OF_CLIENT, UNTIL, 0, "forbidden"),
    ],
)  # fmt: skip
def test_each_boundary(
    move: TimeMove,
    status: str,
    who: Actor,
    proposal: OpenProposal | None,
    now: datetime,
    times_done: int,
    verdict: str,
) -> None:
    assert judge(move, Status(status), who, proposal, now, times_done) == verdict


def test_the_old_time_can_be_kept_until_it_has_started_and_others_taken_after_that() -> None:
    later = OpenProposal(THERAPIST, STARTS_AT + 5 * HOUR)
    for now, verdict in ((STARTS_AT - SECOND, Verdict.ALLOWED), (STARTS_AT, Verdict.TOO_LATE)):
        assert judge(TimeMove.KEEP, Status.REQUESTED, CLIENT, later, now) is verdict
        assert judge(TimeMove.TAKE, Status.REQUESTED, CLIENT, later, now) is Verdict.ALLOWED


@pytest.mark.parametrize(
    ("move", "last_start", "session", "ends"),
    [
        # 24 h, or the minimum notice before the last start offered, also past the old start.
        (TimeMove.SUGGEST, 100, 50, 24),
        (TimeMove.SUGGEST, 20, 50, 16),
        (TimeMove.SUGGEST, 100, 10, 24),
        # A client's question lapses after three hours, or at the session's start.
        (TimeMove.ASK_AS_CLIENT, 100, 50, 3),
        (TimeMove.ASK_AS_CLIENT, 100, 2, 2),
        (TimeMove.ASK_AS_THERAPIST, 100, 50, 24),
        (TimeMove.ASK_AS_THERAPIST, 20, 50, 16),
        (TimeMove.ASK_AS_THERAPIST, 100, 10, 10),
    ],
)
def test_a_proposal_ends_at_the_first_of_its_deadlines(
    move: TimeMove, last_start: int, session: int, ends: int
) -> None:
    now = REQUESTED_AT
    starts = [now + 9 * HOUR, now + last_start * HOUR]
    until = proposals.until(move, starts, now + session * HOUR, now, POLICY)
    assert until == now + ends * HOUR


def test_a_time_can_be_taken_until_the_minimum_notice_before_it() -> None:
    at = STARTS_AT - POLICY.min_notice
    assert proposals.is_takable(STARTS_AT, at, POLICY)
    assert not proposals.is_takable(STARTS_AT, at + SECOND, POLICY)
    assert Policy().proposal_notice == 8 * HOUR
    # There is always time to take what has just been proposed.
    longest = Policy(min_notice=timedelta(hours=20))
    assert longest.proposal_notice > longest.min_notice


@pytest.mark.parametrize(
    ("by", "was_free", "cost_before", "is_waived", "keeps_cost"),
    [
        (CLIENT, True, False, False, False),
        (CLIENT, False, False, False, True),
        (CLIENT, False, False, True, False),
        (CLIENT, True, True, False, True),
        (CLIENT, True, True, True, False),
        (THERAPIST, False, False, False, False),
        (THERAPIST, False, True, False, False),
    ],
)
def test_a_late_asking_keeps_its_cost_unless_the_therapist_waives_or_asked(
    by: Actor, was_free: bool, cost_before: bool, is_waived: bool, keeps_cost: bool
) -> None:
    kept = proposals.keeps_cost(
        proposed_by=by, was_free=was_free, cost_before=cost_before, is_waived=is_waived
    )
    assert kept is keeps_cost


@pytest.mark.parametrize(
    ("hours_before", "moves", "is_free", "because"),
    [
        (40, MoveTerms(), True, Because.NOTICE),
        (24, MoveTerms(), False, Because.NOTICE),
        (40, MoveTerms(is_moved_late=True), False, Because.MOVED_LATE),
        (23, MoveTerms(free_until=STARTS_AT - 23 * HOUR), True, Because.REFUSED_MOVE),
        (22, MoveTerms(free_until=STARTS_AT - 23 * HOUR), False, Because.NOTICE),
        (40, MoveTerms(free_until=STARTS_AT - 39 * HOUR), True, Because.NOTICE),
        (2, MoveTerms(therapist_asks=True), True, Because.THERAPIST_ASKS),
        (2, MoveTerms(is_moved_late=True, therapist_asks=True), True, Because.THERAPIST_ASKS),
    ],
)
def test_what_moves_mean_for_cancelling(
    hours_before: int, moves: MoveTerms, is_free: bool, because: Because
) -> None:
    now = STARTS_AT - hours_before * HOUR
    rule = cancelling_rule(Status.ACCEPTED, STARTS_AT, now, POLICY, moves)
    assert (rule.is_free, rule.because) == (is_free, because)


@given(
    move=st.sampled_from([TimeMove.SUGGEST, TimeMove.ASK_AS_CLIENT, TimeMove.ASK_AS_THERAPIST]),
    starts=st.lists(st.integers(8 * 60, 60 * 24 * 60), min_size=1, max_size=3),
    session=st.integers(1, 60 * 24 * 60),
)
def test_a_new_proposal_can_be_taken_and_never_after_the_minimum_notice(
    move: TimeMove, starts: list[int], session: int
) -> None:
    now, minute = REQUESTED_AT, timedelta(minutes=1)
    offered = [now + each * minute for each in starts]
    until = proposals.until(move, offered, now + session * minute, now, POLICY)
    assert now < until
    assert any(proposals.is_takable(each, until - SECOND, POLICY) for each in offered)
