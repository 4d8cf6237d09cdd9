"""A clock that was ahead leaves nothing waiting until it is that late again."""

from datetime import timedelta

import pytest

from app.services import timekeeping
from app.services.jobs import due
from app.services.therapists import accounts
from app.store import outbox
from app.store.models import OutboxEmail, SignIn, Therapist
from tests.scenarios.story import Story, total

DAY = timedelta(days=1)


def due_in() -> dict[str, timedelta]:
    """How far ahead each email is due, by its status."""
    return {row.status.value: row.due_at - row.created_at for row in OutboxEmail.select()}


def test_what_only_a_clock_ahead_could_have_put_so_late_is_mended_by_the_next_purge(
    story: Story,
) -> None:
    story.ask()
    queued, claimed = OutboxEmail.select().order_by(OutboxEmail.id)
    OutboxEmail.update(due_at=story.now + DAY).execute()
    OutboxEmail.update(status="sending").where(OutboxEmail.id == claimed.id).execute()
    Therapist.update(standing_due_at=story.now + DAY).execute()
    assert outbox.claim(story.now, 10) == []
    total(due.purge(story.now))
    assert {each.email.id for each in outbox.claim(story.now, 10)} == {queued.id, claimed.id}
    assert {row.standing_due_at for row in Therapist.select()} == {story.now}


def test_waits_and_claims_that_a_right_clock_has_made_stay_as_they_are(story: Story) -> None:
    story.ask()
    (waiting, _) = outbox.claim(story.now, 10)
    later = story.now + timedelta(minutes=59)
    outbox.settle(waiting, "queued", now=story.now, retry_at=later)
    before = due_in()
    timekeeping.mend(story.now)
    assert due_in() == before == {"queued": timedelta(minutes=59), "sending": outbox.lease()}


def test_after_a_leap_back_what_is_queued_is_due_and_what_is_being_sent_is_left_alone(
    story: Story,
) -> None:
    story.ask()
    (waiting, _) = outbox.claim(story.now, 10)
    outbox.settle(waiting, "queued", now=story.now, retry_at=story.now + timedelta(minutes=5))
    Therapist.update(ranking_due_at=story.now + DAY).execute()
    timekeeping.after_leap_back(story.now)
    assert due_in() == {"queued": timedelta(0), "sending": outbox.lease()}
    assert {row.ranking_due_at for row in Therapist.select()} == {story.now}


def test_a_purge_goes_on_batch_by_batch_until_nothing_old_is_left(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "FORGOTTEN_AT_ONCE", 2)
    for _ in range(5):
        accounts.ask_to_sign_in("asha@therapists.example", "/dashboard", story.now)
    story.wait(days=1, seconds=1)
    accounts.ask_to_sign_in("asha@therapists.example", "/dashboard", story.now)
    assert [part.done for part in due.purge(story.now)] == [2, 2, 1]
    assert SignIn.select().count() == 1
