"""The promises about the ranking, for any other enquiries of the therapist."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.rules.policy import Policy
from app.rules.ranking import Enquiry, EnquiryOutcome, Ranking, changes_next_at, is_counted, score

POLICY = Policy()
NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
ANSWERED = [EnquiryOutcome.ACCEPTED, EnquiryOutcome.DECLINED]


def ranked(*enquiries: Enquiry, flagged: bool = False, now: datetime = NOW) -> Ranking:
    return score(enquiries, is_flagged=flagged, now=now, policy=POLICY)


HOURS = st.integers(0, 24 * 3600 - 1).map(lambda seconds: timedelta(seconds=seconds))


@st.composite
def histories(draw: st.DrawFn) -> list[Enquiry]:
    """Any earlier enquiries of a therapist."""
    history = []
    for _ in range(draw(st.integers(0, 8))):
        requested_at = NOW - draw(st.integers(0, 100 * 24)) * HOUR
        handed_after = draw(st.one_of(st.none(), HOURS))
        outcome = draw(st.sampled_from(EnquiryOutcome))
        after = DAY if outcome is EnquiryOutcome.EXPIRED else draw(HOURS)
        history.append(
            Enquiry(
                requested_at=requested_at,
                expires_at=requested_at + DAY,
                handed_over_at=None if handed_after is None else requested_at + handed_after,
                outcome=outcome,
                ended_at=None if outcome is EnquiryOutcome.OPEN else requested_at + after,
                is_email_overdue=draw(st.booleans()),
            )
        )
    return history


@st.composite
def open_enquiries(draw: st.DrawFn) -> Enquiry:
    """An open enquiry; an email that was never handed over has failed."""
    requested_at = NOW - 2 * DAY
    handed_after = draw(st.one_of(st.none(), st.just(timedelta(0)), HOURS))
    return Enquiry(
        requested_at=requested_at,
        expires_at=requested_at + draw(st.sampled_from([4 * HOUR, 10 * HOUR, DAY])),
        handed_over_at=None if handed_after is None else requested_at + handed_after,
        outcome=EnquiryOutcome.OPEN,
        is_email_overdue=handed_after is None or draw(st.booleans()),
    )


def ended(one: Enquiry, outcome: EnquiryOutcome, share: float) -> Enquiry:
    """The same enquiry, ended when `share` of its time until expiry had passed."""
    if outcome is EnquiryOutcome.EXPIRED:
        return replace(one, outcome=outcome, ended_at=one.expires_at)
    ended_at = one.requested_at + share * (one.expires_at - one.requested_at - TICK)
    return replace(one, outcome=outcome, ended_at=ended_at)


SHARES = st.floats(0, 1)


@given(histories(), open_enquiries(), st.sampled_from(ANSWERED), SHARES, SHARES)
def test_the_same_answer_later_never_scores_higher(
    history: list[Enquiry], one: Enquiry, outcome: EnquiryOutcome, first: float, second: float
) -> None:
    sooner, later = (ended(one, outcome, each) for each in sorted([first, second]))
    assert ranked(*history, later).score <= ranked(*history, sooner).score


@given(histories(), open_enquiries(), SHARES)
def test_declining_never_scores_higher_than_accepting(
    history: list[Enquiry], one: Enquiry, share: float
) -> None:
    accepted, declined = (ranked(*history, ended(one, each, share)) for each in ANSWERED)
    assert declined.score <= accepted.score


@given(histories(), open_enquiries(), st.sampled_from(ANSWERED), SHARES)
def test_expiring_never_scores_higher_than_any_answer(
    history: list[Enquiry], one: Enquiry, outcome: EnquiryOutcome, share: float
) -> None:
    expired = ranked(*history, ended(one, EnquiryOutcome.EXPIRED, 1))
    assert expired.score <= ranked(*history, ended(one, outcome, share)).score


@given(histories())
def test_a_flag_never_scores_higher_and_scores_stay_in_range(history: list[Enquiry]) -> None:
    assert 0 <= ranked(*history, flagged=True).score < ranked(*history).score <= 100


@given(histories(), open_enquiries())
def test_an_email_that_we_failed_to_send_costs_nothing(
    history: list[Enquiry], one: Enquiry
) -> None:
    never = replace(one, handed_over_at=None, is_email_overdue=True)
    without = ranked(*history).score
    for outcome in (*ANSWERED, EnquiryOutcome.EXPIRED, EnquiryOutcome.WITHDRAWN):
        assert ranked(*history, ended(never, outcome, 1)).score >= without


@given(histories())
def test_the_score_is_constant_until_the_next_change(history: list[Enquiry]) -> None:
    due_at = changes_next_at(history, NOW, POLICY)
    late = [
        each
        for each in history
        if each.outcome is EnquiryOutcome.OPEN
        and NOW < each.expires_at
        and is_counted(each, NOW, POLICY)
    ]
    if late:
        assert due_at is not None and due_at <= NOW + timedelta(minutes=5)
    else:
        before = NOW + 200 * DAY if due_at is None else due_at - TICK
        assert ranked(*history, now=before) == ranked(*history)
