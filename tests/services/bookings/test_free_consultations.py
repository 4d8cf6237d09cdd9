"""One free initial consultation per client and therapist: what uses it up, what gives it back."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from peewee import IntegrityError

from app.errors import DomainError, FreeConsultationUsed
from app.rules.lifecycle import Actor, Kind, Status, Via
from app.services.bookings import cancel, transitions
from app.store.db import database
from app.store.models import Booking, Client, HeldTime, TimelineEntry
from tests.scenarios.story import DEE, ELI, Story, at_once

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
FREE = Kind.FREE_CONSULTATION


def free_again(story: Story, therapist: str = "asha", email: str = DEE[1]) -> Booking:
    """Dee asks for a free consultation at a time that nothing else holds."""
    later = story.now.replace(hour=16, minute=0, second=0, microsecond=0) + 6 * DAY
    return story.ask(therapist, starts_at=later, client=(DEE[0], email, DEE[2]), kind=FREE)


def accepted(story: Story) -> Booking:
    booking = story.ask(kind=FREE)
    story.accept(booking)
    return booking


def requested(story: Story) -> None:
    story.ask(kind=FREE)


def completed(story: Story) -> None:
    story.at(accepted(story).completes_at)
    story.sweep()


def completed_with_no_sweep(story: Story) -> None:
    story.at(accepted(story).completes_at)


def missed(story: Story) -> None:
    booking = accepted(story)
    story.at(booking.ends_at)
    cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)


def missed_after_completion(story: Story) -> None:
    booking = accepted(story)
    story.at(booking.completes_at)
    cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)


def cancelled_by_client(notice: timedelta) -> Callable[[Story], None]:
    def cancel(story: Story) -> None:
        booking = accepted(story)
        story.at(booking.starts_at - notice)
        story.cancel(booking, Actor.CLIENT)

    return cancel


def declined(story: Story) -> None:
    story.decline(story.ask(kind=FREE))


def withdrawn(story: Story) -> None:
    story.withdraw(story.ask(kind=FREE))


def expired(story: Story) -> None:
    story.at(story.ask(kind=FREE).expires_at)
    story.sweep()


def expired_with_no_sweep(story: Story) -> None:
    story.at(story.ask(kind=FREE).expires_at)


def cancelled_by_therapist(story: Story) -> None:
    booking = accepted(story)
    story.at(booking.starts_at - SECOND)
    story.cancel(booking, Actor.THERAPIST)


@pytest.mark.parametrize(
    "life",
    [
        requested,
        accepted,
        completed,
        completed_with_no_sweep,
        missed,
        missed_after_completion,
        pytest.param(cancelled_by_client(DAY - SECOND), id="cancelled_a_second_inside_24_hours"),
        pytest.param(cancelled_by_client(DAY), id="cancelled_at_exactly_24_hours"),
    ],
)
def test_it_is_used_up(story: Story, life: Callable[[Story], None]) -> None:
    life(story)
    with pytest.raises(FreeConsultationUsed):
        free_again(story)
    assert free_again(story, "bran").fee_minor == 0, "one with each therapist"
    paid = story.ask(starts_at=story.now.replace(hour=14, minute=0, second=0) + 5 * DAY)
    assert paid.fee_minor == 6000


@pytest.mark.parametrize(
    "life",
    [
        declined,
        withdrawn,
        expired,
        expired_with_no_sweep,
        cancelled_by_therapist,
        pytest.param(cancelled_by_client(DAY + SECOND), id="cancelled_a_second_outside_24_hours"),
    ],
)
def test_it_is_given_back_and_can_be_used_once_more(
    story: Story, life: Callable[[Story], None]
) -> None:
    life(story)
    assert free_again(story).fee_minor == 0
    with pytest.raises(FreeConsultationUsed):
        story.ask(starts_at=story.now.replace(hour=14, minute=0, second=0) + 5 * DAY, kind=FREE)


@pytest.mark.both_databases
def test_it_is_given_back_if_a_deactivation_ended_it(story: Story) -> None:
    booking = story.ask(kind=FREE)
    for _ in range(5):
        session = story.ask("asha", client=ELI, starts_at=booking.starts_at + DAY)
        story.accept(session)
        story.cancel(session, Actor.THERAPIST)
    transitions.apply_standing(booking.therapist_id, via=Via.SCHEDULER, now=story.now)
    ended = story.reload(booking)
    assert (ended.status, ended.uses_free_consultation) == ("expired", False)


@pytest.mark.parametrize(
    "spelling", ["DEE@clients.example", "dee@CLIENTS.EXAMPLE", "  Dee@Clients.Example "]
)
def test_the_same_address_in_other_letter_case_is_the_same_client(
    story: Story, spelling: str
) -> None:
    story.ask(kind=FREE)
    with pytest.raises(FreeConsultationUsed):
        free_again(story, email=spelling)
    assert Client.select().count() == 1


def test_another_address_is_another_client(story: Story) -> None:
    story.ask(kind=FREE)
    assert free_again(story, email="dee+two@clients.example").fee_minor == 0


@pytest.mark.both_databases
@pytest.mark.parametrize("is_known", [False, True], ids=["new client", "known client"])
def test_of_twelve_requests_at_once_exactly_one_is_free(story: Story, is_known: bool) -> None:
    if is_known:
        story.ask("bran", starts_at=story.now.replace(hour=16) + 2 * DAY)
    starts = [story.now.replace(hour=10, minute=0) + day * DAY for day in range(2, 14)]
    outcomes = at_once([lambda at=at: story.ask(starts_at=at, kind=FREE) for at in starts])
    won = [each for each in outcomes if isinstance(each, Booking)]
    lost = [each for each in outcomes if not isinstance(each, Booking)]
    assert len(won) == 1
    assert [type(error) for error in lost] == [FreeConsultationUsed] * 11
    assert Booking.select().where(Booking.uses_free_consultation).count() == 1
    assert TimelineEntry.select().count() == (2 if is_known else 1), "a refused request left a line"
    assert HeldTime.select().where(HeldTime.booking == won[0]).count() == 2


@pytest.mark.both_databases
def test_a_new_client_who_asks_several_therapists_at_once_gets_one_free_with_each(
    story: Story,
) -> None:
    # Sixteen o'clock UTC is open in London and New York.
    starts = [story.now.replace(hour=16, minute=0) + day * DAY for day in range(2, 8)]
    outcomes = at_once(
        [
            lambda slug=slug, at=at: story.ask(slug, starts_at=at, kind=FREE)
            for at in starts
            for slug in ("asha", "bran")
        ]
    )
    faults = [each for each in outcomes if not isinstance(each, Booking | DomainError)]
    assert faults == []
    won = sorted(each.therapist.slug for each in outcomes if isinstance(each, Booking))
    assert won == ["asha", "bran"]
    assert Client.select().count() == 1


@pytest.mark.both_databases
@pytest.mark.parametrize("status", list(Status))
def test_the_database_itself_refuses_a_second_one(story: Story, status: Status) -> None:
    booking = story.ask(kind=FREE)
    columns = {**booking.__data__, "reference": "MB-SECOND", "status": status}
    del columns["id"]
    with pytest.raises(IntegrityError), database.db.atomic():
        Booking.insert(columns).execute()
    Booking.insert({**columns, "uses_free_consultation": False}).execute()
    assert Booking.select().count() == 2
