"""Another time: what each move does to booking, held times, money, emails, ranking and account."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import InvalidFields, NoProposal, ProposalOpen, SlotTaken, TimeMoveRefused
from app.rules.lifecycle import Actor, Kind, Status, Verdict, Via
from app.services.bookings import propose, replace, transitions
from app.services.ops import replay
from app.services.therapists import accounts, ranking
from app.store import queries
from app.store.models import Booking, HeldTime, OutboxEmail, Proposal
from tests.scenarios.cast import MONDAY
from tests.scenarios.story import ELI, Story

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
SECOND = timedelta(seconds=1)
# Asked on Monday at 9:00.
WEDNESDAY_10 = datetime(2026, 11, 4, 10, tzinfo=UTC)
THURSDAY_10 = WEDNESDAY_10 + DAY
THURSDAY_12 = THURSDAY_10 + 2 * HOUR
FRIDAY_10 = THURSDAY_10 + DAY
CLIENT, THERAPIST = Actor.CLIENT, Actor.THERAPIST


def held(booking: Booking) -> set[datetime]:
    """The starts of all cells of the therapist's that are held."""
    return {row.cell_at for row in HeldTime.select().where(HeldTime.therapist == booking.therapist)}


def cells(*starts: datetime) -> set[datetime]:
    return {start + quarter * 15 * MINUTE for start in starts for quarter in range(4)}


def holds_as_told(story: Story) -> None:
    assert list(replay.find_differences(story.now)) == []


def queued(story: Story) -> list[tuple[str, str]]:
    """Send what waits; (kind, recipient) without the emails of requesting and accepting."""
    return [(kind, to.partition("@")[0]) for kind, to in story.deliver()]


def accepted(story: Story, **more: object) -> Booking:
    booking = story.ask(starts_at=WEDNESDAY_10, **more)  # type: ignore[arg-type] # of `ask`
    story.accept(booking)
    story.deliver()
    return story.reload(booking)


def test_a_suggestion_holds_its_times_and_waits_for_the_client(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.deliver()
    story.wait(hours=1)
    story.propose(booking, THURSDAY_10, THURSDAY_12)
    booking = story.reload(booking)
    assert booking.status is Status.REQUESTED
    assert booking.expires_at == booking.proposed_until == story.now + 24 * HOUR
    assert held(booking) == cells(WEDNESDAY_10, THURSDAY_10, THURSDAY_12)
    with pytest.raises(SlotTaken):
        story.ask(starts_at=THURSDAY_10, client=ELI)
    assert queued(story) == [("time_proposed", "dee")]
    # Neither a reminder nor lateness while the client has the word.
    story.wait(hours=20)
    story.sweep()
    assert queued(story) == []
    assert not story.reload(booking).is_late_at(story.now)
    holds_as_told(story)


def test_taking_a_suggestion_accepts_at_the_new_time_and_frees_the_others(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.deliver()
    story.propose(booking, THURSDAY_10, THURSDAY_12)
    story.deliver()
    story.wait(hours=5)
    before = story.reload(booking)
    taken = story.take(booking, THURSDAY_12).booking
    assert (taken.status, taken.starts_at) == (Status.ACCEPTED, THURSDAY_12)
    assert taken.ends_at == THURSDAY_12 + 50 * MINUTE
    assert taken.completes_at == THURSDAY_12 + HOUR
    assert (taken.reference, taken.fee_minor) == (before.reference, before.fee_minor)
    assert taken.epoch == before.epoch + 1
    assert taken.sequence > before.sequence
    assert held(booking) == cells(THURSDAY_12)
    assert queued(story) == [("booking_accepted", "dee"), ("time_taken", "asha")]
    assert [event for event, _, _ in story.timeline(booking)] == [
        "requested", "proposed", "moved", "accepted",
    ]  # fmt: skip
    assert story.reload(booking).hour_reminder_due_at == THURSDAY_12 - HOUR
    assert not story.reload(booking).is_late_at(story.now)
    # The same again changes nothing.
    assert not story.take(booking, THURSDAY_12).is_new
    assert queued(story) == []
    holds_as_told(story)


def test_keeping_the_old_time_gives_the_therapist_three_hours_anew(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.deliver()
    story.wait(hours=2, minutes=30)
    story.sweep()
    story.deliver()
    story.propose(booking, THURSDAY_10)
    story.wait(hours=4)
    kept = story.keep(booking).booking
    assert (kept.status, kept.starts_at) == (Status.REQUESTED, WEDNESDAY_10)
    assert kept.answer_by == story.now + 3 * HOUR
    assert kept.expires_at == story.now + 24 * HOUR
    assert held(booking) == cells(WEDNESDAY_10)
    assert ("time_kept", "asha") in queued(story)
    assert story.reload(booking).handed_over_at == story.now
    # Reminded and late again, each once more.
    story.wait(hours=2)
    story.sweep()
    story.sweep()
    assert queued(story) == [("answer_reminder", "asha")]
    story.wait(hours=1, seconds=1)
    story.sweep()
    assert Counter(kind for kind, _ in queued(story)) == {
        "answer_late": 1, "answer_late_client": 1, "answer_late_ops": 1,
    }  # fmt: skip
    # Once per enquiry.
    with pytest.raises(TimeMoveRefused):
        story.propose(booking, THURSDAY_12)
    assert story.accept(booking).verdict is Verdict.ALLOWED
    holds_as_told(story)


def test_an_unanswered_suggestion_expires_past_the_old_start_against_nobody(story: Story) -> None:
    booking = story.ask(starts_at=MONDAY + 5 * HOUR)
    story.deliver()
    before = ranking.compute(booking.therapist, story.now).score
    story.propose(booking, THURSDAY_10)
    story.at(MONDAY + 6 * HOUR)
    story.sweep()
    # The old start has passed: it can neither be accepted nor kept, but the other can be taken.
    assert story.accept(booking).verdict is Verdict.TOO_LATE
    with pytest.raises(TimeMoveRefused):
        story.keep(booking)
    story.at(MONDAY + 24 * HOUR)
    story.deliver()
    story.sweep()
    assert story.reload(booking).status is Status.EXPIRED
    assert held(booking) == set()
    assert Counter(queued(story)) == {("booking_expired", "dee"): 1, ("enquiry_expired", "asha"): 1}
    assert ranking.compute(booking.therapist, story.now).score == before
    with pytest.raises(TimeMoveRefused):
        story.take(booking, THURSDAY_10)
    holds_as_told(story)


def test_the_delay_of_a_suggestion_counts_as_an_answers(story: Story) -> None:
    def scores(answer: Callable[[Booking], object]) -> tuple[float, float]:
        booking = story.ask(starts_at=story.now.replace(hour=10, minute=0) + 9 * DAY)
        story.deliver()
        story.wait(hours=8)
        answer(booking)
        story.wait(hours=1)
        found = ranking.compute(booking.therapist, story.now)
        story.withdraw(booking)
        return float(found.responsiveness), float(found.acceptance)

    late, acceptance = scores(lambda each: story.propose(each, each.starts_at + 2 * HOUR))
    assert late < 1
    assert acceptance == 1
    # The client's time is not the therapist's: a longer wait for the client changes nothing.
    story.wait(hours=20)
    found = ranking.compute(queries.therapist_by_slug("asha"), story.now)
    assert float(found.responsiveness) == late


def test_accepting_or_declining_ends_ones_own_suggestion(story: Story) -> None:
    for answer, status in ((story.accept, Status.ACCEPTED), (story.decline, Status.DECLINED)):
        booking = story.ask(starts_at=WEDNESDAY_10)
        story.propose(booking, THURSDAY_10)
        assert answer(booking).verdict is Verdict.ALLOWED
        assert story.reload(booking).open_proposal is None
        assert held(booking) == (cells(WEDNESDAY_10) if status is Status.ACCEPTED else set())
        with pytest.raises(TimeMoveRefused):
            story.take(booking, THURSDAY_10)
        story.cancel(booking, CLIENT)
    holds_as_told(story)


def test_a_client_moves_an_open_enquiry_at_once_and_twice_at_most(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.deliver()
    for number, start in enumerate((THURSDAY_10, FRIDAY_10), start=1):
        story.wait(hours=1)
        moved = story.propose(booking, start, by=CLIENT).booking
        assert (moved.status, moved.starts_at, moved.moves) == (Status.REQUESTED, start, number)
        assert moved.answer_by == story.now + 3 * HOUR
        assert held(booking) == cells(start)
        assert Counter(queued(story)) == {("time_taken", "asha"): 1, ("booking_received", "dee"): 1}
    with pytest.raises(TimeMoveRefused):
        story.propose(booking, WEDNESDAY_10, by=CLIENT)
    holds_as_told(story)


def test_a_clients_question_is_reminded_of_at_two_hours_and_lapses_at_three(story: Story) -> None:
    booking = accepted(story)
    score = ranking.compute(booking.therapist, story.now).score
    story.propose(booking, THURSDAY_10, FRIDAY_10, by=CLIENT)
    asked_at = story.now
    assert queued(story) == [("time_proposed", "asha")]
    story.at(asked_at + 2 * HOUR)
    story.sweep()
    story.sweep()
    assert queued(story) == [("time_proposed", "asha")]
    story.at(asked_at + 3 * HOUR - SECOND)
    story.sweep()
    assert queued(story) == []
    story.at(asked_at + 3 * HOUR)
    with pytest.raises(NoProposal):
        story.take(booking, THURSDAY_10, by=THERAPIST)
    story.sweep()
    assert Counter(queued(story)) == {("time_kept", "asha"): 1, ("time_kept", "dee"): 1}
    stands = story.reload(booking)
    assert (stands.status, stands.starts_at) == (Status.ACCEPTED, WEDNESDAY_10)
    assert held(booking) == cells(WEDNESDAY_10)
    assert ranking.compute(booking.therapist, story.now).score == score
    holds_as_told(story)


def test_a_taken_question_moves_the_session_in_both_calendars(story: Story) -> None:
    booking = accepted(story)
    story.propose(booking, THURSDAY_10, by=CLIENT)
    story.deliver()
    moved = story.take(booking, THURSDAY_10, by=THERAPIST).booking
    assert (moved.status, moved.starts_at) == (Status.ACCEPTED, THURSDAY_10)
    entries = {each.parsed["X-Mindsum-Email"]: each.parsed for each in story.sent()}
    assert set(entries) == {"time_taken", "session_confirmed"}
    for message in entries.values():
        calendar = message.get_body(("calendar",)) or next(
            part for part in message.walk() if part.get_content_type() == "text/calendar"
        )
        entry = calendar.get_content()
        assert "DTSTART:20261105T100000Z" in entry
        assert f"SEQUENCE:{moved.sequence}" in entry
        assert "Thu 5 Nov" in message["Subject"]
    assert story.reload(booking).therapist.streak == 0
    assert story.balances(booking) == {"client": -6000, "held": 6000}
    holds_as_told(story)


def test_reminders_of_the_old_time_never_leave_and_those_of_the_new_one_do(story: Story) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - 26 * HOUR)
    story.sweep()
    assert Counter(queued(story)) == {
        ("session_reminder", "asha"): 1,
        ("session_reminder", "dee"): 1,
    }
    story.propose(booking, FRIDAY_10, by=CLIENT)
    story.take(booking, FRIDAY_10, by=THERAPIST)
    story.deliver()
    for at in (WEDNESDAY_10 - HOUR, WEDNESDAY_10):
        story.at(at)
        story.sweep()
        assert queued(story) == []
    for at in (FRIDAY_10 - 26 * HOUR, FRIDAY_10 - HOUR):
        story.at(at)
        story.sweep()
        assert Counter(kind for kind, _ in queued(story)) == {"session_reminder": 2}


# The client asks before the old start, cancels before the new one; what they pay.
DODGES = [
    # A client who moves at 23 h and cancels at 40 h pays as if at 23 h; with the tick, nothing.
    (23 * HOUR, 40 * HOUR, False, 6000),
    (23 * HOUR, 40 * HOUR, True, 0),
    (24 * HOUR, 40 * HOUR, False, 6000),
    (24 * HOUR + SECOND, 40 * HOUR, False, 0),
    (24 * HOUR + SECOND, 24 * HOUR, False, 6000),
]


@pytest.mark.parametrize(("asked", "cancelled", "is_waived", "due"), DODGES)
def test_the_24_hour_rule_cannot_be_dodged(
    story: Story, asked: timedelta, cancelled: timedelta, is_waived: bool, due: int
) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - asked)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    story.take(booking, FRIDAY_10, by=THERAPIST, waive_notice=is_waived)
    story.at(FRIDAY_10 - cancelled)
    story.cancel(story.reload(booking), CLIENT)
    assert story.balances(booking).get("therapist", 0) == due * 9 // 10
    assert sum(story.balances(booking).values()) == 0
    holds_as_told(story)


@pytest.mark.parametrize(
    ("asked", "later", "due"),
    [
        # Asked in time and declined: an hour to cancel as if at the moment of asking.
        (24 * HOUR + MINUTE, 59 * MINUTE, 0),
        (24 * HOUR + MINUTE, HOUR, 0),
        (24 * HOUR + MINUTE, HOUR + SECOND, 6000),
        # Asked too late: no grace.
        (24 * HOUR, MINUTE, 6000),
    ],
)
@pytest.mark.parametrize("is_lapsed", [False, True])
def test_who_asked_in_time_and_was_refused_may_cancel_within_an_hour(
    story: Story, asked: timedelta, later: timedelta, due: int, is_lapsed: bool
) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - asked)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    if is_lapsed:
        story.wait(hours=3)
        story.sweep()
    else:
        story.wait(minutes=30)
        story.keep(booking, by=THERAPIST)
    story.at(story.now + later)
    story.cancel(story.reload(booking), CLIENT)
    assert story.balances(booking).get("therapist", 0) == due * 9 // 10


@pytest.mark.parametrize("is_taken", [True, False])
def test_asking_again_within_that_hour_makes_nothing_free_for_longer(
    story: Story, is_taken: bool
) -> None:
    booking = accepted(story)
    story.at(WEDNESDAY_10 - 25 * HOUR)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    story.wait(hours=3)
    story.sweep()
    story.wait(minutes=30)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    assert transitions.cancelling_rule_of(story.reload(booking), story.now).is_free
    if is_taken:
        story.take(booking, FRIDAY_10, by=THERAPIST)
    else:
        story.wait(hours=3)
        story.sweep()
    rule = transitions.cancelling_rule_of(story.reload(booking), story.now)
    assert (rule.is_free, rule.because == "moved_late") == (False, is_taken)


@pytest.mark.parametrize("before", [40 * HOUR, 5 * HOUR])
def test_cancelling_in_answer_to_the_therapists_question_is_the_therapists(
    story: Story, before: timedelta
) -> None:
    booking = accepted(story, kind=Kind.FREE_CONSULTATION)
    story.at(WEDNESDAY_10 - before)
    story.propose(booking, FRIDAY_10)
    assert queued(story)[-1:] == [("time_proposed", "dee")]
    result = story.cancel(story.reload(booking), CLIENT)
    ended = story.reload(booking)
    assert (result.verdict, ended.status) == (Verdict.ALLOWED, Status.CANCELLED_BY_THERAPIST)
    assert ended.therapist.streak == 1
    assert not ended.uses_free_consultation
    assert story.timeline(booking)[-1] == ("cancelled_by_therapist", "client", "dashboard")
    assert Counter(queued(story)) == {
        ("therapist_cancelled", "dee"): 1, ("cancellation_recorded", "asha"): 1,
    }  # fmt: skip
    assert story.cancel(ended, CLIENT).verdict is Verdict.REPEATED
    assert held(booking) == set()
    holds_as_told(story)


def test_a_therapist_asks_once_and_what_they_asked_for_is_free(story: Story) -> None:
    booking = accepted(story)
    story.propose(booking, FRIDAY_10)
    with pytest.raises(ProposalOpen):
        story.propose(booking, THURSDAY_10, by=CLIENT)
    story.keep(booking, by=THERAPIST)
    assert Counter(queued(story)) == {("time_kept", "dee"): 1}
    with pytest.raises(TimeMoveRefused):
        story.propose(booking, FRIDAY_10)
    # The client's own cancelling is the client's again.
    story.at(WEDNESDAY_10 - 5 * HOUR)
    story.cancel(story.reload(booking), CLIENT)
    assert story.reload(booking).status is Status.CANCELLED_BY_CLIENT


def test_pausing_leaves_a_proposal_open_and_deactivation_ends_it(story: Story) -> None:
    booking, other = accepted(story), story.ask(client=ELI, starts_at=THURSDAY_12)
    accounts.pause("asha", on=True)
    story.propose(booking, FRIDAY_10, by=CLIENT)
    story.propose(other, FRIDAY_10 + 2 * HOUR)
    assert propose.open_proposal(story.reload(booking), story.now) is not None
    asha = queries.therapist_by_slug("asha")
    asha.streak, asha.standing_due_at = 5, story.now
    asha.save()
    story.deliver()
    story.sweep()
    assert Proposal.select().where(Proposal.outcome.is_null()).count() == 0
    assert story.reload(booking).status is Status.ACCEPTED
    assert story.reload(other).status is Status.EXPIRED
    told = Counter(queued(story))
    assert told["time_kept", "dee"] == told["time_kept", "asha"] == 1
    with pytest.raises(TimeMoveRefused):
        story.propose(booking, FRIDAY_10, by=CLIENT)


@pytest.mark.parametrize(
    ("starts", "field"),
    [
        ((), "starts"),
        ((THURSDAY_10, THURSDAY_12, FRIDAY_10, FRIDAY_10 + HOUR), "starts"),
        ((WEDNESDAY_10,), "starts"),
        ((MONDAY + 7 * HOUR + 30 * MINUTE,), "starts"),
        ((THURSDAY_10 + MINUTE,), "starts"),
        ((THURSDAY_10 + 12 * HOUR,), "starts"),
        ((THURSDAY_10 + 70 * DAY,), "starts"),
    ],
)
def test_only_other_open_times_eight_hours_ahead_can_be_offered(
    story: Story, starts: tuple[datetime, ...], field: str
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    with pytest.raises(InvalidFields) as refused:
        story.propose(booking, *starts)
    assert {each.field for each in refused.value.errors} == {field}
    assert story.reload(booking).open_proposal is None


def test_a_time_that_another_booking_holds_cannot_be_offered_but_ones_own_can(
    story: Story,
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.ask(starts_at=THURSDAY_10, client=ELI)
    with pytest.raises(SlotTaken):
        story.propose(booking, THURSDAY_10)
    # Half an hour later overlaps what the booking holds itself, and the other time offered.
    half_past = WEDNESDAY_10 + 30 * MINUTE
    story.propose(booking, half_past, WEDNESDAY_10 + HOUR)
    story.take(booking, half_past)
    assert cells(half_past) <= held(booking)
    assert WEDNESDAY_10 not in held(booking)
    holds_as_told(story)


def test_choosing_someone_else_ends_a_proposal(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10 + 5 * HOUR)
    story.propose(booking, FRIDAY_10)
    replace.choose_another(booking, "bran", WEDNESDAY_10 + 5 * HOUR, via=Via.LINK, now=story.now)
    assert story.reload(booking).status is Status.WITHDRAWN
    assert held(booking) == set()
    assert OutboxEmail.select().where(OutboxEmail.kind == "booking_withdrawn").count() == 1
