"""Choose Someone Else: which therapists are offered, in which order, at which times."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from app.rules.lifecycle import Kind
from app.rules.weekly_hours import parse_windows
from app.services.bookings import alternatives
from app.services.therapists import accounts, profile
from app.services.therapists.profile import Away
from app.store import queries
from app.store.models import Booking, Therapist, TimeOff
from tests.scenarios.cast import therapist
from tests.scenarios.story import ELI, Story
from tests.web.conftest import counted_queries

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEDNESDAY_10 = datetime(2026, 11, 4, 10, tzinfo=UTC)
# Their nine to five is from eight to four in London.
PARIS = ("Fay Blanc", "Gus Petit", "Hal Moreau", "Ida Roux")


@pytest.fixture
def others(story: Story) -> list[Therapist]:
    """Four more therapists, the last of them ranked best."""
    more = [therapist(name, "Europe/Paris") for name in PARIS]
    rank([each.slug for each in reversed(more)])
    return more


def rank(slugs: Sequence[str]) -> None:
    """Rank these therapists above all others, the first of them best."""
    for place, slug in enumerate(slugs):
        Therapist.update(score=1000 - place).where(Therapist.slug == slug).execute()


def offered(story: Story, booking: Booking) -> list[tuple[str, datetime]]:
    """(slug, start) of each offer."""
    slots = alternatives.free_therapists(story.reload(booking), story.now)
    return [(slot.therapist.slug, slot.starts_at) for slot in slots]


def names(story: Story, booking: Booking) -> list[str]:
    return [slug for slug, _ in offered(story, booking)]


def test_three_therapists_who_are_free_at_that_time_are_offered_best_ranked_first(
    story: Story, others: list[Therapist]
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.decline(booking)
    assert offered(story, booking) == [(slug, WEDNESDAY_10) for slug in ("ida", "hal", "gus")]
    rank(["fay", "hal", "ida", "gus"])
    assert names(story, booking) == ["fay", "hal", "ida"]


def test_a_therapist_who_is_booked_away_or_unlisted_at_that_time_is_not_offered(
    story: Story, others: list[Therapist]
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.decline(booking)
    story.ask("ida", starts_at=WEDNESDAY_10 + HOUR / 2, client=ELI)
    profile.add_time_off("hal", Away(WEDNESDAY_10 - HOUR, WEDNESDAY_10 + HOUR / 4), story.now)
    assert names(story, booking) == ["gus", "fay"]
    accounts.pause("gus", on=True)
    assert names(story, booking) == ["fay"]
    accounts.hide("fay", on=True)
    assert WEDNESDAY_10 not in dict(offered(story, booking)).values()


def test_a_session_that_began_before_that_time_and_still_lasts_blocks_it(
    story: Story, others: list[Therapist]
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.decline(booking)
    held = story.ask("ida", starts_at=WEDNESDAY_10 - HOUR / 2, client=ELI)
    assert "ida" not in names(story, booking)
    story.decline(held)
    assert "ida" in names(story, booking)


def test_if_no_therapist_has_that_time_the_nearest_open_times_are_offered_nearest_first(
    story: Story, others: list[Therapist]
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10 + HOUR / 2)
    story.decline(booking)
    for slug, hours in (("fay", "12:00-17:00"), ("gus", "13:00-17:00"), ("hal", "12:00-17:00")):
        profile.set_hours(slug, parse_windows(f"Mon-Sun {hours}"))
    profile.set_hours("ida", parse_windows("Thu 09:00-17:00"))
    # Hal and Fay are equally near, so their rank decides; Bran opens at two o'clock in London.
    eleven = WEDNESDAY_10 + HOUR
    assert offered(story, booking) == [("hal", eleven), ("fay", eleven), ("gus", eleven + HOUR)]


def test_instead_of_a_time_under_the_minimum_notice_the_nearest_bookable_time_is_offered(
    story: Story, others: list[Therapist]
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.at(WEDNESDAY_10 - 4 * HOUR)
    assert offered(story, booking)[0] == ("ida", WEDNESDAY_10)
    story.at(WEDNESDAY_10 - 4 * HOUR + timedelta(seconds=1))
    soon = WEDNESDAY_10 + HOUR / 2
    assert offered(story, booking) == [("ida", soon), ("hal", soon), ("gus", soon)]


def test_when_the_time_has_passed_the_next_open_times_are_offered(
    story: Story, others: list[Therapist]
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    story.at(WEDNESDAY_10 + 12 * HOUR)
    # On Lord Howe it is one in the afternoon when the notice of four hours is over.
    night, morning = WEDNESDAY_10 + 16 * HOUR, WEDNESDAY_10 + 22 * HOUR
    assert offered(story, booking) == [("chi", night), ("ida", morning), ("hal", morning)]


def test_free_consultations_are_offered_only_with_therapists_the_client_has_had_none_with(
    story: Story, others: list[Therapist]
) -> None:
    used = story.ask("ida", starts_at=WEDNESDAY_10 + DAY, kind=Kind.FREE_CONSULTATION)
    story.accept(used)
    profile.update("hal", {"offers_free_consultation": False}, story.now)
    booking = story.ask(starts_at=WEDNESDAY_10, kind=Kind.FREE_CONSULTATION)
    story.decline(booking)
    assert names(story, booking) == ["gus", "fay"]
    paid = story.ask(starts_at=WEDNESDAY_10)
    assert names(story, paid) == ["ida", "hal", "gus"]
    of_eli = story.ask(starts_at=WEDNESDAY_10 + HOUR, kind=Kind.FREE_CONSULTATION, client=ELI)
    assert names(story, of_eli) == ["ida", "gus", "fay"]


@pytest.mark.both_databases
@pytest.mark.parametrize("kind", list(Kind))
def test_the_therapist_of_the_booking_is_never_offered_however_well_ranked(
    story: Story, others: list[Therapist], kind: Kind
) -> None:
    rank(["asha", "ida", "hal", "gus", "fay"])
    booking = story.ask(starts_at=WEDNESDAY_10, kind=kind)
    story.decline(booking)
    assert len(names(story, booking)) == 3
    assert "asha" not in names(story, booking)


@pytest.mark.both_databases
def test_without_other_therapists_nothing_is_offered(story: Story) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    for slug in ("bran", "chi"):
        accounts.pause(slug, on=True)
    assert offered(story, booking) == []


@pytest.mark.parametrize("kind", list(Kind))
def test_seventy_therapists_take_no_more_queries_than_four(
    story: Story, others: list[Therapist], kind: Kind
) -> None:
    booking = queries.booking_by_reference(story.ask(starts_at=WEDNESDAY_10, kind=kind).reference)
    with counted_queries() as few:
        alternatives.free_therapists(booking, story.now)
    for added in many_therapists(others[0], 70):
        accounts.replace_windows(added, parse_windows("Mon-Sun 09:00-17:00"))
    with counted_queries() as many:
        alternatives.free_therapists(booking, story.now)
    assert len(many) == len(few) <= 6


def many_therapists(like: Therapist, size: int) -> list[Therapist]:
    """Therapists without hours who are ranked above all others."""
    columns = {name: value for name, value in like.__data__.items() if name != "id"}
    added = []
    for number in range(size):
        named = dict.fromkeys(("slug", "email", "email_key"), f"x{number}@x.example")
        added.append(Therapist.create(**{**columns, **named, "score": 2000 - number}))
    return added


@pytest.mark.both_databases
@pytest.mark.parametrize("size", [60, 301])
def test_a_free_therapist_is_found_behind_any_number_of_better_ranked_busy_ones(
    story: Story, others: list[Therapist], size: int
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    for number, busy in enumerate(many_therapists(others[0], size)):
        accounts.replace_windows(busy, parse_windows("Wed 09:00-12:00"))
        held = WEDNESDAY_10 + HOUR / 12 * (number % 10)
        TimeOff.create(therapist=busy, starts_at=held, ends_at=held + HOUR)
    assert names(story, booking) == ["ida", "hal", "gus"]
    for slug in ("ida", "hal", "gus", "chi", "bran"):
        accounts.pause(slug, on=True)
    assert offered(story, booking) == [("fay", WEDNESDAY_10)]


@pytest.mark.both_databases
def test_nearest_times_are_found_behind_any_number_of_better_ranked_therapists_without_any(
    story: Story, others: list[Therapist]
) -> None:
    booking = story.ask(starts_at=WEDNESDAY_10)
    many_therapists(others[0], 301)
    story.at(WEDNESDAY_10 - HOUR)
    assert [slug for slug, _ in offered(story, booking)] == ["ida", "hal", "gus"]
